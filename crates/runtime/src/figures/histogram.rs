//! How long things took: counts in buckets whose bounds double.

use std::time::Duration;

/// Bounds of the buckets: 1 µs, 2 µs, 4 µs, and so on to 67 s.
pub const BOUNDS: usize = 27;

/// How long things took, in a fixed number of buckets; to note one costs some nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// The last one is for what took longer than all bounds.
    counts: [u64; BOUNDS + 1],
    sum_nanoseconds: u64,
}

impl Histogram {
    /// Notes that something took so long.
    pub fn note(&mut self, took: Duration) {
        self.note_many(took, 1);
    }

    /// Notes that something took so long, so many times.
    pub fn note_many(&mut self, took: Duration, times: u64) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanoseconds)] += times;
        let sum = nanoseconds.saturating_mul(times);
        self.sum_nanoseconds = self.sum_nanoseconds.saturating_add(sum);
    }

    /// Adds what another one has noted.
    pub fn add(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, other)| *count += other);
        self.sum_nanoseconds = self.sum_nanoseconds.saturating_add(other.sum_nanoseconds);
    }

    /// How many were noted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long all of them took together, in seconds.
    #[must_use]
    pub fn sum_seconds(&self) -> f64 {
        self.sum_nanoseconds as f64 / 1e9
    }

    /// Each bound in microseconds, with the number of those that took no longer.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.counts[..BOUNDS].iter().enumerate().scan(0, |sum, (index, count)| {
            *sum += count;
            Some((1 << index, *sum))
        })
    }
}

fn bucket(nanoseconds: u64) -> usize {
    let microseconds = nanoseconds.div_ceil(1_000).max(1);
    // The bound is the next power of two.
    let bound = u64::BITS - (microseconds - 1).leading_zeros();
    (bound as usize).min(BOUNDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bound, in microseconds, of the bucket for something that took so long.
    fn bound(nanoseconds: u64) -> Option<u64> {
        let mut histogram = Histogram::default();
        histogram.note(Duration::from_nanos(nanoseconds));
        histogram.buckets().find(|(_, count)| *count == 1).map(|(bound, _)| bound)
    }

    #[test]
    fn each_duration_is_within_its_bound_and_beyond_the_one_before() {
        for (nanoseconds, expected) in [
            (0, 1),
            (1, 1),
            (1_000, 1),
            (1_001, 2),
            (2_000, 2),
            (2_001, 4),
            (1_000_000, 1024),
            (67_108_864_000, 1 << 26),
        ] {
            assert_eq!(bound(nanoseconds), Some(expected), "{nanoseconds} ns");
        }
        assert_eq!(bound(67_108_864_001), None);
        assert_eq!(bound(u64::MAX), None);
    }

    #[test]
    fn buckets_are_cumulative_and_sums_add_up() {
        let mut first = Histogram::default();
        first.note(Duration::from_micros(1));
        first.note_many(Duration::from_micros(3), 2);
        let mut second = Histogram::default();
        second.note(Duration::from_secs(100));
        first.add(&second);
        let buckets: Vec<_> = first.buckets().map(|(_, count)| count).collect();
        assert_eq!(buckets[..4], [1, 1, 3, 3]);
        assert_eq!((buckets[BOUNDS - 1], first.count()), (3, 4));
        assert!((first.sum_seconds() - 100.000_007).abs() < 1e-9);
    }
}
