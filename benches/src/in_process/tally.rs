//! What the functions count beside their state, and how the two are compared in the end.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::numbers::mix;

/// Threads that may count at once.
const LANES: usize = 32;

/// The content of a message that asks for the state instead of changing it.
pub(super) const ASK: i64 = -1;

/// What the functions of a benchmark and its load know of each other.
#[derive(Default)]
pub(super) struct Tally {
    /// Messages processed. Those that ask do not count.
    pub(super) messages: Count,
    /// What was begun and is over: no further message follows from it.
    pub(super) ended: Count,
    /// Whatever must not happen.
    pub(super) wrong: Count,
    pub(super) answers: Answers,
    /// Set when nothing shall follow from a message any more.
    pub(super) stopping: AtomicBool,
}

/// A number that several threads add to, each in a lane of its own: what is counted for each message must cost next to nothing,
/// which a locked instruction does not.
#[derive(Default)]
pub(super) struct Count([Lane; LANES]);

#[derive(Default)]
#[repr(align(128))]
struct Lane(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: u64) {
        let count = &LANE.with(|lane| &self.0[lane.0]).0;
        count.store(count.load(Ordering::Relaxed) + more, Ordering::Release);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.iter().map(|lane| lane.0.load(Ordering::Acquire)).sum()
    }
}

thread_local! {
    static LANE: OwnLane = OwnLane::default();
}

/// Lanes that no thread has.
static FREE: Mutex<[bool; LANES]> = Mutex::new([true; LANES]);

/// The lane of a thread, as long as it lives.
struct OwnLane(usize);

impl Default for OwnLane {
    fn default() -> OwnLane {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let lane =
            free.iter().position(|free| *free).expect("no more than `LANES` threads count at once");
        free[lane] = false;
        OwnLane(lane)
    }
}

impl Drop for OwnLane {
    fn drop(&mut self) {
        FREE.lock().unwrap_or_else(PoisonError::into_inner)[self.0] = true;
    }
}

/// What instances answered that were asked for their state.
#[derive(Default)]
pub(super) struct Answers {
    count: Count,
    sum: AtomicI64,
    mark: AtomicU64,
}

/// The values of several instances: their sum, and a number that is another one if any value is at another instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Values {
    pub(super) sum: i64,
    mark: u64,
}

impl Answers {
    pub(super) fn note(&self, id: u64, value: i64) {
        self.sum.fetch_add(value, Ordering::Relaxed);
        self.mark.fetch_add(mark(id, value), Ordering::Relaxed);
        self.count.add(1);
    }

    pub(super) fn count(&self) -> u64 {
        self.count.get()
    }

    /// What was answered. Complete once all have answered.
    pub(super) fn values(&self) -> Values {
        Values { sum: self.sum.load(Ordering::Relaxed), mark: self.mark.load(Ordering::Relaxed) }
    }
}

impl Values {
    /// What instances must answer, by their ids.
    pub(super) fn of(values: impl IntoIterator<Item = (u64, i64)>) -> Values {
        values.into_iter().fold(Values::default(), |so_far, (id, value)| Values {
            sum: so_far.sum.wrapping_add(value),
            mark: so_far.mark.wrapping_add(mark(id, value)),
        })
    }
}

fn mark(id: u64, value: i64) -> u64 {
    mix(id).wrapping_mul(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_the_wrong_place_are_noticed() {
        let answers = Answers::default();
        answers.note(1, 5);
        answers.note(2, 6);
        assert_eq!(answers.count(), 2);
        assert_eq!(answers.values(), Values::of([(2, 6), (1, 5)]));
        let exchanged = Values::of([(1, 6), (2, 5)]);
        assert_eq!(answers.values().sum, exchanged.sum);
        assert_ne!(answers.values(), exchanged);
    }
}
