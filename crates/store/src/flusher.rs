//! The background thread that writes tables into files.

use std::sync::Arc;

use statera_model::Epoch;

use crate::StoreError;
use crate::lsm::Files;
use crate::tables::{Step, Tables};

/// What the background thread reports, in order. The report is made on that thread and must not wait for it.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Everything up to this epoch survives a crash of the machine: the log may be truncated up to it.
    Durable(Epoch),
    /// The store takes nothing more. What it can't write is safe in the log.
    Failed(StoreError),
}

pub(crate) struct Flusher<R> {
    pub(crate) files: Arc<Files>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) report: R,
}

impl<R: FnMut(Progress)> Flusher<R> {
    /// Works until it is stopped, or something fails.
    pub(crate) fn run(mut self) {
        // Also if this thread panics nobody may wait for it forever.
        let ended = Ended(Arc::clone(&self.tables));
        if let Err(error) = self.work() {
            // Whoever gets the report says it.
            tracing::debug!(%error, "the flusher ends");
            self.tables.end(error.clone());
            (self.report)(Progress::Failed(error));
        }
        drop(ended);
    }

    fn work(&mut self) -> Result<(), StoreError> {
        while let Step::Flush(table, epoch) = self.tables.next_step()? {
            self.files.open_or_create()?.write(&table, epoch)?;
            drop(table);
            self.tables.flushed(epoch);
            (self.report)(Progress::Durable(epoch));
        }
        Ok(())
    }
}

struct Ended(Arc<Tables>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end(StoreError::Closed);
    }
}
