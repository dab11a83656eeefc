//! The store as its owner sees it: what is absorbed can be read at once, and survives.
#![expect(clippy::unwrap_used, reason = "also the helpers here are tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use statera_core::delta::DeltaWriter;
use statera_core::keys::is_written_once;
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

fn delta(changes: &[(&[u8], Option<&[u8]>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut delta = DeltaWriter::new(&mut bytes);
    for (key, value) in changes {
        match value {
            Some(value) => delta.put(key, value),
            None => delta.delete(key),
        }
    }
    bytes
}

trait Absorb {
    fn take(&self, epoch: u64, changes: &[(&[u8], Option<&[u8]>)]);
}

impl Absorb for Store {
    fn take(&self, epoch: u64, changes: &[(&[u8], Option<&[u8]>)]) {
        self.absorb(Epoch(epoch), &[&delta(changes)]).unwrap();
    }
}

fn contents(store: &Store) -> Model {
    let own = |(key, value): (Bytes, Bytes)| (key.to_vec(), value.to_vec());
    store.reader().scan(&[Vec::new()], None, usize::MAX).unwrap().into_iter().map(own).collect()
}

fn raw_keyspace(path: &Path, name: &str) -> (fjall::Database, fjall::Keyspace) {
    let database = fjall::Database::builder(path.join("lsm")).open().unwrap();
    let keyspace = database.keyspace(name, Default::default).unwrap();
    (database, keyspace)
}

const STATE: &[u8] = &[0, 1, 1, b'a'];
const MAIL: &[u8] = &[0, 1, 2, b'a'];

#[test]
fn what_is_absorbed_can_be_read_at_once_and_after_a_start() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    assert!(contents(&store).is_empty());
    store.take(3, &[(STATE, Some(b"1")), (MAIL, Some(b""))]);
    assert_eq!(store.reader().get(STATE).unwrap().unwrap(), &b"1"[..]);
    store.sync_now().unwrap();
    store.take(4, &[(STATE, Some(b"2"))]);
    assert_eq!(store.reader().get(STATE).unwrap().unwrap(), &b"2"[..]);
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
    store.take(1, &[(MAIL, Some(b"1"))]);
    store.close().unwrap();
    assert_eq!(contents(&open(directory.path())).len(), 1);
}

#[test]
fn a_scan_is_sorted_paged_and_keeps_to_its_prefix() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let keys: [&[u8]; 6] =
        [&[0, 0, 2], &[0, 1, 1, 1], &[0, 1, 1, 2], &[0, 1, 2], &[0, 1, 3], &[1, 0, 1]];
    // Half of it in files, half in memory, and some deleted there.
    let gone: &[u8] = &[0, 1, 1, 9];
    store.take(1, &[keys[0], keys[2], keys[4], gone].map(|key| (key, Some(key))));
    store.sync_now().unwrap();
    store.take(2, &[keys[1], keys[3], keys[5]].map(|key| (key, Some(key))));
    store.take(3, &[(gone, None)]);
    let scan = |prefix: &[u8], after: Option<&[u8]>, limit| -> Vec<Bytes> {
        let found = store.reader().scan(&[prefix.to_vec()], after, limit).unwrap();
        found.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(scan(&[], None, 9), keys);
    assert_eq!(scan(&[0, 1], None, 9), keys[1..5]);
    assert_eq!(scan(&[0, 1], None, 3), keys[1..4]);
    assert_eq!(scan(&[0, 1], Some(keys[3]), 3), keys[4..5]);
    assert_eq!(scan(&[0, 1, 1], None, 9), keys[1..3]);
    assert_eq!(scan(&[0, 1, 1], Some(keys[1]), 9), keys[2..3]);
    assert_eq!(scan(&[0, 1, 1], Some(&[0]), 9), keys[1..3]);
    let several = [vec![0, 0], vec![0, 1, 1], vec![0, 1, 3], vec![0, 2]];
    for limit in 0..5 {
        let found = store.reader().scan(&several, Some(&[0, 0, 1]), limit).unwrap();
        let found: Vec<&[u8]> = found.iter().map(|(key, _)| &key[..]).collect();
        assert_eq!(found, [keys[0], keys[1], keys[2], keys[4]][..limit.min(4)]);
    }
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
    store.take(1, &[(MAIL, Some(b"1")), (STATE, Some(b"1"))]);
    store.take(2, &[(MAIL, None), (STATE, None)]);
    store.close().unwrap();
    // The meta record was written when the store was made, and with the batch.
    for (name, entries) in [("work", 2), ("state", 0)] {
        let (_database, keyspace) = raw_keyspace(directory.path(), name);
        assert_eq!(keyspace.approximate_len(), entries, "{name}");
    }
}

#[test]
fn a_key_that_is_in_files_and_then_deleted_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let rewritten: [&[u8]; 2] = [STATE, &[0, 1, 4, b'a']];
    store.take(1, &rewritten.map(|key| (key, Some(&b"1"[..]))));
    store.take(2, &[(MAIL, Some(b"1"))]);
    store.sync_now().unwrap();
    store.take(3, &rewritten.map(|key| (key, Some(&b"2"[..]))));
    store.take(4, &rewritten.map(|key| (key, None)));
    store.take(5, &[(MAIL, None)]);
    assert!(contents(&store).is_empty());
    store.close().unwrap();
    assert!(contents(&open(directory.path())).is_empty());
}

