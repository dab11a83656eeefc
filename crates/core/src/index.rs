//! Finds instances by hash: an open-addressed table with linear probing, whose entries are a hash and a number, eight to a
//! cache line, so that to find somebody among millions is to wait for memory once.
//!
//! It is many small tables rather than a large one, so that no single insertion takes long when one of them grows.

use std::hint::black_box;

/// Where instances are.
#[derive(Debug)]
pub(crate) struct Index {
    tables: Box<[Table]>,
}

/// A power of two.
const TABLES: usize = 256;

/// The smallest table. A power of two.
const ENTRIES_MIN: usize = 8;

#[derive(Debug, Default)]
struct Table {
    /// As many as a power of two, or none. At least a quarter of them are empty.
    entries: Box<[Entry]>,
    used: usize,
}

/// Zero if it is empty; else the hash, and the number plus one.
type Entry = u64;

const EMPTY: Entry = 0;

#[inline]
fn entry(hash: u32, number: u32) -> Entry {
    u64::from(hash) << 32 | u64::from(number + 1)
}

#[inline]
fn hash_of(entry: Entry) -> u32 {
    (entry >> 32) as u32
}

impl Index {
    pub(crate) fn new() -> Index {
        Index { tables: (0..TABLES).map(|_| Table::default()).collect() }
    }

    /// The first number with this hash that `is_it`.
    #[inline]
    pub(crate) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let table = &self.tables[hash as usize % TABLES];
        let mask = table.entries.len().wrapping_sub(1);
        let mut place = place(hash) & mask;
        loop {
            let found = *table.entries.get(place)?;
            if found == EMPTY {
                return None;
            }
            let number = (found as u32).wrapping_sub(1);
            if hash_of(found) == hash && is_it(number) {
                return Some(number);
            }
            place = (place + 1) & mask;
        }
    }

    /// Looks at where a hash is looked for, and waits for nothing.
    #[inline]
    pub(crate) fn touch(&self, hash: u32) {
        let entries = &self.tables[hash as usize % TABLES].entries;
        black_box(entries.get(place(hash) & entries.len().wrapping_sub(1)).copied());
    }

    /// Adds a number, less than the largest one, that is not there with this hash.
    pub(crate) fn insert(&mut self, hash: u32, number: u32) {
        let table = &mut self.tables[hash as usize % TABLES];
        if (table.used + 1) * 4 > table.entries.len() * 3 {
            table.grow();
        }
        table.used += 1;
        table.put(entry(hash, number));
    }

    /// Removes a number that is there with this hash.
    pub(crate) fn remove(&mut self, hash: u32, number: u32) {
        let table = &mut self.tables[hash as usize % TABLES];
        let mask = table.entries.len() - 1;
        let wanted = entry(hash, number);
        let mut hole = place(hash) & mask;
        while table.entries[hole] != wanted {
            assert!(table.entries[hole] != EMPTY, "it is there");
            hole = (hole + 1) & mask;
        }
        table.used -= 1;
        // Whoever stands behind the hole and would be looked for before it moves into it.
        let mut next = hole;
        loop {
            next = (next + 1) & mask;
            let moved = table.entries[next];
            if moved == EMPTY {
                break;
            }
            let wants = place(hash_of(moved)) & mask;
            if next.wrapping_sub(wants) & mask >= next.wrapping_sub(hole) & mask {
                table.entries[hole] = moved;
                hole = next;
            }
        }
        table.entries[hole] = EMPTY;
    }
}

impl Table {
    fn grow(&mut self) {
        let larger = (self.entries.len() * 2).max(ENTRIES_MIN);
        let entries = std::mem::replace(&mut self.entries, vec![EMPTY; larger].into());
        for entry in entries.into_iter().filter(|entry| *entry != EMPTY) {
            self.put(entry);
        }
    }

    fn put(&mut self, entry: Entry) {
        let mask = self.entries.len() - 1;
        let mut place = place(hash_of(entry)) & mask;
        while self.entries[place] != EMPTY {
            place = (place + 1) & mask;
        }
        self.entries[place] = entry;
    }
}

/// Where to begin to look, in a table of any size: the bits that chose the table tell nothing any more.
#[inline]
fn place(hash: u32) -> usize {
    hash as usize / TABLES
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_a_set_has(steps: Vec<(bool, u8, u8)>) {
            let (mut index, mut set) = (Index::new(), BTreeSet::new());
            for (insert, hash, number) in steps {
                // Few hashes in one table, so that they meet.
                let (hash, number) = (u32::from(hash % 16) * 256, u32::from(number % 32));
                if insert && set.insert((hash, number)) {
                    index.insert(hash, number);
                } else if !insert && set.remove(&(hash, number)) {
                    index.remove(hash, number);
                }
                for number in 0..32 {
                    let found = index.find(hash, |found| found == number);
                    prop_assert_eq!(found.is_some(), set.contains(&(hash, number)));
                }
            }
        }
    }

    #[test]
    fn it_grows() {
        let mut index = Index::new();
        let hash = |number: u32| number.wrapping_mul(0x9e37_79b9);
        for number in 0..100_000 {
            index.insert(hash(number), number);
        }
        assert!((0..100_000).all(|number| index.find(hash(number), |n| n == number).is_some()));
        assert_eq!(index.find(hash(100_000), |n| n == 100_000), None);
        for number in 0..100_000 {
            index.remove(hash(number), number);
        }
        assert!(index.tables.iter().all(|table| table.used == 0));
    }
}
