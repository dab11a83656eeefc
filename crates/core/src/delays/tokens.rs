//! Which pending message a cancellation token names.
//!
//! A token belongs to the id of its sender: all function types with one id share theirs, as in StateFun. The texts are
//! in the message itself; here is only a hash of them, and where the message is.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use statera_model::KeyGroup;

use super::Pending;
use super::queues::Place;
use super::record::Record;
use crate::keys::DelayedKey;

#[derive(Debug)]
pub(super) struct Tokens {
    table: HashTable<Entry>,
    hasher: FixedState,
}

/// A [`Place`] and a hash, without gaps.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: DelayedKey,
    group: KeyGroup,
    hash: u32,
}

impl Entry {
    fn place(&self) -> Place {
        Place { key: self.key, group: self.group }
    }

    fn spread(&self) -> u64 {
        spread(self.hash)
    }
}

impl Tokens {
    pub(super) fn new(hash_seed: u64) -> Tokens {
        Tokens { table: HashTable::new(), hasher: FixedState::with_seed(hash_seed) }
    }

    /// Where the message with this token is, if one is pending.
    pub(super) fn find(&self, pending: &Pending, sender_id: &str, token: &str) -> Option<Place> {
        let hash = self.hash(sender_id, token);
        let is_it = |entry: &Entry| {
            entry.hash == hash && {
                let record = pending.get(entry.place()).map(Record::read).expect("it is pending");
                record.sender_id == sender_id && record.token == token
            }
        };
        self.table.find(spread(hash), is_it).map(Entry::place)
    }

    pub(super) fn insert(&mut self, sender_id: &str, token: &str, place: Place) {
        let hash = self.hash(sender_id, token);
        let entry = Entry { key: place.key, group: place.group, hash };
        self.table.insert_unique(spread(hash), entry, Entry::spread);
    }

    pub(super) fn remove(&mut self, sender_id: &str, token: &str, place: Place) {
        let hash = self.hash(sender_id, token);
        let entry = self.table.find_entry(spread(hash), |entry| entry.place() == place);
        entry.expect("it is pending").remove();
        if self.table.capacity() > 64 && self.table.len() < self.table.capacity() / 8 {
            self.table.shrink_to(self.table.len() * 2, Entry::spread);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// What they take in memory, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.table.allocation_size()
    }

    fn hash(&self, sender_id: &str, token: &str) -> u32 {
        self.hasher.hash_one((sender_id, token)) as u32
    }
}

/// The table looks at the highest bits as well as at the lowest.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}
