//! Figures of this process over a stretch of time, and calls that tell how long an answer takes meanwhile.

use std::cell::{Cell, RefCell};
use std::fs;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::generator;
use super::host::{Host, probe};
use super::job::{Cpu, Job, Outcome};
use super::tally::Tally;
use crate::process::{Usage, cpu_seconds};
use crate::table::quantile_ms;

/// From the start of the load until it is measured.
const WARM_UP: Duration = Duration::from_secs(1);

/// A call is made this often.
pub(super) const CALL_EVERY: Duration = Duration::from_millis(5);

/// The beginning of a stretch.
pub(super) struct Reading {
    at: Instant,
    messages: u64,
    cpu: Cpu,
    usage: Usage,
}

impl Reading {
    pub(super) fn now(messages: u64) -> anyhow::Result<Reading> {
        let usage = Usage::of(std::process::id())?;
        Ok(Reading { at: Instant::now(), messages, cpu: cpu(&usage), usage })
    }

    pub(super) fn cpu_seconds(&self) -> f64 {
        self.cpu.all
    }

    pub(super) fn rss_bytes(&self) -> u64 {
        self.usage.rss_bytes
    }

    /// What went on since then. `latencies` are in microseconds.
    pub(super) fn until(
        self,
        end: Reading,
        mut latencies: Vec<u32>,
        host: &Host,
    ) -> anyhow::Result<Outcome> {
        latencies.sort_unstable();
        let spent = |of: fn(&Cpu) -> f64| of(&end.cpu) - of(&self.cpu);
        Ok(Outcome {
            messages: end.messages - self.messages,
            seconds: (end.at - self.at).as_secs_f64(),
            cpu: Cpu {
                shards: spent(|cpu| cpu.shards),
                generator: spent(|cpu| cpu.generator),
                all: spent(|cpu| cpu.all),
            },
            p50_ms: (!latencies.is_empty()).then(|| quantile_ms(&latencies, 500)),
            p99_ms: (!latencies.is_empty()).then(|| quantile_ms(&latencies, 990)),
            written_bytes: end.usage.written_bytes - self.usage.written_bytes,
            rss_max_bytes: end.usage.rss_max_bytes,
            state_bytes: host.state_bytes(),
            notes: Vec::new(),
            wrong: None,
        })
    }
}

/// Measures a load that is under way: a second to warm up, then `--seconds`, with a call every few milliseconds.
pub(super) async fn window(host: &Host, tally: &Tally, job: &Job) -> anyhow::Result<Outcome> {
    sleep(WARM_UP).await;
    let begin = Reading::now(tally.messages.get())?;
    let calls = Calls::start(host);
    sleep(Duration::from_secs(job.seconds)).await;
    let end = Reading::now(tally.messages.get())?;
    begin.until(end, calls.stop(host).await?, host)
}

/// Calls at a fixed rate. None waits for another.
pub(super) struct Calls {
    shared: Rc<Shared>,
    clock: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// Microseconds.
    latencies: RefCell<Vec<u32>>,
    waiting: Cell<u64>,
    failed: RefCell<Option<anyhow::Error>>,
}

impl Calls {
    pub(super) fn start(host: &Host) -> Calls {
        let shared = Rc::<Shared>::default();
        let (told, engine, name) = (shared.clone(), host.engine.clone(), host.probe_name().clone());
        let clock = spawn_local(async move {
            let mut due = interval(CALL_EVERY);
            due.set_missed_tick_behavior(MissedTickBehavior::Skip);
            for nth in 0.. {
                due.tick().await;
                let (told, engine, name) = (told.clone(), engine.clone(), name.clone());
                told.waiting.set(told.waiting.get() + 1);
                spawn_local(async move {
                    let started = Instant::now();
                    let result = probe(&engine, &name, nth).await;
                    told.ended(started.elapsed(), result);
                });
            }
        });
        Calls { shared, clock }
    }

    /// Waits for the last answer. Returns all latencies in microseconds.
    pub(super) async fn stop(self, host: &Host) -> anyhow::Result<Vec<u32>> {
        self.clock.abort();
        host.until("for calls to be answered", || self.shared.waiting.get() == 0).await?;
        match self.shared.failed.take() {
            Some(error) => Err(error.context("a call failed")),
            None => Ok(self.shared.latencies.take()),
        }
    }
}

impl Shared {
    fn ended(&self, latency: Duration, result: anyhow::Result<()>) {
        self.waiting.set(self.waiting.get() - 1);
        match result {
            Ok(()) => {
                let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
                self.latencies.borrow_mut().push(micros);
            }
            Err(error) => drop(self.failed.borrow_mut().get_or_insert(error)),
        }
    }
}

/// The processor time of the thread that asks, in seconds; 0 if the kernel does not tell.
pub(super) fn cpu_of_this_thread() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    cpu_seconds(&stat).unwrap_or_default()
}

/// Processor time until now. Of threads that have ended only the whole knows.
fn cpu(usage: &Usage) -> Cpu {
    let mut cpu = Cpu { all: usage.cpu_seconds, ..Cpu::default() };
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return cpu };
    for thread in threads.flatten() {
        // It may have ended meanwhile.
        let Ok(stat) = fs::read_to_string(thread.path().join("stat")) else { continue };
        let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')'));
        let (Some((name, _)), Some(seconds)) = (name, cpu_seconds(&stat)) else { continue };
        match name {
            generator::THREAD => cpu.generator += seconds,
            shard if shard.starts_with("shard-") => cpu.shards += seconds,
            _ => {}
        }
    }
    cpu
}
