//! The messages of a key group in the order of their keys, a few or millions: a map of leaves. A record costs its bytes,
//! its key and a few more for its share of the leaf.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::leaf::Leaf;
use crate::keys::DelayedKey;

/// What the map and the allocator take for a leaf, roughly: its entry in a node that is two thirds full.
const LEAF_OVERHEAD: usize = (size_of::<DelayedKey>() + size_of::<Leaf>()) * 3 / 2 + 16;

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// None is empty; the key is not above its first record, and above the last one of the leaf before.
    leaves: BTreeMap<DelayedKey, Leaf>,
    first: Option<DelayedKey>,
    /// The capacities of all leaves.
    capacity: usize,
}

impl Queue {
    /// The first record's key.
    pub(super) fn first(&self) -> Option<DelayedKey> {
        self.first
    }

    /// What it takes in memory, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.capacity + self.leaves.len() * LEAF_OVERHEAD
    }

    /// Adds a record. No other has its key.
    pub(super) fn insert(&mut self, key: DelayedKey, record: &[u8]) {
        if self.first.is_none_or(|first| key < first) {
            self.first = Some(key);
            // The first leaf takes it, and begins there from now on.
            match self.leaves.pop_first() {
                Some((_, leaf)) => drop(self.leaves.insert(key, leaf)),
                None => self.add_leaf(key, Leaf::new()),
            }
        }
        while let Some((bound, leaf)) = self.insert_or_divide(key, record) {
            self.add_leaf(bound, leaf);
        }
    }

    /// If the leaf has no room for the record, nothing is inserted and the leaf is divided.
    fn insert_or_divide(&mut self, key: DelayedKey, record: &[u8]) -> Option<(DelayedKey, Leaf)> {
        let (_, leaf) = self.leaves.range_mut(..=key).next_back().expect("the first leaf");
        let index = leaf.find(key).expect_err("keys are unique");
        let before = leaf.capacity();
        let divided = if leaf.has_room(record.len()) {
            leaf.insert(index, key, record);
            None
        } else if index == leaf.count() {
            // Who comes behind all others is often followed by more: the leaf stays full.
            Some((key, Leaf::new()))
        } else {
            let second = leaf.divide(leaf.count() / 2);
            Some((second.key(0), second))
        };
        self.capacity = self.capacity - before + leaf.capacity();
        divided
    }

    fn add_leaf(&mut self, bound: DelayedKey, leaf: Leaf) {
        self.capacity += leaf.capacity();
        self.leaves.insert(bound, leaf);
    }

    pub(super) fn get(&self, key: DelayedKey) -> Option<&[u8]> {
        let (_, leaf) = self.leaves.range(..=key).next_back()?;
        Some(leaf.record(leaf.find(key).ok()?))
    }

    /// Takes a record out; what is wanted of it is read on the way.
    pub(super) fn take<T>(&mut self, key: DelayedKey, read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let (bound, leaf) = self.leaves.range_mut(..=key).next_back()?;
        let (bound, index) = (*bound, leaf.find(key).ok()?);
        let taken = read(leaf.record(index));
        let before = leaf.capacity();
        leaf.remove(index);
        self.capacity = self.capacity - before + leaf.capacity();
        if leaf.is_empty() {
            self.capacity -= leaf.capacity();
            self.leaves.remove(&bound);
        } else if leaf.is_small() {
            self.join_next(bound);
        }
        if self.first == Some(key) {
            self.first = self.leaves.values().next().map(|leaf| leaf.key(0));
        }
        Some(taken)
    }

    fn join_next(&mut self, bound: DelayedKey) {
        let mut both = self.leaves.range_mut((Bound::Included(bound), Bound::Unbounded));
        let (Some((_, leaf)), Some((next, second))) = (both.next(), both.next()) else { return };
        if leaf.should_join(second) {
            self.capacity -= leaf.capacity() + second.capacity();
            leaf.join(second);
            self.capacity += leaf.capacity();
            let next = *next;
            self.leaves.remove(&next);
        }
    }

    /// All records in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (DelayedKey, &[u8])> {
        self.leaves
            .values()
            .flat_map(|leaf| (0..leaf.count()).map(|index| (leaf.key(index), leaf.record(index))))
    }

    /// The records that are not before a key, in order.
    pub(super) fn iter_from(&self, from: DelayedKey) -> impl Iterator<Item = (DelayedKey, &[u8])> {
        let first = self.leaves.range(..=from).next_back().map_or(from, |(bound, _)| *bound);
        let leaves = self.leaves.range(first..).map(|(_, leaf)| leaf);
        let records = leaves
            .flat_map(|leaf| (0..leaf.count()).map(|index| (leaf.key(index), leaf.record(index))));
        records.skip_while(move |(key, _)| *key < from)
    }

    /// Checks what must always hold. For tests: it looks at everything.
    pub(super) fn check(&self) {
        let capacity: usize = self.leaves.values().map(Leaf::capacity).sum();
        assert_eq!(capacity, self.capacity, "counted after every change");
        assert!(self.leaves.values().all(|leaf| !leaf.is_empty()), "no leaf is empty");
        let keys: Vec<DelayedKey> = self.iter().map(|(key, _)| key).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "records are in order");
        assert_eq!(keys.first(), self.first.as_ref());
        for (bound, leaf) in &self.leaves {
            assert!(*bound <= leaf.key(0), "a leaf is found by its first record");
        }
    }
}