#[test]
fn what_fills_the_memory_becomes_durable_and_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { unflushed_bytes: 100_000, ..Settings::default() };
    let (store, progress) = open_reporting(directory.path(), settings);
    for epoch in 1..=20 {
        store.take(epoch, &[(&[0, 1, 1, epoch as u8], Some(&[7; 10_000]))]);
    }
    let durable = loop {
        match progress.recv_timeout(DEADLINE).expect("something to happen") {
            Progress::Durable(epoch) if epoch >= Epoch(10) => break epoch,
            Progress::Durable(_) => {}
            Progress::Failed(error) => panic!("{error}"),
        }
    };
    drop(store);
    let store = open(directory.path());
    assert!(store.reflected() >= durable);
    assert_eq!(contents(&store).len() as u64, store.reflected().0);
}

#[test]
fn a_key_that_changes_in_many_epochs_is_written_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for epoch in 1..=1_000 {
        store.take(epoch, &[(STATE, Some(&epoch.to_be_bytes()))]);
    }
    store.close().unwrap();
    let (_database, keyspace) = raw_keyspace(directory.path(), "state");
    assert_eq!(keyspace.approximate_len(), 1);
    assert_eq!(keyspace.get(STATE).unwrap().unwrap(), 1_000_u64.to_be_bytes());
}

#[test]
fn a_reader_never_sees_a_value_go_back() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { unflushed_bytes: 20_000, ..Settings::default() };
    let store = Store::open(directory.path(), settings, |_| {}).unwrap();
    let reader = store.reader();
    let seen = std::thread::spawn(move || {
        let (mut last, mut times) = (0, 0_u64);
        while last < 300 {
            if let Some(value) = reader.get(STATE).unwrap() {
                let value = u64::from_be_bytes(value[..].try_into().unwrap());
                assert!(value >= last, "{value} after {last}");
                last = value;
            } else {
                assert_eq!(last, 0, "it is lost");
            }
            times += 1;
        }
        times
    });
    for epoch in 1..=300_u64 {
        let other = [0, 1, 1, 0, epoch as u8];
        store.take(epoch, &[(STATE, Some(&epoch.to_be_bytes())), (&other, Some(&[7; 1_000]))]);
    }
    assert!(seen.join().unwrap() > 0);
}

#[test]
fn an_unknown_format_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.take(1, &[(MAIL, Some(b"1"))]);
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
    store.take(1, &[(MAIL, Some(b"1"))]);
    store.sync_now().unwrap();
    let error = Store::open(directory.path(), Settings::default(), |_| {}).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}

#[test]
fn a_delta_that_cannot_be_read_stops_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let (store, progress) = open_reporting(directory.path(), Settings::default());
    let stopped = |error| matches!(error, StoreError::Delta { epoch: Epoch(1), .. });
    assert!(stopped(store.absorb(Epoch(1), &[&[7]]).unwrap_err()));
    assert!(stopped(store.sync_now().unwrap_err()));
    assert!(stopped(store.absorb(Epoch(2), &[]).unwrap_err()));
    let Progress::Failed(error) = progress.recv_timeout(DEADLINE).unwrap() else { panic!() };
    assert!(stopped(error));
    drop(store);
    assert!(contents(&open(directory.path())).is_empty());
}

