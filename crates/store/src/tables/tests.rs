use std::sync::mpsc;
use std::time::Duration;

use statera_core::delta::DeltaWriter;

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

fn settings() -> Settings {
    Settings {
        unflushed_bytes: 100_000,
        replay_bytes: 100 * EPOCH_BYTES_MIN,
        flush_interval: Duration::from_secs(30),
        ..Settings::default()
    }
}

fn tables() -> Tables {
    Tables::new(settings(), Epoch::ZERO)
}

fn key(rest: u8) -> [u8; 4] {
    [0, 0, 1, rest]
}

fn put(rest: u8, value: &[u8]) -> Vec<u8> {
    let mut delta = Vec::new();
    DeltaWriter::new(&mut delta).put(&key(rest), value);
    delta
}

/// An epoch with one key of its own.
fn absorb(tables: &Tables, epoch: u64, bytes: usize) {
    tables.absorb(Epoch(epoch), &[&put(epoch as u8, &vec![7; bytes])]).unwrap();
}

fn seal(tables: &Tables) -> u64 {
    match tables.next_step() {
        Ok(Step::Flush(_, epoch)) => epoch.0,
        other => panic!("not a flush but {other:?}"),
    }
}

fn due_in(tables: &Tables, passed: Duration) -> Due {
    tables.lock().due(&tables.settings, Instant::now() + passed)
}

const NOW: Duration = Duration::ZERO;
const SECONDS_31: Duration = Duration::from_secs(31);

#[test]
fn an_idle_store_sleeps_without_end() {
    let tables = tables();
    assert_eq!(due_in(&tables, SECONDS_31), Due::Later(None));
    absorb(&tables, 1, 100);
    assert!(matches!(due_in(&tables, NOW), Due::Later(Some(_))));
    assert_eq!(due_in(&tables, SECONDS_31), Due::Flush);
    tables.lock().blocked = 1;
    assert_eq!(seal(&tables), 1);
    tables.lock().blocked = 0;
    tables.flushed(Epoch(1));
    assert_eq!(due_in(&tables, SECONDS_31), Due::Later(None));
}

#[test]
fn a_flush_is_due_when_half_of_the_memory_is_used() {
    let tables = tables();
    absorb(&tables, 1, 40_000);
    assert!(matches!(due_in(&tables, NOW), Due::Later(_)));
    absorb(&tables, 2, 20_000);
    assert_eq!(due_in(&tables, NOW), Due::Flush);
}

#[test]
fn a_flush_is_due_when_a_start_would_have_to_read_much_again() {
    let tables = tables();
    for epoch in 1..75 {
        tables.absorb(Epoch(epoch), &[&put(1, b"again and again")]).unwrap();
    }
    assert!(matches!(due_in(&tables, NOW), Due::Later(_)));
    tables.absorb(Epoch(75), &[&put(1, b"again and again")]).unwrap();
    assert_eq!(due_in(&tables, NOW), Due::Flush);
}

#[test]
fn an_epoch_is_taken_once_and_in_order() {
    let tables = tables();
    absorb(&tables, 5, 100);
    for epoch in [Epoch(4), Epoch(5)] {
        let error = tables.absorb(epoch, &[]).unwrap_err();
        assert!(matches!(error, StoreError::OutOfOrder { absorbed: Epoch(5), .. }), "{error:?}");
    }
}

#[test]
fn what_is_sealed_is_read_under_what_came_after_it() {
    let tables = tables();
    let get = |rest| tables.get(&key(rest)).map(|value| value.map(|value| value[0]));
    tables.absorb(Epoch(1), &[&put(1, b"a"), &put(2, b"a")]).unwrap();
    tables.lock().wanted = Epoch(1);
    assert_eq!(seal(&tables), 1);
    let mut gone = Vec::new();
    DeltaWriter::new(&mut gone).delete(&key(2));
    tables.absorb(Epoch(2), &[&gone, &put(3, b"b")]).unwrap();
    assert_eq!([1, 2, 3, 4].map(get), [Some(Some(b'a')), Some(None), Some(Some(b'b')), None]);
    let (changed, ()) = tables.changed(|_| true, || ());
    let changed: Vec<_> = changed.iter().map(|(key, value)| (key[3], value.is_some())).collect();
    assert_eq!(changed, [(1, true), (2, false), (3, true)]);
    tables.flushed(Epoch(1));
    assert_eq!([1, 2, 3].map(get), [None, Some(None), Some(Some(b'b'))]);
}

