//! When to cut: whoever wants a cut says how urgently, and the commit thread waits here.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use statera_core::Wants;
use statera_model::{EgressId, Epoch};
use statera_ports::SinkPosition;
use tokio::sync::oneshot;

/// The longest time a confirmation of a sink waits for a cut. Short enough that little is written again after a crash;
/// long enough that a busy engine never cuts for its sake.
const CONFIRMATION_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Pulse {
    state: Mutex<State>,
    changed: Condvar,
    min_interval: Duration,
    max_interval: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// When the next cut is due at the latest.
    due: Option<Instant>,
    confirmed: BTreeMap<EgressId, SinkPosition>,
    waiting: Vec<oneshot::Sender<()>>,
    truncate: Option<Epoch>,
    stop: bool,
}

/// What the commit thread should do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Cut, with what sinks have confirmed, and tell these when it is durable.
    Cut {
        confirmed: Vec<(EgressId, SinkPosition)>,
        waiting: Vec<oneshot::Sender<()>>,
    },
    /// The log needs nothing up to this epoch.
    Truncate(Epoch),
    Stop,
}

impl Pulse {
    pub(crate) fn new(min_interval: Duration, max_interval: Duration) -> Pulse {
        Pulse { state: Mutex::default(), changed: Condvar::new(), min_interval, max_interval }
    }

    /// A shard wants to be cut.
    pub(crate) fn raise(&self, wants: Wants) {
        let delay = match wants {
            Wants::Nothing => return,
            Wants::Soon => self.max_interval,
            Wants::Now => Duration::ZERO,
        };
        self.cut_within(delay, |_| ());
    }

    /// A sink has confirmed.
    pub(crate) fn confirm(&self, egress: EgressId, position: SinkPosition) {
        self.cut_within(CONFIRMATION_INTERVAL, |state| {
            state.confirmed.insert(egress, position);
        });
    }

    /// Cuts at once; the receiver is told when that is durable, or hears nothing if it will never be.
    pub(crate) fn flush(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.cut_within(Duration::ZERO, |state| {
            if !state.stop {
                state.waiting.push(sender);
            }
        });
        receiver
    }

    pub(crate) fn truncate(&self, up_to: Epoch) {
        self.lock().truncate = Some(up_to);
        self.changed.notify_one();
    }

    pub(crate) fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_one();
    }

    /// The commit thread has ended: nobody who waits for a cut gets one.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.stop = true;
        state.waiting = Vec::new();
    }

    /// Waits for the next thing to do. `last_cut` is when the last one was made.
    pub(crate) fn next(&self, last_cut: Instant) -> Order {
        let mut state = self.lock();
        loop {
            if state.stop {
                return Order::Stop;
            }
            if let Some(epoch) = state.truncate.take() {
                return Order::Truncate(epoch);
            }
            let now = Instant::now();
            let due = state.due.map(|due| due.max(last_cut + self.min_interval));
            if due.is_some_and(|due| due <= now) {
                state.due = None;
                return Order::Cut {
                    confirmed: std::mem::take(&mut state.confirmed).into_iter().collect(),
                    waiting: std::mem::take(&mut state.waiting),
                };
            }
            state = match due {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(due) => {
                    let woken = self.changed.wait_timeout(state, due - now);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn cut_within(&self, delay: Duration, note: impl FnOnce(&mut State)) {
        let due = Instant::now() + delay;
        let mut state = self.lock();
        note(&mut state);
        if state.due.is_none_or(|earlier| due < earlier) {
            state.due = Some(due);
            drop(state);
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_a_cut_after_the_end_hears_nothing() {
        let pulse = Pulse::new(Duration::ZERO, Duration::from_millis(20));
        let mut before = pulse.flush();
        pulse.close();
        let mut after = pulse.flush();
        for receiver in [&mut before, &mut after] {
            assert_eq!(receiver.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        }
        assert!(matches!(pulse.next(Instant::now()), Order::Stop));
    }

    #[test]
    fn the_most_urgent_wish_counts() {
        let pulse = Pulse::new(Duration::ZERO, Duration::from_secs(3600));
        pulse.raise(Wants::Soon);
        let waiting = pulse.flush();
        let Order::Cut { waiting: told, .. } = pulse.next(Instant::now()) else { panic!() };
        assert_eq!(told.len(), 1);
        drop(waiting);
    }
}
