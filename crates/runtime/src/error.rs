//! Why an engine does not start, or stops.

use std::path::PathBuf;
use std::sync::Arc;

use statera_core::RestoreError;
use statera_core::keys::CorruptKey;
use statera_core::values::CorruptValue;
use statera_log::LogError;
use statera_model::EgressId;
use statera_model::codes::{self, Code};
use statera_store::StoreError;
use statera_transport::TransportError;

/// Why an engine does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A file operation in the data directory failed.
    #[error("cannot {doing} `{}`", path.display())]
    Data {
        /// What was attempted, in the infinitive.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// Another process works in the data directory.
    #[error(
        "data directory `{}` is in use by another process; hint: stop that one, or give this one \
         a directory of its own with `--data`", path.display()
    )]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The data directory was made by another version, or is none of ours.
    #[error("`{}` {what}", path.display())]
    Format {
        /// The file that says so.
        path: PathBuf,
        /// What it says, and what to do.
        what: String,
    },
    /// The settings don't fit the data directory.
    #[error(
        "the data directory has {found} key groups, the configuration asks for {wanted}; \
         hint: the number is fixed when the directory is made: set `keyGroups: {found}`"
    )]
    KeyGroups {
        /// Those of the directory.
        found: u16,
        /// Those of the configuration.
        wanted: u16,
    },
    /// The log and the store don't belong together.
    #[error(
        "the log ends at epoch {log}, the store is at epoch {store}; hint: the log was written \
         with `durability: none` and the machine has crashed, or files were removed; restore \
         from a snapshot or start with an empty directory"
    )]
    LogBehind {
        /// The last epoch of the log.
        log: u64,
        /// That of the store.
        store: u64,
    },
    /// The store knows of epochs, the log of none.
    #[error(
        "the store is at epoch {store}, but the log is empty; hint: the `log` directory was removed; \
         put it back, restore from a snapshot, or start with an empty directory"
    )]
    LogMissing {
        /// The epoch of the store.
        store: u64,
    },
    /// The commit log failed.
    #[error("the commit log failed")]
    Log(#[from] LogError),
    /// The state store failed.
    #[error("the state store failed")]
    Store(#[from] StoreError),
    /// The store holds a key that is none.
    #[error("the state store is corrupt; hint: restore from a snapshot")]
    Key(#[from] CorruptKey),
    /// The store holds a value that can't be read.
    #[error("the state store is corrupt; hint: restore from a snapshot")]
    Restore(#[from] RestoreError),
    /// The store holds a value that can't be read.
    #[error("the state store is corrupt; hint: restore from a snapshot")]
    Value(#[from] CorruptValue),
    /// An endpoint can't be called.
    #[error("endpoint {endpoint} can't be used")]
    Transport {
        /// Which functions it serves.
        endpoint: String,
        /// Why.
        #[source]
        source: TransportError,
    },
    /// A thread could not be started.
    #[error("cannot start thread `{name}`")]
    Thread {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A thread panicked: a bug.
    #[error("thread `{name}` panicked: {message}; hint: this is a bug, please report it")]
    Panic {
        /// Its name.
        name: String,
        /// What it said.
        message: String,
    },
}

impl EngineError {
    /// Its code, for the log and for people.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            EngineError::Data { .. } => codes::DATA_UNREADABLE,
            EngineError::Locked { .. } => codes::DATA_IN_USE,
            EngineError::Format { .. } | EngineError::KeyGroups { .. } => codes::DATA_FOREIGN,
            EngineError::LogBehind { .. } | EngineError::LogMissing { .. } => {
                codes::DATA_INCOMPLETE
            }
            EngineError::Log(error) => code_of_log(error),
            EngineError::Store(error) => code_of_store(error),
            EngineError::Key(_) | EngineError::Restore(_) | EngineError::Value(_) => {
                codes::STORE_CORRUPT
            }
            EngineError::Transport { .. } => codes::ENDPOINT_SETTINGS,
            EngineError::Thread { .. } => codes::RUN_FAILED,
            EngineError::Panic { .. } => codes::INTERNAL,
        }
    }
}

fn code_of_log(error: &LogError) -> Code {
    match error {
        LogError::Io { .. } | LogError::Full { .. } | LogError::Poisoned => codes::LOG_FAILED,
        LogError::Corrupt { .. } => codes::STORE_CORRUPT,
        LogError::UnknownVersion { .. } => codes::DATA_FOREIGN,
        LogError::Missing { .. } | LogError::Behind { .. } => codes::DATA_INCOMPLETE,
        // What is read of the log at the start goes into the store.
        LogError::Visit { .. } => codes::STORE_FAILED,
    }
}

fn code_of_store(error: &StoreError) -> Code {
    match error {
        StoreError::Open { .. } => codes::DATA_UNREADABLE,
        StoreError::InUse { .. } => codes::DATA_IN_USE,
        StoreError::UnknownVersion { .. } => codes::DATA_FOREIGN,
        StoreError::Corrupt { .. } | StoreError::Delta { .. } => codes::STORE_CORRUPT,
        StoreError::Read { .. } | StoreError::Write { .. } | StoreError::Closed => {
            codes::STORE_FAILED
        }
        StoreError::OutOfOrder { .. } => codes::INTERNAL,
    }
}

/// Why a running engine does not change. Unless it is stopping, it goes on as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// An endpoint can't be called.
    #[error(transparent)]
    Endpoint(#[from] EngineError),
    /// An egress that is to go has records that its sink has not confirmed.
    #[error(
        "egress `{egress}` can't be removed: {records} records for it are not written yet; hint: stop what \
         emits to it, wait until its backlog is empty, and reload again"
    )]
    Unreleased {
        /// Which.
        egress: EgressId,
        /// How many.
        records: u64,
    },
    /// The engine is stopping, or has failed.
    #[error("the engine is stopping")]
    Stopping,
}

/// Why a question about a running engine can't be answered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueryError {
    /// The store can't be read.
    #[error("the state store can't be read")]
    Store(#[from] StoreError),
    /// Something stored is corrupt.
    #[error("{0}")]
    Corrupt(Arc<str>),
    /// The engine is stopping.
    #[error("the engine is stopping")]
    Stopping,
}
