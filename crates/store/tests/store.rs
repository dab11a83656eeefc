//! The store as its owner sees it: what is absorbed can be read, and survives.
#![expect(clippy::unwrap_used, reason = "also the helpers here are tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use statera_core::delta::{DeltaWriter, changes};
use statera_model::Epoch;
use statera_store::{Progress, Settings, Store, StoreError};

const DEADLINE: Duration = Duration::from_secs(60);

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn open(path: &Path) -> Store {
    Store::open(path, Settings::default(), |_| {}).unwrap()
}

fn open_reporting(path: &Path, settings: Settings) -> (Store, Receiver<Progress>) {
    let (tx, rx) = mpsc::channel();
    (Store::open(path, settings, move |progress| drop(tx.send(progress))).unwrap(), rx)
}

fn delta(changes: &[(&[u8], Option<&[u8]>)]) -> Bytes {
    let mut bytes = Vec::new();
    let mut delta = DeltaWriter::new(&mut bytes);
    for (key, value) in changes {
        match value {
            Some(value) => delta.put(key, value),
            None => delta.delete(key),
        }
    }
    bytes.into()
}

fn contents(store: &Store) -> Model {
    let own = |(key, value): (Bytes, Bytes)| (key.to_vec(), value.to_vec());
    store.reader().scan(&[], None, usize::MAX).unwrap().into_iter().map(own).collect()
}

fn raw_keyspace(path: &Path, name: &str) -> (fjall::Database, fjall::Keyspace) {
    let database = fjall::Database::builder(path.join("lsm")).open().unwrap();
    let keyspace = database.keyspace(name, Default::default).unwrap();
    (database, keyspace)
}

const STATE: &[u8] = &[0, 1, 1, b'a'];
const MAIL: &[u8] = &[0, 1, 2, b'a'];

#[test]
fn what_is_absorbed_can_be_read_after_a_flush_and_after_a_start() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    assert!(contents(&store).is_empty());
    store.absorb(Epoch(3), delta(&[(STATE, Some(b"1")), (MAIL, Some(b""))])).unwrap();
    store.flush_now().unwrap();
    store.absorb(Epoch(4), delta(&[(STATE, Some(b"2"))])).unwrap();
    store.close().unwrap();
    let store = open(directory.path());
    assert_eq!(store.reflected(), Epoch(4));
    let reader = store.reader();
    assert_eq!(reader.get(STATE).unwrap().unwrap(), &b"2"[..]);
    assert_eq!(reader.get(MAIL).unwrap().unwrap(), &b""[..]);
    assert_eq!(reader.get(&[0, 1, 1, b'b']).unwrap(), None);
    assert_eq!(reader.get(&[0]).unwrap(), None, "the meta record is not a key");
}

#[test]
fn nothing_is_made_on_disk_before_something_is_written() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).close().unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn remains_of_a_store_in_the_making_are_cleared_away() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("new/keyspaces")).unwrap();
    fs::write(directory.path().join("new/0.jnl"), b"half").unwrap();
    let store = open(directory.path());
    store.absorb(Epoch(1), delta(&[(MAIL, Some(b"1"))])).unwrap();
    store.close().unwrap();
    assert_eq!(contents(&open(directory.path())).len(), 1);
}

