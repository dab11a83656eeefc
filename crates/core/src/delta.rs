//! The delta of an epoch: every change of a key since the epoch before, as bytes.
//!
//! A delta is a sequence of changes without header or trailer; the log that carries it guards it with a checksum. The
//! later of two changes of one key counts. Deltas of several shards are joined by appending one to the other.
//!
//! One change, byte by byte:
//!
//! | bytes | |
//! |---|---|
//! | 1 | what happens: `01` put, `02` delete. Never renumbered; every other value is corruption |
//! | 1 to 10 | length of the key: an unsigned LEB128 varint, at most [`KEY_BYTES_MAX`] |
//! | length | the key: `[key group: u16 BE] [kind: u8] [rest]`, thus at least [`KEY_BYTES_MIN`] bytes |
//! | 1 to 10 | put only. Length of the value: an unsigned LEB128 varint, at most [`VALUE_BYTES_MAX`] |
//! | length | put only. The value |
//!
//! ```
//! use statera_core::delta::{DeltaWriter, changes};
//!
//! let mut bytes = Vec::new();
//! let mut delta = DeltaWriter::new(&mut bytes);
//! delta.put(&[0, 7, 1, b'a'], b"value");
//! delta.delete(&[0, 7, 1, b'b']);
//!
//! let read: Vec<_> = changes(&bytes).collect::<Result<_, _>>()?;
//! assert_eq!((read[0].key_group().0, read[0].kind(), read[0].value), (7, 1, Some(&b"value"[..])));
//! assert_eq!((read[1].key, read[1].value), (&[0, 7, 1, b'b'][..], None));
//! # Ok::<(), statera_core::delta::CorruptDelta>(())
//! ```

use statera_model::KeyGroup;

/// The length of the part of a key that every key has: key group and kind.
pub const KEY_BYTES_MIN: usize = 3;

/// The length of the longest key. Whoever makes keys from what users send must refuse longer ones.
pub const KEY_BYTES_MAX: usize = u16::MAX as usize;

/// The length of the longest value.
pub const VALUE_BYTES_MAX: usize = u32::MAX as usize;

const PUT: u8 = 1;
const DELETE: u8 = 2;

/// Appends changes to a buffer, which may already hold others.
#[derive(Debug)]
pub struct DeltaWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> DeltaWriter<'a> {
    /// Writes behind what `out` holds.
    #[must_use]
    pub fn new(out: &'a mut Vec<u8>) -> DeltaWriter<'a> {
        DeltaWriter { out }
    }

    /// From now on `key` has this `value`. The lengths are those of [`KEY_BYTES_MIN`], [`KEY_BYTES_MAX`] and
    /// [`VALUE_BYTES_MAX`].
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        debug_assert!(value.len() <= VALUE_BYTES_MAX);
        self.push_key(PUT, key);
        push_varint(self.out, value.len());
        self.out.extend_from_slice(value);
    }

    /// From now on there is no `key`.
    pub fn delete(&mut self, key: &[u8]) {
        self.push_key(DELETE, key);
    }

    /// As [`DeltaWriter::put`], with a key and a value that are appended by whoever knows them.
    pub(crate) fn put_with(
        &mut self,
        key: impl FnOnce(&mut Vec<u8>),
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        self.out.push(PUT);
        push_sized(self.out, key);
        push_sized(self.out, value);
    }

    /// As [`DeltaWriter::delete`], with a key that is appended by whoever knows it.
    pub(crate) fn delete_with(&mut self, key: impl FnOnce(&mut Vec<u8>)) {
        self.out.push(DELETE);
        push_sized(self.out, key);
    }

    fn push_key(&mut self, what: u8, key: &[u8]) {
        debug_assert!((KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()), "{}", key.len());
        self.out.push(what);
        push_varint(self.out, key.len());
        self.out.extend_from_slice(key);
    }
}

/// One change of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The key, at least [`KEY_BYTES_MIN`] bytes.
    pub key: &'a [u8],
    /// Its new value; `None` if the key is deleted.
    pub value: Option<&'a [u8]>,
}

impl Change<'_> {
    /// The key group in whose part of the key space the key lies.
    #[must_use]
    pub fn key_group(&self) -> KeyGroup {
        KeyGroup(u16::from_be_bytes([self.key[0], self.key[1]]))
    }

    /// The kind of the key.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.key[2]
    }
}

/// The bytes are not a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("corrupt delta: {reason} in the change that begins at byte {offset}")]
pub struct CorruptDelta {
    /// Where the change begins that can't be read.
    pub offset: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The changes of a delta, in order. Ends after the first error.
pub fn changes(delta: &[u8]) -> impl Iterator<Item = Result<Change<'_>, CorruptDelta>> {
    let mut rest = delta;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let offset = delta.len() - rest.len();
        let change = take_change(&mut rest).map_err(|reason| CorruptDelta { offset, reason });
        if change.is_err() {
            rest = &[];
        }
        Some(change)
    })
}

