//! The latest change of every key since the last flush, in memory.
//!
//! A key takes its place once, however often it changes: its value is written over in place as long as it fits. So
//! absorbing costs a look into a hash table and a copy, and what is flushed is one value for each key.
//!
//! A table is divided by the hash of its keys into parts with a lock each. Changes are sorted by part first and then
//! made many at a time, so that locks cost little and a reader never waits long.

use std::hash::BuildHasher;
use std::sync::{RwLock, RwLockReadGuard};

use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use statera_core::delta::{Change, CorruptDelta, changes};
use statera_core::keys::is_written_once;

/// Parts of a table, a power of two.
const PARTS: usize = 16;
/// Changes that are sorted by part before they are made. A lock is held for about a sixteenth of them.
const CHANGES_AT_ONCE: usize = 1024;
/// Values get room for as much as makes their length a multiple of this.
const ROOM_BYTES: u32 = 16;
/// The least garbage for which a part is tidied up.
const GARBAGE_BYTES_MIN: usize = 64 << 10;

/// The changes of some epochs in a row. Shared: one absorbs, others read.
#[derive(Debug, Default)]
pub(crate) struct Table {
    parts: [RwLock<Part>; PARTS],
    hasher: RandomState,
}

/// What became of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Latest<'a> {
    pub(crate) key: &'a [u8],
    /// `None`: it is deleted.
    pub(crate) value: Option<&'a [u8]>,
    /// Whether its first change was a put. If the last one is a delete, the key probably never was in the files.
    pub(crate) began_with_put: bool,
}

impl Table {
    /// Makes the changes of a delta, in order, and counts them. After an error some of them are made.
    pub(crate) fn absorb(&self, delta: &[u8]) -> Result<u64, CorruptDelta> {
        let mut sorted: [Vec<(u64, Change<'_>)>; PARTS] = Default::default();
        let mut changes = changes(delta);
        let mut all = 0;
        loop {
            let mut taken = 0;
            for change in changes.by_ref().take(CHANGES_AT_ONCE) {
                let change = change?;
                let hash = self.hasher.hash_one(change.key);
                sorted[part_of(hash)].push((hash, change));
                taken += 1;
            }
            for (part, changes) in self.parts.iter().zip(&mut sorted) {
                if !changes.is_empty() {
                    let mut part = part.write().expect(NO_PANIC);
                    part.warm_up(changes);
                    changes.drain(..).for_each(|(hash, change)| part.apply(hash, &change));
                }
            }
            all += taken as u64;
            if taken < CHANGES_AT_ONCE {
                return Ok(all);
            }
        }
    }

    /// What became of a key; `None` if it did not change. A copy of its value.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let hash = self.hasher.hash_one(key);
        let part = self.parts[part_of(hash)].read().expect(NO_PANIC);
        let latest = part.find(hash, key)?;
        Some(latest.value.map(Bytes::copy_from_slice))
    }

    /// Whether a key was deleted; `None` if it did not change.
    pub(crate) fn is_deleted(&self, key: &[u8]) -> Option<bool> {
        let hash = self.hasher.hash_one(key);
        let part = self.parts[part_of(hash)].read().expect(NO_PANIC);
        Some(part.find(hash, key)?.value.is_none())
    }

    /// Visits all keys, in no order. It may change meanwhile: only a part at a time is held.
    pub(crate) fn visit(&self, mut visit: impl FnMut(Latest<'_>)) {
        for part in &self.parts {
            let part = part.read().expect(NO_PANIC);
            part.slots.iter().for_each(|slot| visit(slot.latest(&part.arena)));
        }
    }

    /// What it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.read().expect(NO_PANIC).bytes()).sum()
    }

    /// Whether somebody changes the part of a key, or waits until he can.
    #[cfg(test)]
    pub(crate) fn is_wanted(&self, key: &[u8]) -> bool {
        self.parts[part_of(self.hasher.hash_one(key))].try_read().is_err()
    }

    /// For reading all of it: it can't change meanwhile.
    pub(crate) fn read(&self) -> Reading<'_> {
        Reading(self.parts.each_ref().map(|part| part.read().expect(NO_PANIC)))
    }
}

/// A table that can't change.
pub(crate) struct Reading<'a>([RwLockReadGuard<'a, Part>; PARTS]);

impl Reading<'_> {
    /// All keys, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Latest<'_>> {
        self.0.iter().flat_map(|part| part.slots.iter().map(|slot| slot.latest(&part.arena)))
    }

    /// All keys, in their order.
    pub(crate) fn sorted(&self) -> Vec<Latest<'_>> {
        let mut all = Vec::with_capacity(self.0.iter().map(|part| part.slots.len()).sum());
        all.extend(self.iter());
        all.sort_unstable();
        all
    }
}

/// The keys whose hashes begin alike.
#[derive(Debug, Default)]
struct Part {
    slots: HashTable<Slot>,
    /// Keys, each with the room for its value behind it.
    arena: Vec<u8>,
    /// Bytes of the arena that belong to no slot.
    garbage: usize,
}

