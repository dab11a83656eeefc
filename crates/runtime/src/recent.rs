//! The last epochs, one by one, for those who look for what made one slow.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use statera_model::{Epoch, Millis};

use crate::engine::Engine;

/// Epochs that are remembered.
const EPOCHS_MAX: usize = 512;

/// An epoch of this run.
#[derive(Clone, Copy, Debug)]
pub struct RecentEpoch {
    /// Its number.
    pub epoch: Epoch,
    /// When its cut began.
    pub at: Millis,
    /// From the cut until all shards had handed in their parts.
    pub parts: Duration,
    /// The shard that handed in its part last.
    pub last_shard: u16,
    /// Until the log had it.
    pub append: Duration,
    /// Until the store served it.
    pub absorb: Duration,
    /// Bytes of its delta.
    pub bytes: usize,
    /// Changes of keys in it.
    pub keys: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<VecDeque<RecentEpoch>>);

impl Recent {
    pub(crate) fn note(&self, epoch: RecentEpoch) {
        let mut epochs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if epochs.len() == EPOCHS_MAX {
            epochs.pop_back();
        }
        epochs.push_front(epoch);
    }
}

impl Engine {
    /// The last epochs of this run, newest first, `limit` at most.
    #[must_use]
    pub fn recent_epochs(&self, limit: usize) -> Vec<RecentEpoch> {
        let epochs = self.shared.recent.0.lock().unwrap_or_else(PoisonError::into_inner);
        epochs.iter().take(limit).copied().collect()
    }
}
