//! Delayed messages, and the tokens that cancel them. Made for millions of them: each is a few bytes more than what it
//! carries, and costs nothing until it is due.

mod leaf;
mod look;
mod names;
mod queue;
mod queues;
mod record;
#[cfg(test)]
mod tests;
mod tokens;

use bytes::Bytes;
use statera_model::{KeyGroup, Millis};

use crate::delta::DeltaWriter;
use crate::keys::{self, DelayedKey};
use crate::values::{CorruptValue, DelayedParts};
use names::Names;
use queues::{Place, Queues};
use record::Record;
use tokens::Tokens;

pub(crate) use record::Due;

#[derive(Debug)]
pub(crate) struct Delays {
    pending: Pending,
    names: Names,
    tokens: Tokens,
    /// Written by an earlier cut and over since the last one, so that the next one deletes them.
    over: Vec<Place>,
    /// Room to encode in.
    encoded: Vec<u8>,
}

/// The messages that wait.
#[derive(Debug, Default)]
struct Pending {
    /// Those sent since the last cut: the next one writes them. Few as a rule, so that sending one and cancelling it soon
    /// does not touch the others.
    fresh: Queues,
    stored: Queues,
}

impl Delays {
    pub(crate) fn new(hash_seed: u64) -> Delays {
        Delays {
            pending: Pending::default(),
            names: Names::new(hash_seed),
            tokens: Tokens::new(hash_seed),
            over: Vec::new(),
            encoded: Vec::new(),
        }
    }

    /// Takes in a new message. Its token is not one of a pending message, its argument is a typed value.
    pub(crate) fn send(&mut self, key: DelayedKey, group: KeyGroup, message: DelayedParts<'_>) {
        let place = Place { group, key };
        self.encode(place, message);
        self.pending.fresh.insert(place, &self.encoded);
    }

    /// Takes back a stored message. Quick if messages come in the order of their keys.
    pub(crate) fn restore(
        &mut self,
        key: DelayedKey,
        group: KeyGroup,
        value: &Bytes,
    ) -> Result<(), CorruptValue> {
        let message = DelayedParts::decode(value)?;
        message.argument_of(value)?;
        let place = Place { group, key };
        self.encode(place, message);
        self.pending.stored.insert(place, &self.encoded);
        Ok(())
    }

    fn encode(&mut self, place: Place, message: DelayedParts<'_>) {
        let record = Record::new(message, &mut self.names);
        self.encoded.clear();
        record.write(&mut self.encoded);
        if !record.token.is_empty() {
            self.tokens.insert(record.sender_id, record.token, place);
        }
    }

    pub(crate) fn is_pending(&self, sender_id: &str, token: &str) -> bool {
        self.tokens.find(&self.pending, sender_id, token).is_some()
    }

    /// Drops the message sent with this token, if it is still pending.
    pub(crate) fn cancel(&mut self, sender_id: &str, token: &str) {
        if let Some(place) = self.tokens.find(&self.pending, sender_id, token) {
            self.take(place, |_, _| ());
        }
    }

    /// Takes out the next message that is due.
    pub(crate) fn pop_due(&mut self, now: Millis) -> Option<Due> {
        let place = self.pending.first().filter(|place| place.key.due <= now)?;
        Some(self.take(place, |record, names| record.due(names)))
    }

    fn take<T>(&mut self, place: Place, read: impl Fn(Record<'_>, &Names) -> T) -> T {
        let Delays { pending, names, tokens, over, .. } = self;
        let mut read = |bytes: &[u8]| {
            let record = Record::read(bytes);
            if !record.token.is_empty() {
                tokens.remove(record.sender_id, record.token, place);
            }
            (read(record, names), [record.sender_function, record.target_function])
        };
        let fresh = pending.fresh.take(place, &mut read);
        let (taken, functions) = fresh.unwrap_or_else(|| {
            over.push(place);
            pending.stored.take(place, read).expect("it is pending")
        });
        for function in functions {
            self.names.release(function);
        }
        taken
    }

    pub(crate) fn next_key(&self) -> Option<DelayedKey> {
        self.pending.first().map(|place| place.key)
    }

    pub(crate) fn next_due(&self) -> Option<Millis> {
        self.pending.first().map(|place| place.key.due)
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.fresh.len() + self.pending.stored.len()
    }

    /// What they take in memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.pending.fresh.bytes()
            + self.pending.stored.bytes()
            + self.names.bytes()
            + self.tokens.bytes()
            + self.encoded.capacity()
            + self.over.capacity() * size_of::<Place>()
    }

    /// Whether something has changed since the last cut.
    pub(crate) fn is_changed(&self) -> bool {
        self.pending.fresh.len() > 0 || !self.over.is_empty()
    }

    /// Moves what has changed into a delta. A message that was sent and is over since the last cut is not there.
    pub(crate) fn drain_into(&mut self, delta: &mut DeltaWriter<'_>) {
        for (place, bytes) in self.pending.fresh.iter() {
            self.encoded.clear();
            Record::read(bytes).parts(&self.names).encode(&mut self.encoded);
            delta.put(&keys::delayed(place.group, place.key), &self.encoded);
        }
        self.pending.cut();
        for place in std::mem::take(&mut self.over) {
            delta.delete(&keys::delayed(place.group, place.key));
        }
    }

    /// Checks what must always hold. For tests: it looks at everything.
    pub(crate) fn check(&self) {
        let mut tokens = 0;
        for queues in [&self.pending.fresh, &self.pending.stored] {
            queues.check();
            for (place, bytes) in queues.iter() {
                let Record { sender_id, token, .. } = Record::read(bytes);
                if !token.is_empty() {
                    tokens += 1;
                    let found = self.tokens.find(&self.pending, sender_id, token);
                    assert_eq!(found, Some(place), "a token names its message");
                }
            }
        }
        assert_eq!(tokens, self.tokens.len());
        assert_eq!(self.len() == 0, self.names.is_empty());
    }
}

impl Pending {
    fn get(&self, place: Place) -> Option<&[u8]> {
        self.fresh.get(place).or_else(|| self.stored.get(place))
    }

    /// Where the first message is, by due time, then by sequence.
    fn first(&self) -> Option<Place> {
        let first = [&self.fresh, &self.stored].into_iter().filter_map(Queues::first);
        first.min_by_key(|place| (place.key, place.group))
    }

    /// All are stored now.
    fn cut(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        if fresh.len() > self.stored.len() {
            std::mem::swap(&mut fresh, &mut self.stored); // The fewer are moved.
        }
        for (place, record) in fresh.iter() {
            self.stored.insert(place, record);
        }
    }
}
