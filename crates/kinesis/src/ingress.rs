//! The ingress: one task for each shard of its streams, and one for each stream that starts them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use statera_config as config;
use statera_config::{KinesisStartup, StreamRoute};
use statera_model::{Name, codes};
use statera_ports::{BoxFuture, Engine, SourceBatch, SourceId};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use crate::Error;
use crate::api::{self, ApiError, Kind};
use crate::connect::{Properties, Service, connect};
use crate::environment::Environment;
use crate::lineage::{Lineage, Trouble};
use crate::position::{Begin, Plan, Position};
use crate::retry::{Backoff, patiently};
use crate::shard::{Reader, Shared, source};

/// How many shards of an ingress may hold a response, of up to 10 MiB of records, at once.
const READS_MAX: usize = 16;

/// The time from one request for records of a shard to the next. The service allows five in a second, for all readers
/// together.
const INTERVAL: Duration = Duration::from_millis(250);
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// How many records are asked for at once: what the service allows.
const RECORDS_MAX: u32 = 10_000;

/// How often shards are listed besides when one ends.
const DISCOVERY: Duration = Duration::from_secs(10);

/// The ingress. Nothing is asked of Kinesis before it runs.
pub struct KinesisIngress {
    spec: Arc<config::KinesisIngress>,
    engine: Arc<dyn Engine>,
    environment: Environment,
}

impl std::fmt::Debug for KinesisIngress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KinesisIngress").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl KinesisIngress {
    /// An ingress that drives this engine.
    #[must_use]
    pub fn new(
        spec: &config::KinesisIngress,
        engine: Arc<dyn Engine>,
        environment: Environment,
    ) -> KinesisIngress {
        KinesisIngress { spec: Arc::new(spec.clone()), engine, environment }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &Name {
        &self.spec.id
    }

    /// Reads until `stop` ends, usually [`Engine::stopping`]. Must be called within a tokio runtime that has IO and time.
    /// While Kinesis does not answer, or does not let us, it waits.
    ///
    /// # Errors
    /// If it cannot go on without losing or skipping something, or nothing says where the streams are.
    pub async fn run(self, mut stop: BoxFuture<'static, ()>) -> Result<(), Error> {
        tokio::select! {
            biased;
            () = &mut stop => Ok(()),
            ended = self.read() => ended,
        }
    }

    async fn read(self) -> Result<(), Error> {
        let mut properties = Properties::new(&self.spec.properties);
        let service = Service {
            id: &self.spec.id,
            region: &self.spec.region,
            credentials: &self.spec.credentials,
            timeouts: properties.timeouts(),
        };
        let interval = properties.millis("flink.shard.getrecords.intervalmillis");
        let limit = properties.number("flink.shard.getrecords.maxrecordcount");
        let discovery = properties.millis("flink.shard.discovery.intervalmillis");
        properties.warn_of_others(&self.spec.id);
        let shared = Arc::new(Shared {
            id: self.spec.id.clone(),
            api: connect(service, &self.environment).await?,
            engine: self.engine,
            bad_records: self.spec.bad_records,
            interval: interval.unwrap_or(INTERVAL).max(INTERVAL_MIN),
            limit: limit.unwrap_or(RECORDS_MAX).min(RECORDS_MAX),
            reads: Semaphore::new(READS_MAX),
        });
        let mut streams = JoinSet::new();
        for route in &self.spec.streams {
            let stream = Stream {
                shared: Arc::clone(&shared),
                route: Arc::new(route.clone()),
                startup: self.spec.startup,
                discovery: discovery.unwrap_or(DISCOVERY).max(INTERVAL_MIN),
            };
            streams.spawn(stream.read());
        }
        // They read for ever: the first to end has failed.
        match streams.join_next().await {
            Some(ended) => unwrap_task(ended),
            None => Ok(()),
        }
    }
}

/// A stream that is being read.
struct Stream {
    shared: Arc<Shared>,
    route: Arc<StreamRoute>,
    startup: KinesisStartup,
    discovery: Duration,
}