/// Absorbs `first`, which is sealed, then the others on a thread of their own; the last of them must wait.
fn check_waits(bytes: [usize; 3]) {
    let tables = Arc::new(tables());
    absorb(&tables, 1, bytes[0]);
    tables.lock().wanted = Epoch(1);
    assert_eq!(seal(&tables), 1);
    absorb(&tables, 2, bytes[1]);
    let (done_tx, done) = mpsc::channel();
    let absorber = std::thread::spawn({
        let tables = Arc::clone(&tables);
        move || {
            absorb(&tables, 3, bytes[2]);
            done_tx.send(()).unwrap();
        }
    });
    let started = Instant::now();
    while tables.lock().blocked == 0 {
        assert!(started.elapsed() < DEADLINE, "epoch 3 found room");
        std::thread::yield_now();
    }
    assert_eq!(tables.absorbed(), Epoch(2));
    tables.flushed(Epoch(1));
    // Who waits for room does not wait for the table to fill.
    if done.try_recv().is_err() && tables.lock().blocked > 0 {
        assert_eq!(seal(&tables), 2);
        tables.flushed(Epoch(2));
    }
    done.recv_timeout(DEADLINE).expect("epoch 3 has room");
    absorber.join().unwrap();
}

#[test]
fn absorbing_waits_while_memory_is_full() {
    check_waits([40_000, 40_000, 40_000]);
}

#[test]
fn absorbing_waits_while_the_log_is_too_long() {
    let tables = Arc::new(tables());
    tables.absorb(Epoch(1), &[&put(1, b"1")]).unwrap();
    tables.lock().open.log = 90 * EPOCH_BYTES_MIN;
    assert_eq!(seal(&tables), 1);
    for epoch in 2..=11 {
        tables.absorb(Epoch(epoch), &[&put(1, b"1")]).unwrap();
    }
    let waiter = std::thread::spawn({
        let tables = Arc::clone(&tables);
        move || tables.absorb(Epoch(12), &[&put(1, b"1")])
    });
    let started = Instant::now();
    while tables.lock().blocked == 0 {
        assert!(started.elapsed() < DEADLINE, "epoch 12 found room");
        std::thread::yield_now();
    }
    tables.flushed(Epoch(1));
    waiter.join().unwrap().unwrap();
}

#[test]
fn a_single_epoch_may_exceed_every_limit() {
    absorb(&tables(), 1, 1_000_000);
}

#[test]
fn everybody_learns_that_the_flusher_has_ended() {
    let tables = Arc::new(tables());
    absorb(&tables, 1, 120_000);
    let waiters: Vec<_> = (0..2)
        .map(|nth| {
            let tables = Arc::clone(&tables);
            std::thread::spawn(move || match nth {
                0 => tables.sync(),
                _ => tables.absorb(Epoch(2), &[&put(1, b"1")]),
            })
        })
        .collect();
    tables.end(StoreError::Closed);
    tables.end(StoreError::OutOfOrder { epoch: Epoch(1), absorbed: Epoch(1) });
    for waiter in waiters {
        assert!(matches!(waiter.join().unwrap(), Err(StoreError::Closed)));
    }
    assert!(matches!(tables.absorb(Epoch(2), &[]), Err(StoreError::Closed)));
}

#[test]
fn half_an_epoch_is_never_written() {
    let tables = tables();
    absorb(&tables, 1, 60_000);
    let good = put(1, b"1");
    let error = tables.absorb(Epoch(2), &[&good, &[7]]).unwrap_err();
    assert!(matches!(error, StoreError::Delta { epoch: Epoch(2), .. }), "{error:?}");
    assert!(matches!(tables.next_step(), Err(StoreError::Delta { .. })));
    assert!(matches!(tables.sync(), Err(StoreError::Delta { .. })));
}

#[test]
fn who_waits_until_all_is_durable_does_not_wait_for_the_table_to_fill() {
    let tables = Arc::new(tables());
    absorb(&tables, 1, 100);
    let waiter = std::thread::spawn({
        let tables = Arc::clone(&tables);
        move || tables.sync()
    });
    assert_eq!(seal(&tables), 1);
    tables.flushed(Epoch(1));
    waiter.join().unwrap().unwrap();
}
