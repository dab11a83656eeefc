//! Who orders the transfers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use statera_e2e::kafka::Producer;

use super::Book;

/// How often the load hands over what is due.
const BEAT: Duration = Duration::from_millis(50);

/// A thread that sends the transfers of a book.
pub(crate) struct Load {
    allowed: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Load {
    pub(crate) fn start(mut producer: Producer, book: &Book, per_second: u64) -> Load {
        let lines: Vec<(String, String)> = book.lines().collect();
        let allowed = Arc::new(AtomicUsize::new(0));
        let for_each_beat = (per_second * BEAT.as_millis() as u64).div_ceil(1000) as usize;
        let thread = std::thread::spawn({
            let allowed = allowed.clone();
            move || {
                let mut sent = 0;
                while sent < lines.len() {
                    let due = (sent + for_each_beat).min(allowed.load(Ordering::Relaxed));
                    for (account, transfer) in &lines[sent..due] {
                        producer.send(Some(account), Some(transfer), &[]).unwrap();
                    }
                    producer.flush().unwrap();
                    sent = due;
                    std::thread::sleep(BEAT);
                }
                producer.finish().unwrap();
            }
        });
        Load { allowed, thread }
    }

    /// Lets it go on up to so many transfers.
    pub(crate) fn allow(&self, transfers: usize) {
        self.allowed.store(transfers, Ordering::Relaxed);
    }

    /// Waits until the brokers have all that is allowed, which is everything.
    pub(crate) fn finish(self) {
        self.thread.join().unwrap();
    }
}
