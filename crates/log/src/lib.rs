//! The commit log: one durable record per epoch, all of it or none.
//!
//! An epoch counts from the moment [`CommitLog::append`] returns; whatever the worker lets out of itself waits for
//! that. The log never interprets a payload, never skips a record that it can't read, and never tries an fsync again
//! after it failed: after an error it refuses everything until the process has started anew.
//!
//! The types to know: [`CommitLog`], the contract; [`FileLog`], which keeps it in files; and [`disk::Disk`], what
//! `FileLog` needs of a file system, with a simulated one that crashes on demand.
//!
//! ```
//! use statera_log::{CommitLog, FileLog, Settings, disk::SimDisk};
//! use statera_model::Epoch;
//!
//! let disk = SimDisk::new(1);
//! let mut log = FileLog::open_on(disk.clone(), Settings::default())?;
//! log.append(Epoch(1), &[b"state ", b"changes"])?;
//! drop(log);
//!
//! disk.crash();
//! let mut log = FileLog::open_on(disk, Settings::default())?;
//! log.replay(Epoch(1), &mut |epoch, payload| {
//!     assert_eq!((epoch, payload), (Epoch(1), &b"state changes"[..]));
//!     Ok(())
//! })?;
//! # Ok::<(), statera_log::LogError>(())
//! ```
#![warn(missing_docs)]

pub mod disk;
mod error;
mod file;
mod memory;

use statera_model::Epoch;

pub use error::{LogError, VisitError};
pub use file::{Durability, Figures, FileLog, Preparation, Settings};
pub use memory::MemoryLog;

/// What [`CommitLog::replay`] calls for each epoch. An error ends the replay.
pub type Visit<'a> = dyn FnMut(Epoch, &[u8]) -> Result<(), VisitError> + 'a;

/// Epochs in order, each with a payload that is there wholly or not at all.
pub trait CommitLog: Send {
    /// Adds the next epoch; its payload is the concatenation of `parts`. Returns when the epoch is durable, as far as
    /// the log was told to be. After an error the epoch may or may not be found at the next start.
    ///
    /// # Errors
    /// When it could not be made durable; from then on every call fails with [`LogError::Poisoned`].
    ///
    /// # Panics
    /// If `epoch` does not follow [`CommitLog::last_epoch`]. The first epoch of an empty log may be any.
    fn append(&mut self, epoch: Epoch, parts: &[&[u8]]) -> Result<(), LogError>;

    /// Says that epochs up to and including this one are no longer needed. The log may keep them as long as it likes,
    /// and it forgets them in no particular order: afterwards only replay from later ones.
    ///
    /// # Errors
    /// [`LogError::Poisoned`]. Space that can't be freed now is freed later.
    fn truncate(&mut self, up_to: Epoch) -> Result<(), LogError>;

    /// Visits every epoch from `from` to the last in order. Memory is bounded by the largest payload.
    ///
    /// # Errors
    /// If `from` was truncated or lies further than one behind the last epoch; if an epoch can't be read; or what the
    /// visitor returned, as [`LogError::Visit`].
    fn replay(&mut self, from: Epoch, visit: &mut Visit<'_>) -> Result<(), LogError>;

    /// The last epoch of the log; `None` if none was ever appended.
    fn last_epoch(&self) -> Option<Epoch>;
}
