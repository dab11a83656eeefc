//! The tables in memory: one that absorbs, and at times another that is being written to files. Also when that is due,
//! and how far the store has come.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, RwLock};
use std::time::Instant;

use bytes::Bytes;
use statera_model::Epoch;

use crate::table::Table;
use crate::{Figures, Settings, StoreError};

/// What an epoch takes in the log at least.
const EPOCH_BYTES_MIN: u64 = 4096;

/// What the flusher does next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Write this table, which holds everything up to the epoch that is not yet in files.
    Flush(Arc<Table>, Epoch),
    /// End.
    Stop,
}

/// What is due at some moment.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Flush,
    Stop,
    /// Nothing before this moment, or before somebody calls.
    Later(Option<Instant>),
}

#[derive(Debug)]
pub(crate) struct Tables {
    settings: Settings,
    shown: RwLock<Shown>,
    /// Held while something is absorbed.
    state: Mutex<State>,
    /// The flusher waits here for something to do.
    work: Condvar,
    /// Everybody else waits here for the flusher.
    progress: Condvar,
}

/// What readers see in memory.
#[derive(Debug, Default)]
struct Shown {
    /// Absorbs.
    open: Arc<Table>,
    /// Is being written to files, and changes no more.
    sealed: Option<Arc<Table>>,
}

#[derive(Debug)]
struct State {
    absorbed: Epoch,
    durable: Epoch,
    open: Extent,
    sealed: Extent,
    /// When the first epoch came to the open table.
    open_since: Option<Instant>,
    /// Changes taken, and tables written, since the start.
    changes: u64,
    flushes: u64,
    /// How many callers wait for room.
    blocked: usize,
    /// Somebody waits until this epoch is durable.
    wanted: Epoch,
    stopping: bool,
    ended: Option<StoreError>,
}

/// How much there is in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Extent {
    /// What it takes in memory.
    memory: usize,
    /// What its epochs take in the log.
    log: u64,
}

impl Tables {
    pub(crate) fn new(settings: Settings, reflected: Epoch) -> Tables {
        let state = State {
            absorbed: reflected,
            durable: reflected,
            open: Extent::default(),
            sealed: Extent::default(),
            open_since: None,
            changes: 0,
            flushes: 0,
            blocked: 0,
            wanted: reflected,
            stopping: false,
            ended: None,
        };
        Tables {
            settings,
            shown: RwLock::default(),
            state: Mutex::new(state),
            work: Condvar::new(),
            progress: Condvar::new(),
        }
    }

