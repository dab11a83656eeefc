//! Threads that block for an egress, and are left behind when they don't come back.
//!
//! Once the broker that they talk to is lost, some calls of the client library wait for ever, whatever time they were given
//! (librdkafka's issues 5456 and 5511), and nobody can end a thread that is in such a call. So what blocks gives [`Signs`] of
//! life. When there was none for a while the thread is left with all that it owns, and the next job is given to a new
//! one. A thread that comes back after all is told that nobody waits for it, and ends.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use statera_ports::SinkError;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a thread may give no sign of life: more than twice what two calls of the client may take.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// The most threads of an egress that don't come back at a time. Each holds a client, some megabytes.
const LEFT_MAX: usize = 8;

/// How often it is looked for signs of life.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How long the end waits for an idle thread to close its clients, which may still send what they have.
const CLOSE_MAX: Duration = Duration::from_secs(6);

/// What a job tells those who wait for it, and the other way round.
#[derive(Debug)]
pub(super) struct Signs {
    last: Mutex<Instant>,
    /// Nobody waits any more: the job must come to an end soon.
    abandoned: AtomicBool,
}

impl Signs {
    fn new() -> Signs {
        Signs { last: Mutex::new(Instant::now()), abandoned: AtomicBool::new(false) }
    }

    /// Gives a sign of life. Returns whether to go on, because somebody still waits.
    pub(super) fn go_on(&self) -> bool {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        !self.abandoned.load(Ordering::SeqCst)
    }

    fn silence(&self) -> Duration {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// Lets a job know that nobody waits for it any more.
struct AbandonOnDrop(Arc<Signs>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::SeqCst);
    }
}

/// One thread, which owns a `W`, and those before it that did not come back.
pub(super) struct Threads<W> {
    make: Box<dyn Fn() -> W + Send>,
    current: Option<Thread<W>>,
    left: Vec<Ended>,
    silence_max: Duration,
}

type Job<W> = Box<dyn FnOnce(&mut W) + Send>;

/// Disconnected when the thread has ended.
type Ended = Receiver<Infallible>;

struct Thread<W> {
    jobs: Sender<Job<W>>,
    ended: Ended,
    /// Whether it may have a job, which nobody waits for unless a call of [`Threads::run`] does.
    is_busy: bool,
}

impl<W: Send + 'static> Threads<W> {
    /// Without a thread yet. Each owns what `make` made, which must not block.
    pub(super) fn new(make: impl Fn() -> W + Send + 'static) -> Threads<W> {
        Threads { make: Box::new(make), current: None, left: Vec::new(), silence_max: SILENCE_MAX }
    }

    /// Has a thread do something that blocks, and waits for it.
    ///
    /// # Errors
    /// Those of the job; if the thread gives no sign of life; if too many threads did not.
    pub(super) async fn run<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut W, &Signs) -> Result<T, SinkError> + Send + 'static,
    ) -> Result<T, SinkError> {
        let signs = Arc::new(Signs::new());
        let _guard = AbandonOnDrop(signs.clone());
        let (sender, mut result) = oneshot::channel();
        let silence_max = self.silence_max;
        let thread = self.thread()?;
        thread.is_busy = true;
        let job: Job<W> = Box::new({
            let signs = signs.clone();
            // Whoever waited may have gone.
            move |writer| drop(sender.send(job(writer, &signs)))
        });
        // If it has ended, the sender ends with the job.
        let _ = thread.jobs.send(job);
        loop {
            match timeout(LOOK_INTERVAL.min(silence_max), &mut result).await {
                Ok(Ok(done)) => {
                    thread.is_busy = false;
                    return done;
                }
                Ok(Err(_)) => {
                    self.current = None;
                    return Err(error("the thread of a Kafka egress has panicked"));
                }
                Err(_) if signs.silence() > silence_max => return Err(self.leave()),
                Err(_) => {}
            }
        }
    }

    fn thread(&mut self) -> Result<&mut Thread<W>, SinkError> {
        self.left.retain(|ended| ended.try_recv() != Err(TryRecvError::Disconnected));
        if self.current.is_none() {
            if self.left.len() >= LEFT_MAX {
                return Err(error(&format!(
                    "{LEFT_MAX} Kafka clients in a row have not come back, and no more are made; \
                     hint: see that all brokers of the cluster are there, then restart Statera, which loses and doubles nothing"
                )));
            }
            let thread = Thread::start((self.make)());
            self.current = Some(thread.map_err(|source| SinkError {
                doing: "cannot start the thread of a Kafka egress".to_owned(),
                source: Some(source.into()),
            })?);
        }
        Ok(self.current.as_mut().expect("just made"))
    }

    /// Goes on without the current thread.
    fn leave(&mut self) -> SinkError {
        self.left.extend(self.current.take().map(|thread| thread.ended));
        let (seconds, count) = (self.silence_max.as_secs(), self.left.len());
        error(&format!(
            "a Kafka client has not come back for {seconds} s and is left behind, the {count}. of {LEFT_MAX}; \
             another one takes over"
        ))
    }
}

