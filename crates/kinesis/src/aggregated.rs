//! Records that the Kinesis Producer Library has put into one.
//!
//! ```text
//! offset  size  what
//!      0     4  F3 89 9A C2
//!      4     n  AggregatedRecord, in protobuf
//!  4 + n    16  MD5 of the n bytes
//!
//! AggregatedRecord  1 partition_key_table: repeated string  2 explicit_hash_key_table: repeated string
//!                   3 records: repeated Record
//! Record            1 partition_key_index: uint64  2 explicit_hash_key_index: optional uint64  3 data: bytes
//! ```

use bytes::Bytes;
use md5::{Digest, Md5};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST_BYTES: usize = 16;

/// A record within a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubRecord {
    pub(crate) partition_key: String,
    /// What decides on its shard.
    pub(crate) hash_key: u128,
    pub(crate) data: Bytes,
}

/// What a record is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// One record.
    Single,
    /// Several in one.
    Several(Vec<SubRecord>),
    /// Its checksum says that it is several in one, but they can't be read.
    Broken,
}

/// Looks into a record.
pub(crate) fn content(data: &Bytes) -> Content {
    let Some(message) = message(data) else { return Content::Single };
    sub_records(data, message).map_or(Content::Broken, Content::Several)
}

/// The key that decides on the shard of a record without an explicit one.
pub(crate) fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

/// The protobuf within, if it is that; as it may be by chance, the checksum decides.
fn message(data: &[u8]) -> Option<&[u8]> {
    let rest = data.strip_prefix(&MAGIC)?;
    let (message, digest) = rest.split_at_checked(rest.len().checked_sub(DIGEST_BYTES)?)?;
    (Md5::digest(message)[..] == *digest).then_some(message)
}

fn sub_records(whole: &Bytes, message: &[u8]) -> Option<Vec<SubRecord>> {
    let (mut keys, mut hash_keys, mut records) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = message;
    while let Some((number, value)) = field(&mut rest)? {
        match (number, value) {
            (1, Value::Bytes(key)) => keys.push(std::str::from_utf8(key).ok()?),
            (2, Value::Bytes(key)) => hash_keys.push(std::str::from_utf8(key).ok()?.parse().ok()?),
            (3, Value::Bytes(record)) => records.push(record),
            _ => {}
        }
    }
    records
        .into_iter()
        .map(|record| {
            let (key, hash_key_index, data) = parts(record)?;
            let partition_key = *keys.get(key)?;
            let hash_key = match hash_key_index {
                Some(index) => *hash_keys.get(index)?,
                None => hash_key(partition_key),
            };
            let partition_key = partition_key.to_owned();
            Some(SubRecord { partition_key, hash_key, data: whole.slice_ref(data) })
        })
        .collect()
}

/// The index of its key, that of its hash key, and its data.
fn parts(record: &[u8]) -> Option<(usize, Option<usize>, &[u8])> {
    let (mut key, mut hash_key, mut data) = (None, None, None);
    let mut rest = record;
    while let Some((number, value)) = field(&mut rest)? {
        match (number, value) {
            (1, Value::Number(index)) => key = Some(usize::try_from(index).ok()?),
            (2, Value::Number(index)) => hash_key = Some(usize::try_from(index).ok()?),
            (3, Value::Bytes(bytes)) => data = Some(bytes),
            _ => {}
        }
    }
    Some((key?, hash_key, data?))
}

enum Value<'m> {
    Number(u64),
    Bytes(&'m [u8]),
    Other,
}

/// The next field. The outer `None` means that the message is malformed, the inner that it ends.
#[expect(clippy::option_option, reason = "two ways to end, both for `?`")]
fn field<'m>(rest: &mut &'m [u8]) -> Option<Option<(u64, Value<'m>)>> {
    if rest.is_empty() {
        return Some(None);
    }
    let tag = varint(rest)?;
    let value = match tag & 7 {
        0 => Value::Number(varint(rest)?),
        1 => skip(rest, 8)?,
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            let (bytes, behind) = rest.split_at_checked(length)?;
            *rest = behind;
            Value::Bytes(bytes)
        }
        5 => skip(rest, 4)?,
        _ => return None,
    };
    Some(Some((tag >> 3, value)))
}

fn skip<'m>(rest: &mut &'m [u8], length: usize) -> Option<Value<'m>> {
    *rest = rest.get(length..)?;
    Some(Value::Other)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Several records in one, as the library makes them: keys with an explicit hash key or without, and data.
    pub(crate) fn aggregate(records: &[(&str, Option<u128>, &[u8])]) -> Bytes {
        let mut message = Vec::new();
        for (key, hash_key, _) in records {
            put(&mut message, 1, key.as_bytes());
            put(&mut message, 2, hash_key.unwrap_or_default().to_string().as_bytes());
        }
        for (index, (_, hash_key, data)) in records.iter().enumerate() {
            let mut record = vec![8, index as u8];
            if hash_key.is_some() {
                record.extend([16, index as u8]);
            }
            put(&mut record, 3, data);
            put(&mut message, 3, &record);
        }
        wrap(&message)
    }

    fn wrap(message: &[u8]) -> Bytes {
        [&MAGIC[..], message, &Md5::digest(message)[..]].concat().into()
    }

    fn put(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
        out.push(number << 3 | 2);
        let mut length = bytes.len();
        while length > 0x7f {
            out.push(length as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend(bytes);
    }

    #[test]
    fn records_in_records_are_found() {
        let data = aggregate(&[("Bob", None, b"hello"), ("Eve", Some(7), b"")]);
        let Content::Several(records) = content(&data) else { panic!("{data:?}") };
        let expected = [
            SubRecord {
                partition_key: "Bob".into(),
                hash_key: hash_key("Bob"),
                data: Bytes::from_static(b"hello"),
            },
            SubRecord { partition_key: "Eve".into(), hash_key: 7, data: Bytes::new() },
        ];
        assert_eq!(records, expected);
    }

    #[test]
    fn a_record_that_only_looks_like_it_is_one_record() {
        let aggregated = aggregate(&[("Bob", None, b"hello")]);
        let mut wrong = aggregated.to_vec();
        *wrong.last_mut().unwrap() ^= 1;
        for data in [&b""[..], b"hello", &MAGIC, &aggregated[..19], &wrong] {
            assert_eq!(content(&Bytes::copy_from_slice(data)), Content::Single);
        }
    }

    #[test]
    fn what_its_checksum_vouches_for_but_cannot_be_read_is_broken() {
        for message in [&[0xff][..], &[10, 5, b'a'], &[26, 2, 8, 0], &[26, 4, 8, 9, 26, 0]] {
            assert_eq!(content(&wrap(message)), Content::Broken, "{message:?}");
        }
    }

    #[test]
    fn hash_keys_are_those_of_kinesis() {
        assert_eq!(hash_key(""), 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e);
    }

    proptest! {
        #[test]
        fn no_message_panics(message in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = content(&wrap(&message));
        }
    }
}