#[test]
fn a_scan_is_sorted_paged_and_keeps_to_its_prefix() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let keys: [&[u8]; 6] =
        [&[0, 0, 2], &[0, 1, 1, 1], &[0, 1, 1, 2], &[0, 1, 2], &[0, 1, 3], &[1, 0, 1]];
    store.absorb(Epoch(1), delta(&keys.map(|key| (key, Some(key))))).unwrap();
    store.flush_now().unwrap();
    let scan = |prefix: &[u8], after: Option<&[u8]>, limit| -> Vec<Bytes> {
        let found = store.reader().scan(prefix, after, limit).unwrap();
        found.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(scan(&[], None, 9), keys);
    assert_eq!(scan(&[0, 1], None, 9), keys[1..5]);
    assert_eq!(scan(&[0, 1], None, 3), keys[1..4]);
    assert_eq!(scan(&[0, 1], Some(keys[3]), 3), keys[4..5]);
    assert_eq!(scan(&[0, 1, 1], None, 9), keys[1..3]);
    assert_eq!(scan(&[0, 1, 1], Some(keys[1]), 9), keys[2..3]);
    assert_eq!(scan(&[0, 1, 1], Some(&[0]), 9), keys[1..3]);
    let mut work = Vec::new();
    let visit = |key: &[u8], value: &[u8]| {
        assert_eq!(key, value);
        work.push(key.to_vec());
        Ok::<(), StoreError>(())
    };
    store.reader().scan_work(visit).unwrap();
    assert_eq!(work, [keys[0], keys[3], keys[4]]);
}

#[test]
fn what_came_and_went_between_two_flushes_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.absorb(Epoch(1), delta(&[(MAIL, Some(b"1")), (STATE, Some(b"1"))])).unwrap();
    store.absorb(Epoch(2), delta(&[(MAIL, None), (STATE, None)])).unwrap();
    store.close().unwrap();
    // The meta record was written when the store was made, and with the batch.
    for (name, entries) in [("work", 2), ("state", 0)] {
        let (_database, keyspace) = raw_keyspace(directory.path(), name);
        assert_eq!(keyspace.approximate_len(), entries, "{name}");
    }
}

#[test]
fn a_flushed_key_that_is_rewritten_and_deleted_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.absorb(Epoch(1), delta(&[(MAIL, Some(b"1")), (STATE, Some(b"1"))])).unwrap();
    store.flush_now().unwrap();
    store.absorb(Epoch(2), delta(&[(MAIL, Some(b"2")), (STATE, Some(b"2"))])).unwrap();
    store.absorb(Epoch(3), delta(&[(MAIL, None), (STATE, None)])).unwrap();
    store.flush_now().unwrap();
    assert!(contents(&store).is_empty());
}

#[test]
fn progress_is_reported_and_a_sync_is_made_when_enough_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { flush_bytes: 1_000, sync_bytes: 5_000, ..Settings::default() };
    let (store, progress) = open_reporting(directory.path(), settings);
    let (mut epoch, mut flushed) = (Epoch::ZERO, Epoch::ZERO);
    let durable = loop {
        epoch = epoch.next();
        store.absorb(epoch, delta(&[(STATE, Some(&[0; 2_000]))])).unwrap();
        match progress.recv_timeout(DEADLINE).expect("something to happen") {
            Progress::Flushed(reached) => flushed = reached,
            Progress::Durable(reached) => break reached,
            Progress::Failed(error) => panic!("{error}"),
        }
    };
    assert_eq!(durable, flushed);
    assert!(durable >= Epoch(2));
}

#[test]
fn an_unknown_format_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.absorb(Epoch(1), delta(&[(MAIL, Some(b"1"))])).unwrap();
    store.close().unwrap();
    let refused = |meta: &[u8]| {
        let (database, work) = raw_keyspace(directory.path(), "work");
        work.insert([0], meta).unwrap();
        drop((work, database));
        Store::open(directory.path(), Settings::default(), |_| {}).unwrap_err()
    };
    let error = refused(&[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert!(matches!(error, StoreError::UnknownVersion { found: 2, known: 1, .. }), "{error}");
    let error = refused(&[0, 0, 0, 1, 0]);
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[test]
fn a_store_in_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.absorb(Epoch(1), delta(&[(MAIL, Some(b"1"))])).unwrap();
    store.flush_now().unwrap();
    let error = Store::open(directory.path(), Settings::default(), |_| {}).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}

#[test]
fn a_delta_that_cannot_be_read_stops_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let (store, progress) = open_reporting(directory.path(), Settings::default());
    store.absorb(Epoch(1), Bytes::from_static(&[7])).unwrap();
    let stopped = |error| matches!(error, StoreError::Delta { epoch: Epoch(1), .. });
    assert!(stopped(store.flush_now().unwrap_err()));
    assert!(stopped(store.absorb(Epoch(2), Bytes::new()).unwrap_err()));
    let Progress::Failed(error) = progress.recv_timeout(DEADLINE).unwrap() else { panic!() };
    assert!(stopped(error));
}

