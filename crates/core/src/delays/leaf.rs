//! Some kilobytes of records in the order of their keys.
//!
//! Byte by byte, numbers little-endian: u16 how many records there are, u16 bytes of records that were removed, then for
//! each of [`RECORDS_MAX`] a u16 where it begins, in the order of their keys, then the records in the order in which they
//! came. A record is its key (u64 due, u64 sequence), its length as a number of [`crate::values`], and itself. So little
//! has to be looked at, and less to be moved, to find, add or remove one.

use std::cmp::Ordering;
use std::ops::Range;

use statera_model::Millis;

use crate::keys::DelayedKey;
use crate::values::{push_blob, take_number};

/// A leaf with more bytes of records has only one.
const BYTES_MAX: usize = 4 << 10;

/// A leaf with fewer bytes of records may be joined with the next one.
const BYTES_MIN: usize = BYTES_MAX / 4;

const RECORDS_MAX: usize = 48;

/// Where the records begin.
const FRONT: usize = 4 + 2 * RECORDS_MAX;

/// The bytes of a key.
const KEY: usize = 16;

/// Memory is taken in steps of so many bytes.
const STEP: usize = 256;

#[derive(Debug)]
pub(super) struct Leaf(Vec<u8>);

impl Leaf {
    pub(super) fn new() -> Leaf {
        Leaf::with_bytes(0)
    }

    /// With room for so many bytes of records.
    fn with_bytes(bytes: usize) -> Leaf {
        let mut leaf = Vec::with_capacity((FRONT + bytes).next_multiple_of(STEP));
        leaf.resize(FRONT, 0);
        Leaf(leaf)
    }

    pub(super) fn count(&self) -> usize {
        self.number(0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// What it takes in memory.
    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// The bytes of its records.
    fn bytes(&self) -> usize {
        self.0.len() - FRONT - self.removed()
    }

    fn removed(&self) -> usize {
        self.number(2)
    }

    pub(super) fn key(&self, index: usize) -> DelayedKey {
        let (numbers, _) = self.0[self.begin(index)..][..KEY].as_chunks();
        let [due, sequence] = [numbers[0], numbers[1]].map(u64::from_le_bytes);
        DelayedKey { due: Millis(due), sequence }
    }

    pub(super) fn record(&self, index: usize) -> &[u8] {
        let (whole, body) = self.extent(index);
        &self.0[body..whole.end]
    }

    /// The index of a record, or the one it would have.
    pub(super) fn find(&self, key: DelayedKey) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.key(middle).cmp(&key) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Whether a record of so many bytes may be added. A record that is too long for any leaf has one for itself.
    pub(super) fn has_room(&self, record: usize) -> bool {
        let bytes = self.bytes() + KEY + 5 + record;
        self.is_empty() || self.count() < RECORDS_MAX && bytes <= BYTES_MAX
    }

    /// Adds a record, for which there is room.
    pub(super) fn insert(&mut self, index: usize, key: DelayedKey, record: &[u8]) {
        self.insert_begin(index);
        self.grow(KEY + 5 + record.len());
        self.0.extend(key.due.0.to_le_bytes());
        self.0.extend(key.sequence.to_le_bytes());
        push_blob(&mut self.0, record);
    }

    pub(super) fn remove(&mut self, index: usize) {
        let (whole, _) = self.extent(index);
        let count = self.count();
        self.0.copy_within(begins(index + 1..count), begins(index..index).start);
        self.set_number(0, count - 1);
        let removed = self.removed() + whole.len();
        // A quarter at most is wasted.
        if removed * 4 > self.0.len() - FRONT {
            *self = self.copy(0..count - 1);
        } else {
            self.set_number(2, removed);
        }
    }

    /// Moves the records from `index` on into a leaf of their own.
    pub(super) fn divide(&mut self, index: usize) -> Leaf {
        let second = self.copy(index..self.count());
        *self = self.copy(0..index);
        second
    }

    /// Whether it and the next one are better one.
    pub(super) fn should_join(&self, next: &Leaf) -> bool {
        self.bytes() + next.bytes() <= BYTES_MAX / 2 && self.count() + next.count() <= RECORDS_MAX
    }

    /// Whether it has become small.
    pub(super) fn is_small(&self) -> bool {
        self.bytes() < BYTES_MIN
    }

    /// Takes in the records of the next leaf.
    pub(super) fn join(&mut self, next: &Leaf) {
        if self.removed() > 0 {
            *self = self.copy(0..self.count());
        }
        self.grow(next.bytes());
        self.append(next, 0..next.count());
    }

    fn copy(&self, range: Range<usize>) -> Leaf {
        let bytes = range.clone().map(|index| self.extent(index).0.len()).sum();
        let mut copy = Leaf::with_bytes(bytes);
        copy.append(self, range);
        copy
    }

    fn append(&mut self, from: &Leaf, range: Range<usize>) {
        for index in range {
            self.insert_begin(self.count());
            self.0.extend_from_slice(&from.0[from.extent(index).0]);
        }
    }

    /// Adds an index for a record that is to be written behind all others.
    fn insert_begin(&mut self, index: usize) {
        let (begin, count) = (self.0.len(), self.count());
        self.0.copy_within(begins(index..count), begins(index + 1..count + 1).start);
        self.set_number(begins(index..index).start, begin);
        self.set_number(0, count + 1);
    }

    fn begin(&self, index: usize) -> usize {
        self.number(begins(index..index).start)
    }

    /// Where a record with its key and length is, and where it begins behind these.
    fn extent(&self, index: usize) -> (Range<usize>, usize) {
        let begin = self.begin(index);
        let mut rest = &self.0[begin + KEY..];
        let length = take_number(&mut rest).expect("the length of a record") as usize;
        let body = self.0.len() - rest.len();
        (begin..body + length, body)
    }

    fn grow(&mut self, added: usize) {
        let needed = self.0.len() + added;
        if needed > self.0.capacity() {
            self.0.reserve_exact(needed.next_multiple_of(STEP) - self.0.len());
        }
    }

    fn number(&self, at: usize) -> usize {
        u16::from_le_bytes([self.0[at], self.0[at + 1]]).into()
    }

    fn set_number(&mut self, at: usize, number: usize) {
        let number = u16::try_from(number).expect("a leaf is small, or a single record");
        self.0[at..at + 2].copy_from_slice(&number.to_le_bytes());
    }
}

/// Where it is written where these records begin.
fn begins(records: Range<usize>) -> Range<usize> {
    4 + 2 * records.start..4 + 2 * records.end
}
