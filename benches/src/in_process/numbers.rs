//! Ids as text without a `String`, and numbers without a pattern that would matter.

/// Digits of the largest number.
const DIGITS_MAX: usize = 20;

/// A number in decimal digits, on the stack.
pub(super) struct Digits {
    bytes: [u8; DIGITS_MAX],
    first: usize,
}

impl Digits {
    pub(super) fn of(mut number: u64) -> Digits {
        let mut digits = Digits { bytes: [b'0'; DIGITS_MAX], first: DIGITS_MAX };
        loop {
            digits.first -= 1;
            digits.bytes[digits.first] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return digits;
            }
        }
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[self.first..]).expect("digits")
    }
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
    fn digits_are_those_of_the_number() {
        for number in [0, 1, 9, 10, 4_711, u64::MAX] {
            assert_eq!(Digits::of(number).as_str(), number.to_string());
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
