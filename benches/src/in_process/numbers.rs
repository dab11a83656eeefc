//! Numbers that ids are, and numbers without a pattern that would matter.

use statera_sdk::{Error, Id, Result};

/// The number that an id is. Quicker than parsing its text, which must be known to be UTF-8 for that.
pub(super) fn number_of(id: &Id) -> Result<u64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let append = |so_far: u64, byte| so_far.checked_mul(10)?.checked_add(digit(byte)?);
    let number = id.as_bytes().iter().try_fold(0, append).filter(|_| !id.as_bytes().is_empty());
    number.ok_or_else(|| Error::dead_letter(format!("`{id}` is no number")))
}

/// Spreads a number over all numbers (the finaliser of splitmix64).
pub(super) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// One of the numbers below `limit`, the same for the same `number`.
pub(super) fn below(number: u64, limit: u64) -> u64 {
    scale(mix(number), limit)
}

fn scale(spread: u64, limit: u64) -> u64 {
    ((u128::from(spread) * u128::from(limit)) >> 64) as u64
}

/// So many of a hundred messages go to so many of a hundred ids.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skew {
    pub(super) messages_percent: u64,
    pub(super) ids_percent: u64,
}

impl Skew {
    /// One of `ids` ids, the same for the same `number`. The favoured ones come first.
    pub(super) fn pick(self, number: u64, ids: u64) -> u64 {
        let favoured = (ids * self.ids_percent / 100).clamp(1, ids);
        let spread = mix(number);
        match below(spread, 100) < self.messages_percent || favoured == ids {
            true => scale(mix(!spread), favoured),
            false => favoured + scale(mix(!spread), ids - favoured),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_the_numbers_they_are() {
        for expected in [0, 1, 9, 10, 4_711, u64::MAX] {
            assert_eq!(number_of(&Id::from(expected)).unwrap(), expected);
        }
        for text in ["", "x", "-1", "18446744073709551616"] {
            assert!(number_of(&Id::from(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn favoured_ids_get_their_share() {
        let skew = Skew { messages_percent: 80, ids_percent: 20 };
        let picks = (0..100_000).map(|number| skew.pick(number, 1_000));
        let mut seen = vec![0; 1_000];
        picks.for_each(|id| seen[id as usize] += 1);
        let favoured: u32 = seen[..200].iter().sum();
        assert!((79_000..81_000).contains(&favoured), "{favoured}");
        assert!(seen.iter().all(|count| *count > 0));
        assert_eq!(skew.pick(7, 1), 0);
    }
}