/// A key that changed.
#[derive(Debug)]
struct Slot {
    /// Where in the arena its key stands.
    place: usize,
    value_bytes: u32,
    value_room: u32,
    /// The lower half of its hash.
    hash: u32,
    key_bytes: u16,
    deleted: bool,
    began_with_put: bool,
}

impl Part {
    /// Looks at what the changes will touch. A table is larger than the processor's caches, and many short looks wait
    /// for memory at the same time, whereas long changes wait one after the other.
    fn warm_up(&self, changes: &[(u64, Change<'_>)]) {
        let mut seen = 0;
        for (hash, _) in changes {
            let hash = *hash as u32;
            if let Some(slot) = self.slots.find(spread(hash), |slot| slot.hash == hash) {
                seen ^= self.arena[slot.place] ^ self.arena[slot.place + slot.bytes() - 1];
            }
        }
        std::hint::black_box(seen);
    }

    fn apply(&mut self, hash: u64, change: &Change<'_>) {
        let Part { slots, arena, garbage } = self;
        let found = slots.find_entry(spread(hash as u32), |slot| slot.is(hash, change.key, arena));
        let Ok(mut found) = found else { return self.insert(hash, change) };
        let slot = found.get_mut();
        match change.value {
            Some(value) if value.len() <= slot.value_room as usize => slot.put(value, arena),
            Some(value) => {
                *garbage += slot.bytes();
                let moved = Slot::append(hash, change.key, Some(value), slot.began_with_put, arena);
                *slot = moved;
            }
            None if slot.began_with_put && is_written_once(change.kind()) => {
                // It came and went, and nobody else knows of it.
                *garbage += slot.bytes();
                found.remove();
            }
            None => slot.deleted = true,
        }
        if self.garbage > GARBAGE_BYTES_MIN && self.garbage > self.arena.len() / 2 {
            self.tidy();
        }
    }

    fn insert(&mut self, hash: u64, change: &Change<'_>) {
        let began_with_put = change.value.is_some();
        let slot = Slot::append(hash, change.key, change.value, began_with_put, &mut self.arena);
        self.slots.insert_unique(spread(slot.hash), slot, |slot| spread(slot.hash));
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<Latest<'_>> {
        let slot = self.slots.find(spread(hash as u32), |slot| slot.is(hash, key, &self.arena))?;
        Some(slot.latest(&self.arena))
    }

    /// Moves everything together.
    fn tidy(&mut self) {
        let live = self.arena.len() - self.garbage;
        let mut arena = Vec::with_capacity(live + live / 4);
        for slot in self.slots.iter_mut() {
            let place = arena.len();
            arena.extend_from_slice(&self.arena[slot.place..slot.place + slot.bytes()]);
            slot.place = place;
        }
        (self.arena, self.garbage) = (arena, 0);
    }

    fn bytes(&self) -> usize {
        self.arena.capacity() + self.slots.allocation_size()
    }
}

impl Slot {
    /// Puts a key with its value, if any, at the end of the arena.
    fn append(
        hash: u64,
        key: &[u8],
        value: Option<&[u8]>,
        began_with_put: bool,
        arena: &mut Vec<u8>,
    ) -> Slot {
        let deleted = value.is_none();
        let value = value.unwrap_or_default();
        let value_bytes = u32::try_from(value.len()).expect("values are shorter than 4 GiB");
        let value_room = value_bytes.checked_next_multiple_of(ROOM_BYTES).unwrap_or(value_bytes);
        let (place, end) = (arena.len(), arena.len() + key.len() + value_room as usize);
        if end > arena.capacity() {
            // Not twice as much, as usual: all parts grow at the same time.
            arena.reserve_exact((end - place).max(arena.capacity() / 2));
        }
        arena.extend_from_slice(key);
        arena.extend_from_slice(value);
        arena.resize(end, 0);
        let (hash, key_bytes) = (hash as u32, key.len() as u16);
        Slot { place, value_bytes, value_room, hash, key_bytes, deleted, began_with_put }
    }

    /// Replaces its value by one for which there is room.
    fn put(&mut self, value: &[u8], arena: &mut [u8]) {
        let start = self.place + usize::from(self.key_bytes);
        arena[start..start + value.len()].copy_from_slice(value);
        self.value_bytes = value.len() as u32;
        self.deleted = false;
    }

    fn is(&self, hash: u64, key: &[u8], arena: &[u8]) -> bool {
        self.hash == hash as u32 && self.key(arena) == key
    }

    fn key<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        &arena[self.place..self.place + usize::from(self.key_bytes)]
    }

    fn latest<'a>(&self, arena: &'a [u8]) -> Latest<'a> {
        let start = self.place + usize::from(self.key_bytes);
        let value = (!self.deleted).then(|| &arena[start..start + self.value_bytes as usize]);
        Latest { key: self.key(arena), value, began_with_put: self.began_with_put }
    }

    /// What it takes in the arena.
    fn bytes(&self) -> usize {
        usize::from(self.key_bytes) + self.value_room as usize
    }
}

fn part_of(hash: u64) -> usize {
    (hash >> 60) as usize % PARTS
}

/// The hash table wants all 64 bits to differ.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

const NO_PANIC: &str = "nobody panics while holding a part of a table";

#[cfg(test)]
mod tests;
