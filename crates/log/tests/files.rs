//! The log on real files, damaged in every way that a file can be.

#![expect(
    clippy::unwrap_used,
    reason = "a test says with a panic that it failed, also in its helpers"
)]

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use statera_log::{CommitLog, FileLog, LogError, Preparation, Settings};
use statera_model::Epoch;
use tempfile::TempDir;

const BLOCK: usize = 4096;

fn settings() -> Settings {
    Settings {
        segment_bytes: 4 * BLOCK as u64,
        preparation: Preparation::Inline,
        ..Settings::default()
    }
}

fn open(directory: &Path) -> Result<FileLog, LogError> {
    FileLog::open(directory, settings())
}

fn payload(epoch: u64) -> Vec<u8> {
    format!("payload of epoch {epoch} ").repeat(3).into_bytes()
}

fn fill(log: &mut FileLog, epochs: std::ops::RangeInclusive<u64>) {
    for epoch in epochs {
        log.append(Epoch(epoch), &[&payload(epoch)]).unwrap();
    }
}

/// The epochs from `from` on; each has the payload that belongs to it.
fn read(log: &mut FileLog, from: u64) -> Result<Vec<u64>, LogError> {
    let mut epochs = Vec::new();
    log.replay(Epoch(from), &mut |epoch, found| {
        assert!(found == payload(epoch.0), "wrong payload in epoch {epoch}");
        epochs.push(epoch.0);
        Ok(())
    })?;
    Ok(epochs)
}

fn files(directory: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix))
        .collect();
    files.sort();
    files
}

/// A log of epochs 1 to `last`, three to a segment, and its segments with records.
fn made(last: u64) -> (TempDir, Vec<PathBuf>) {
    let directory = TempDir::new().unwrap();
    fill(&mut open(directory.path()).unwrap(), 1..=last);
    let mut segments = files(directory.path(), "segment-");
    segments.truncate(last.div_ceil(3) as usize);
    (directory, segments)
}

fn flip(file: &Path, offset: usize) {
    let file = fs::File::options().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset as u64).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset as u64).unwrap();
}

#[test]
fn a_log_is_found_again() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("deep/log");
    for last in [1, 2, 9, 10] {
        let mut log = open(&path).unwrap();
        let first = log.last_epoch().map_or(1, |epoch| epoch.0 + 1);
        fill(&mut log, first..=last);
        drop(log);
        let mut log = open(&path).unwrap();
        assert_eq!(read(&mut log, 1).unwrap(), (1..=last).collect::<Vec<_>>());
    }
}

#[test]
fn a_last_record_cut_at_any_byte_is_dropped_and_written_anew() {
    let (directory, segments) = made(3);
    let whole = fs::read(&segments[0]).unwrap();
    let start = 3 * BLOCK;
    let used = 40 + payload(3).len();
    for kept in 0..used {
        // Once the file ends there, once only zeros have arrived.
        let mut zeroed = whole.clone();
        zeroed[start + kept..].fill(0);
        for torn in [&whole[..start + kept], &zeroed] {
            fs::write(&segments[0], torn).unwrap();
            let mut log = open(directory.path()).unwrap();
            assert_eq!(read(&mut log, 1).unwrap(), [1, 2], "cut after {kept} bytes");
        }
    }
    fill(&mut open(directory.path()).unwrap(), 3..=5);
    assert_eq!(read(&mut open(directory.path()).unwrap(), 1).unwrap(), [1, 2, 3, 4, 5]);
}

#[test]
fn a_flipped_bit_at_any_byte_cuts_the_last_record_or_is_reported() {
    for last in [7, 8] {
        let (directory, segments) = made(last);
        let contents: Vec<Vec<u8>> = segments.iter().map(|file| fs::read(file).unwrap()).collect();
        for (number, file) in segments.iter().enumerate() {
            let records = if number == 2 { last as usize - 6 } else { 3 };
            // All bytes that mean something, and some of the padding.
            let offsets = (0..(records + 1) * BLOCK).filter(|at| at % BLOCK < 160 || at % 97 == 0);
            for offset in offsets {
                files(directory.path(), "").iter().for_each(|file| fs::remove_file(file).unwrap());
                for (file, content) in segments.iter().zip(&contents) {
                    fs::write(file, content).unwrap();
                }
                flip(file, offset);
                let result = open(directory.path()).and_then(|mut log| read(&mut log, 1));
                check_flipped(file, offset, (number as u64 * 3, last), result);
            }
        }
    }
}

