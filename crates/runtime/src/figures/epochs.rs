//! What the commit thread counts: epochs, how long their steps took, and what they waited for.

use std::time::{Duration, Instant};

use statera_log::FileLog;
use statera_model::Epoch;

use super::Histogram;

/// A step of an epoch that takes longer is a stall.
pub const STALL_MIN: Duration = Duration::from_millis(200);

/// Epochs since the start.
#[derive(Clone, Debug, Default)]
pub struct EpochFigures {
    /// The last durable epoch.
    pub last: Epoch,
    /// Bytes of changes in them.
    pub bytes: u64,
    /// From the cut until the epoch was durable.
    pub durable: Histogram,
    /// From the cut until all shards had handed in their parts.
    pub parts: Histogram,
    /// Until the log had the epoch.
    pub append: Histogram,
    /// Of that, the fdatasync.
    pub sync: Histogram,
    /// Until the store served the epoch.
    pub absorb: Histogram,
    /// Epochs that waited long for the parts of a shard.
    pub stalls_shards: u64,
    /// Epochs that waited long for the log.
    pub stalls_log: u64,
    /// Epochs that waited long for the store.
    pub stalls_store: u64,
    /// What the log has done.
    pub log: statera_log::Figures,
}

/// Takes the times of one epoch.
pub(crate) struct Stopwatch {
    cut: Instant,
    lap: Instant,
    parts: Duration,
    append: Duration,
    durable: Duration,
}

impl Stopwatch {
    pub(crate) fn start(cut: Instant) -> Stopwatch {
        let zero = Duration::ZERO;
        Stopwatch { cut, lap: cut, parts: zero, append: zero, durable: zero }
    }

    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.lap, now)
    }

    /// All shards have handed in their parts.
    pub(crate) fn collected(&mut self) {
        self.parts = self.lap();
    }

    /// The log has the epoch.
    pub(crate) fn appended(&mut self) {
        self.append = self.lap();
        self.durable = self.lap - self.cut;
    }

    /// The store serves the epoch: all is known. Returns how long its three steps took.
    pub(crate) fn absorbed(
        mut self,
        epoch: Epoch,
        deltas: &[&[u8]],
        log: &FileLog,
        figures: &mut EpochFigures,
    ) -> (Duration, Duration, Duration) {
        let absorb = self.lap();
        figures.last = epoch;
        figures.bytes += deltas.iter().map(|delta| delta.len() as u64).sum::<u64>();
        figures.parts.note(self.parts);
        figures.append.note(self.append);
        figures.absorb.note(absorb);
        figures.durable.note(self.durable);
        figures.log = log.figures();
        if let Some(sync) = figures.log.last_sync {
            figures.sync.note(sync);
        }
        figures.stalls_shards += u64::from(self.parts > STALL_MIN);
        figures.stalls_log += u64::from(self.append > STALL_MIN);
        figures.stalls_store += u64::from(absorb > STALL_MIN);
        (self.parts, self.append, absorb)
    }
}
