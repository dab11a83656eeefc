//! Function types as small numbers, as long as a pending message mentions them.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use statera_model::Name;

use crate::arena::Arena;

#[derive(Debug)]
pub(super) struct Names {
    slots: Arena<Used>,
    by_name: HashTable<u32>,
    hasher: FixedState,
}

#[derive(Debug)]
struct Used {
    name: Name,
    count: usize,
}

impl Names {
    pub(super) fn new(hash_seed: u64) -> Names {
        let hasher = FixedState::with_seed(hash_seed);
        Names { slots: Arena::default(), by_name: HashTable::new(), hasher }
    }

    /// The number of a name, which is used once more.
    pub(super) fn take(&mut self, namespace: &str, name: &str) -> u32 {
        let hash = self.hasher.hash_one((namespace, name));
        let (slots, hasher) = (&mut self.slots, &self.hasher);
        let is_it = |index: &u32| parts(&slots.get(*index).expect(USED).name) == (namespace, name);
        let index = match self.by_name.find(hash, is_it) {
            Some(index) => *index,
            None => {
                let index =
                    slots.insert(Used { name: Name::from_parts(namespace, name), count: 0 });
                let rehash =
                    |index: &u32| hasher.hash_one(parts(&slots.get(*index).expect(USED).name));
                *self.by_name.insert_unique(hash, index, rehash).get()
            }
        };
        slots.get_mut(index).expect(USED).count += 1;
        index
    }

    /// The name is used once less.
    pub(super) fn release(&mut self, index: u32) {
        let used = self.slots.get_mut(index).expect(USED);
        used.count -= 1;
        if used.count == 0 {
            let hash = self.hasher.hash_one(parts(&used.name));
            let entry = self.by_name.find_entry(hash, |found| *found == index);
            entry.expect("a name that is used").remove();
            self.slots.remove(index);
        }
    }

    pub(super) fn get(&self, index: u32) -> &Name {
        &self.slots.get(index).expect(USED).name
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.len() == 0
    }

    /// What they take in memory, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * (size_of::<Used>() + size_of::<u32>() * 3 + 64)
    }
}

const USED: &str = "a name is numbered while it is used";

fn parts(name: &Name) -> (&str, &str) {
    (name.namespace(), name.name())
}
