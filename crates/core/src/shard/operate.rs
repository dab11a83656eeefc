//! What an operator does: dead letters go back or away, paused addresses go on.

use std::sync::Arc;

use statera_model::{Address, KeyGroup};
use statera_ports::DeadLetterId;

use super::Shard;
use crate::input::{Effect, Halted, Ticket};
use crate::instance::{Marks, Phase};
use crate::keys::{Halt, Key};
use crate::values::{Mail, Paused};

impl Shard {
    pub(super) fn redrive(
        &mut self,
        ticket: Ticket,
        id: DeadLetterId,
        target: &Address,
        mail: Vec<Mail>,
    ) {
        if !self.exhume(ticket, id) {
            return;
        }
        for Mail { caller, argument } in mail {
            // The call that once waited has been answered with the dead letter.
            let caller = caller.filter(|caller| caller.function != self.call_function);
            self.route(target.clone(), caller, argument);
        }
    }

    pub(super) fn discard(&mut self, ticket: Ticket, id: DeadLetterId) {
        self.exhume(ticket, id);
    }

    fn exhume(&mut self, ticket: Ticket, id: DeadLetterId) -> bool {
        let found = self.dead_letters.remove(&id);
        if found {
            let group = KeyGroup(id.key_group);
            self.pending.delete_once(Key::DeadLetter(id).encode(group));
            self.releases.accepted.push(ticket);
        } else {
            self.effects.push(Effect::Unknown(ticket));
        }
        found
    }

    pub(super) fn resume(&mut self, ticket: Ticket, address: &Address) {
        let is_paused = |index: &u32| {
            let instance = self.instances.get(*index);
            instance.phase == Phase::Paused || instance.marks.has(Marks::HELD)
        };
        let paused = self.find(address).filter(is_paused);
        let Some(index) = paused else {
            self.effects.push(Effect::Unknown(ticket));
            return;
        };
        let group = self.instances.get(index).group;
        // Not written once: an address may be paused, resumed and paused again within an epoch.
        self.pending.delete(Key::Paused(address.clone()).encode(group));
        self.paused -= 1;
        self.releases.accepted.push(ticket);
        let instance = self.instances.get_mut(index);
        instance.marks.clear(Marks::HELD);
        if instance.phase == Phase::Paused {
            self.counts_of(index).paused -= 1;
            self.go_on(index);
        }
    }

    /// Marks an address to be paused when its turn comes; at once if nothing is in flight.
    pub(super) fn hold(&mut self, ticket: Ticket, address: Address, reason: Arc<str>) {
        let key = Key::Paused(address.clone());
        let index = self.instance(&address);
        let instance = self.instances.get_mut(index);
        if instance.phase == Phase::Paused || instance.marks.has(Marks::HELD) {
            self.effects.push(Effect::Unknown(ticket));
            return;
        }
        let paused = Paused { since: self.now, reason };
        self.pending.put(key.encode(instance.group), paused.encode());
        self.paused += 1;
        self.releases.accepted.push(ticket);
        match instance.phase {
            Phase::Idle => self.park(index),
            Phase::Waiting { .. } => {
                self.counts_of(index).backing_off -= 1;
                self.park(index);
            }
            // It is parked when its turn comes, or comes again.
            _ => instance.marks.set(Marks::HELD),
        }
    }

    /// Nothing of it is in flight, and it stands in no line.
    #[cold]
    pub(super) fn park(&mut self, index: u32) {
        // When it goes on, its failures are long ago.
        self.forget_trouble(index);
        let instance = self.instances.get_mut(index);
        instance.marks.clear(Marks::HELD);
        instance.phase = Phase::Paused;
        self.counts_of(index).paused += 1;
    }

    /// Exactly these types begin nothing from now on.
    pub(super) fn halt(&mut self, halted: Halted, record: Option<(Ticket, Halt, Option<Paused>)>) {
        self.halted = Some(halted);
        for index in 0..self.functions.len() {
            self.apply_halt(index as u32);
        }
        let Some((ticket, halt, paused)) = record else { return };
        let (Halt::Function(name) | Halt::Endpoint(name) | Halt::Ingress(name)) = &halt;
        let group = KeyGroup::of(name.as_str(), self.config.key_groups);
        debug_assert_eq!(self.owner(group), self.config.shard, "recorded by the owner");
        let key = Key::Halt(halt).encode(group);
        match paused {
            Some(paused) => self.pending.put(key, paused.encode()),
            None => self.pending.delete(key),
        }
        self.releases.accepted.push(ticket);
    }

    /// From the start exactly these types begin nothing.
    pub fn set_halted(&mut self, halted: Halted) {
        self.halt(halted, None);
    }

    /// A type that is halted has no places for invocations.
    pub(super) fn apply_halt(&mut self, index: u32) {
        let Some(Halted(is_halted)) = &self.halted else { return };
        let function = &mut self.functions[index as usize];
        let Some(policy) = &mut function.policy else { return };
        match (is_halted(&function.name), function.halted) {
            (true, None) => {
                function.halted = Some(std::mem::take(&mut policy.in_flight));
            }
            (false, Some(places)) => {
                policy.in_flight = places;
                function.halted = None;
                self.list(index);
            }
            _ => {}
        }
    }
}