impl Stream {
    async fn read(self) -> Result<(), Error> {
        let (mut lineage, mut listed) = self.lineage().await?;
        let mut readers = JoinSet::new();
        let mut closed = BTreeMap::new();
        loop {
            let stored = |shard: &str| self.stored(shard);
            let starts = lineage.next(&listed, &stored).map_err(|found| self.trouble(found))?;
            for start in starts {
                let Some(shard) = listed.iter().find(|shard| shard.id == start.shard) else {
                    continue;
                };
                let flag: Arc<AtomicBool> = Arc::default();
                closed.insert(shard.id.clone(), Arc::clone(&flag));
                let (shared, route) = (Arc::clone(&self.shared), Arc::clone(&self.route));
                readers.spawn(Reader::new(shared, route, shard.clone(), start, flag).run());
            }
            for shard in listed.iter().filter(|shard| shard.is_closed()) {
                if let Some(flag) = closed.get(&shard.id) {
                    flag.store(true, Ordering::Release);
                }
            }
            tokio::select! {
                Some(ended) = readers.join_next() => {
                    let (shard, read_to) = unwrap_task(ended)?;
                    closed.remove(&shard);
                    lineage.ended(&shard, read_to);
                }
                () = sleep(self.discovery) => {}
            }
            listed = self.list().await.map_err(|error| self.failed(error))?.0;
        }
    }

    /// The plan of the first start, made now if this is it, and the shards that there are.
    async fn lineage(&self) -> Result<(Lineage, Vec<api::Shard>), Error> {
        let source = self.source();
        match self.shared.engine.source_position(&source) {
            Some(position) => {
                let plan = Plan::decode(&position).ok_or_else(|| self.foreign())?;
                let (listed, _) = self.list().await.map_err(|error| self.failed(error))?;
                Ok((Lineage::new(plan, false), listed))
            }
            None => {
                let (listed, at) = self.wait_for_stream().await?;
                let plan = plan(self.startup, &listed, at);
                self.keep(source, plan.encode()).await;
                Ok((Lineage::new(plan, true), listed))
            }
        }
    }

    /// Lists the shards of a stream that may not be there yet.
    async fn wait_for_stream(&self) -> Result<(Vec<api::Shard>, i64), Error> {
        let mut backoff = Backoff::new();
        let mut said = false;
        loop {
            match self.list().await {
                Err(error) if error.kind == Kind::NotFound => {
                    if !std::mem::replace(&mut said, true) {
                        tracing::warn!(code = %codes::STREAM_MISSING, id = %self.shared.id, stream = self.route.name, "waiting for the stream");
                    }
                    backoff.pause().await;
                }
                listed => return listed.map_err(|error| self.failed(error)),
            }
        }
    }

    async fn list(&self) -> Result<(Vec<api::Shard>, i64), ApiError> {
        patiently(&self.shared.id, || self.shared.api.list_shards(&self.route.name)).await
    }

    async fn keep(&self, source: SourceId, position: Bytes) {
        let batch = SourceBatch { source, records: Vec::new(), position };
        if self.shared.engine.deliver(batch).await.is_err() {
            // It is stopping: whoever runs us is told so, too, and drops us.
            std::future::pending::<()>().await;
        }
    }

    /// Where a shard stood before the start.
    fn stored(&self, shard: &str) -> Result<Option<Position>, Trouble> {
        let source = source(&self.shared.id, &self.route.name, shard);
        match self.shared.engine.source_position(&source) {
            None => Ok(None),
            Some(position) => match Position::decode(&position) {
                Some(position) => Ok(Some(position)),
                None => Err(Trouble::ForeignPosition),
            },
        }
    }

    fn source(&self) -> SourceId {
        SourceId { ingress: self.shared.id.clone(), partition: self.route.name.as_str().into() }
    }

    fn foreign(&self) -> Error {
        Error::ForeignPosition { id: self.shared.id.clone() }
    }

    fn trouble(&self, trouble: Trouble) -> Error {
        let (id, stream) = (self.shared.id.clone(), self.route.name.clone());
        match trouble {
            Trouble::Gap(shard) => Error::ShardGone { id, stream, shard },
            Trouble::ForeignPosition => self.foreign(),
        }
    }

    fn failed(&self, error: ApiError) -> Error {
        let (id, stream) = (self.shared.id.clone(), self.route.name.clone());
        match error.kind {
            Kind::NotFound => Error::StreamGone { id, stream },
            _ => Error::Refused { id, stream, source: error.into() },
        }
    }
}

fn plan(startup: KinesisStartup, listed: &[api::Shard], at: i64) -> Plan {
    let begin = |shard: &api::Shard| match startup {
        KinesisStartup::Earliest => Begin::Oldest,
        KinesisStartup::Latest if shard.is_closed() => Begin::Nowhere,
        KinesisStartup::Latest => Begin::Then,
        KinesisStartup::Date(date) => Begin::Date(date),
    };
    Plan { at, shards: listed.iter().map(|shard| (shard.id.clone(), begin(shard))).collect() }
}

fn unwrap_task<T>(ended: Result<Result<T, Error>, JoinError>) -> Result<T, Error> {
    match ended {
        Ok(ended) => ended,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
