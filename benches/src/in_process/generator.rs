//! The load: a thread that makes records and delivers them as a replayable ingress does.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use statera_model::{Address, Name, TypedValue};
use statera_ports::{Engine as _, SourceBatch, SourceId, SourceRecord};
use statera_runtime::Engine;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use super::host::Host;
use super::measure::cpu_of_this_thread;
use super::tally::Tally;

pub(super) const THREAD: &str = "generator";

/// Parts of the source that deliver side by side, so that the engine has the next batch while it is told of this one.
const PARTITIONS: u64 = 4;

/// Records in a batch.
const BATCH: u64 = 1_000;

/// Batches of each part that may be under way.
const BATCHES_AHEAD: u64 = 2;

/// How long a part waits that is too far ahead.
const AHEAD_PAUSE: Duration = Duration::from_millis(1);

/// How many records there are, and how far ahead of what is over they may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) records: u64,
    batch: u64,
    ahead: u64,
}

impl Plan {
    /// Until it is stopped.
    pub(super) fn endless() -> Plan {
        Plan::records(u64::MAX)
    }

    pub(super) fn records(records: u64) -> Plan {
        Plan { records, batch: BATCH, ahead: BATCH * PARTITIONS * BATCHES_AHEAD }
    }

    /// From each record so many messages follow.
    pub(super) fn of_messages(self, messages: u64) -> Plan {
        let batch = (BATCH / messages).max(1);
        Plan { batch, ahead: batch * PARTITIONS * BATCHES_AHEAD, ..self }
    }

    /// None waits for any other.
    pub(super) fn at_once(self) -> Plan {
        Plan { ahead: u64::MAX, ..self }
    }
}

/// A source under way.
pub(super) struct Generator {
    stop: Arc<AtomicBool>,
    /// Ends with the processor time it took.
    thread: JoinHandle<Ended>,
}

/// What became of a source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// Records that were taken: those with the lowest numbers.
    pub(super) taken: u64,
    pub(super) cpu_seconds: f64,
}

impl Generator {
    /// Delivers the records with the numbers from 0, as `make` makes them. `over` is how many of them are over.
    pub(super) fn start(
        engine: Engine,
        source: &'static str,
        plan: Plan,
        over: impl Fn() -> u64 + Send + 'static,
        make: impl Fn(u64) -> (Address, TypedValue) + Send + 'static,
    ) -> anyhow::Result<Generator> {
        let ingress = Name::parse(source)?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            let (next, taken) = (Cell::new(0), Cell::new(0));
            let feed = Feed { engine, ingress, plan, over, make, next, taken, stop: told };
            let feed = Rc::new(feed);
            LocalSet::new().block_on(&runtime, async {
                let parts = (0..PARTITIONS).map(|part| spawn_local(feed.clone().deliver(part)));
                for part in parts.collect::<Vec<_>>() {
                    // It ends when the engine stops, at the latest.
                    let _ = part.await;
                }
            });
            Ended { taken: feed.taken.get(), cpu_seconds: cpu_of_this_thread() }
        };
        let thread = std::thread::Builder::new().name(THREAD.to_owned());
        let thread = thread.spawn(run).context("cannot start a thread")?;
        Ok(Generator { stop, thread })
    }

    /// Waits until all records are taken.
    pub(super) async fn finish(self, host: &Host) -> anyhow::Result<Ended> {
        host.until("for records to be taken", || self.thread.is_finished()).await?;
        self.thread.join().map_err(|_| anyhow!("the generator panicked"))
    }

    /// Stops. Returns how many records were taken.
    pub(super) async fn stop(self, host: &Host) -> anyhow::Result<u64> {
        self.stop.store(true, Ordering::Release);
        Ok(self.finish(host).await?.taken)
    }
}

/// Delivers records, and waits until all of them are over. Returns the processor time of the thread that made them.
pub(super) async fn feed(
    host: &Host,
    source: &'static str,
    records: u64,
    over: impl Fn() -> u64 + Clone + Send + 'static,
    make: impl Fn(u64) -> (Address, TypedValue) + Send + 'static,
) -> anyhow::Result<f64> {
    let plan = Plan::records(records);
    let generator = Generator::start(host.engine.clone(), source, plan, over.clone(), make)?;
    let ended = generator.finish(host).await?;
    host.until(&format!("for the records of `{source}`"), || over() == records).await?;
    Ok(ended.cpu_seconds)
}

/// Asks so many instances for their state, and waits for all answers.
pub(super) async fn ask(
    host: &Host,
    tally: &Arc<Tally>,
    instances: u64,
    make: impl Fn(u64) -> (Address, TypedValue) + Send + 'static,
) -> anyhow::Result<()> {
    let answered = tally.clone();
    feed(host, "bench/questions", instances, move || answered.answers.count(), make).await?;
    Ok(())
}

struct Feed<O, M> {
    engine: Engine,
    ingress: Name,
    plan: Plan,
    over: O,
    make: M,
    /// The number of the next record.
    next: Cell<u64>,
    taken: Cell<u64>,
    stop: Arc<AtomicBool>,
}

impl<O, M> Feed<O, M>
where
    O: Fn() -> u64,
    M: Fn(u64) -> (Address, TypedValue),
{
    async fn deliver(self: Rc<Self>, part: u64) {
        let partition: Arc<str> = part.to_string().into();
        let source = SourceId { ingress: self.ingress.clone(), partition };
        let Plan { records, batch, ahead } = self.plan;
        while self.next.get() < records && !self.stop.load(Ordering::Acquire) {
            let first = self.next.get();
            let behind = (records - first).min(batch) + first;
            if behind.saturating_sub((self.over)()) > ahead {
                sleep(AHEAD_PAUSE).await;
                continue;
            }
            self.next.set(behind);
            let position = Bytes::copy_from_slice(&behind.to_be_bytes());
            let records = (first..behind).map(|number| self.record(number)).collect();
            let batch = SourceBatch { source: source.clone(), records, position };
            if self.engine.deliver(batch).await.is_err() {
                return;
            }
            self.taken.set(self.taken.get() + behind - first);
        }
    }

    fn record(&self, number: u64) -> SourceRecord {
        let (target, argument) = (self.make)(number);
        SourceRecord::Message { targets: vec![target], argument, trace: None }
    }
}
