//! The store as its owner sees it.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use statera_model::{Epoch, codes};

use crate::flusher::{Flusher, Progress};
use crate::lsm::{Files, Lsm};
use crate::tables::Tables;
use crate::{Figures, Reader, Settings, StoreError};

/// The state store of one worker. Its methods may be called from any thread.
///
/// Dropping it stops the background thread after the table it is writing and forgets what is not in files: the log has
/// it.
/// The files stay in use until the last [`Reader`] is dropped too.
#[derive(Debug)]
pub struct Store {
    files: Arc<Files>,
    tables: Arc<Tables>,
    flusher: Option<JoinHandle<()>>,
}

impl Store {
    /// Opens the store in `path`, a directory of its own. If there is none it is created with the first epoch.
    /// `report` is told how far the store has come, see [`Progress`].
    ///
    /// # Errors
    /// If the files can't be read, are in use, or are those of another version.
    pub fn open(
        path: impl AsRef<Path>,
        settings: Settings,
        report: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Store, StoreError> {
        let (files, reflected) = Files::open(path.as_ref(), settings.clone())?;
        let files = Arc::new(files);
        let tables = Arc::new(Tables::new(settings, reflected));
        let flusher = Flusher { files: Arc::clone(&files), tables: Arc::clone(&tables), report };
        let flusher = std::thread::Builder::new()
            .name("store-flusher".to_owned())
            .spawn(move || flusher.run())
            .map_err(|source| files.cannot_open(source))?;
        Ok(Store { files, tables, flusher: Some(flusher) })
    }

    /// The last epoch that was absorbed, [`Epoch::ZERO`] if there is none: after opening the one which the files reflect,
    /// durably.
    ///
    /// At start the log must be replayed from the epoch after it. If the log begins later, the store has lost what it
    /// had reported as durable, and the caller must stop.
    #[must_use]
    pub fn reflected(&self) -> Epoch {
        self.tables.absorbed()
    }

    /// Takes an epoch that is durable in the log, later than every one before: the changes of the deltas in `parts`, in
    /// order. When it returns they can be read. Costs some 100 ns for each change, unless
    /// [`Settings::unflushed_bytes`] or [`Settings::replay_bytes`] are reached: then it waits for the disk.
    ///
    /// # Errors
    /// If the background thread has failed, a delta can't be read (then and from then on with that error), or the epoch
    /// is not a later one.
    pub fn absorb(&self, epoch: Epoch, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.tables.absorb(epoch, parts)
    }

    /// Waits until everything absorbed so far is durable.
    ///
    /// # Errors
    /// If the background thread has failed.
    pub fn sync_now(&self) -> Result<(), StoreError> {
        self.tables.sync()
    }

    /// Changes of keys taken since the store was opened.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.tables.figures().changes
    }

    /// How much there is in memory and in files. May read the sizes of files, but nothing in them.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let files = self.files.if_created().map(Lsm::size).unwrap_or_default();
        Figures { files: files.0, file_bytes: files.1, ..self.tables.figures() }
    }

    /// A handle for reading. Cheap to clone.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.files), Arc::clone(&self.tables))
    }

    /// Makes everything absorbed durable and ends the background thread.
    ///
    /// # Errors
    /// If the background thread has failed.
    pub fn close(self) -> Result<(), StoreError> {
        self.tables.sync()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.tables.stop();
        if self.flusher.take().is_some_and(|flusher| flusher.join().is_err()) {
            tracing::error!(code = %codes::INTERNAL, "the flusher of the state store panicked");
        }
    }
}
