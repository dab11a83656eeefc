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
//! A table in memory is written as sorted files, beside fjall's journal and memtables, which stay empty: our log is the
//! journal, our table the memtable. State goes first, then the rest and the meta record, each at once and durably. A
//! crash in between leaves states of a later epoch than the meta record tells; the log, which is replayed from that
//! epoch on, brings everything to the same end.
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
use fjall::config::{BlockSizePolicy, CompressionPolicy, PartitioningPolicy, PinningPolicy};
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Slice,
    Snapshot,
};
use statera_model::Epoch;

use crate::table::{Latest, Table};
use crate::{Cause, Settings, StoreError};

/// The version of everything under the directory of the store.
const FORMAT_VERSION: u32 = 1;

const STATE_KIND: u8 = 1;
const META_KEY: [u8; 1] = [0];
/// Sorts behind the meta record and not behind any other key.
const FIRST_KEY: [u8; 2] = [0, 0];

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
        let mut ingestion = work.start_ingestion()?;
        ingestion.write(META_KEY, encode_meta(Epoch::ZERO))?;
        ingestion.finish()?;
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
}

impl Lsm {
    fn open(path: &Path, live: &Path, settings: &Settings) -> Result<Lsm, StoreError> {
        let (database, state, work) =
            open_database(live, settings).map_err(|error| cannot_open(path, error))?;
        Ok(Lsm { state, work, database, path: path.to_owned() })
    }

    /// How many files of tables there are, and what they take on disk.
    pub(crate) fn size(&self) -> (usize, u64) {
        let keyspaces = [&self.state, &self.work];
        let sizes = keyspaces.map(|keyspace| (keyspace.table_count(), keyspace.disk_space()));
        sizes.into_iter().fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
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

    /// Writes a table, durably, with the epoch which the files then reflect.
    pub(crate) fn write(&self, table: &Table, epoch: Epoch) -> Result<(), StoreError> {
        self.wait_for_room()?;
        let reading = table.read();
        let failed = |error| self.cannot_write(error);
        // Begun with the first entry: one without any leaves an empty file.
        let mut state = None;
        let mut work = self.work.start_ingestion().map_err(failed)?;
        work.write(META_KEY, encode_meta(epoch)).map_err(failed)?;
        for Latest { key, value, began_with_put } in reading.sorted() {
            let keyspace = self.keyspace_of(key);
            if value.is_none() && began_with_put && !self.contains(keyspace, key)? {
                continue;
            }
            let into = match (is_state(key), &mut state) {
                (false, _) => &mut work,
                (true, Some(state)) => state,
                (true, none) => none.insert(self.state.start_ingestion().map_err(failed)?),
            };
            match value {
                Some(value) => into.write(key, value).map_err(failed)?,
                None => into.write_tombstone(key).map_err(failed)?,
            }
        }
        state.map_or(Ok(()), |state| state.finish()).map_err(failed)?;
        work.finish().map_err(failed)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        if key.len() < FIRST_KEY.len() {
            return Ok(None);
        }
        let value = self.keyspace_of(key).get(key).map_err(|error| self.cannot_read(error))?;
        // A copy, because the value is part of a block of many others, which it would keep in memory.
        Ok(value.map(|value| detached(&value)))
    }

    /// The files as they are now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.database.snapshot()
    }

    /// The keys of a page, except those that `skip` names.
    pub(crate) fn scan(
        &self,
        snapshot: &Snapshot,
        page: Page<'_>,
        skip: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let mut found = Vec::new();
        for keyspace in self.keyspaces_of(page.prefix) {
            let range = snapshot.range::<&[u8], _>(keyspace, (page.from(), Bound::Unbounded));
            let mut left = page.limit;
            for entry in range {
                let (key, value) = entry.into_inner().map_err(|error| self.cannot_read(error))?;
                if left == 0 || !key.starts_with(page.prefix) {
                    break;
                }
                if !skip(&key) {
                    found.push((detached(&key), detached(&value)));
                    left -= 1;
                }
            }
        }
        Ok(found)
    }

    /// The keys from this one on, of whose kind there must be more than two bytes.
    pub(crate) fn keys_from(&self, snapshot: &Snapshot, from: &[u8]) -> fjall::Iter {
        let range = (Bound::Included(from), Bound::Unbounded);
        snapshot.range::<&[u8], _>(self.keyspace_of(from), range)
    }

    /// The key of an entry.
    pub(crate) fn key(&self, entry: fjall::Guard) -> Result<Slice, StoreError> {
        entry.key().map_err(|error| self.cannot_read(error))
    }

    pub(crate) fn scan_work<E: From<StoreError>>(
        &self,
        snapshot: &Snapshot,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for entry in snapshot.range(&self.work, FIRST_KEY..) {
            let (key, value) = entry.into_inner().map_err(|error| self.cannot_read(error))?;
            visit(&key, &value)?;
        }
        Ok(())
    }

    /// Waits while there are so many tables whose ranges overlap that reads are slow. A compaction may not be due,
    /// therefore the wait has an end.
    fn wait_for_room(&self) -> Result<(), StoreError> {
        let patience = Instant::now() + COMPACTION_PATIENCE;
        let tables = || self.state.l0_table_count().max(self.work.l0_table_count());
        while tables() >= UNSORTED_TABLES_MAX && Instant::now() < patience {
            std::thread::sleep(PAUSE);
        }
        // Notices if the thread that compacts has failed.
        self.database.persist(PersistMode::Buffer).map_err(|error| self.cannot_write(error))
    }

    fn contains(&self, keyspace: &Keyspace, key: &[u8]) -> Result<bool, StoreError> {
        keyspace.contains_key(key).map_err(|error| self.cannot_read(error))
    }

    fn keyspace_of(&self, key: &[u8]) -> &Keyspace {
        if is_state(key) { &self.state } else { &self.work }
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

/// Tables whose ranges overlap, of one keyspace.
const UNSORTED_TABLES_MAX: usize = 16;
const COMPACTION_PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(5);

/// Up to `limit` keys that begin with `prefix` and come behind `after`.
#[derive(Clone, Copy)]
pub(crate) struct Page<'a> {
    pub(crate) prefix: &'a [u8],
    pub(crate) after: Option<&'a [u8]>,
    pub(crate) limit: usize,
}

impl<'a> Page<'a> {
    fn from(&self) -> Bound<&'a [u8]> {
        match self.after {
            Some(after) if after >= self.prefix => Bound::Excluded(after),
            _ => Bound::Included(self.prefix.max(&FIRST_KEY)),
        }
    }
}

/// Whether a key, or a prefix of keys, is one of function state.
pub(crate) fn is_state(key: &[u8]) -> bool {
    key.get(2) == Some(&STATE_KIND)
}

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
        .worker_threads(settings.background_threads.max(1))
        .manual_journal_persist(true)
        .open()?;
    let state = database.keyspace("state", || {
        // Small blocks, because a read of a value is seldom followed by one of its neighbours. Of the first levels,
        // which are small, filters and indexes stay in memory; of the others they pass through the cache in pieces.
        KeyspaceCreateOptions::default()
            .data_block_size_policy(BlockSizePolicy::new([2 << 10, 2 << 10, 4 << 10]))
            .index_block_pinning_policy(PinningPolicy::all(true))
            .filter_block_pinning_policy(PinningPolicy::all(true))
            .index_block_partitioning_policy(PartitioningPolicy::new([false, false, true]))
            .filter_block_partitioning_policy(PartitioningPolicy::new([false, false, true]))
    })?;
    let work = database.keyspace("work", || {
        KeyspaceCreateOptions::default()
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