fn take_change<'a>(rest: &mut &'a [u8]) -> Result<Change<'a>, &'static str> {
    let what = take(rest, 1)?[0];
    if what != PUT && what != DELETE {
        return Err("neither put nor delete");
    }
    let key = take_sized(rest)?;
    if key.len() < KEY_BYTES_MIN {
        return Err("too short a key");
    }
    if key.len() > KEY_BYTES_MAX {
        return Err("too long a key");
    }
    let value = if what == PUT { Some(take_sized(rest)?) } else { None };
    if value.is_some_and(|value| value.len() > VALUE_BYTES_MAX) {
        return Err("too long a value");
    }
    Ok(Change { key, value })
}

fn take_sized<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], &'static str> {
    let length = take_varint(rest)?;
    take(rest, usize::try_from(length).map_err(|_| CUT_SHORT)?)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], &'static str> {
    let (taken, behind) = rest.split_at_checked(count).ok_or(CUT_SHORT)?;
    *rest = behind;
    Ok(taken)
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("an endless length")
}

const CUT_SHORT: &str = "fewer bytes than announced";

/// Appends what `write` appends, behind its length. Most of what is written is shorter than 128 bytes: room for such a
/// length is left, and the rest moved if it takes more.
#[inline]
fn push_sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.push(0);
    write(out);
    let length = out.len() - at - 1;
    if length < 0x80 {
        out[at] = length as u8;
    } else {
        let mut prefix = Vec::with_capacity(10);
        push_varint(&mut prefix, length);
        out.splice(at..=at, prefix);
    }
}

fn push_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Owned = (Vec<u8>, Option<Vec<u8>>);
    /// Group and kind, the rest of the key, the value.
    type Parts = ([u8; 3], Vec<u8>, Option<Vec<u8>>);

    fn write(changes: &[Owned]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut delta = DeltaWriter::new(&mut bytes);
        for (key, value) in changes {
            match value {
                Some(value) => delta.put(key, value),
                None => delta.delete(key),
            }
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Owned>, CorruptDelta> {
        changes(bytes)
            .map(|change| change.map(|c| (c.key.to_vec(), c.value.map(<[u8]>::to_vec))))
            .collect()
    }

    #[test]
    fn the_bytes_are_those_documented() {
        let long = vec![9; 300];
        let bytes = write(&[
            (vec![1, 2, 3, 4], Some(vec![5])),
            (vec![0, 0, 1], None),
            (vec![0, 0, 2], Some(long.clone())),
        ]);
        let mut expected = vec![1, 4, 1, 2, 3, 4, 1, 5, 2, 3, 0, 0, 1, 1, 3, 0, 0, 2, 0xac, 2];
        expected.extend(&long);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn what_is_written_in_place_is_the_same() {
        for length in [3, 127, 128, 300, 20_000] {
            let (key, value) = (vec![1; length], vec![2; length * 3]);
            let mut bytes = vec![9];
            let mut delta = DeltaWriter::new(&mut bytes);
            delta.put_with(|out| out.extend(&key), |out| out.extend(&value));
            delta.delete_with(|out| out.extend(&key));
            assert_eq!(bytes[1..], write(&[(key.clone(), Some(value)), (key, None)]));
        }
    }

    #[test]
    fn the_key_tells_group_and_kind() {
        let bytes = write(&[(vec![1, 2, 3, 4], None)]);
        let change = changes(&bytes).next().unwrap().unwrap();
        assert_eq!((change.key_group(), change.kind()), (KeyGroup(0x0102), 3));
    }

    #[test]
    fn corruption_is_told_with_its_place_and_ends_the_reading() {
        let good = write(&[(vec![0, 0, 1], None)]);
        for (bad, reason) in [
            (&[0][..], "neither put nor delete"),
            (&[3, 3, 0, 0, 1], "neither put nor delete"),
            (&[2], CUT_SHORT),
            (&[2, 3, 0, 0], CUT_SHORT),
            (&[1, 3, 0, 0, 1], CUT_SHORT),
            (&[1, 3, 0, 0, 1, 2, 0], CUT_SHORT),
            (&[2, 2, 0, 0], "too short a key"),
            (&[2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "an endless length"),
        ] {
            let bytes = [&good, bad].concat();
            let read: Vec<_> = changes(&bytes).collect();
            assert_eq!(read.len(), 2, "{bad:?}");
            assert_eq!(read[1], Err(CorruptDelta { offset: good.len(), reason }), "{bad:?}");
        }
        let mut long = vec![2, 0x80, 0x80, 4];
        long.resize(70_000, 0);
        let error = CorruptDelta { offset: 0, reason: "too long a key" };
        assert_eq!(changes(&long).next(), Some(Err(error)));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_also_when_deltas_are_joined(
            a: Vec<Parts>,
            b: Vec<Parts>,
        ) {
            let own = |changes: Vec<Parts>| -> Vec<Owned> {
                changes.into_iter().map(|(k, rest, v)| ([&k[..], &rest].concat(), v)).collect()
            };
            let (a, b) = (own(a), own(b));
            let joined = [write(&a), write(&b)].concat();
            prop_assert_eq!(read(&joined).unwrap(), [a, b].concat());
        }

        #[test]
        fn no_input_panics(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
