//! Who writes the records and who reads the receipts, in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// How long anything at the broker may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long a thread waits before it looks whether it is to end.
const POLL_TIMEOUT: Duration = Duration::from_millis(100);

const STATISTICS_INTERVAL_MS: &str = "200";

/// A value begins with the time at which the record was due, in microseconds since a common origin, and the record's number.
const STAMP_BYTES: usize = 16;

/// Writes records for counters at random, as a client with its defaults: it waits 5 ms for more that may share a request, as
/// Kafka's own producer does since 4.0.
pub(crate) struct Producer {
    client: BaseProducer,
    topic: &'static str,
    origin: Instant,
    ids: u32,
    value: Vec<u8>,
    /// The number of the next record.
    next: u64,
}

impl Producer {
    pub(crate) fn start(
        bootstrap: &str,
        topic: &'static str,
        origin: Instant,
        ids: u32,
        value_bytes: usize,
    ) -> anyhow::Result<Producer> {
        ensure!(value_bytes >= STAMP_BYTES, "a value has at least {STAMP_BYTES} bytes");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap);
        config.set("queue.buffering.max.messages", "1000000");
        let client = config.create().context("cannot make a producer")?;
        Ok(Producer { client, topic, origin, ids, value: vec![b'.'; value_bytes], next: 0 })
    }

    /// Writes records evenly, each when it is due.
    pub(crate) fn send_paced(&mut self, count: u64, per_second: u64) -> anyhow::Result<()> {
        let start = self.origin.elapsed();
        for number in 0..count {
            let due = start + Duration::from_micros(number * 1_000_000 / per_second);
            while let Some(left) = due.checked_sub(self.origin.elapsed()) {
                self.client.poll(Duration::ZERO);
                std::thread::sleep(left.min(Duration::from_millis(1)));
            }
            self.send(due)?;
        }
        self.client.flush(TIMEOUT).context("the broker does not take records")
    }

    /// Writes records as fast as they go.
    pub(crate) fn send_at_once(&mut self, count: u64) -> anyhow::Result<()> {
        for _ in 0..count {
            self.send(self.origin.elapsed())?;
        }
        self.client.flush(TIMEOUT).context("the broker does not take records")
    }

    fn send(&mut self, due: Duration) -> anyhow::Result<()> {
        let (due, number) = (u64::try_from(due.as_micros()).unwrap_or(u64::MAX), self.next);
        self.next += 1;
        let stamp = (u128::from(due) << 64) | u128::from(number);
        self.value[..STAMP_BYTES].copy_from_slice(&stamp.to_be_bytes());
        // Any permutation of the numbers will do.
        let key = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % u64::from(self.ids);
        let key = key.to_string();
        loop {
            let record = BaseRecord::to(self.topic).key(&key).payload(&self.value);
            match self.client.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.client.poll(POLL_TIMEOUT);
                }
                Err((error, _)) => return Err(error).context("cannot write a record"),
            }
        }
        self.client.poll(Duration::ZERO);
        Ok(())
    }
}

/// A receipt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// When the record was due.
    pub(crate) due: Duration,
    /// The number of the record.
    number: u64,
    /// How much later its receipt was seen.
    pub(crate) delay: Duration,
}

/// Reads what is committed in a topic, in a thread of its own. Ends when it is dropped.
pub(crate) struct Consumer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    more: Condvar,
    stop: AtomicBool,
}

#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    /// How many were taken.
    taken: u64,
    error: Option<String>,
    requests: BTreeMap<String, u64>,
}

/// Takes the figures of the client.
struct Figures(Arc<Shared>);

impl ClientContext for Figures {
    fn stats(&self, statistics: Statistics) {
        let mut requests = BTreeMap::new();
        for (kind, count) in statistics.brokers.values().flat_map(|broker| &broker.req) {
            // The broker tells a consumer's fetches from those of other brokers.
            let kind = if kind == "Fetch" { "FetchConsumer" } else { kind };
            *requests.entry(kind.to_owned()).or_default() += u64::try_from(*count).unwrap_or(0);
        }
        self.0.state().requests = requests;
    }
}

impl ConsumerContext for Figures {}

impl Consumer {
    pub(crate) fn start(
        bootstrap: &str,
        topic: &str,
        partitions: u16,
        origin: Instant,
    ) -> anyhow::Result<Consumer> {
        let shared = Arc::new(Shared::default());
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap).set("group.id", "bench-receipts");
        config.set("isolation.level", "read_committed");
        config.set("enable.auto.commit", "false");
        config.set("statistics.interval.ms", STATISTICS_INTERVAL_MS);
        let client = BaseConsumer::from_config_and_context(&config, Figures(shared.clone()))
            .context("cannot make a consumer")?;
        let mut all = TopicPartitionList::new();
        for partition in 0..partitions {
            all.add_partition_offset(topic, partition.into(), Offset::Beginning)?;
        }
        client.assign(&all).context("cannot read the receipts")?;
        let thread = std::thread::spawn({
            let shared = shared.clone();
            move || shared.read(&client, origin)
        });
        Ok(Consumer { shared, thread: Some(thread) })
    }

    /// Waits for so many receipts, and takes them. They are those of the records that come next, each once.
    pub(crate) fn wait_for(&self, count: u64, timeout: Duration) -> anyhow::Result<Vec<Seen>> {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.state();
        while (state.seen.len() as u64) < count {
            if let Some(error) = &state.error {
                bail!("cannot read the receipts: {error}");
            }
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "there are {} receipts of {count}", state.seen.len());
            let waited = self.shared.more.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let seen = std::mem::take(&mut state.seen);
        let numbers: BTreeSet<u64> = seen.iter().map(|seen| seen.number).collect();
        let next = state.taken..state.taken + count;
        ensure!(seen.len() as u64 == count, "WRONG: there are more receipts than records");
        ensure!(numbers.into_iter().eq(next), "WRONG: other receipts than those of the records");
        state.taken += count;
        Ok(seen)
    }

    /// Its requests so far, by kind as the broker names them.
    pub(crate) fn requests(&self) -> BTreeMap<String, u64> {
        self.shared.state().requests.clone()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, client: &BaseConsumer<Figures>, origin: Instant) {
        while !self.stop.load(Ordering::Relaxed) {
            let Some(record) = client.poll(POLL_TIMEOUT) else { continue };
            let now = origin.elapsed();
            let seen = record.map_err(|error| error.to_string()).and_then(|record| {
                let stamp = record.payload().and_then(|value| value.first_chunk::<STAMP_BYTES>());
                let stamp = stamp.ok_or_else(|| "a receipt without its time".to_owned())?;
                let stamp = u128::from_be_bytes(*stamp);
                let due = Duration::from_micros((stamp >> 64) as u64);
                Ok(Seen { due, number: stamp as u64, delay: now.saturating_sub(due) })
            });
            match seen {
                Ok(seen) => self.state().seen.push(seen),
                Err(error) => self.state().error = Some(error),
            }
            self.more.notify_all();
        }
    }
}