fn error(doing: &str) -> SinkError {
    SinkError { doing: doing.to_owned(), source: None }
}

impl<W: Send + 'static> Thread<W> {
    fn start(mut writer: W) -> std::io::Result<Thread<W>> {
        let (jobs, received) = mpsc::channel::<Job<W>>();
        let (ends, ended) = mpsc::channel();
        let run = move || {
            for job in received {
                job(&mut writer);
            }
            drop(writer);
            drop(ends);
        };
        std::thread::Builder::new().name("kafka-egress".to_owned()).spawn(run)?;
        Ok(Thread { jobs, ended, is_busy: false })
    }
}

impl<W> Drop for Threads<W> {
    /// Waits for an idle thread to close what it owns, and for no other.
    fn drop(&mut self) {
        if let Some(Thread { jobs, ended, is_busy: false }) = self.current.take() {
            drop(jobs);
            let _ = ended.recv_timeout(CLOSE_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const SILENCE: Duration = Duration::from_millis(20);

    /// Numbers its threads.
    fn threads() -> Threads<usize> {
        let made = AtomicUsize::new(0);
        let mut threads = Threads::new(move || made.fetch_add(1, Ordering::Relaxed));
        threads.silence_max = SILENCE;
        threads
    }

    async fn number(threads: &mut Threads<usize>) -> Result<usize, SinkError> {
        threads.run(|number, _| Ok(*number)).await
    }

    /// A call that comes back when the sender is dropped.
    async fn hang(threads: &mut Threads<usize>) -> (Sender<()>, SinkError) {
        let (sender, receiver) = mpsc::channel::<()>();
        let hung = threads.run(move |_, _| Ok(receiver.recv().is_ok())).await;
        (sender, hung.unwrap_err())
    }

    #[tokio::test]
    async fn a_call_that_never_returns_is_left_behind() {
        let mut threads = threads();
        assert_eq!(number(&mut threads).await.unwrap(), 0);
        let (_call, error) = hang(&mut threads).await;
        assert!(error.to_string().contains("the 1. of 8"), "{error}");
        assert_eq!(number(&mut threads).await.unwrap(), 1);
        assert_eq!(number(&mut threads).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn who_gives_signs_of_life_may_take_long() {
        let mut threads = threads();
        let job = |number: &mut usize, signs: &Signs| {
            let start = Instant::now();
            while start.elapsed() < 5 * SILENCE {
                assert!(signs.go_on());
                std::thread::yield_now();
            }
            Ok(*number)
        };
        assert_eq!(threads.run(job).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn not_more_than_a_few_are_left_behind_at_a_time() {
        let mut threads = threads();
        let mut calls = Vec::new();
        for _ in 0..LEFT_MAX {
            calls.push(hang(&mut threads).await.0);
        }
        let error = number(&mut threads).await.unwrap_err();
        assert!(error.to_string().contains("hint: "), "{error}");
        // One of them comes back.
        calls.pop();
        let start = Instant::now();
        while number(&mut threads).await.is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "the thread does not end");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_thread_that_was_left_behind_learns_it() {
        let mut threads = threads();
        let (call, returned) = mpsc::channel::<()>();
        let (sender, goes_on) = mpsc::channel();
        let job = move |_: &mut usize, signs: &Signs| {
            let _ = returned.recv();
            sender.send(signs.go_on()).unwrap();
            Ok(())
        };
        threads.run(job).await.unwrap_err();
        drop(call);
        assert!(!goes_on.recv().unwrap());
    }

    #[tokio::test]
    async fn the_end_waits_for_nobody_who_does_not_come_back() {
        let mut threads = threads();
        let (_call, _) = hang(&mut threads).await;
        let (_other, receiver) = mpsc::channel::<()>();
        let given_up = threads.run(move |_, _| Ok(receiver.recv().is_ok()));
        assert!(timeout(Duration::from_millis(1), given_up).await.is_err());
        let start = Instant::now();
        drop(threads);
        assert!(start.elapsed() < CLOSE_MAX);
    }

    #[tokio::test]
    async fn a_panic_ends_one_thread_only() {
        let mut threads = threads();
        let panics = threads.run(|_, _| -> Result<(), SinkError> { panic!("on purpose") }).await;
        panics.unwrap_err();
        assert_eq!(number(&mut threads).await.unwrap(), 1);
    }
}
