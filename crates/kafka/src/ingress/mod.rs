//! `io.statefun.kafka.v1/ingress`: records of topics.
//!
//! Each partition is a source of its own, `SourceId { ingress, partition: "topic/3" }`, and the engine keeps where it
//! stands ([`position`]). It is assigned by hand, never by the protocol of consumer groups: who else is in the group
//! makes no difference. [`start`] says where a partition begins; what was found out is delivered at once as a position
//! without records, so that nothing that comes between the first start and a crash is skipped.
//!
//! Four things run: the thread that takes records from the client ([`reader`]), the delivery to the engine, the search for
//! partitions ([`search`]), and what tells those who watch ([`watch`]).
//!
//! Offsets are committed to the group for those who watch its lag, a second after they were delivered, when they are
//! durable unless the engine is stuck. Nothing depends on them.

mod position;
mod reader;
mod record;
mod search;
mod start;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use statera_config as config;
use statera_model::{Name, codes};
use statera_ports::{BoxFuture, Engine, Stopping};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use crate::client::{Events, Link, TLS, configure};
use crate::error::Error;
use crate::properties::{Reset, Role, translate};
use reader::{Batch, End, Reader, Round};

/// Rounds that wait between the reading thread and the engine.
const ROUNDS_WAITING: usize = 1;

const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// How long a stop waits for the last offsets to be committed.
const LAST_COMMIT_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) type Consumer = BaseConsumer<IngressEvents>;

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
}

/// An ingress that waits to be run.
pub struct KafkaIngress {
    spec: config::KafkaIngress,
    engine: Arc<dyn Engine>,
    consumer: Arc<Consumer>,
    link: Arc<Link>,
    reset: Reset,
    /// What comes next in each partition that is read.
    next: Mutex<BTreeMap<Part, i64>>,
}

impl fmt::Debug for KafkaIngress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaIngress").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl KafkaIngress {
    /// Makes its client, without waiting for a broker.
    ///
    /// # Errors
    /// If a property can't be.
    pub fn bind(
        spec: &config::KafkaIngress,
        engine: Arc<dyn Engine>,
    ) -> Result<KafkaIngress, Error> {
        let id = &spec.id;
        let translated = translate(&spec.properties, Role::Ingress, TLS)
            .map_err(|refused| Error::refused(id, refused))?;
        let config = configure(id, &translated)?;
        let link = Arc::new(Link::new(id, &translated));
        let events = IngressEvents { events: Events(link.clone()), commits: Mutex::default() };
        let consumer = Consumer::from_config_and_context(&config, events)
            .map_err(|source| Error::Client { id: id.clone(), source })?;
        Ok(KafkaIngress {
            spec: spec.clone(),
            engine,
            consumer: Arc::new(consumer),
            link,
            reset: translated.reset,
            next: Mutex::default(),
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &Name {
        &self.spec.id
    }

    /// Runs until `stop` ends, usually [`Engine::stopping`]. Must be called within a tokio runtime that has time. Brokers
    /// and topics that are away are waited for.
    ///
    /// # Errors
    /// If it cannot go on without losing or skipping something.
    pub async fn run(self, mut stop: BoxFuture<'static, ()>) -> Result<(), Error> {
        let (rounds, received) = mpsc::channel(ROUNDS_WAITING);
        let reader = self.start_reader(rounds);
        let ended = tokio::select! {
            biased;
            () = &mut stop => Ok(()),
            ended = self.search() => ended,
            () = self.deliver(received) => Ok(()),
            () = self.watch() => Ok(()),
        };
        // Nobody listens to it any more: it ends.
        let end = reader.await;
        let ended = match (ended, end) {
            (Err(error), _) | (Ok(()), Ok(End::Failed(error))) => Err(error),
            (Ok(()), Ok(End::Lost)) => Err(self.lost().await),
            (Ok(()), Ok(End::Stopped)) => Ok(()),
            (Ok(()), Err(error)) => resume(error).await,
        };
        self.close().await;
        ended
    }

    fn start_reader(&self, rounds: mpsc::Sender<Round>) -> JoinHandle<End> {
        let topics = self.spec.topics.iter();
        let reader = Reader {
            traces: self.engine.traces(),
            id: self.spec.id.clone(),
            consumer: self.consumer.clone(),
            routes: topics.map(|route| (Arc::from(&*route.name), route.clone())).collect(),
            bad_records: self.spec.bad_records,
            rounds,
            skipped: 0,
        };
        spawn_blocking(move || reader.run())
    }

    /// Delivers until nothing more comes, or the engine takes nothing more.
    async fn deliver(&self, mut rounds: mpsc::Receiver<Round>) {
        let mut commits = tokio::time::interval(COMMIT_INTERVAL);
        commits.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut delivered, mut committed) = (BTreeMap::new(), BTreeMap::new());
        loop {
            tokio::select! {
                round = rounds.recv() => match round {
                    None => return,
                    Some(round) => {
                        self.link.up();
                        if self.deliver_round(round).await.is_err() {
                            return;
                        }
                    }
                },
                _ = commits.tick() => {
                    // What was delivered a while ago.
                    if delivered != committed {
                        self.commit(&delivered);
                        committed = delivered;
                    }
                    delivered = self.next().clone();
                }
            }
        }
    }

    /// Delivers to all sources at once, and notes which have taken it.
    async fn deliver_round(&self, round: Round) -> Result<(), Stopping> {
        let deliver = |batch: Batch| {
            let (part, next) = (batch.part.clone(), batch.next);
            (part, next, Some(self.engine.deliver(batch.into_source_batch(&self.spec.id))))
        };
        let mut waiting: Vec<_> = round.batches.into_iter().map(deliver).collect();
        poll_fn(|context| {
            let mut is_pending = false;
            for (part, next, delivery) in &mut waiting {
                let Some(future) = delivery else { continue };
                match future.as_mut().poll(context) {
                    Poll::Pending => is_pending = true,
                    Poll::Ready(Err(stopping)) => return Poll::Ready(Err(stopping)),
                    Poll::Ready(Ok(())) => {
                        *delivery = None;
                        self.next().insert(part.clone(), *next);
                    }
                }
            }
            if is_pending { Poll::Pending } else { Poll::Ready(Ok(())) }
        })
        .await
    }

    fn next(&self) -> MutexGuard<'_, BTreeMap<Part, i64>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit(&self, offsets: &BTreeMap<Part, i64>) {
        let begun = list(offsets).and_then(|list| self.consumer.commit(&list, CommitMode::Async));
        self.consumer.context().committed(begun);
    }

    /// The error that says where something is missing.
    async fn lost(&self) -> Error {
        let (consumer, next) = (self.consumer.clone(), self.next().clone());
        let id = self.spec.id.clone();
        blocking(move || {
            for (part, offset) in next {
                let watermarks =
                    consumer.fetch_watermarks(&part.topic, part.partition, start::ASK_TIMEOUT);
                if let Ok((low, high)) = watermarks
                    && !(low..=high).contains(&offset)
                {
                    let (topic, partition) = (part.topic.to_string(), part.partition);
                    return Error::Lost { id, topic, partition, offset, low, high };
                }
            }
            Error::LostSomewhere { id }
        })
        .await
    }

    /// Commits what was delivered, if the brokers are there, and closes the client.
    async fn close(self) {
        let (last, is_down) = (self.next().clone(), self.link.is_down());
        let consumer = self.consumer;
        blocking(move || {
            if !is_down && !last.is_empty() {
                commit_at_last(&consumer, &last);
            }
            drop(consumer);
        })
        .await;
    }
}

