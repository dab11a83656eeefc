//! What every commit log does.

#![expect(
    clippy::unwrap_used,
    reason = "a test says with a panic that it failed, also in its helpers"
)]

use statera_log::disk::SimDisk;
use statera_log::{CommitLog, FileLog, LogError, MemoryLog, Settings};
use statera_model::Epoch;

fn check(test: impl Fn(&mut dyn CommitLog)) {
    test(&mut MemoryLog::new());
    test(&mut FileLog::open_on(SimDisk::new(1), small()).unwrap());
}

fn small() -> Settings {
    Settings { segment_bytes: 16 * 1024, ..Settings::default() }
}

fn read(log: &mut dyn CommitLog, from: u64) -> Result<Vec<(u64, Vec<u8>)>, LogError> {
    let mut found = Vec::new();
    log.replay(Epoch(from), &mut |epoch, payload| {
        found.push((epoch.0, payload.to_vec()));
        Ok(())
    })?;
    Ok(found)
}

fn fill(log: &mut dyn CommitLog, epochs: impl Iterator<Item = u64>) {
    for epoch in epochs {
        log.append(Epoch(epoch), &[b"epoch ", epoch.to_string().as_bytes()]).unwrap();
    }
}

#[test]
fn an_empty_log_replays_nothing_from_anywhere() {
    check(|log| {
        assert_eq!(log.last_epoch(), None);
        assert_eq!(read(log, 0).unwrap(), []);
        assert_eq!(read(log, 77).unwrap(), []);
        log.truncate(Epoch(5)).unwrap();
        assert_eq!(log.last_epoch(), None);
    });
}

#[test]
fn the_parts_of_a_payload_are_joined() {
    check(|log| {
        let large = vec![7; 600_000];
        log.append(Epoch(3), &[b"one ", b"", b"two"]).unwrap();
        log.append(Epoch(4), &[]).unwrap();
        log.append(Epoch(5), &[b"x", &large]).unwrap();
        let found = read(log, 3).unwrap();
        assert_eq!(found[0], (3, b"one two".to_vec()));
        assert_eq!(found[1], (4, vec![]));
        assert_eq!(found[2], (5, [b"x", &large[..]].concat()));
        assert_eq!(log.last_epoch(), Some(Epoch(5)));
    });
}

#[test]
fn a_replay_begins_where_it_is_told() {
    check(|log| {
        fill(log, 1..=20);
        assert_eq!(
            read(log, 19).unwrap(),
            [(19, b"epoch 19".to_vec()), (20, b"epoch 20".to_vec())]
        );
        assert_eq!(read(log, 21).unwrap(), []);
        assert!(matches!(
            read(log, 22),
            Err(LogError::Behind { last: Epoch(20), known: Epoch(21) })
        ));
    });
}

#[test]
fn what_is_after_the_truncation_stays() {
    check(|log| {
        fill(log, 10..=30);
        log.truncate(Epoch(25)).unwrap();
        log.truncate(Epoch(24)).unwrap();
        let epochs: Vec<u64> = read(log, 26).unwrap().iter().map(|(epoch, _)| *epoch).collect();
        assert_eq!(epochs, [26, 27, 28, 29, 30]);
        assert!(matches!(read(log, 9), Err(LogError::Missing { wanted: Epoch(9), .. })));
    });
}

#[test]
fn a_log_truncated_to_its_end_goes_on() {
    check(|log| {
        fill(log, 1..=20);
        log.truncate(Epoch(20)).unwrap();
        assert_eq!(log.last_epoch(), Some(Epoch(20)));
        assert_eq!(read(log, 21).unwrap(), []);
        fill(log, 21..=22);
        assert_eq!(read(log, 21).unwrap().len(), 2);
    });
}

#[test]
fn a_visitor_can_end_the_replay() {
    check(|log| {
        fill(log, 1..=5);
        let mut seen = 0;
        let result = log.replay(Epoch(1), &mut |epoch, _| {
            seen += 1;
            if epoch == Epoch(3) { Err("enough".into()) } else { Ok(()) }
        });
        assert!(matches!(result, Err(LogError::Visit { epoch: Epoch(3), .. })), "{result:?}");
        assert_eq!(seen, 3);
    });
}

#[test]
#[should_panic(expected = "epoch 3 was appended after epoch 1")]
fn leaving_out_an_epoch_is_a_bug() {
    let mut log = MemoryLog::new();
    fill(&mut log, [1, 3].into_iter());
}

#[test]
#[should_panic(expected = "epoch 1 was appended after epoch 1")]
fn repeating_an_epoch_is_a_bug() {
    let mut log = FileLog::open_on(SimDisk::new(1), small()).unwrap();
    fill(&mut log, [1, 1].into_iter());
}