/// `before`: the last epoch before this file; `last`: the last of the log.
fn check_flipped(
    file: &Path,
    offset: usize,
    (before, last): (u64, u64),
    result: Result<Vec<u64>, LogError>,
) {
    let (block, inside) = (offset / BLOCK, offset % BLOCK);
    let epoch = before + block as u64;
    let covered = if block == 0 { 32 } else { 40 + payload(epoch).len() };
    let is_last = block > 0 && epoch == last;
    match result {
        Ok(epochs) if inside >= covered => assert_eq!(epochs.len() as u64, last, "only padding"),
        Ok(epochs) if is_last => assert_eq!(epochs.len() as u64, last - 1),
        Err(LogError::Corrupt { path, offset: place, .. }) if !is_last => {
            assert_eq!((path.as_str(), place), (file.to_str().unwrap(), (block * BLOCK) as u64));
        }
        Err(LogError::UnknownVersion { path, offset: 8, .. }) if (8..12).contains(&offset) => {
            assert_eq!(path, file.to_str().unwrap());
        }
        other => panic!("{other:?} after a flip at byte {offset} of {}", file.display()),
    }
}

#[test]
fn a_damaged_only_record_of_a_segment_is_reported_if_the_log_goes_on() {
    let directory = TempDir::new().unwrap();
    // Each record fills a segment; the first of all has nothing before it that could tell what is missing.
    let mut log = open(directory.path()).unwrap();
    for epoch in 1..=3 {
        log.append(Epoch(epoch), &[&[7; 3 * BLOCK - 40]]).unwrap();
    }
    drop(log);
    for number in 0..2 {
        let file = &files(directory.path(), "segment-")[number];
        flip(file, BLOCK + 100);
        let read = |mut log: FileLog| log.replay(Epoch(1), &mut |_, _| Ok(()));
        match open(directory.path()).and_then(read) {
            Err(LogError::Corrupt { path, offset, .. }) => {
                assert_eq!((path.as_str(), offset as usize), (file.to_str().unwrap(), BLOCK));
            }
            other => panic!("{other:?}"),
        }
        flip(file, BLOCK + 100);
    }
}

#[test]
fn a_damaged_payload_that_nobody_asks_for_stops_nobody() {
    let (directory, segments) = made(8);
    flip(&segments[0], BLOCK + 60);
    let mut log = open(directory.path()).unwrap();
    assert_eq!(read(&mut log, 2).unwrap(), [2, 3, 4, 5, 6, 7, 8]);
    let refused = read(&mut log, 1).unwrap_err();
    assert!(matches!(refused, LogError::Corrupt { .. }), "{refused}");
}