/// Zeroes the last bytes of the journal, as if the machine had lost power before they reached the disk.
fn tear_journal(path: &Path, bytes: usize) {
    let journal = path.join("lsm/0.jnl");
    let mut content = fs::read(&journal).unwrap();
    let end = content.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    content[end - bytes..].fill(0);
    fs::write(journal, content).unwrap();
}

#[test]
fn a_torn_batch_takes_the_store_back_to_the_epoch_before() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for epoch in 1..=3 {
        let value = [epoch as u8; 100];
        store.absorb(Epoch(epoch), delta(&[(STATE, Some(&value)), (MAIL, Some(&value))])).unwrap();
        store.flush_now().unwrap();
    }
    drop(store);
    tear_journal(directory.path(), 150);
    let store = open(directory.path());
    assert_eq!(store.reflected(), Epoch(2));
    assert_eq!(contents(&store)[STATE], [2; 100]);
    assert_eq!(contents(&store)[MAIL], [2; 100]);
}

#[test]
fn a_damaged_batch_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.absorb(Epoch(1), delta(&[(STATE, Some(&[b'x'; 1_000]))])).unwrap();
    store.close().unwrap();
    let journal = directory.path().join("lsm/0.jnl");
    let mut content = fs::read(&journal).unwrap();
    let place = content.windows(9).position(|window| window == [b'x'; 9]).unwrap();
    content[place + 500] = b'y';
    fs::write(journal, content).unwrap();
    let error = Store::open(directory.path(), Settings::default(), |_| {}).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
    assert!(error.to_string().contains("damaged"), "{error}");
}

/// A small file system, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(bytes: usize) -> Option<SmallDisk> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(directory.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| SmallDisk(directory))
    }
}

impl SmallDisk {
    fn grow(&self, bytes: usize) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,size={bytes}")]).arg(self.0.path());
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_is_told_to_everybody_and_loses_nothing_else() {
    let Some(disk) = SmallDisk::mount(8 << 20) else {
        eprintln!("SKIPPED: a full disk needs the right to mount a tmpfs");
        return;
    };
    let path = disk.0.path().join("store");
    let (store, progress) = open_reporting(&path, Settings::default());
    let mut log = Vec::new();
    let error = loop {
        let epoch = Epoch(log.len() as u64 + 1);
        assert!(epoch < Epoch(100), "the disk holds more than was said");
        let delta = delta(&[(&[0, 0, 1, epoch.0 as u8], Some(&noise(epoch.0, 1 << 20)))]);
        log.push((epoch, delta.clone()));
        if let Err(error) = store.absorb(epoch, delta).and_then(|()| store.flush_now()) {
            break error;
        }
    };
    assert!(matches!(error, StoreError::Write { .. }), "{error}");
    assert!(matches!(store.absorb(Epoch(200), Bytes::new()), Err(StoreError::Write { .. })));
    assert!(matches!(store.flush_now(), Err(StoreError::Write { .. })));
    while !matches!(
        progress.recv_timeout(DEADLINE).expect("the failure to be reported"),
        Progress::Failed(StoreError::Write { .. })
    ) {}
    assert!(store.reader().get(&[0, 0, 1, 1]).unwrap().is_some(), "reading goes on");
    drop(store);

    disk.grow(64 << 20);
    let store = open(&path);
    let reflected = store.reflected();
    assert!(reflected > Epoch::ZERO);
    for (epoch, delta) in log.iter().filter(|(epoch, _)| *epoch > reflected) {
        store.absorb(*epoch, delta.clone()).unwrap();
    }
    store.sync_now().unwrap();
    assert_eq!(contents(&store).len(), log.len());
}

/// Bytes that can't be compressed.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let step = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(step).take(bytes).collect()
}

