//! Coming back: the working set is read from the store, and everything that was under way goes on.

use bytes::Bytes;
use statera_model::{Epoch, KeyGroup, Millis};

use super::Shard;
use crate::input::Effect;
use crate::instance::Phase;
use crate::keys::Key;
use crate::values::{CorruptValue, Dedupe, Fate, Mail};

/// A stored key-value pair can't be taken back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read back {key:?} of key group {group}")]
pub struct RestoreError {
    /// Its key group.
    pub group: KeyGroup,
    /// Its key.
    pub key: Key,
    /// What is wrong with its value.
    #[source]
    pub source: CorruptValue,
}

impl Shard {
    /// Takes back one pair of the working set, that is, any kind but state. Pairs of a mailbox come in the order of
    /// their keys. Sources and sinks are not the shard's business: their positions are ignored.
    ///
    /// # Errors
    /// If the value is corrupt.
    pub fn restore(&mut self, group: KeyGroup, key: Key, value: Bytes) -> Result<(), RestoreError> {
        debug_assert_eq!(self.owner(group), self.config.shard, "restored to the owner");
        self.try_restore(group, &key, value).map_err(|source| RestoreError { group, key, source })
    }

    fn try_restore(
        &mut self,
        group: KeyGroup,
        key: &Key,
        value: Bytes,
    ) -> Result<(), CorruptValue> {
        match key {
            Key::Mail { address, sequence } => {
                self.sequence = self.sequence.max(*sequence);
                let Mail { caller, argument } = Mail::decode(value)?;
                let index = self.instance(address);
                let slot = self.mails.keep(caller, argument);
                self.restore_mail(index, slot, *sequence);
            }
            Key::Delayed(key) => {
                self.sequence = self.sequence.max(key.sequence);
                self.delays.restore(*key, group, &value)?;
            }
            Key::Dedupe { target, key } => {
                let dedupe = Dedupe::decode(value)?;
                let key = (target.clone(), key.clone());
                if let Fate::Waiting { call } = &dedupe.fate {
                    self.calls.wait(call.clone(), None, Some(key.clone()));
                }
                self.calls.remember(key, dedupe);
            }
            Key::Outbox { egress, epoch, shard, index } => {
                self.outbox.restore(egress.clone(), group, *epoch, *shard, *index);
            }
            Key::DeadLetter(id) => {
                self.dead_letter_number = self.dead_letter_number.max(id.number);
                self.dead_letters.insert(*id);
            }
            Key::Paused(address) => {
                let index = self.instance(address);
                self.instances.get_mut(index).phase = Phase::Paused;
                self.paused += 1;
                self.counts_of(index).paused += 1;
            }
            Key::State { .. } | Key::Source(_) | Key::Sink(_) | Key::Halt(_) => {}
        }
        Ok(())
    }

    /// Mail waits until everything is back: only then may anybody start.
    fn restore_mail(&mut self, index: u32, slot: u32, sequence: u64) {
        let instance = self.instances.get_mut(index);
        let idle = instance.phase == Phase::Idle;
        if idle {
            instance.phase = Phase::Paused;
        }
        self.enter(index, slot, sequence, true);
        self.counts_of(index).restored += 1;
        if idle {
            self.instances.get_mut(index).phase = Phase::Idle;
        }
    }

    /// Everything is back, as of `epoch`: whoever has mail goes on.
    pub fn start(&mut self, epoch: Epoch, now: Millis, effects: &mut Vec<Effect>) {
        self.epoch = epoch.next();
        self.flushed = epoch;
        self.now = now;
        self.outbox.restored();
        std::mem::swap(&mut self.effects, effects);
        for index in self.instances.indexes() {
            let instance = self.instances.get(index);
            if instance.phase != Phase::Idle || instance.mailbox.is_empty() {
                continue;
            }
            if self.functions[instance.function as usize].name == self.call_function {
                self.answer_restored(index);
            } else {
                self.make_ready(index);
            }
        }
        self.send_due();
        self.on_time();
        self.receive_local();
        self.dispatch();
        std::mem::swap(&mut self.effects, effects);
    }

    /// An answer that was on its way between two shards.
    fn answer_restored(&mut self, index: u32) {
        while let Some(message) = self.mails.first(&self.instances.get(index).mailbox) {
            let answer = statera_ports::Answer::Value(message.argument.clone());
            let call = self.instances.get(index).id.clone();
            self.take_mail(index, 1);
            self.answer(&call, answer);
        }
    }
}
