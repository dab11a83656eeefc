//! Where a partition stands, as the engine keeps it:
//!
//! ```text
//! offset  size  what
//!      0     1  version of this format: 1
//!      1     8  offset of the record that comes next, little-endian
//! ```

use bytes::Bytes;

const VERSION: u8 = 1;

pub(super) fn encode(next: i64) -> Bytes {
    let mut bytes = Vec::with_capacity(9);
    bytes.push(VERSION);
    bytes.extend(next.to_le_bytes());
    bytes.into()
}

pub(super) fn decode(bytes: &[u8]) -> Option<i64> {
    let (version, next) = bytes.split_first()?;
    let next = i64::from_le_bytes(next.try_into().ok()?);
    (*version == VERSION && next >= 0).then_some(next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_position_comes_back_from_its_bytes(next in 0i64..) {
            prop_assert_eq!(decode(&encode(next)), Some(next));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn the_format_is_as_written_down() {
        assert_eq!(&encode(0x0102)[..], b"\x01\x02\x01\0\0\0\0\0\0");
        assert_eq!(decode(b"\x02\x02\x01\0\0\0\0\0\0"), None);
    }
}