/// A crash after function state was written, and before the rest was.
#[test]
fn states_ahead_of_the_reflected_epoch_come_to_the_same_end() {
    let directory = tempfile::tempdir().unwrap();
    let other: &[u8] = &[0, 1, 1, b'b'];
    let late: &[u8] = &[0, 1, 1, b'c'];
    let store = open(directory.path());
    store.take(1, &[(STATE, Some(b"1")), (MAIL, Some(b"1"))]);
    store.close().unwrap();
    // Of epochs 2 and 3 only the states arrived.
    let (database, state) = raw_keyspace(directory.path(), "state");
    let mut ingestion = state.start_ingestion().unwrap();
    ingestion.write_tombstone(STATE).unwrap();
    ingestion.write(other, b"3").unwrap();
    ingestion.write(late, b"3").unwrap();
    ingestion.finish().unwrap();
    drop((state, database));

    let store = open(directory.path());
    assert_eq!(store.reflected(), Epoch(1));
    store.take(2, &[(STATE, Some(b"2")), (other, Some(b"2")), (MAIL, None)]);
    store.take(3, &[(STATE, None), (other, Some(b"3")), (late, Some(b"3"))]);
    store.take(4, &[(late, None)]);
    let expected = Model::from([(other.to_vec(), b"3".to_vec())]);
    assert_eq!(contents(&store), expected);
    store.close().unwrap();
    assert_eq!(contents(&open(directory.path())), expected);
}

#[test]
fn a_damaged_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.take(1, &[(STATE, Some(&noise(1, 1_000)))]);
    store.close().unwrap();
    let damaged = damage(&directory.path().join("lsm"), &noise(1, 1_000)[400..600]);
    assert_eq!(damaged, 1);
    let error = match Store::open(directory.path(), Settings::default(), |_| {}) {
        Ok(store) => store.reader().get(STATE).unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, StoreError::Open { .. } | StoreError::Read { .. }), "{error}");
    assert!(error.to_string().contains("damaged"), "{error}");
}

/// Changes a byte in the middle of these bytes in every file that holds them. Returns how many there are.
fn damage(path: &Path, bytes: &[u8]) -> usize {
    let mut damaged = 0;
    for entry in fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            damaged += damage(&entry, bytes);
            continue;
        }
        let mut content = fs::read(&entry).unwrap();
        if let Some(place) = content.windows(bytes.len()).position(|window| window == bytes) {
            content[place + bytes.len() / 2] ^= 1;
            fs::write(entry, content).unwrap();
            damaged += 1;
        }
    }
    damaged
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
        if let Err(error) = store.absorb(epoch, &[&delta]).and_then(|()| store.sync_now()) {
            break error;
        }
    };
    assert!(matches!(error, StoreError::Write { .. }), "{error}");
    assert!(matches!(store.absorb(Epoch(200), &[]), Err(StoreError::Write { .. })));
    assert!(matches!(store.sync_now(), Err(StoreError::Write { .. })));
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
        store.absorb(*epoch, &[delta]).unwrap();
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
    Sync,
    /// The process ends without a word and starts again.
    Crash,
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
        3 => Just(Step::Sync),
        2 => Just(Step::Crash),
    ]
}

struct World {
    directory: tempfile::TempDir,
    settings: Settings,
    store: Option<Store>,
    log: Vec<(Epoch, Vec<u8>)>,
    model: Model,
}

impl World {
    fn new(unflushed_bytes: usize) -> World {
        let settings = Settings { unflushed_bytes, ..Settings::default() };
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
            Step::Sync => self.store().sync_now().unwrap(),
            Step::Crash => {
                self.store = None;
                self.restart();
            }
        }
    }

    fn epoch(&mut self, changes: &[(Vec<u8>, Option<Vec<u8>>)]) {
        let mut epoch = Vec::new();
        for (key, value) in changes {
            // What is written once is not written over.
            if value.is_some() && is_written_once(key[2]) && self.model.contains_key(key) {
                continue;
            }
            match value {
                Some(value) => drop(self.model.insert(key.clone(), value.clone())),
                None => drop(self.model.remove(key)),
            }
            epoch.push((&key[..], value.as_deref()));
        }
        let (delta, epoch) = (delta(&epoch), Epoch(self.log.len() as u64 + 1));
        self.store().absorb(epoch, &[&delta]).unwrap();
        self.log.push((epoch, delta));
        self.check();
    }

    /// Opens the files again, replays the log and compares with the model.
    fn restart(&mut self) {
        let store = Store::open(self.directory.path(), self.settings.clone(), |_| {}).unwrap();
        let reflected = store.reflected();
        for (epoch, delta) in self.log.iter().filter(|(epoch, _)| *epoch > reflected) {
            store.absorb(*epoch, &[delta]).unwrap();
        }
        self.store = Some(store);
        self.check();
    }

    fn check(&self) {
        assert_eq!(contents(self.store()), self.model);
        let reader = self.store().reader();
        for (key, value) in &self.model {
            assert_eq!(reader.get(key).unwrap().as_deref(), Some(&value[..]));
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
        // A small memory is written to files behind our back.
        let mut world = World::new(if small { 10_000 } else { 64 << 20 });
        for step in steps {
            world.run(step);
        }
        world.check();
        world.run(Step::Crash);
    }
}
