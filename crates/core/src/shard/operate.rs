//! What an operator does: dead letters go back or away, paused addresses go on.

use statera_model::Address;
use statera_ports::DeadLetterId;

use super::Shard;
use crate::input::{Effect, Ticket};
use crate::instance::Phase;
use crate::keys::Key;
use crate::values::Mail;

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
            let group = statera_model::KeyGroup(id.key_group);
            self.pending.delete_once(Key::DeadLetter(id).encode(group));
            self.releases.accepted.push(ticket);
        } else {
            self.effects.push(Effect::Unknown(ticket));
        }
        found
    }

    pub(super) fn resume(&mut self, ticket: Ticket, address: &Address) {
        let paused =
            self.find(address).filter(|index| self.instances.get(*index).phase == Phase::Paused);
        let Some(index) = paused else {
            self.effects.push(Effect::Unknown(ticket));
            return;
        };
        let group = self.instances.get(index).group;
        // Not written once: an address may be paused, resumed and paused again within an epoch.
        self.pending.delete(Key::Paused(address.clone()).encode(group));
        self.paused -= 1;
        self.releases.accepted.push(ticket);
        self.go_on(index);
    }
}
