//! Which messages belong to traces. Hardly any do, so they are remembered beside the messages: whoever is not traced pays for
//! a look at an empty list. Nothing of it is durable: a trace ends with the process.

use std::collections::{BTreeMap, VecDeque};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use statera_model::{Millis, TraceContext};

use crate::keys::DelayedKey;

/// Messages remembered in each place; the traces of more end there.
const TRACED_MAX: usize = 65_536;

/// Messages that belong to traces, wherever they are.
pub(crate) struct Traces {
    /// What is sent now belongs to this span.
    current: Option<TraceContext>,
    /// Of those on their way to mailboxes of this shard, by their place among them.
    local: VecDeque<(usize, TraceContext)>,
    /// Of those in mailboxes, by their sequence.
    mail: HashMap<u64, TraceContext, FixedState>,
    /// Of those that are delayed.
    delayed: BTreeMap<DelayedKey, TraceContext>,
}

impl Traces {
    pub(crate) fn new(seed: u64) -> Traces {
        Traces {
            current: None,
            local: VecDeque::new(),
            mail: HashMap::with_hasher(FixedState::with_seed(seed)),
            delayed: BTreeMap::new(),
        }
    }

    #[inline]
    pub(crate) fn current(&self) -> Option<TraceContext> {
        self.current
    }

    pub(crate) fn set_current(&mut self, current: Option<TraceContext>) {
        self.current = current;
    }

    /// A message is sent within this shard, as the one at `place` of those under way.
    #[inline]
    pub(crate) fn sent(&mut self, place: usize) {
        if let Some(current) = self.current
            && self.local.len() < TRACED_MAX
        {
            self.local.push_back((place, current));
        }
    }

    /// The message at this place comes to its mailbox. Each comes once, in order; then [`Traces::all_arrived`].
    #[inline]
    pub(crate) fn arrives(&mut self, place: usize) {
        if self.local.is_empty() && self.current.is_none() {
            return;
        }
        let arrived = self.local.pop_front_if(|(next, _)| *next == place);
        self.current = arrived.map(|(_, context)| context);
    }

    #[inline]
    pub(crate) fn all_arrived(&mut self) {
        debug_assert!(self.local.is_empty());
        self.current = None;
    }

    /// A message lies in a mailbox.
    #[inline]
    pub(crate) fn enters(&mut self, sequence: u64) {
        if let Some(current) = self.current
            && self.mail.len() < TRACED_MAX
        {
            self.mail.insert(sequence, current);
        }
    }

    /// Whether some message in a mailbox is traced.
    #[inline]
    pub(crate) fn any_mail(&self) -> bool {
        !self.mail.is_empty()
    }

    pub(crate) fn of_mail(&self, sequence: u64) -> Option<TraceContext> {
        self.mail.get(&sequence).copied()
    }

    /// A message has left its mailbox.
    pub(crate) fn leaves(&mut self, sequence: u64) {
        self.mail.remove(&sequence);
    }

    /// A message is to be sent later.
    #[inline]
    pub(crate) fn delays(&mut self, key: DelayedKey) {
        if let Some(current) = self.current
            && self.delayed.len() < TRACED_MAX
        {
            self.delayed.insert(key, current);
        }
    }

    #[inline]
    pub(crate) fn any_delayed(&self) -> bool {
        !self.delayed.is_empty()
    }

    /// A delayed message is sent now.
    pub(crate) fn is_due(&mut self, key: DelayedKey) {
        self.current = self.delayed.remove(&key);
    }

    /// All that were due have been sent: what is left of them was cancelled.
    pub(crate) fn forget_due(&mut self, now: Millis) {
        while let Some(first) = self.delayed.first_entry()
            && first.key().due <= now
        {
            first.remove();
        }
    }

    /// How many messages in mailboxes are remembered.
    pub(crate) fn mail_len(&self) -> usize {
        self.mail.len()
    }
}
