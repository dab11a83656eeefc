//! The LSM tree on disk.
//!
//! The directory of the store holds one entry, `lsm`: a fjall database with two keyspaces, which share one journal and
//! thus change atomically. Keys and values are those of the deltas.
//!
//! | keyspace | keys | tuned for |
//! |---|---|---|
//! | `state` | of kind 1 | point lookups among more than fits into memory |
//! | `work` | of every other kind, and the meta record | one scan at start; most keys are put once and deleted once |
//!
//! The meta record has the key `00`, which no other key can have, and this value:
//!
//! | bytes | |
//! |---|---|
//! | 4 | format version, u32 BE: [`FORMAT_VERSION`] |
//! | 8 | the epoch which the files reflect, u64 BE |
//!
//! A database is made under the name `new` and renamed when its meta record is durable, so that `lsm` always has one.
//! That takes a dozen syncs, and an open database some memory and threads: both are put off until there is something
//! to write.

use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fjall::compaction::Leveled;
use fjall::config::{BlockSizePolicy, CompressionPolicy};
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode,
    Readable, Slice,
};
use statera_model::Epoch;

use crate::merge::Merged;
use crate::{Cause, Settings, StoreError};

/// The version of everything under the directory of the store.
const FORMAT_VERSION: u32 = 1;

const STATE_KIND: u8 = 1;
const META_KEY: [u8; 1] = [0];
/// Sorts behind the meta record and not behind any other key.
const FIRST_KEY: [u8; 2] = [0, 0];

/// Disk used by the journal before tables are written to make room: bounds what is read again at start.
const JOURNAL_BYTES_MAX: u64 = 128 << 20;
/// Table files held open.
const OPEN_FILES_MAX: usize = 256;

/// Where the files are, and the database in them if there is one.
pub(crate) struct Files {
    path: PathBuf,
    settings: Settings,
    lsm: OnceLock<Lsm>,
}

impl Files {
    /// Opens what is in `path`, if anything, and tells which epoch it reflects.
    pub(crate) fn open(path: &Path, settings: Settings) -> Result<(Files, Epoch), StoreError> {
        let files = Files { path: path.to_owned(), settings, lsm: OnceLock::new() };
        let live = files.live();
        if !live.try_exists().map_err(|source| files.cannot_open(source))? {
            return Ok((files, Epoch::ZERO));
        }
        let lsm = Lsm::open(&files.path, &live, &files.settings)?;
        let reflected = lsm.reflected()?;
        let _ = files.lsm.set(lsm);
        Ok((files, reflected))
    }

    /// The database, unless nothing was ever written.
    pub(crate) fn if_created(&self) -> Option<&Lsm> {
        self.lsm.get()
    }

    /// The database. Only for the flusher: two must not create it.
    pub(crate) fn open_or_create(&self) -> Result<&Lsm, StoreError> {
        if self.lsm.get().is_none() {
            self.create().map_err(|source| self.cannot_write(source))?;
            let _ = self.lsm.set(Lsm::open(&self.path, &self.live(), &self.settings)?);
        }
        Ok(self.lsm.get().expect("set above"))
    }

    fn create(&self) -> Result<(), fjall::Error> {
        let new = self.path.join("new");
        // Remains of an attempt that a crash cut short. Its epochs are in the log.
        match fs::remove_dir_all(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir_all(&self.path)?,
        }
        let (database, _, work) = open_database(&new, &self.settings)?;
        work.insert(META_KEY, encode_meta(Epoch::ZERO))?;
        database.persist(PersistMode::SyncAll)?;
        drop((work, database));
        fs::rename(new, self.live())?;
        Ok(File::open(&self.path)?.sync_all()?)
    }

    fn live(&self) -> PathBuf {
        self.path.join("lsm")
    }

    pub(crate) fn cannot_open(&self, source: io::Error) -> StoreError {
        let hint = "check that the directory can be read and written";
        StoreError::Open { path: self.path.clone(), hint, source: Arc::new(source) }
    }

    fn cannot_write(&self, source: fjall::Error) -> StoreError {
        StoreError::Write { path: self.path.clone(), source: cause(source) }
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("path", &self.path).finish_non_exhaustive()
    }
}

