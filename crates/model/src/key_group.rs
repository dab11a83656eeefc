//! Key groups: the fixed number of parts into which all addresses are divided.

use std::fmt;

/// One of a fixed number of parts of the key space. A shard owns a contiguous range of key groups.
///
/// Only the id of an address decides, so that all function types with one id live on one shard. The formula is that of
/// Flink (`MathUtils.murmurHash` over Java's `String.hashCode`), so that its savepoints can be taken over group by group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyGroup(pub u16);

impl KeyGroup {
    /// The largest number of key groups a worker may be created with.
    pub const COUNT_MAX: u16 = 32_768;

    /// The key group of an address id among `count` groups. `count` must not be zero.
    #[must_use]
    pub fn of(id: &str, count: u16) -> KeyGroup {
        let hash = murmur(java_hash(id));
        KeyGroup((hash % u32::from(count)) as u16)
    }

    /// The shard that owns this group when `count` groups are spread over `shards` shards.
    #[must_use]
    pub fn shard(self, shards: usize, count: u16) -> usize {
        usize::from(self.0) * shards / usize::from(count)
    }
}

impl fmt::Display for KeyGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Java's `String.hashCode`: over UTF-16 code units, wrapping.
fn java_hash(text: &str) -> i32 {
    if text.is_ascii() {
        return text
            .bytes()
            .fold(0, |hash: i32, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    }
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(unit.into()))
}

fn murmur(code: i32) -> u32 {
    let mut x = (code as u32).wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    x = x.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    x ^= 4;
    x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    x ^= x >> 16;
    match x as i32 {
        i32::MIN => 0,
        signed => signed.unsigned_abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_those_of_flink() {
        for (id, java, group) in [
            ("", 0, 94),
            ("0", 48, 86),
            ("1", 49, 54),
            ("Bob", 66965, 126),
            ("Joe", 74656, 50),
            ("user-42", -147_182_656, 20),
            ("key-1000", 452_896_525, 93),
            ("日本", 835_047, 95),
            ("😀", 1_772_899, 54),
        ] {
            assert_eq!(java_hash(id), java, "hash of {id:?}");
            assert_eq!(KeyGroup::of(id, 128), KeyGroup(group), "group of {id:?}");
        }
    }

    #[test]
    fn shards_own_contiguous_ranges_of_nearly_equal_size() {
        for shards in 1..=9 {
            let owners: Vec<usize> = (0..128).map(|g| KeyGroup(g).shard(shards, 128)).collect();
            assert!(owners.is_sorted(), "{owners:?}");
            for shard in 0..shards {
                let size = owners.iter().filter(|owner| **owner == shard).count();
                assert!(
                    (128 / shards..=128 / shards + 1).contains(&size),
                    "shard {shard} owns {size}"
                );
            }
        }
    }
}
