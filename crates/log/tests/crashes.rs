//! Random lives of a log on a disk that loses, tears and refuses: after every start all that was acknowledged is there.
//!
//! `LOG_SEEDS=10000` runs that many seeds; `LOG_SEED=7` one.

#![expect(
    clippy::unwrap_used,
    reason = "a test says with a panic that it failed, also in its helpers"
)]

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use statera_log::disk::SimDisk;
use statera_log::{CommitLog, Durability, FileLog, LogError, Preparation, Settings};
use statera_model::Epoch;

const SEEDS: u64 = 60;
const STEPS: usize = 150;
/// Seeds that found something, and what.
const FOUND: [u64; 3] = [
    31,  // A segment whose preparation failed at the end stayed, empty, before its successor.
    59,  // After one segment could not be freed the next one was: a hole in a log without fsync.
    129, // Of several segments dropped at a start a crash brought back only the later ones.
];

#[test]
fn what_was_acknowledged_survives() {
    let variable = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = variable("LOG_SEED") {
        return live(seed);
    }
    let fresh = RandomState::new().hash_one(0) >> 16;
    let seeds = 0..variable("LOG_SEEDS").unwrap_or(SEEDS);
    seeds.chain(FOUND).chain([fresh]).for_each(|seed| {
        let result = std::panic::catch_unwind(|| live(seed));
        if let Err(panic) = result {
            eprintln!("failed with LOG_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    });
}

fn live(seed: u64) {
    let mut life = Life::new(seed);
    for _ in 0..STEPS {
        life.step();
    }
    assert!(life.epochs_acknowledged > 0 || life.settings.durability == Durability::None);
}

struct Life {
    random: u64,
    disk: SimDisk,
    settings: Settings,
    log: Option<FileLog>,
    /// What must be there: acknowledged, or found at a start.
    expected: BTreeMap<u64, Vec<u8>>,
    /// An append that failed: it may be there or not.
    doubtful: Option<(u64, Vec<u8>)>,
    next: u64,
    truncated: u64,
    epochs_acknowledged: usize,
}

impl Life {
    fn new(seed: u64) -> Life {
        let mut life = Life {
            random: seed,
            disk: SimDisk::new(!seed),
            settings: Settings {
                segment_bytes: [8, 16, 64][(seed % 3) as usize] * 1024,
                spare_segments_max: (seed / 3 % 3) as usize,
                durability: if seed % 5 == 4 { Durability::None } else { Durability::Fsync },
                preparation: if seed % 7 == 6 {
                    Preparation::Background
                } else {
                    Preparation::Inline
                },
            },
            log: None,
            expected: BTreeMap::new(),
            doubtful: None,
            next: 1,
            truncated: 0,
            epochs_acknowledged: 0,
        };
        life.next += life.below(1000);
        life.truncated = life.next - 1;
        life.open();
        life
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % limit
    }

    fn step(&mut self) {
        match self.below(100) {
            0..70 => self.append(),
            70..80 => self.truncate(),
            80..84 => self.restart(),
            84..90 => self.crash(),
            90..96 => {
                let count = 1 + self.below(12);
                self.disk.fail_after(count);
            }
            _ => {
                let room = self.below(40_000);
                self.disk.set_capacity(self.disk.used_bytes() + room);
            }
        }
    }

    fn append(&mut self) {
        let size = match self.below(10) {
            0 => self.below(100_000),
            1 => 0,
            _ => self.below(9_000),
        };
        let payload: Vec<u8> = (0..size).map(|_| self.below(256) as u8).collect();
        let (head, tail) = payload.split_at(payload.len() / 3);
        let log = self.log.as_mut().unwrap();
        match log.append(Epoch(self.next), &[head, tail]) {
            Ok(()) => {
                self.expected.insert(self.next, payload);
                self.next += 1;
                self.epochs_acknowledged += 1;
            }
            Err(LogError::Io { .. } | LogError::Full { .. }) => {
                let again = log.append(Epoch(self.next), &[]);
                assert!(matches!(again, Err(LogError::Poisoned)), "{again:?}");
                self.doubtful = Some((self.next, payload));
                if self.below(2) == 0 { self.restart() } else { self.crash() }
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn truncate(&mut self) {
        let kept = self.below(12);
        self.truncated = self.truncated.max((self.next - 1).saturating_sub(kept));
        self.log.as_mut().unwrap().truncate(Epoch(self.truncated)).unwrap();
        self.expected = self.expected.split_off(&(self.truncated + 1));
    }

    /// The process ends and comes back; what it wrote is still in the cache of the system.
    fn restart(&mut self) {
        self.log = None;
        self.open();
    }

    fn crash(&mut self) {
        self.disk.crash();
        self.log = None;
        if self.settings.durability == Durability::None {
            return self.open_after_loss();
        }
        self.open();
    }

    fn open(&mut self) {
        let from = self.truncated + 1;
        let found = replay(self.start(), from).unwrap();
        if let Some((epoch, payload)) = self.doubtful.take()
            && found.get(&epoch) == Some(&payload)
        {
            self.expected.insert(epoch, payload);
            self.next = epoch + 1;
        }
        assert!(found == self.expected, "{:?} instead of {:?}", found.keys(), self.expected.keys());
    }

    /// Without fsync a crash may take away any number of epochs from the end; no wrong ones appear.
    fn open_after_loss(&mut self) {
        let truncated = self.truncated;
        let log = self.start();
        let last = log.last_epoch().map_or(truncated, |last| last.0);
        if last < truncated {
            // Even truncated epochs are gone. A new life on a new disk.
            let seed = self.below(1 << 30);
            (self.disk, self.log) = (SimDisk::new(seed), None);
            (self.expected, self.doubtful) = (BTreeMap::new(), None);
            self.truncated = self.next - 1;
            return self.open();
        }
        let found = replay(log, truncated + 1).unwrap();
        self.expected.extend(self.doubtful.take());
        let rest = self.expected.split_off(&(truncated + 1 + found.len() as u64));
        assert!(found == self.expected, "{:?} before {:?}", found.keys(), rest.keys());
        self.next = last + 1;
    }

    /// Starts until nothing fails. The disk has room again, as it has to have for a start.
    fn start(&mut self) -> &mut FileLog {
        self.disk.set_capacity(u64::MAX);
        let log = match FileLog::open_on(self.disk.clone(), self.settings) {
            Err(LogError::Io { .. }) => {
                self.disk.stop_failing();
                if self.settings.durability == Durability::Fsync && self.below(2) == 0 {
                    self.disk.crash();
                }
                FileLog::open_on(self.disk.clone(), self.settings).unwrap()
            }
            result => result.unwrap(),
        };
        self.disk.stop_failing();
        self.log.insert(log)
    }
}

fn replay(log: &mut FileLog, from: u64) -> Result<BTreeMap<u64, Vec<u8>>, LogError> {
    let mut found = BTreeMap::new();
    log.replay(Epoch(from), &mut |epoch, payload| {
        if let Some((last, _)) = found.last_key_value() {
            assert_eq!(epoch.0, last + 1, "out of order");
        }
        found.insert(epoch.0, payload.to_vec());
        Ok(())
    })?;
    Ok(found)
}

#[test]
fn a_full_disk_loses_nothing_and_the_log_goes_on_after_a_restart_with_room() {
    let disk = SimDisk::new(3);
    let settings = Settings { segment_bytes: 16 * 1024, ..Settings::default() };
    disk.set_capacity(100 * 1024);
    let mut log = FileLog::open_on(disk.clone(), settings).unwrap();
    let error = (1..).find_map(|epoch| log.append(Epoch(epoch), &[&[1; 5000]]).err()).unwrap();
    assert!(matches!(error, LogError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("hint:"), "{error}");
    let last = log.last_epoch().unwrap();
    assert!(last >= Epoch(4));
    drop(log);

    disk.set_capacity(u64::MAX);
    let mut log = FileLog::open_on(disk.clone(), settings).unwrap();
    assert_eq!(log.last_epoch(), Some(last));
    assert_eq!(replay(&mut log, 1).unwrap().len() as u64, last.0);
    log.append(last.next(), &[b"goes on"]).unwrap();
}

#[test]
fn a_preparation_that_failed_early_is_tried_again_when_it_is_needed() {
    let disk = SimDisk::new(3);
    let settings = Settings {
        segment_bytes: 32 * 1024,
        preparation: Preparation::Inline,
        ..Settings::default()
    };
    let mut log = FileLog::open_on(disk.clone(), settings).unwrap();
    log.append(Epoch(1), &[b""]).unwrap();
    disk.set_capacity(disk.used_bytes());
    for epoch in 2..=7 {
        log.append(Epoch(epoch), &[b""]).unwrap();
    }
    disk.set_capacity(u64::MAX);
    log.append(Epoch(8), &[b""]).unwrap();
    assert_eq!(replay(&mut log, 1).unwrap().len(), 8);
}

#[test]
fn nothing_is_written_while_the_log_is_idle() {
    let disk = SimDisk::new(3);
    let mut log = FileLog::open_on(disk.clone(), Settings::default()).unwrap();
    log.append(Epoch(1), &[b"one"]).unwrap();
    // Were there any operation left to come, dropping the log would have to wait for it, and would find it failing.
    disk.fail_after(1);
    log.replay(Epoch(1), &mut |_, _| Ok(())).unwrap();
    log.truncate(Epoch(1)).unwrap();
    drop(log);
    disk.stop_failing();
    assert_eq!(disk.used_bytes(), 1024 * 1024);
}
