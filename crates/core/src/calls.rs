//! Who waits for an answer, and which requests were seen before.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use statera_model::{Address, Millis};

use crate::input::Ticket;
use crate::values::Dedupe;

/// What an idempotency key is valid for: a target and the key itself.
pub(crate) type DedupeKey = (Address, Arc<str>);

#[derive(Debug)]
pub(crate) struct Calls {
    waiting: HashMap<Arc<str>, Waiting, FixedState>,
    tickets: HashMap<Ticket, Arc<str>, FixedState>,
    seen: HashMap<DedupeKey, Dedupe, FixedState>,
    expiries: BTreeSet<(Millis, Address, Arc<str>)>,
}

/// A call that is not answered.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) key: Option<DedupeKey>,
}

impl Calls {
    pub(crate) fn new(hash_seed: u64) -> Calls {
        let hasher = FixedState::with_seed(hash_seed);
        Calls {
            waiting: HashMap::with_hasher(hasher.clone()),
            tickets: HashMap::with_hasher(hasher.clone()),
            seen: HashMap::with_hasher(hasher),
            expiries: BTreeSet::new(),
        }
    }

    /// Waits for a call. `key` is set if the call was made with an idempotency key.
    pub(crate) fn wait(&mut self, call: Arc<str>, ticket: Option<Ticket>, key: Option<DedupeKey>) {
        let waiting = self.waiting.entry(call.clone()).or_default();
        if key.is_some() {
            waiting.key = key;
        }
        if let Some(ticket) = ticket {
            waiting.tickets.push(ticket);
            self.tickets.insert(ticket, call);
        }
    }

    /// Nobody waits with this ticket any more.
    pub(crate) fn forget(&mut self, ticket: Ticket) {
        let Some(call) = self.tickets.remove(&ticket) else { return };
        let waiting = self.waiting.get_mut(&call).expect("a ticket names a waiting call");
        waiting.tickets.retain(|waiting| *waiting != ticket);
        if waiting.tickets.is_empty() && waiting.key.is_none() {
            self.waiting.remove(&call);
        }
    }

    /// Takes out a call that is answered.
    pub(crate) fn answered(&mut self, call: &str) -> Option<Waiting> {
        let waiting = self.waiting.remove(call)?;
        for ticket in &waiting.tickets {
            self.tickets.remove(ticket);
        }
        Some(waiting)
    }

    pub(crate) fn seen(&self, key: &DedupeKey) -> Option<&Dedupe> {
        self.seen.get(key)
    }

    pub(crate) fn seen_count(&self) -> usize {
        self.seen.len()
    }

    /// Remembers a request; a second time replaces the first, with the same expiry.
    pub(crate) fn remember(&mut self, key: DedupeKey, dedupe: Dedupe) {
        self.expiries.insert((dedupe.expires, key.0.clone(), key.1.clone()));
        self.seen.insert(key, dedupe);
    }

    pub(crate) fn next_expiry(&self) -> Option<Millis> {
        self.expiries.first().map(|(expires, _, _)| *expires)
    }

    /// Forgets the next key whose time is over.
    pub(crate) fn pop_expired(&mut self, now: Millis) -> Option<DedupeKey> {
        if self.next_expiry()? > now {
            return None;
        }
        let (_, target, key) = self.expiries.pop_first().expect("just seen");
        let key = (target, key);
        let dedupe = self.seen.remove(&key).expect("an expiry names a remembered key");
        if let crate::values::Fate::Waiting { call } = dedupe.fate
            && let Some(waiting) = self.waiting.get_mut(&call)
        {
            waiting.key = None;
            if waiting.tickets.is_empty() {
                self.waiting.remove(&call);
            }
        }
        Some(key)
    }

    pub(crate) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }
}
