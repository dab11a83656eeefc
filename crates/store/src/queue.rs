//! Between the commit thread, which hands epochs over, and the flusher, which writes them: what waits, what is due,
//! and how far the store has come.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

use bytes::Bytes;
use statera_model::Epoch;

use crate::{Settings, StoreError};

/// An epoch that waits to be written.
#[derive(Clone, Debug)]
pub(crate) struct Absorbed {
    pub(crate) epoch: Epoch,
    pub(crate) delta: Bytes,
    since: Instant,
}

/// What the flusher does next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Write these epochs as one batch. Never empty.
    Flush(Vec<Absorbed>),
    /// Make what is written durable.
    Sync,
    /// End.
    Stop,
}

/// What is due at some moment.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Flush,
    Sync,
    Stop,
    /// Nothing before this moment, or before somebody calls.
    Later(Option<Instant>),
}

#[derive(Debug)]
pub(crate) struct Queue {
    settings: Settings,
    state: Mutex<State>,
    /// The flusher waits here for something to do.
    work: Condvar,
    /// Everybody else waits here for the flusher.
    progress: Condvar,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Absorbed>,
    waiting_bytes: usize,
    writing_bytes: usize,
    /// How many callers wait for room.
    blocked: usize,
    absorbed: Epoch,
    flushed: Epoch,
    durable: Epoch,
    /// Somebody waits until these epochs are flushed, or durable.
    flush_wanted: Epoch,
    sync_wanted: Epoch,
    /// What was written since the last sync, and when the first of it was.
    unsynced_bytes: u64,
    unsynced_since: Option<Instant>,
    stopping: bool,
    ended: Option<StoreError>,
}

impl Queue {
    pub(crate) fn new(settings: Settings, reflected: Epoch) -> Queue {
        let state = State {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            writing_bytes: 0,
            blocked: 0,
            absorbed: reflected,
            flushed: reflected,
            durable: reflected,
            flush_wanted: reflected,
            sync_wanted: reflected,
            unsynced_bytes: 0,
            unsynced_since: None,
            stopping: false,
            ended: None,
        };
        Queue { settings, state: Mutex::new(state), work: Condvar::new(), progress: Condvar::new() }
    }

    /// Hands an epoch over. Waits while it would exceed `unflushed_bytes`, unless nothing else waits.
    pub(crate) fn push(&self, epoch: Epoch, delta: Bytes) -> Result<(), StoreError> {
        let mut state = self.lock();
        while state.ended.is_none() && !self.has_room(&state, cost(&delta)) {
            state.blocked += 1;
            self.work.notify_one();
            state = self.progress.wait(state).expect(NO_PANIC);
            state.blocked -= 1;
        }
        state.check_running()?;
        if epoch <= state.absorbed {
            return Err(StoreError::OutOfOrder { epoch, absorbed: state.absorbed });
        }
        state.absorbed = epoch;
        state.waiting_bytes += cost(&delta);
        state.waiting.push_back(Absorbed { epoch, delta, since: Instant::now() });
        // The first epoch sets the flusher's alarm clock, and the one that fills a batch makes it ring.
        if state.waiting.len() == 1 || state.waiting_bytes >= self.settings.flush_bytes {
            self.work.notify_one();
        }
        Ok(())
    }