#[test]
fn a_missing_segment_is_reported_when_it_is_needed() {
    for (missing, from) in [(0, 1), (1, 1), (1, 4), (1, 6)] {
        let (directory, segments) = made(9);
        fs::remove_file(&segments[missing]).unwrap();
        let mut log = open(directory.path()).unwrap();
        let first = missing as u64 * 3 + 4;
        match read(&mut log, from) {
            Err(LogError::Missing { wanted, first: found, path, .. }) => {
                assert_eq!((wanted, found), (Epoch(from), Epoch(first)));
                assert_eq!(path, segments[missing + 1].to_str().unwrap());
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(read(&mut log, first).unwrap(), (first..=9).collect::<Vec<_>>());
    }
    let (directory, segments) = made(9);
    fs::remove_file(&segments[2]).unwrap();
    let mut log = open(directory.path()).unwrap();
    assert!(matches!(read(&mut log, 8), Err(LogError::Behind { last: Epoch(6), known: Epoch(7) })));
}

#[test]
fn a_segment_under_a_wrong_name_is_refused() {
    let (directory, segments) = made(9);
    fs::copy(&segments[0], &segments[1]).unwrap();
    match open(directory.path()).map(|_| ()) {
        Err(LogError::Corrupt { path, offset: 0, .. }) => {
            assert_eq!(path, segments[1].to_str().unwrap());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_empty_or_foreign_segment_file_is_refused() {
    for content in [&b""[..], b"something else entirely, of whatever length it may be"] {
        let (directory, segments) = made(4);
        fs::write(&segments[1], content).unwrap();
        let result = open(directory.path()).map(|_| ());
        assert!(matches!(result, Err(LogError::Corrupt { offset: 0, .. })), "{result:?}");
    }
}

#[test]
fn files_that_are_not_the_logs_are_left_alone() {
    let (directory, _) = made(4);
    fs::write(directory.path().join("LOCK"), "mine").unwrap();
    fs::write(directory.path().join("segment-7"), "mine").unwrap();
    let mut log = open(directory.path()).unwrap();
    fill(&mut log, 5..=20);
    log.truncate(Epoch(20)).unwrap();
    drop(log);
    assert_eq!(fs::read(directory.path().join("LOCK")).unwrap(), b"mine");
    assert_eq!(fs::read(directory.path().join("segment-7")).unwrap(), b"mine");
}

#[test]
fn truncated_segments_are_reused_and_the_rest_is_removed() {
    let directory = TempDir::new().unwrap();
    let mut log = open(directory.path()).unwrap();
    for round in 0..20 {
        let first = round * 30 + 1;
        fill(&mut log, first..=first + 29);
        log.truncate(Epoch(first + 29)).unwrap();
        let kept = files(directory.path(), "").len();
        assert!(kept <= settings().spare_segments_max + 2, "{kept} files in round {round}");
    }
    assert_eq!(files(directory.path(), "spare-").len(), settings().spare_segments_max);
    drop(log);
    let mut log = open(directory.path()).unwrap();
    assert_eq!(log.last_epoch(), Some(Epoch(600)));
    assert_eq!(read(&mut log, 601).unwrap(), []);
}

#[test]
fn old_records_in_a_reused_segment_are_not_taken_for_new_ones() {
    let directory = TempDir::new().unwrap();
    let mut log = open(directory.path()).unwrap();
    fill(&mut log, 1..=10);
    log.truncate(Epoch(10)).unwrap();
    // Into files full of records of epochs that were consecutive once.
    fill(&mut log, 11..=20);
    drop(log);
    let mut log = open(directory.path()).unwrap();
    assert_eq!(log.last_epoch(), Some(Epoch(20)));
    assert_eq!(read(&mut log, 11).unwrap(), (11..=20).collect::<Vec<_>>());
}

#[test]
fn starts_without_an_append_do_not_use_up_space() {
    let (directory, _) = made(4);
    for preparation in [Preparation::Inline, Preparation::Background] {
        for _ in 0..10 {
            FileLog::open(directory.path(), Settings { preparation, ..settings() }).unwrap();
        }
    }
    assert!(files(directory.path(), "").len() <= 4, "{:?}", files(directory.path(), ""));
}

#[test]
fn an_epoch_larger_than_a_segment_makes_its_segment_larger() {
    let directory = TempDir::new().unwrap();
    let large: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let mut log = FileLog::open(directory.path(), settings()).unwrap();
    fill(&mut log, 1..=1);
    log.append(Epoch(2), &[&large[..1_000_000], &large[1_000_000..]]).unwrap();
    fill(&mut log, 3..=4);
    drop(log);
    let mut log = open(directory.path()).unwrap();
    log.replay(Epoch(2), &mut |epoch, found| {
        assert!(found == if epoch == Epoch(2) { large.clone() } else { payload(epoch.0) });
        Ok(())
    })
    .unwrap();
    assert_eq!(log.last_epoch(), Some(Epoch(4)));
    fill(&mut log, 5..=5);
    log.truncate(Epoch(5)).unwrap();
    drop(log);
    let largest =
        files(directory.path(), "").iter().map(|file| fs::metadata(file).unwrap().len()).max();
    assert_eq!(largest, Some(settings().segment_bytes), "large files are not kept");
}
