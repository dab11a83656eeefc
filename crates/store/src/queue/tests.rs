use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

fn settings() -> Settings {
    Settings {
        unflushed_bytes: 10_000,
        flush_bytes: 4_000,
        flush_interval: Duration::from_secs(2),
        sync_bytes: 8_000,
        sync_interval: Duration::from_secs(30),
        ..Settings::default()
    }
}

fn queue() -> Queue {
    Queue::new(settings(), Epoch::ZERO)
}

fn push(queue: &Queue, epoch: u64, bytes: usize) {
    queue.push(Epoch(epoch), vec![0; bytes - size_of::<Absorbed>()].into()).unwrap();
}

fn take(queue: &Queue) -> Vec<u64> {
    let batch = queue.lock().take_batch(queue.settings.flush_bytes);
    batch.iter().map(|absorbed| absorbed.epoch.0).collect()
}

fn due_in(queue: &Queue, passed: Duration) -> Due {
    let state = queue.lock();
    state.due(&queue.settings, Instant::now() + passed)
}

const NOW: Duration = Duration::ZERO;
const SECONDS_3: Duration = Duration::from_secs(3);
const SECONDS_31: Duration = Duration::from_secs(31);

#[test]
fn an_idle_store_sleeps_without_end() {
    let queue = queue();
    assert_eq!(due_in(&queue, SECONDS_31), Due::Later(None));
    push(&queue, 1, 100);
    assert!(matches!(due_in(&queue, NOW), Due::Later(Some(_))));
    take(&queue);
    queue.flushed(Epoch(1));
    assert!(matches!(due_in(&queue, SECONDS_3), Due::Later(Some(_))));
    assert_eq!(queue.synced(), Epoch(1));
    assert_eq!(due_in(&queue, SECONDS_31), Due::Later(None));
}

#[test]
fn a_flush_is_due_when_a_batch_is_full_or_its_oldest_epoch_old() {
    let queue = queue();
    push(&queue, 1, 100);
    assert_eq!(due_in(&queue, SECONDS_3), Due::Flush);
    push(&queue, 2, 3_900);
    assert_eq!(due_in(&queue, NOW), Due::Flush);
}

#[test]
fn a_sync_is_due_when_much_or_old_is_not_durable() {
    let queue = queue();
    push(&queue, 1, 100);
    take(&queue);
    queue.flushed(Epoch(1));
    assert_eq!(due_in(&queue, SECONDS_31), Due::Sync);
    push(&queue, 2, 4_000);
    take(&queue);
    queue.flushed(Epoch(2));
    push(&queue, 3, 4_000);
    take(&queue);
    queue.flushed(Epoch(3));
    push(&queue, 4, 4_000);
    assert_eq!(due_in(&queue, NOW), Due::Sync, "a full queue must not put it off");
    queue.synced();
    assert_eq!(due_in(&queue, NOW), Due::Flush);
}

#[test]
fn a_batch_is_not_larger_than_its_limit_unless_one_epoch_is() {
    let queue = queue();
    for (epoch, bytes) in [(1, 3_000), (2, 1_000), (3, 100), (4, 5_000)] {
        push(&queue, epoch, bytes);
    }
    assert_eq!(take(&queue), [1, 2]);
    queue.flushed(Epoch(2));
    assert_eq!(take(&queue), [3]);
    queue.flushed(Epoch(3));
    assert_eq!(take(&queue), [4]);
}

#[test]
fn an_epoch_is_taken_once_and_in_order() {
    let queue = queue();
    push(&queue, 5, 100);
    for epoch in [Epoch(4), Epoch(5)] {
        let error = queue.push(epoch, Bytes::new()).unwrap_err();
        assert!(matches!(error, StoreError::OutOfOrder { absorbed: Epoch(5), .. }), "{error:?}");
    }
}

#[test]
fn absorbing_waits_while_too_much_is_unflushed() {
    let queue = Arc::new(queue());
    push(&queue, 1, 12_000); // Larger than the limit, but alone.
    let (done_tx, done) = mpsc::channel();
    let absorber = std::thread::spawn({
        let queue = Arc::clone(&queue);
        move || {
            push(&queue, 2, 6_000);
            push(&queue, 3, 6_000);
            done_tx.send(()).unwrap();
        }
    });
    let step = |expected: &[u64]| {
        let Step::Flush(batch) = queue.next_step() else { panic!("not a flush") };
        let epochs: Vec<u64> = batch.iter().map(|absorbed| absorbed.epoch.0).collect();
        assert_eq!(epochs, expected);
    };
    step(&[1]);
    assert!(done.try_recv().is_err(), "epoch 1 still being written fills the memory");
    assert_eq!(queue.lock().absorbed, Epoch(1));
    queue.flushed(Epoch(1));
    queue.synced();
    step(&[2]);
    assert!(done.try_recv().is_err(), "epochs 2 and 3 together exceed the limit");
    queue.flushed(Epoch(2));
    queue.synced();
    done.recv_timeout(DEADLINE).expect("epoch 3 has room");
    absorber.join().unwrap();
}

#[test]
fn everybody_learns_that_the_flusher_has_ended() {
    let queue = Arc::new(queue());
    push(&queue, 1, 12_000);
    let waiters: Vec<_> = (0..3)
        .map(|nth| {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || match nth {
                0 => queue.flush(),
                1 => queue.sync(),
                _ => queue.push(Epoch(2), vec![0; 100].into()),
            })
        })
        .collect();
    queue.end(StoreError::Closed);
    queue.end(StoreError::OutOfOrder { epoch: Epoch(1), absorbed: Epoch(1) });
    for waiter in waiters {
        assert!(matches!(waiter.join().unwrap(), Err(StoreError::Closed)));
    }
    assert!(matches!(queue.push(Epoch(2), Bytes::new()), Err(StoreError::Closed)));
}

#[test]
fn who_waits_for_a_flush_does_not_wait_for_the_batch_to_fill() {
    let queue = Arc::new(queue());
    push(&queue, 1, 100);
    let waiter = std::thread::spawn({
        let queue = Arc::clone(&queue);
        move || queue.sync()
    });
    assert!(matches!(queue.next_step(), Step::Flush(_)));
    queue.flushed(Epoch(1));
    assert!(matches!(queue.next_step(), Step::Sync));
    queue.synced();
    waiter.join().unwrap().unwrap();
}
