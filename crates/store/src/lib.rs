//! The state store: the commit log materialised, so that state may exceed memory many times and a start need not read
//! the whole log.
//!
//! An epoch becomes durable in the log first. Then [`Store::absorb`] puts its changes into a table in memory, where a
//! key takes its place once, however often it changes; from then on a [`Reader`] sees them. When the table is large, or
//! the log that it stands for long, a background thread writes it into the files of an embedded LSM tree, together with
//! the number of the epoch which the files then reflect, while the next table absorbs. After a crash the files reflect
//! an earlier epoch, and the log is replayed from there.
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
//! store.absorb(Epoch(1), &[&delta])?;
//! assert_eq!(store.reader().get(&[0, 7, 1, b'a'])?.unwrap(), &b"value"[..]);
//!
//! store.close()?;
//! let store = Store::open(directory.path(), Settings::default(), |_progress| {})?;
//! assert_eq!(store.reflected(), Epoch(1));
//! # Ok::<(), statera_store::StoreError>(())
//! ```
#![warn(missing_docs)]

mod error;
mod figures;
mod flusher;
mod listing;
mod lsm;
mod reader;
mod settings;
mod store;
mod table;
mod tables;

pub use error::{Cause, StoreError};
pub use figures::Figures;
pub use flusher::Progress;
pub use listing::{HeadPlace, HeadQuery, Heads};
pub use reader::Reader;
pub use settings::Settings;
pub use store::Store;
