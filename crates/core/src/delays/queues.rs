//! All pending messages: a queue for each key group, so that what is read back in the order of stored keys only has to
//! be put behind what is there, and which queue is next.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use statera_model::KeyGroup;

use super::queue::Queue;
use crate::keys::DelayedKey;

/// What the maps take for a key group, roughly.
const GROUP_OVERHEAD: usize = (size_of::<(KeyGroup, Queue)>() + size_of::<Next>()) * 3 / 2;

/// Where a message stands.
///
/// The key group is that of the sender. Without it two messages would be taken for one: shards count their messages
/// each for itself, and after a restart one shard may have those of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) group: KeyGroup,
    pub(super) key: DelayedKey,
}

/// The first message of a group.
type Next = (DelayedKey, KeyGroup);

#[derive(Debug, Default)]
pub(super) struct Queues {
    /// None is empty.
    groups: BTreeMap<KeyGroup, Queue>,
    nexts: BTreeSet<Next>,
    len: usize,
    bytes: usize,
}

impl Queues {
    /// Where the first message is, by due time, then by sequence.
    pub(super) fn first(&self) -> Option<Place> {
        self.nexts.first().map(|(key, group)| Place { group: *group, key: *key })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What they take in memory, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.groups.len() * GROUP_OVERHEAD
    }

    /// Puts a record in its place, which must be free.
    pub(super) fn insert(&mut self, place: Place, record: &[u8]) {
        let Place { group, key } = place;
        let queue = self.groups.entry(group).or_default();
        let (first, bytes) = (queue.first(), queue.bytes());
        queue.insert(key, record);
        self.len += 1;
        self.bytes = self.bytes - bytes + queue.bytes();
        if first.is_none_or(|first| key < first) {
            if let Some(first) = first {
                self.nexts.remove(&(first, group));
            }
            self.nexts.insert((key, group));
        }
    }

    pub(super) fn get(&self, place: Place) -> Option<&[u8]> {
        self.groups.get(&place.group)?.get(place.key)
    }

    /// Takes a record out; what is wanted of it is read on the way.
    pub(super) fn take<T>(&mut self, place: Place, read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let Place { group, key } = place;
        let Entry::Occupied(mut entry) = self.groups.entry(group) else { return None };
        let queue = entry.get_mut();
        let (first, bytes) = (queue.first(), queue.bytes());
        let taken = queue.take(key, read)?;
        self.len -= 1;
        self.bytes = self.bytes - bytes + queue.bytes();
        if first == Some(key) {
            self.nexts.remove(&(key, group));
            match queue.first() {
                Some(next) => drop(self.nexts.insert((next, group))),
                None => drop(entry.remove()),
            }
        }
        Some(taken)
    }

    /// For each key group, or for one, its records behind a place among all, in order.
    pub(super) fn iters_behind(
        &self,
        after: Option<Place>,
        group: Option<KeyGroup>,
    ) -> impl Iterator<Item = impl Iterator<Item = (Place, &[u8])>> {
        let groups = match group {
            Some(group) => self.groups.range(group..=group),
            None => self.groups.range(..),
        };
        groups.map(move |(group, queue)| {
            let from = after.map_or(DelayedKey::FIRST, |place| place.key);
            // Of those with the same key the one of the lower group comes first.
            let excluded = after.is_some_and(|place| *group <= place.group);
            let behind = queue.iter_from(from).skip_while(move |(key, _)| excluded && *key == from);
            behind.map(|(key, record)| (Place { group: *group, key }, record))
        })
    }

    /// All records, group by group in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, &[u8])> {
        self.groups.iter().flat_map(|(group, queue)| {
            queue.iter().map(|(key, record)| (Place { group: *group, key }, record))
        })
    }

    /// Checks what must always hold. For tests: it looks at everything.
    pub(super) fn check(&self) {
        self.groups.values().for_each(Queue::check);
        let firsts = self.groups.iter().map(|(group, queue)| (queue.first(), *group));
        let firsts: BTreeSet<_> =
            firsts.map(|(first, group)| (first.expect("one"), group)).collect();
        assert_eq!(firsts, self.nexts);
        assert_eq!(self.iter().count(), self.len);
        assert_eq!(self.groups.values().map(Queue::bytes).sum::<usize>(), self.bytes);
    }
}
