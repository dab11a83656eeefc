//! An engine without functions: it remembers what it was given, and where sources stood then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use statera_config::KinesisIngress as Spec;
use statera_kinesis::{Error, KinesisIngress};
use statera_model::FunctionType;
use statera_ports::{
    Answer, BoxFuture, Engine, Refusal, Request, SourceBatch, SourceId, SourceRecord, SourceStatus,
    Stopping,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::{nothing, soon};

pub(crate) type Positions = BTreeMap<SourceId, Bytes>;

struct FakeEngine {
    /// Before the start.
    positions: Positions,
    batches: mpsc::UnboundedSender<SourceBatch>,
    statuses: mpsc::UnboundedSender<SourceStatus>,
}

impl Engine for FakeEngine {
    fn covers(&self, _function: &FunctionType) -> bool {
        true
    }

    fn send(&self, _request: Request) -> BoxFuture<'static, Result<(), Refusal>> {
        Box::pin(std::future::ready(Err(Refusal::Stopping)))
    }

    fn call(&self, _request: Request) -> BoxFuture<'static, Result<Answer, Refusal>> {
        Box::pin(std::future::ready(Err(Refusal::Stopping)))
    }

    fn deliver(&self, batch: SourceBatch) -> BoxFuture<'static, Result<(), Stopping>> {
        let sent = self.batches.send(batch).map_err(|_| Stopping);
        Box::pin(std::future::ready(sent))
    }

    fn source_position(&self, source: &SourceId) -> Option<Bytes> {
        self.positions.get(source).cloned()
    }

    fn report(&self, _source: &SourceId, status: Option<SourceStatus>) {
        if let Some(status) = status {
            // The test may not be interested.
            let _ = self.statuses.send(status);
        }
    }

    fn stopping(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

/// An ingress that runs. Killed when it is dropped.
pub(crate) struct Reading {
    batches: mpsc::UnboundedReceiver<SourceBatch>,
    statuses: mpsc::UnboundedReceiver<SourceStatus>,
    task: JoinHandle<Result<(), Error>>,
    /// After the batches that were taken.
    pub(crate) positions: Arc<Mutex<Positions>>,
    /// The positions before each batch.
    pub(crate) history: Vec<Positions>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A message: the id of its target, and its value.
pub(crate) type Message = (String, String);

impl Reading {
    pub(crate) fn start(spec: &Spec, positions: Positions) -> Reading {
        let (sender, batches) = mpsc::unbounded_channel();
        let (told, statuses) = mpsc::unbounded_channel();
        let engine = FakeEngine { positions: positions.clone(), batches: sender, statuses: told };
        let ingress = KinesisIngress::new(spec, Arc::new(engine), nothing());
        let task = tokio::spawn(ingress.run(Box::pin(std::future::pending())));
        let positions = Arc::new(Mutex::new(positions));
        Reading { batches, statuses, task, positions, history: Vec::new() }
    }

    /// The next batch, which may have no records.
    pub(crate) async fn batch(&mut self) -> SourceBatch {
        let batch = soon("a batch", self.batches.recv()).await;
        let Some(batch) = batch else { panic!("ended: {:?}", (&mut self.task).await) };
        let mut positions = self.positions.lock().unwrap();
        self.history.push(positions.clone());
        positions.insert(batch.source.clone(), batch.position.clone());
        batch
    }

    /// The next that the ingress tells of a shard.
    pub(crate) async fn status(&mut self) -> SourceStatus {
        soon("a status", self.statuses.recv()).await.expect("it runs")
    }

    /// So many messages.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<Message> {
        let mut messages = Vec::new();
        while messages.len() < count {
            messages.extend(self.batch().await.records.into_iter().map(message));
        }
        assert_eq!(messages.len(), count, "{messages:?}");
        messages
    }

    /// Takes batches until a source has been read to its end.
    pub(crate) async fn until_ended(&mut self, partition: &str) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let batch = self.batch().await;
            messages.extend(batch.records.into_iter().map(message));
            if &*batch.source.partition == partition && batch.position[1] == 2 {
                return messages;
            }
        }
    }

    pub(crate) async fn error(&mut self) -> Error {
        soon("the end", &mut self.task).await.unwrap().unwrap_err()
    }

    pub(crate) fn positions(&self) -> Positions {
        self.positions.lock().unwrap().clone()
    }
}

fn message(record: SourceRecord) -> Message {
    match record {
        SourceRecord::Message { targets, argument, .. } => {
            assert_eq!(argument.typename(), "example/Value");
            assert!(targets.iter().all(|target| target.id == targets[0].id));
            let value = String::from_utf8_lossy(argument.value()).into_owned();
            (targets[0].id.to_string(), value)
        }
        SourceRecord::Malformed { place, reason, .. } => (place, reason),
    }
}