fn commit_at_last(consumer: &Consumer, offsets: &BTreeMap<Part, i64>) {
    let events = consumer.context();
    events.expect_commit();
    let begun = list(offsets).and_then(|list| consumer.commit(&list, CommitMode::Async));
    let deadline = Instant::now() + LAST_COMMIT_TIMEOUT;
    while begun.is_ok() && events.expects_commit() && Instant::now() < deadline {
        // What is still read is read again after the next start.
        let _ = consumer.poll(Duration::from_millis(10));
    }
}

fn list(offsets: &BTreeMap<Part, i64>) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (part, offset) in offsets {
        list.add_partition_offset(&part.topic, part.partition, Offset::Offset(*offset))?;
    }
    Ok(list)
}

/// What the client of an ingress says.
#[derive(Debug)]
pub(crate) struct IngressEvents {
    events: Events,
    commits: Mutex<Commits>,
}

#[derive(Debug, Default)]
struct Commits {
    /// Said, and not better since.
    has_failed: bool,
    expected: bool,
}

impl IngressEvents {
    fn commits(&self) -> MutexGuard<'_, Commits> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect_commit(&self) {
        self.commits().expected = true;
    }

    fn expects_commit(&self) -> bool {
        self.commits().expected
    }

    fn committed(&self, result: KafkaResult<()>) {
        let mut commits = self.commits();
        match result {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) if !commits.has_failed => {
                commits.has_failed = true;
                tracing::warn!(
                    code = %codes::OFFSETS_NOT_COMMITTED,
                    id = %self.events.0.id(), %error,
                    "offsets cannot be committed to the consumer group, which is for monitors only; \
                     hint: has the group other members, or does an access list forbid it?"
                );
            }
            Err(_) => {}
        }
    }
}

impl rdkafka::ClientContext for IngressEvents {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        self.events.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.error(error, reason);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}
}

impl ConsumerContext for IngressEvents {
    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        let is_good = result.is_ok();
        self.committed(result);
        let mut commits = self.commits();
        commits.expected = false;
        if is_good {
            commits.has_failed = false;
        }
    }
}

/// Runs what blocks apart from the asynchronous threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => resume(error).await,
    }
}

async fn resume<T>(error: JoinError) -> T {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        // Only when the runtime is being shut down, which drops this future next.
        Err(_) => std::future::pending().await,
    }
}
