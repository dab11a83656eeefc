//! Rates, from counters that only grow: what came since somebody looked the last time.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use statera_runtime::figures::{BOUNDS, Histogram};

use crate::api::Latency;

/// Rates over less say little.
const INTERVAL_MIN: Duration = Duration::from_millis(500);

/// Rates over more say little about now.
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// What was counted when somebody looked last.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<Option<Look>>);

#[derive(Debug)]
struct Look {
    at: Instant,
    counters: BTreeMap<String, u64>,
    rates: BTreeMap<String, f64>,
}

impl Rates {
    /// The rate of each counter a second; none if nobody has looked lately.
    pub(crate) fn of(
        &self,
        now: Instant,
        counters: BTreeMap<String, u64>,
    ) -> BTreeMap<String, f64> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rates = match &*last {
            Some(look) if now - look.at < INTERVAL_MIN => return look.rates.clone(),
            Some(look) if now - look.at <= INTERVAL_MAX => {
                let seconds = (now - look.at).as_secs_f64();
                let rate = |(name, count): (&String, &u64)| {
                    let before = look.counters.get(name).copied().unwrap_or(0);
                    (name.clone(), rate(before, *count, seconds))
                };
                counters.iter().map(rate).collect()
            }
            _ => BTreeMap::new(),
        };
        *last = Some(Look { at: now, counters, rates: rates.clone() });
        rates
    }
}

/// How many a second.
pub(crate) fn rate(before: u64, now: u64, seconds: f64) -> f64 {
    let rate = now.saturating_sub(before) as f64 / seconds;
    (rate * 100.0).round() / 100.0
}

/// How long things took: all that is noted, or what was noted since `before`. `None` if that is nothing.
pub(crate) fn latency(now: &Histogram, before: Option<&Histogram>) -> Option<Latency> {
    let mut buckets: Vec<u64> = now.buckets().map(|(_, count)| count).collect();
    let mut count = now.count();
    if let Some(before) = before {
        buckets.iter_mut().zip(before.buckets()).for_each(|(now, (_, before))| {
            *now = now.saturating_sub(before);
        });
        count = count.saturating_sub(before.count());
    }
    (count > 0).then(|| Latency {
        p50_ms: quantile(&buckets, count, 0.5),
        p99_ms: quantile(&buckets, count, 0.99),
        count,
    })
}

/// The time, in milliseconds, within which this part of all was done, as if they were spread evenly between the bounds of a
/// bucket. `buckets` has how many took no longer than 1 µs, 2 µs, 4 µs and so on.
fn quantile(buckets: &[u64], count: u64, part: f64) -> f64 {
    let wanted = part * count as f64;
    let bound = |index: usize| (1_u64 << index) as f64 / 1_000.0;
    let mut below = 0;
    for (index, within) in buckets.iter().enumerate() {
        if *within as f64 >= wanted && *within > below {
            let low = if index == 0 { 0.0 } else { bound(index - 1) };
            let share = (wanted - below as f64) / (within - below) as f64;
            let time = low + (bound(index) - low) * share;
            return (time * 1_000.0).round() / 1_000.0;
        }
        below = *within;
    }
    bound(BOUNDS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(count: u64) -> BTreeMap<String, u64> {
        [("a".to_owned(), count)].into()
    }

    #[test]
    fn a_rate_is_over_the_time_since_the_last_look() {
        let rates = Rates::default();
        let begin = Instant::now();
        let after = |ms| begin + Duration::from_millis(ms);
        assert!(rates.of(begin, counters(100)).is_empty());
        assert_eq!(rates.of(after(2_000), counters(300))["a"], 100.0);
        // Too soon: what was said last is said again, and counts from there.
        assert_eq!(rates.of(after(2_100), counters(900))["a"], 100.0);
        assert_eq!(rates.of(after(3_000), counters(300))["a"], 0.0);
        assert!(rates.of(after(100_000), counters(400)).is_empty());
    }

    #[test]
    fn latencies_lie_within_their_buckets() {
        let mut now = Histogram::default();
        assert_eq!(latency(&now, None), None);
        now.note_many(Duration::from_millis(1), 98);
        now.note_many(Duration::from_secs(1), 2);
        let all = latency(&now, None).unwrap();
        assert!(all.p50_ms > 0.5 && all.p50_ms < 1.1, "{all:?}");
        assert!(all.p99_ms > 500.0 && all.p99_ms < 1_100.0, "{all:?}");
        assert_eq!(all.count, 100);
        let before = now;
        assert_eq!(latency(&now, Some(&before)), None);
        now.note(Duration::from_secs(1_000));
        assert_eq!(latency(&now, Some(&before)).unwrap().p50_ms, 67_108.864);
    }
}