    /// Waits until everything absorbed so far is written.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        let mut state = self.lock();
        let wanted = state.absorbed;
        state.flush_wanted = state.flush_wanted.max(wanted);
        self.wait_until(state, |state| state.flushed >= wanted)
    }

    /// Waits until everything absorbed so far is durable.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let mut state = self.lock();
        let wanted = state.absorbed;
        state.flush_wanted = state.flush_wanted.max(wanted);
        state.sync_wanted = state.sync_wanted.max(wanted);
        self.wait_until(state, |state| state.durable >= wanted)
    }

    /// Lets the flusher end as soon as it has done what it is doing. What waits is forgotten.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.work.notify_one();
    }

    /// The flusher has ended: from now on everybody gets this error.
    pub(crate) fn end(&self, error: StoreError) {
        self.lock().ended.get_or_insert(error);
        self.progress.notify_all();
    }

    /// Waits for something to do.
    pub(crate) fn next_step(&self) -> Step {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            state = match state.due(&self.settings, now) {
                Due::Stop => return Step::Stop,
                Due::Sync => return Step::Sync,
                Due::Flush => return Step::Flush(state.take_batch(self.settings.flush_bytes)),
                Due::Later(None) => self.work.wait(state).expect(NO_PANIC),
                Due::Later(Some(at)) => self.work.wait_timeout(state, at - now).expect(NO_PANIC).0,
            };
        }
    }

    /// The last batch is written, and with it everything up to `epoch`.
    pub(crate) fn flushed(&self, epoch: Epoch) {
        let mut state = self.lock();
        state.flushed = epoch;
        state.unsynced_bytes += state.writing_bytes as u64;
        state.writing_bytes = 0;
        state.unsynced_since.get_or_insert_with(Instant::now);
        self.progress.notify_all();
    }

    /// Everything flushed is durable. Returns up to which epoch.
    pub(crate) fn synced(&self) -> Epoch {
        let mut state = self.lock();
        state.durable = state.flushed;
        state.unsynced_bytes = 0;
        state.unsynced_since = None;
        self.progress.notify_all();
        state.durable
    }

    /// The last epoch that is written, not necessarily durable.
    pub(crate) fn flushed_epoch(&self) -> Epoch {
        self.lock().flushed
    }

    fn has_room(&self, state: &State, bytes: usize) -> bool {
        let unflushed = state.waiting_bytes + state.writing_bytes;
        unflushed == 0 || unflushed + bytes <= self.settings.unflushed_bytes
    }

    fn wait_until(
        &self,
        mut state: MutexGuard<'_, State>,
        reached: impl Fn(&State) -> bool,
    ) -> Result<(), StoreError> {
        self.work.notify_one();
        while !reached(&state) {
            state.check_running()?;
            state = self.progress.wait(state).expect(NO_PANIC);
        }
        state.check_running()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(NO_PANIC)
    }
}

/// What a delta counts against the limits: its bytes, and its place in the queue.
fn cost(delta: &Bytes) -> usize {
    delta.len() + size_of::<Absorbed>()
}

const NO_PANIC: &str = "nobody panics while holding the queue";

impl State {
    fn check_running(&self) -> Result<(), StoreError> {
        self.ended.clone().map_or(Ok(()), Err)
    }

    fn due(&self, settings: &Settings, now: Instant) -> Due {
        if self.stopping {
            return Due::Stop;
        }
        // A sync goes first: under load there is always something to flush.
        let sync_at = self.unsynced_since.map(|since| since + settings.sync_interval);
        let sync_wanted = self.sync_wanted > self.durable && self.flushed >= self.sync_wanted;
        let sync_full = self.unsynced_bytes >= settings.sync_bytes;
        if sync_at.is_some_and(|at| sync_wanted || sync_full || at <= now) {
            return Due::Sync;
        }
        let flush_at = self.waiting.front().map(|first| first.since + settings.flush_interval);
        let flush_wanted = self.flush_wanted > self.flushed || self.blocked > 0;
        let flush_full = self.waiting_bytes >= settings.flush_bytes;
        if flush_at.is_some_and(|at| flush_wanted || flush_full || at <= now) {
            return Due::Flush;
        }
        Due::Later(sync_at.into_iter().chain(flush_at).min())
    }

    /// Takes epochs for one batch of at most `bytes`, but at least one epoch.
    fn take_batch(&mut self, bytes: usize) -> Vec<Absorbed> {
        let mut batch = Vec::new();
        while let Some(next) = self.waiting.front() {
            let with_next = self.writing_bytes + cost(&next.delta);
            if !batch.is_empty() && with_next > bytes {
                break;
            }
            self.writing_bytes = with_next;
            self.waiting_bytes -= cost(&next.delta);
            batch.extend(self.waiting.pop_front());
        }
        batch
    }
}

#[cfg(test)]
mod tests;