/// One step in the life of a store.
#[derive(Clone, Debug)]
enum Step {
    Epoch(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    Flush,
    Sync,
    /// The process ends without a word and starts again.
    Crash,
    /// As the files are now they are taken elsewhere.
    Copy,
}

fn step() -> impl Strategy<Value = Step> {
    // Few keys, so that they meet again.
    let key =
        (0..2_u8, 1..4_u8, 0..4_u8).prop_map(|(group, kind, rest)| vec![0, group, kind, rest]);
    let value = prop_oneof![
        2 => Just(None),
        3 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Some),
        1 => (any::<u8>(), 1_000..6_000_usize).prop_map(|(byte, length)| Some(vec![byte; length])),
    ];
    prop_oneof![
        12 => proptest::collection::vec((key, value), 0..8).prop_map(Step::Epoch),
        3 => Just(Step::Flush),
        1 => Just(Step::Sync),
        2 => Just(Step::Crash),
        1 => Just(Step::Copy),
    ]
}

struct World {
    directory: tempfile::TempDir,
    settings: Settings,
    store: Option<Store>,
    log: Vec<(Epoch, Bytes)>,
    model: Model,
}

impl World {
    fn new(memtable_bytes: u64) -> World {
        let settings = Settings { memtable_bytes, flush_bytes: 2_000, ..Settings::default() };
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), settings.clone(), |_| {}).unwrap();
        World { directory, settings, store: Some(store), log: Vec::new(), model: Model::new() }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Epoch(changes) => self.epoch(&changes),
            Step::Flush => self.store().flush_now().unwrap(),
            Step::Sync => self.store().sync_now().unwrap(),
            Step::Crash => {
                self.store = None;
                self.restart();
            }
            Step::Copy => {
                self.store().flush_now().unwrap();
                let copy = tempfile::tempdir().unwrap();
                copy_directory(self.directory.path(), copy.path());
                self.store = None;
                self.directory = copy;
                self.restart();
            }
        }
    }

    fn epoch(&mut self, changes_: &[(Vec<u8>, Option<Vec<u8>>)]) {
        let borrowed: Vec<_> = changes_.iter().map(|(k, v)| (&k[..], v.as_deref())).collect();
        let epoch = Epoch(self.log.len() as u64 + 1);
        let delta = delta(&borrowed);
        for change in changes(&delta) {
            let change = change.unwrap();
            match change.value {
                Some(value) => drop(self.model.insert(change.key.to_vec(), value.to_vec())),
                None => drop(self.model.remove(change.key)),
            }
        }
        self.log.push((epoch, delta.clone()));
        self.store().absorb(epoch, delta).unwrap();
    }

    /// Opens the files again, replays the log and compares with the model.
    fn restart(&mut self) {
        let store = Store::open(self.directory.path(), self.settings.clone(), |_| {}).unwrap();
        let reflected = store.reflected();
        for (epoch, delta) in self.log.iter().filter(|(epoch, _)| *epoch > reflected) {
            store.absorb(*epoch, delta.clone()).unwrap();
        }
        self.store = Some(store);
        self.check();
    }

    fn check(&self) {
        self.store().flush_now().unwrap();
        assert_eq!(contents(self.store()), self.model);
        let reader = self.store().reader();
        for (key, value) in &self.model {
            assert_eq!(reader.get(key).unwrap().as_deref(), Some(&value[..]));
        }
    }
}

fn copy_directory(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_directory(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn after_any_crash_the_log_brings_back_what_was_there(
        steps in proptest::collection::vec(step(), 1..40),
        small in any::<bool>(),
    ) {
        // Small memtables become tables behind our back, so that files cannot be copied consistently.
        let mut world = World::new(if small { 4 << 10 } else { 32 << 20 });
        for step in steps {
            let step = match step {
                Step::Copy if small => Step::Crash,
                step => step,
            };
            world.run(step);
        }
        world.check();
        world.run(Step::Crash);
    }
}
