//! What can go wrong with a log.

use std::io;

use statera_model::Epoch;

/// What a visitor of [`crate::CommitLog::replay`] may fail with.
pub type VisitError = Box<dyn std::error::Error + Send + Sync>;

/// Why the log did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file operation failed.
    #[error("cannot {doing} `{path}`")]
    Io {
        /// What was attempted, in the infinitive.
        doing: &'static str,
        /// With which file.
        path: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// There is no room. What was acknowledged is safe.
    #[error(
        "cannot {doing} `{path}`: there is no space left; hint: nothing that was acknowledged is lost; \
         free some space on this file system or raise its limit, then start again"
    )]
    Full {
        /// What was attempted, in the infinitive.
        doing: &'static str,
        /// With which file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An earlier operation failed, so that it is unknown what is on disk.
    #[error(
        "the log takes nothing more after an earlier failure; hint: restart the process, \
         it will go on from the last epoch that is on disk"
    )]
    Poisoned,
    /// Something that was durable can't be read any more.
    #[error(
        "the log is corrupt in `{path}` at byte {offset}: {what}; hint: nothing was changed; \
         check the disk, keep a copy of the data directory, and restore from a snapshot"
    )]
    Corrupt {
        /// The file.
        path: String,
        /// Where in it, in bytes from its start.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// The file was written by another version of the program.
    #[error(
        "`{path}` has format version {found} at byte {offset}, this program reads version {known}; \
         hint: run the version of the program that wrote it"
    )]
    UnknownVersion {
        /// The file.
        path: String,
        /// Where in it the version stands, in bytes from its start.
        offset: u64,
        /// The version that was found.
        found: u32,
        /// The version that can be read.
        known: u32,
    },
    /// The log begins later than it is needed from.
    #[error(
        "epoch {wanted} is not in the log, which begins with epoch {first} in `{path}` at byte {offset}; \
         hint: a log file is missing or the store is older than the log; restore from a snapshot"
    )]
    Missing {
        /// The epoch that was asked for.
        wanted: Epoch,
        /// The first epoch from which the log is whole.
        first: Epoch,
        /// The file in which that one stands.
        path: String,
        /// Where in it, in bytes from its start.
        offset: u64,
    },
    /// The log ends before it is needed from.
    #[error(
        "the log ends with epoch {last}, but epochs up to {known} were made from it; \
         hint: log files were removed or come from another worker; restore from a snapshot"
    )]
    Behind {
        /// The last epoch of the log.
        last: Epoch,
        /// The last epoch that the caller has seen.
        known: Epoch,
    },
    /// The visitor did not accept an epoch.
    #[error("cannot apply epoch {epoch} of the log")]
    Visit {
        /// The epoch.
        epoch: Epoch,
        /// What the visitor returned.
        #[source]
        source: VisitError,
    },
}

impl LogError {
    /// An error of a file operation; what means "no room" becomes [`LogError::Full`].
    pub(crate) fn io(doing: &'static str, path: String, source: io::Error) -> LogError {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match source.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => LogError::Full { doing, path, source },
            _ => LogError::Io { doing, path, source },
        }
    }
}
