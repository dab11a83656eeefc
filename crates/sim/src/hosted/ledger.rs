//! What comes of every message, written down while foreign functions run.
//!
//! Such functions say nothing about themselves, so the simulator marks what they do. Each message and each record carries
//! a [number](super::tag). And each address has one more state, the ledger, that names the last attempt that had its
//! effect; that one names the attempt before. So from the durable image follows which attempts had their effect, and
//! from those where every message and record must be, and what every state must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use statera_model::{
    Address, Delayed, EgressId, Expiration, Millis, Mutation, Reply, StateChange, StateSpec,
    TypedValue,
};

use super::tag;

/// The name and the type of the ledger.
pub(super) const LEDGER: &str = "io.statera.sim/ledger";

/// The states of all addresses have this one among them.
pub(super) fn ledger_spec() -> StateSpec {
    let name: Arc<str> = LEDGER.into();
    StateSpec { name: name.clone(), typename: name, expiration: Expiration::Never }
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) messages: Vec<Message>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) records: Vec<Record>,
}

/// A message, which may never come to be: whether the attempt that sent it has its effect is not known.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) target: Address,
    pub(super) origin: Origin,
    pub(super) delay: Option<Delay>,
    /// Why its function did not process it. Empty if it never failed.
    pub(super) failures: BTreeSet<Arc<str>>,
    /// Whether a reply to it was handed to the engine, which may have refused it.
    pub(super) answered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The request of a person.
    Person(usize),
    /// An attempt.
    Attempt(usize),
}

#[derive(Debug)]
pub(super) struct Delay {
    /// The earliest time at which it may arrive.
    pub(super) due: Millis,
    pub(super) token: Option<Arc<str>>,
    /// Cancelled by the reply that sent it.
    pub(super) cancelled: bool,
}

/// An invocation that was answered.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) target: Address,
    /// The last attempt before it that had its effect.
    pub(super) previous: Option<usize>,
    pub(super) consumed: Vec<usize>,
    /// What it sent, in order.
    pub(super) sent: Vec<usize>,
    /// The tokens that it cancelled.
    pub(super) cancels: BTreeSet<Arc<str>>,
    pub(super) emitted: Vec<usize>,
    /// What it made of its states.
    pub(super) changes: BTreeMap<Arc<str>, Option<TypedValue>>,
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) egress: EgressId,
    pub(super) attempt: usize,
}

impl Ledger {
    /// A message that a person sends.
    pub(super) fn request(
        &mut self,
        person: usize,
        target: Address,
        value: &TypedValue,
    ) -> TypedValue {
        self.message(target, Origin::Person(person), None, value)
    }

    fn message(
        &mut self,
        target: Address,
        origin: Origin,
        delay: Option<Delay>,
        value: &TypedValue,
    ) -> TypedValue {
        let numbered = tag::number(value, self.messages.len());
        let (failures, answered) = (BTreeSet::new(), false);
        self.messages.push(Message { target, origin, delay, failures, answered });
        numbered
    }

    /// Writes down what a function has answered, and marks it.
    pub(super) fn attempt(
        &mut self,
        target: &Address,
        previous: Option<usize>,
        consumed: Vec<usize>,
        mut reply: Reply,
        now: Millis,
    ) -> Reply {
        let number = self.attempts.len();
        let origin = Origin::Attempt(number);
        for message in &consumed {
            self.messages[*message].answered = true;
        }
        let first = self.messages.len();
        for message in &mut reply.messages {
            message.argument =
                self.message(message.target.clone(), origin, None, &message.argument);
        }
        let cancels = self.delays(origin, &mut reply.delayed, now);
        let sent = (first..self.messages.len()).collect();
        let mut emitted = Vec::new();
        for record in &mut reply.egress {
            emitted.push(self.records.len());
            record.argument = tag::number(&record.argument, self.records.len());
            self.records.push(Record { egress: record.egress.clone(), attempt: number });
            record.egress = super::door_of(&record.egress);
        }
        let changes = reply.mutations.iter().map(|mutation| match &mutation.change {
            StateChange::Modify(value) => (mutation.state.clone(), Some(value.clone())),
            StateChange::Delete => (mutation.state.clone(), None),
        });
        let changes = changes.collect();
        let target = target.clone();
        self.attempts.push(Attempt { target, previous, consumed, sent, cancels, emitted, changes });
        let entry = TypedValue::new(LEDGER, number.to_string().as_bytes());
        let change = StateChange::Modify(entry);
        reply.mutations.insert(0, Mutation { state: LEDGER.into(), change });
        reply
    }

    /// In the order of the list, so that a message may be cancelled by the reply that sends it.
    fn delays(
        &mut self,
        origin: Origin,
        delayed: &mut [Delayed],
        now: Millis,
    ) -> BTreeSet<Arc<str>> {
        let first = self.messages.len();
        let mut cancels = BTreeSet::new();
        for entry in delayed {
            match entry {
                Delayed::Send { delay_ms, message, token } => {
                    let due = now.after(delay_ms.unsigned_abs());
                    let delay = Delay { due, token: token.clone(), cancelled: false };
                    let target = message.target.clone();
                    message.argument = self.message(target, origin, Some(delay), &message.argument);
                }
                Delayed::Cancel { token } => {
                    for message in &mut self.messages[first..] {
                        if let Some(delay) = &mut message.delay {
                            delay.cancelled |= delay.token.as_ref() == Some(&*token);
                        }
                    }
                    cancels.insert(token.clone());
                }
            }
        }
        cancels
    }

    /// Who sent a record.
    pub(super) fn emitter(&self, record: usize) -> &Address {
        &self.attempts[self.records[record].attempt].target
    }
}

/// The attempt that a value of the ledger names.
pub(super) fn entry(value: &TypedValue) -> Option<usize> {
    std::str::from_utf8(value.value()).ok()?.parse().ok()
}
