//! What must become of every message: the trees of messages that grow from what was asked from outside.

use std::collections::{BTreeMap, BTreeSet};

use statera_model::Address;

use super::functions::{Act, Message, Work, act};

/// Where a message comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// A request from outside.
    Request,
    /// A record of a source, at this place.
    Source { source: usize, record: usize },
    /// A message that `sender` sends when it processes `parent`.
    Function { sender: Address, parent: String },
}

/// Whether a message may be, or must be, cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cancel {
    No,
    /// In the reply that sent it.
    AtOnce,
    /// By the message with this id, if that is processed early enough.
    By(String),
}

/// What is known of a message.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) target: Address,
    pub(crate) origin: Origin,
    pub(crate) delayed: bool,
    pub(crate) cancel: Cancel,
    pub(crate) fails: bool,
    /// The messages that are sent when it is processed, in order.
    pub(crate) children: Vec<String>,
    /// The egress records, in order.
    pub(crate) emits: Vec<(&'static str, String)>,
    /// What it adds to the sum of its target.
    pub(crate) adds: i64,
}

/// All messages there can be.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) entries: BTreeMap<String, Entry>,
    /// Requests of which the sender knows that they are accepted.
    pub(crate) acknowledged: BTreeSet<String>,
    /// Requests that were refused for good.
    pub(crate) refused: BTreeSet<String>,
    /// Messages that an operator has put back: they lost their place in the order.
    pub(crate) redriven: BTreeSet<String>,
    /// Messages that an operator may have thrown away.
    pub(crate) discarded: BTreeSet<String>,
}

impl Book {
    /// Adds a message, and everything that follows from it.
    pub(crate) fn plan(&mut self, target: Address, origin: Origin, message: Message, ids: u64) {
        self.add(target, origin, message, Delay::None, ids);
    }

    fn add(&mut self, target: Address, origin: Origin, message: Message, delay: Delay, ids: u64) {
        let mut entry = Entry {
            target: target.clone(),
            origin,
            delayed: delay != Delay::None,
            cancel: match delay {
                Delay::Cancelled(cancel) => cancel,
                Delay::None | Delay::Some => Cancel::No,
            },
            fails: message.work.fails(),
            children: Vec::new(),
            emits: Vec::new(),
            adds: 0,
        };
        for act in act(&target, None, &message, ids) {
            let origin = || Origin::Function { sender: target.clone(), parent: message.id.clone() };
            match act {
                Act::Send { target, message } => {
                    entry.children.push(message.id.clone());
                    self.add(target, origin(), message, Delay::None, ids);
                }
                Act::Later { target, message: child, .. } => {
                    entry.children.push(child.id.clone());
                    let delay = delay_of(&message, &child.id);
                    self.add(target, origin(), child, delay, ids);
                }
                Act::Emit { egress, text } => entry.emits.push((egress, text)),
                Act::Add(amount) => entry.adds += amount,
                Act::Cancel { .. } | Act::Answer { .. } => {}
            }
        }
        let old = self.entries.insert(message.id, entry);
        assert!(old.is_none(), "ids are unique");
    }
}

#[derive(PartialEq, Eq)]
enum Delay {
    None,
    Some,
    Cancelled(Cancel),
}

fn delay_of(parent: &Message, child: &str) -> Delay {
    match parent.work {
        Work::Race(_) => Delay::Cancelled(Cancel::By(format!("{}.1", parent.id))),
        Work::Reschedule(_) if child.ends_with(".0") => Delay::Cancelled(Cancel::AtOnce),
        _ => Delay::Some,
    }
}
