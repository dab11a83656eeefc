//! The background thread that writes epochs into the LSM tree.

use std::sync::Arc;

use statera_model::Epoch;

use crate::StoreError;
use crate::lsm::Files;
use crate::merge::merge;
use crate::queue::{Absorbed, Queue, Step};

/// What the background thread reports, in order. The report is made on that thread and must not wait for it.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Everything up to this epoch can be read from the store. It need not survive a crash of the machine.
    Flushed(Epoch),
    /// Everything up to this epoch survives a crash of the machine: the log may be truncated up to it.
    Durable(Epoch),
    /// The store takes nothing more. What it can't write is safe in the log.
    Failed(StoreError),
}

pub(crate) struct Flusher<R> {
    pub(crate) files: Arc<Files>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) report: R,
}

impl<R: FnMut(Progress)> Flusher<R> {
    /// Works until it is stopped, or something fails.
    pub(crate) fn run(mut self) {
        // Also if this thread panics nobody may wait for it forever.
        let ended = Ended(Arc::clone(&self.queue));
        if let Err(error) = self.work() {
            tracing::error!(error = &error as &dyn std::error::Error, "the state store failed");
            self.queue.end(error.clone());
            (self.report)(Progress::Failed(error));
        }
        drop(ended);
    }

    fn work(&mut self) -> Result<(), StoreError> {
        loop {
            match self.queue.next_step() {
                Step::Flush(epochs) => self.flush(&epochs)?,
                Step::Sync => self.sync()?,
                Step::Stop => return Ok(()),
            }
        }
    }

    fn flush(&mut self, epochs: &[Absorbed]) -> Result<(), StoreError> {
        let batch = merge(epochs.iter().map(|absorbed| (absorbed.epoch, &absorbed.delta[..])))?;
        let last = epochs.last().expect("a batch is never empty").epoch;
        self.files.open_or_create()?.write(&batch, last)?;
        self.queue.flushed(last);
        (self.report)(Progress::Flushed(last));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.files.open_or_create()?.sync()?;
        let durable = self.queue.synced();
        (self.report)(Progress::Durable(durable));
        Ok(())
    }
}

struct Ended(Arc<Queue>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end(StoreError::Closed);
    }
}