/// An open database.
pub(crate) struct Lsm {
    // Before the database: what is dropped last waits for its threads.
    state: Keyspace,
    work: Keyspace,
    database: Database,
    path: PathBuf,
    write_buffer_bytes: u64,
}

impl Lsm {
    fn open(path: &Path, live: &Path, settings: &Settings) -> Result<Lsm, StoreError> {
        let (database, state, work) =
            open_database(live, settings).map_err(|error| cannot_open(path, error))?;
        // Both memtables full, and as much again on its way to disk.
        let write_buffer_bytes = 3 * settings.memtable_bytes;
        Ok(Lsm { state, work, database, path: path.to_owned(), write_buffer_bytes })
    }

    /// Checks the format version, and tells which epoch the files reflect.
    fn reflected(&self) -> Result<Epoch, StoreError> {
        let corrupt = |what| StoreError::Corrupt { path: self.path.clone(), what };
        let meta = self.work.get(META_KEY).map_err(|error| self.cannot_read(error))?;
        let meta = meta.ok_or_else(|| corrupt("it has no meta record"))?;
        let (version, rest) =
            meta.split_first_chunk().ok_or_else(|| corrupt("its meta record is too short"))?;
        let version = u32::from_be_bytes(*version);
        if version != FORMAT_VERSION {
            let (path, known) = (self.path.clone(), FORMAT_VERSION);
            return Err(StoreError::UnknownVersion { path, found: version, known });
        }
        let epoch = rest.try_into().map_err(|_| corrupt("its meta record has a wrong length"))?;
        Ok(Epoch(u64::from_be_bytes(epoch)))
    }

    /// Writes a batch, sorted by key, atomically with the epoch which the files then reflect. Not synced.
    pub(crate) fn write(&self, batch: &[Merged<'_>], epoch: Epoch) -> Result<(), StoreError> {
        self.wait_for_room()?;
        let capacity = batch.len() + 1;
        let mut write = OwnedWriteBatch::with_capacity(self.database.clone(), capacity)
            .durability(Some(PersistMode::Buffer));
        for merged in batch {
            let (key, keyspace) = (merged.change.key, self.keyspace_of(merged.change.key));
            match merged.change.value {
                Some(value) => write.insert(keyspace, key, value),
                None if merged.began_with_put && !self.contains(keyspace, key)? => {}
                None => write.remove(keyspace, key),
            }
        }
        write.insert(&self.work, META_KEY, encode_meta(epoch));
        write.commit().map_err(|error| self.cannot_write(error))
    }

    /// Makes everything written durable.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.database.persist(PersistMode::SyncData).map_err(|error| self.cannot_write(error))
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        if key.len() < FIRST_KEY.len() {
            return Ok(None);
        }
        let value = self.keyspace_of(key).get(key).map_err(|error| self.cannot_read(error))?;
        // A copy, because the value is part of a block of many others, which it would keep in memory.
        Ok(value.map(|value| detached(&value)))
    }

