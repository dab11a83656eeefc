//! The state store: the commit log materialised in an embedded LSM tree, so that state may exceed memory many times
//! and a start need not read the whole log.
//!
//! An epoch becomes durable in the log first. Then its delta is handed to [`Store::absorb`]; a background thread merges
//! epochs and writes them in large sorted batches, together with the number of the epoch which the store then
//! reflects. Nothing waits for the disk here: after a crash the store reflects an earlier epoch, and the log is
//! replayed from there.
//!
//! The store never decides what is durable (the log does), never skips what it can't read, and knows nothing of keys
//! but their first three bytes, key group and kind (see [`statera_core::delta`]).
//!
//! Start with [`Store`], [`Reader`] and [`Settings`].
//!
//! ```
//! use statera_core::delta::DeltaWriter;
//! use statera_model::Epoch;
//! use statera_store::{Settings, Store};
//!
//! let directory = tempfile::tempdir().unwrap();
//! let store = Store::open(directory.path(), Settings::default(), |_progress| {})?;
//! assert_eq!(store.reflected(), Epoch::ZERO);
//!
//! let mut delta = Vec::new();
//! DeltaWriter::new(&mut delta).put(&[0, 7, 1, b'a'], b"value");
//! store.absorb(Epoch(1), delta.into())?;
//! store.flush_now()?;
//! assert_eq!(store.reader().get(&[0, 7, 1, b'a'])?.unwrap(), &b"value"[..]);
//!
//! store.close()?;
//! let store = Store::open(directory.path(), Settings::default(), |_progress| {})?;
//! assert_eq!(store.reflected(), Epoch(1));
//! # Ok::<(), statera_store::StoreError>(())
//! ```
#![warn(missing_docs)]

mod error;
mod flusher;
mod lsm;
mod merge;
mod queue;
mod reader;
mod settings;
mod store;

pub use error::{Cause, StoreError};
pub use flusher::Progress;
pub use reader::Reader;
pub use settings::Settings;
pub use store::Store;
