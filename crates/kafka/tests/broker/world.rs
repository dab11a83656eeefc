//! What the tests share: a broker, an engine that only listens, and deadlines.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use statera_config as config;
use statera_config::StreamRoute;
use statera_kafka::{Error, KafkaIngress};
use statera_model::{FunctionType, Name};
use statera_ports::{
    Answer, BoxFuture, DataId, Engine, Refusal, Request, SourceBatch, SourceId, SourceRecord,
    SourceStatus, Stopping,
};
use statera_test_kafka::{Artifacts, Cluster, Options};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for what must come soon.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(crate) fn data(text: &str) -> DataId {
    DataId(text.into())
}

/// A broker, killed when the last test that uses it has ended.
pub(crate) struct Broker {
    pub(crate) cluster: Mutex<Cluster>,
    pub(crate) bootstrap: String,
    _folder: TempDir,
}

/// The broker that tests share, each with topics of its own. `None`, and said so, where there is no Kafka.
pub(crate) fn broker(test: &str) -> Option<Arc<Broker>> {
    static SHARED: Mutex<Weak<Broker>> = Mutex::new(Weak::new());
    let artifacts = artifacts(test)?;
    let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(broker) = shared.upgrade() {
        return Some(broker);
    }
    // Some tests write records of 1970, which the broker would soon delete.
    let settings = vec!["log.retention.ms=-1".to_owned()];
    let options = Options { settings, ..Options::default() };
    let broker = Arc::new(Broker::start(&artifacts, &options));
    *shared = Arc::downgrade(&broker);
    Some(broker)
}

pub(crate) fn artifacts(test: &str) -> Option<Artifacts> {
    match Artifacts::from_environment() {
        Ok(artifacts) => Some(artifacts),
        Err(why) => {
            assert!(
                std::env::var_os("STATERA_CI").is_none(),
                "{test} can't be left out in CI: {why}"
            );
            println!("SKIPPED: {test}: no Kafka: {why}");
            None
        }
    }
}

impl Broker {
    pub(crate) fn start(artifacts: &Artifacts, options: &Options) -> Broker {
        let folder = tempfile::tempdir().unwrap();
        let cluster = Cluster::start(artifacts, folder.path(), options).unwrap();
        let bootstrap = cluster.bootstrap();
        Broker { cluster: Mutex::new(cluster), bootstrap, _folder: folder }
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    pub(crate) async fn create_topic(&self, topic: &str, partitions: i32) {
        let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        self.admin().create_topics([&topic], &AdminOptions::new()).await.unwrap()[0]
            .clone()
            .unwrap();
    }

    pub(crate) async fn grow_topic(&self, topic: &str, partitions: usize) {
        let grown = NewPartitions::new(topic, partitions);
        self.admin().create_partitions([&grown], &AdminOptions::new()).await.unwrap()[0]
            .clone()
            .unwrap();
    }

    pub(crate) async fn set_topic(&self, topic: &str, property: &str, value: &str) {
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(property, value);
        let mut changed =
            self.admin().alter_configs([&change], &AdminOptions::new()).await.unwrap();
        assert!(changed.remove(0).is_ok());
    }

    /// Deletes all records of partition 0 before an offset.
    pub(crate) async fn truncate(&self, topic: &str, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
        self.admin().delete_records(&list, &AdminOptions::new()).await.unwrap();
    }

    /// Writes records, each with a partition, in order.
    pub(crate) fn produce(&self, topic: &str, records: &[Sent<'_>]) {
        let producer: ThreadedProducer<DefaultProducerContext> = self.client().create().unwrap();
        for sent in records {
            let mut record: BaseRecord<'_, [u8], [u8]> =
                BaseRecord::to(topic).partition(sent.partition);
            record.key = sent.key;
            record.payload = sent.value;
            record.timestamp = sent.timestamp_ms;
            record.headers = sent.headers.clone();
            while let Err((_, back)) = producer.send(record) {
                record = back;
                producer.poll(Duration::from_millis(1));
            }
        }
        producer.flush(DEADLINE).unwrap();
    }

    pub(crate) fn ingress(&self, topic: &str) -> config::KafkaIngress {
        ingress(&self.bootstrap, topic)
    }
}

pub(crate) fn ingress(bootstrap: &str, topic: &str) -> config::KafkaIngress {
    let properties = [
        ("bootstrap.servers", bootstrap),
        ("group.id", &format!("group-of-{topic}")),
        ("auto.offset.reset", "latest"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    config::KafkaIngress {
        id: name("test/in"),
        properties: BTreeMap::from(properties),
        topics: vec![route(topic)],
        startup: config::KafkaStartup::Earliest,
        bad_records: config::BadRecords::DeadLetter,
        discovery: Some(Duration::from_millis(200)),
    }
}

pub(crate) fn route(topic: &str) -> StreamRoute {
    StreamRoute {
        name: topic.to_owned(),
        value_type: name("test/Value"),
        targets: vec![name("test/one")],
        envelope: false,
    }
}

/// A record to be written.
#[derive(Clone, Default)]
pub(crate) struct Sent<'a> {
    pub(crate) partition: i32,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) headers: Option<OwnedHeaders>,
}

impl<'a> Sent<'a> {
    pub(crate) fn new(partition: i32, key: &'a str, value: &'a str) -> Sent<'a> {
        let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
        Sent { partition, key, value, ..Sent::default() }
    }
}

/// Takes what is delivered, while its gate is open.
pub(crate) struct FakeEngine {
    positions: Mutex<BTreeMap<SourceId, Bytes>>,
    pub(crate) statuses: Mutex<BTreeMap<SourceId, SourceStatus>>,
    batches: mpsc::UnboundedSender<SourceBatch>,
    gate: watch::Sender<bool>,
    stop: watch::Sender<bool>,
}

impl Engine for FakeEngine {
    fn covers(&self, _: &FunctionType) -> bool {
        true
    }