    pub(crate) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix.max(&FIRST_KEY)),
        };
        let snapshot = self.database.snapshot();
        let mut found = Vec::new();
        for keyspace in self.keyspaces_of(prefix) {
            let range = snapshot.range::<&[u8], _>(keyspace, (from, Bound::Unbounded));
            for entry in range.take(limit) {
                let (key, value) = entry.into_inner().map_err(|error| self.cannot_read(error))?;
                if !key.starts_with(prefix) {
                    break;
                }
                found.push((detached(&key), detached(&value)));
            }
        }
        found.sort_unstable();
        found.truncate(limit);
        Ok(found)
    }

    pub(crate) fn scan_work<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for entry in self.database.snapshot().range(&self.work, FIRST_KEY..) {
            let (key, value) = entry.into_inner().map_err(|error| self.cannot_read(error))?;
            visit(&key, &value)?;
        }
        Ok(())
    }

    /// Waits while the tree holds too much that it has not yet written to tables. The tree would wait too, but without
    /// noticing that the thread it waits for has failed.
    fn wait_for_room(&self) -> Result<(), StoreError> {
        let cannot_write = |error| self.cannot_write(error);
        let over_limit = || self.database.write_buffer_size() > self.write_buffer_bytes;
        if over_limit() {
            // After a start the memtables may be larger than ever in operation, and nobody has asked to write them.
            self.state.rotate_memtable().map_err(cannot_write)?;
            self.work.rotate_memtable().map_err(cannot_write)?;
        }
        let sealed = || self.state.sealed_memtable_count().max(self.work.sealed_memtable_count());
        while over_limit() || sealed() >= SEALED_MEMTABLES_MAX {
            self.pause()?;
        }
        // More tables than this make reads slow, and at 30 the tree stops. A compaction may not be due, therefore the
        // wait has an end.
        let patience = Instant::now() + COMPACTION_PATIENCE;
        let tables = || self.state.l0_table_count().max(self.work.l0_table_count());
        while tables() >= UNSORTED_TABLES_MAX && Instant::now() < patience {
            self.pause()?;
        }
        Ok(())
    }

    /// Gives the tree's threads some time, and notices if they have failed.
    fn pause(&self) -> Result<(), StoreError> {
        std::thread::sleep(PAUSE);
        self.database.persist(PersistMode::Buffer).map_err(|error| self.cannot_write(error))
    }

    fn contains(&self, keyspace: &Keyspace, key: &[u8]) -> Result<bool, StoreError> {
        keyspace.contains_key(key).map_err(|error| self.cannot_read(error))
    }

    fn keyspace_of(&self, key: &[u8]) -> &Keyspace {
        if key.get(2) == Some(&STATE_KIND) { &self.state } else { &self.work }
    }

    fn keyspaces_of(&self, prefix: &[u8]) -> Vec<&Keyspace> {
        match prefix.get(2) {
            Some(_) => vec![self.keyspace_of(prefix)],
            None => vec![&self.state, &self.work],
        }
    }

    fn cannot_read(&self, source: fjall::Error) -> StoreError {
        StoreError::Read { path: self.path.clone(), source: cause(source) }
    }

    fn cannot_write(&self, source: fjall::Error) -> StoreError {
        StoreError::Write { path: self.path.clone(), source: cause(source) }
    }
}

/// Memtables of one keyspace on their way to disk.
const SEALED_MEMTABLES_MAX: usize = 2;
/// Tables whose ranges overlap, of one keyspace.
const UNSORTED_TABLES_MAX: usize = 16;
const COMPACTION_PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(5);

fn encode_meta(epoch: Epoch) -> Vec<u8> {
    [&FORMAT_VERSION.to_be_bytes()[..], &epoch.0.to_be_bytes()].concat()
}

fn detached(bytes: &Slice) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn open_database(
    path: &Path,
    settings: &Settings,
) -> Result<(Database, Keyspace, Keyspace), fjall::Error> {
    let database = Database::builder(path)
        .cache_size(settings.cache_bytes)
        .max_cached_files(Some(OPEN_FILES_MAX))
        .max_journaling_size(JOURNAL_BYTES_MAX)
        .worker_threads(settings.background_threads.max(1))
        .manual_journal_persist(true)
        .open()?;
    let state = database.keyspace("state", || {
        KeyspaceCreateOptions::default().max_memtable_size(settings.memtable_bytes)
    })?;
    let work = database.keyspace("work", || {
        KeyspaceCreateOptions::default()
            .max_memtable_size(settings.memtable_bytes / 2)
            .data_block_size_policy(BlockSizePolicy::all(16 << 10))
            .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
            .compaction_strategy(Arc::new(Leveled::default().with_table_target_size(16 << 20)))
    })?;
    Ok((database, state, work))
}

fn cannot_open(path: &Path, error: fjall::Error) -> StoreError {
    use fjall::Error as E;
    let path = path.to_owned();
    let hint = match error {
        E::Locked => return StoreError::InUse { path },
        E::InvalidVersion(_) => "run it with the version of the program that wrote the files",
        E::Io(_) | E::Storage(fjall::LsmError::Io(_)) => {
            "check the disk and the permissions of the directory"
        }
        _ => {
            "the files are damaged, and nothing is skipped; restore the data directory from a \
             snapshot or a savepoint"
        }
    };
    StoreError::Open { path, hint, source: cause(error) }
}

fn cause(error: fjall::Error) -> Cause {
    Arc::new(error)
}