    /// Makes the changes of an epoch. Waits while it would exceed a limit, unless there is nothing else.
    pub(crate) fn absorb(&self, epoch: Epoch, parts: &[&[u8]]) -> Result<(), StoreError> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let added = Extent { memory: bytes, log: EPOCH_BYTES_MIN.max(bytes as u64) };
        let mut state = self.lock();
        while state.ended.is_none() && !state.has_room(&self.settings, added) {
            state.blocked += 1;
            self.work.notify_one();
            state = self.progress.wait(state).expect(NO_PANIC);
            state.blocked -= 1;
        }
        state.check_running()?;
        if epoch <= state.absorbed {
            return Err(StoreError::OutOfOrder { epoch, absorbed: state.absorbed });
        }
        // Only the flusher replaces it, and needs the state for that.
        let table = self.shown.read().expect(NO_PANIC).open.clone();
        for part in parts {
            match table.absorb(part) {
                Ok(changes) => state.changes += changes,
                Err(source) => {
                    // The table holds half of it and must never be written.
                    let error = StoreError::Delta { epoch, source };
                    state.ended = Some(error.clone());
                    self.work.notify_one();
                    self.progress.notify_all();
                    return Err(error);
                }
            }
        }
        let first = state.open_since.is_none();
        state.absorbed = epoch;
        state.open = Extent { memory: table.bytes(), log: state.open.log + added.log };
        state.open_since.get_or_insert_with(Instant::now);
        // The first epoch sets the flusher's alarm clock, and the one that fills a table makes it ring.
        if first || state.is_full(&self.settings) {
            self.work.notify_one();
        }
        Ok(())
    }

    /// What became of a key lately; `None` if that can be told by the files only.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let shown = self.shown.read().expect(NO_PANIC);
        shown.open.get(key).or_else(|| shown.sealed.as_ref()?.get(key))
    }

    /// What became of the keys that `wanted` chooses, `None` if they are deleted; and what `look` returns, which sees
    /// the files as they are then.
    pub(crate) fn changed<T>(
        &self,
        wanted: impl Fn(&[u8]) -> bool,
        look: impl FnOnce() -> T,
    ) -> (BTreeMap<Bytes, Option<Bytes>>, T) {
        // Between two epochs.
        let _state = self.lock();
        let shown = self.shown.read().expect(NO_PANIC);
        let mut changed = BTreeMap::new();
        for table in shown.sealed.iter().chain([&shown.open]) {
            for latest in table.read().iter().filter(|latest| wanted(latest.key)) {
                let value = latest.value.map(Bytes::copy_from_slice);
                changed.insert(Bytes::copy_from_slice(latest.key), value);
            }
        }
        (changed, look())
    }

    /// The table that absorbs, and the one that is being written to files.
    pub(crate) fn shown(&self) -> (Arc<Table>, Option<Arc<Table>>) {
        let shown = self.shown.read().expect(NO_PANIC);
        (shown.open.clone(), shown.sealed.clone())
    }

    /// Waits until everything absorbed so far is durable.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let mut state = self.lock();
        let wanted = state.absorbed;
        state.wanted = state.wanted.max(wanted);
        self.work.notify_one();
        while state.durable < wanted {
            state.check_running()?;
            state = self.progress.wait(state).expect(NO_PANIC);
        }
        state.check_running()
    }

    /// Lets the flusher end as soon as it has done what it is doing. What is not in files is forgotten.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.work.notify_one();
    }

    /// The flusher has ended: from now on everybody gets this error, unless there was one before.
    pub(crate) fn end(&self, error: StoreError) {
        self.lock().ended.get_or_insert(error);
        self.progress.notify_all();
    }

    /// Waits for something to do. What is to be flushed is sealed: a new table absorbs from then on.
    ///
    /// # Errors
    /// If a delta could not be absorbed.
    pub(crate) fn next_step(&self) -> Result<Step, StoreError> {
        let mut state = self.lock();
        loop {
            state.check_running()?;
            let now = Instant::now();
            state = match state.due(&self.settings, now) {
                Due::Stop => return Ok(Step::Stop),
                Due::Flush => return Ok(self.seal(&mut state)),
                Due::Later(None) => self.work.wait(state).expect(NO_PANIC),
                Due::Later(Some(at)) => self.work.wait_timeout(state, at - now).expect(NO_PANIC).0,
            };
        }
    }

    fn seal(&self, state: &mut State) -> Step {
        let mut shown = self.shown.write().expect(NO_PANIC);
        let table = std::mem::take(&mut shown.open);
        shown.sealed = Some(table.clone());
        state.sealed = std::mem::take(&mut state.open);
        state.open_since = None;
        // Who found the open table full may find room in the new one.
        self.progress.notify_all();
        Step::Flush(table, state.absorbed)
    }

    /// The sealed table is in files, durably, and with it everything up to `epoch`.
    pub(crate) fn flushed(&self, epoch: Epoch) {
        let mut state = self.lock();
        let sealed = self.shown.write().expect(NO_PANIC).sealed.take();
        state.sealed = Extent::default();
        state.durable = epoch;
        state.flushes += 1;
        self.progress.notify_all();
        drop(state);
        // To free it may take a while.
        drop(sealed);
    }

    /// What is in memory, and what has become of it.
    pub(crate) fn figures(&self) -> Figures {
        let state = self.lock();
        Figures {
            absorbed: state.absorbed,
            durable: state.durable,
            changes: state.changes,
            unflushed_bytes: state.open.memory + state.sealed.memory,
            unflushed_log_bytes: state.open.log + state.sealed.log,
            flushes: state.flushes,
            ..Figures::default()
        }
    }

    /// The last epoch that was absorbed.
    pub(crate) fn absorbed(&self) -> Epoch {
        self.lock().absorbed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(NO_PANIC)
    }
}

const NO_PANIC: &str = "nobody panics while holding the tables";

impl State {
    fn check_running(&self) -> Result<(), StoreError> {
        self.ended.clone().map_or(Ok(()), Err)
    }

    fn has_room(&self, settings: &Settings, added: Extent) -> bool {
        let (memory, log) =
            (self.open.memory + self.sealed.memory, self.open.log + self.sealed.log);
        log == 0
            || (memory + added.memory <= settings.unflushed_bytes
                && log + added.log <= settings.replay_bytes)
    }

    /// Whether the open table should be written at once. Half of the memory is for the one that absorbs meanwhile; of
    /// the log a quarter is enough, because writing takes less time than it took to fill.
    fn is_full(&self, settings: &Settings) -> bool {
        self.open.memory >= settings.unflushed_bytes / 2
            || self.open.log >= settings.replay_bytes / 4 * 3
    }

    fn due(&self, settings: &Settings, now: Instant) -> Due {
        if self.stopping {
            return Due::Stop;
        }
        let Some(since) = self.open_since else { return Due::Later(None) };
        let at = since + settings.flush_interval;
        let wanted = self.wanted > self.durable || self.blocked > 0;
        if wanted || self.is_full(settings) || at <= now {
            Due::Flush
        } else {
            Due::Later(Some(at))
        }
    }
}

#[cfg(test)]
mod tests;