    fn send(&self, _: Request) -> BoxFuture<'static, Result<(), Refusal>> {
        unreachable!("an ingress of records delivers")
    }

    fn call(&self, _: Request) -> BoxFuture<'static, Result<Answer, Refusal>> {
        unreachable!("an ingress of records delivers")
    }

    fn deliver(&self, batch: SourceBatch) -> BoxFuture<'static, Result<(), Stopping>> {
        let (mut gate, batches) = (self.gate.subscribe(), self.batches.clone());
        Box::pin(async move {
            gate.wait_for(|is_open| *is_open).await.map_err(|_| Stopping)?;
            batches.send(batch).map_err(|_| Stopping)
        })
    }

    fn source_position(&self, source: &SourceId) -> Option<Bytes> {
        self.positions.lock().unwrap().get(source).cloned()
    }

    fn report(&self, source: &SourceId, status: Option<SourceStatus>) {
        self.statuses.lock().unwrap().insert(source.clone(), status.expect("it is read"));
    }

    fn stopping(&self) -> BoxFuture<'static, ()> {
        let mut stop = self.stop.subscribe();
        Box::pin(async move {
            let _ = stop.wait_for(|stop| *stop).await;
        })
    }
}

/// An ingress that runs, and what it delivered.
pub(crate) struct Running {
    pub(crate) engine: Arc<FakeEngine>,
    batches: mpsc::UnboundedReceiver<SourceBatch>,
    pub(crate) running: JoinHandle<Result<(), Error>>,
    /// Where each partition stands.
    pub(crate) positions: BTreeMap<SourceId, Bytes>,
    pub(crate) records: Vec<SourceRecord>,
}

impl Running {
    pub(crate) fn start(spec: &config::KafkaIngress) -> Running {
        Running::resume(spec, BTreeMap::new())
    }

    /// Starts with what the engine kept.
    pub(crate) fn resume(
        spec: &config::KafkaIngress,
        positions: BTreeMap<SourceId, Bytes>,
    ) -> Running {
        let (sender, batches) = mpsc::unbounded_channel();
        let engine = Arc::new(FakeEngine {
            positions: Mutex::new(positions.clone()),
            statuses: Mutex::default(),
            batches: sender,
            gate: watch::Sender::new(true),
            stop: watch::Sender::new(false),
        });
        let ingress = KafkaIngress::bind(spec, engine.clone()).unwrap();
        let running = tokio::spawn(ingress.run(engine.stopping()));
        Running { engine, batches, running, positions, records: Vec::new() }
    }

    pub(crate) fn open_gate(&self, is_open: bool) {
        self.engine.gate.send_replace(is_open);
    }

    async fn take(&mut self) {
        let batch = self.batches.recv().await.expect("the engine is there");
        self.positions.insert(batch.source, batch.position);
        self.records.extend(batch.records);
    }

    /// Waits until so many partitions have a position.
    pub(crate) async fn wait_for_positions(&mut self, count: usize) {
        soon("positions", async {
            while self.positions.len() < count {
                self.take().await;
            }
        })
        .await;
    }

    /// Waits until there are so many records, and returns their keys and values in order.
    pub(crate) async fn wait_for(&mut self, count: usize) -> Vec<String> {
        self.wait_for_count(count).await;
        self.texts()
    }

    pub(crate) async fn wait_for_count(&mut self, count: usize) {
        soon("records", async {
            while self.records.len() < count {
                self.take().await;
            }
        })
        .await;
    }

    /// Keys and values of the messages.
    pub(crate) fn texts(&self) -> Vec<String> {
        let text = |record: &SourceRecord| match record {
            SourceRecord::Message { targets, argument, .. } => {
                let value = String::from_utf8_lossy(argument.value()).into_owned();
                format!("{}={value}", targets[0].id)
            }
            SourceRecord::Malformed { place, reason, record } => {
                let reason = reason.split("; hint").next().unwrap_or_default();
                format!("{place}: {reason}: {}", String::from_utf8_lossy(record))
            }
        };
        self.records.iter().map(text).collect()
    }

    /// Stops it, and returns where the partitions stand.
    pub(crate) async fn stop(mut self) -> BTreeMap<SourceId, Bytes> {
        self.engine.stop.send_replace(true);
        soon("the end of an ingress", &mut self.running).await.unwrap().unwrap();
        while let Ok(batch) = self.batches.try_recv() {
            self.positions.insert(batch.source, batch.position);
        }
        self.positions
    }

    /// Waits for the error that ends it.
    pub(crate) async fn error(&mut self) -> Error {
        soon("the error of an ingress", &mut self.running).await.unwrap().unwrap_err()
    }
}
