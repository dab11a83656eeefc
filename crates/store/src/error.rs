//! What can go wrong in the store.

use std::path::PathBuf;
use std::sync::Arc;

use statera_core::delta::CorruptDelta;
use statera_model::Epoch;

/// Why the LSM tree or the operating system refused.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// What went wrong in the store. Cloning is cheap: a failure of the background thread is told to everybody.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The files could not be opened.
    #[error("cannot open the state store in `{path}`\nhint: {hint}", path = path.display())]
    Open {
        /// The directory of the store.
        path: PathBuf,
        /// What to do.
        hint: &'static str,
        /// Why.
        #[source]
        source: Cause,
    },
    /// Another program, or a reader of a closed store, holds the files.
    #[error(
        "the state store in `{path}` is in use\nhint: stop the other process that runs with this data directory",
        path = path.display()
    )]
    InUse {
        /// The directory of the store.
        path: PathBuf,
    },
    /// The files are those of another version of this program.
    #[error(
        "the state store in `{path}` has format version `{found}`, but this program reads only version `{known}`\n\
         hint: run it with the version of the program that wrote it",
        path = path.display()
    )]
    UnknownVersion {
        /// The directory of the store.
        path: PathBuf,
        /// The version of the files.
        found: u32,
        /// The version of this program.
        known: u32,
    },
    /// The files hold what was never written.
    #[error(
        "the state store in `{path}` is corrupt: {what}\n\
         hint: nothing is skipped; restore the data directory from a snapshot or a savepoint",
        path = path.display()
    )]
    Corrupt {
        /// The directory of the store.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// Something could not be read.
    #[error(
        "cannot read from the state store in `{path}`\n\
         hint: check the disk; if the files are damaged, restore the data directory from a snapshot or a savepoint",
        path = path.display()
    )]
    Read {
        /// The directory of the store.
        path: PathBuf,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A batch could not be written or made durable. The store takes nothing more until it is opened again.
    #[error(
        "cannot write to the state store in `{path}`\n\
         hint: check the disk and its free space, then restart; nothing is lost, the commit log holds what is missing",
        path = path.display()
    )]
    Write {
        /// The directory of the store.
        path: PathBuf,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A delta that was handed over can't be read.
    #[error("cannot absorb epoch `{epoch}`")]
    Delta {
        /// Its epoch.
        epoch: Epoch,
        /// Why.
        #[source]
        source: CorruptDelta,
    },
    /// An epoch was handed over that is not later than the one before.
    #[error("cannot absorb epoch `{epoch}`, because `{absorbed}` is already absorbed")]
    OutOfOrder {
        /// The epoch.
        epoch: Epoch,
        /// The latest one so far.
        absorbed: Epoch,
    },
    /// The background thread has ended.
    #[error("the state store is closed")]
    Closed,
}
