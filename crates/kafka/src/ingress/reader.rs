//! Taking records from the client, on a thread of its own.
//!
//! The client fetches ahead up to `queued.max.messages.kbytes`, of all partitions together, and pauses each partition
//! above that. The thread takes what is there, up to the limits of a [`Round`], and waits until the round before was
//! taken: so what is not delivered stays at the broker.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::Message as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _};
use statera_config::{BadRecords, StreamRoute};
use statera_model::{Name, TraceContext};
use statera_ports::{SourceBatch, SourceId, SourceRecord};
use statera_protocol::kafka::Header;
use tokio::sync::mpsc;

use super::position;
use super::record::{Reason, Record, message};
use super::{Consumer, Part};
use crate::TRACEPARENT;
use crate::error::Error;

/// The most records in a round.
const ROUND_RECORDS_MAX: usize = 1024;

/// A round takes no further record from this size on.
const ROUND_BYTES: usize = 1 << 20;

/// How soon the thread sees that nobody wants its rounds any more.
const POLL: Duration = Duration::from_millis(200);

/// What is there at a time: one batch for each partition that has something.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) batches: Vec<Batch>,
    records: usize,
    bytes: usize,
}

/// Records of a partition, and what comes next.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) part: Part,
    pub(super) records: Vec<SourceRecord>,
    pub(super) next: i64,
}

impl Batch {
    pub(super) fn into_source_batch(self, ingress: &Name) -> SourceBatch {
        SourceBatch {
            source: self.part.source(ingress),
            records: self.records,
            position: position::encode(self.next),
        }
    }
}

impl Part {
    pub(super) fn source(&self, ingress: &Name) -> SourceId {
        let partition = format!("{}/{}", self.topic, self.partition).into();
        SourceId { ingress: ingress.clone(), partition }
    }
}

/// Why reading has ended.
#[derive(Debug)]
pub(super) enum End {
    /// Nobody wants more.
    Stopped,
    /// Some partition does not have the offset that comes next.
    Lost,
    Failed(Error),
}

/// The thread.
pub(super) struct Reader {
    pub(super) id: Name,
    pub(super) consumer: Arc<Consumer>,
    pub(super) routes: BTreeMap<Arc<str>, StreamRoute>,
    pub(super) bad_records: BadRecords,
    pub(super) rounds: mpsc::Sender<Round>,
    pub(super) skipped: u64,
    /// Whether it matters where records belong in traces.
    pub(super) traces: bool,
}

impl Reader {
    /// Reads until nobody wants more, or something is wrong. What was read before that is sent.
    pub(super) fn run(mut self) -> End {
        while !self.rounds.is_closed() {
            let consumer = Arc::clone(&self.consumer);
            let Some(first) = consumer.poll(POLL) else { continue };
            let mut round = Round::default();
            let ended = self.fill(&mut round, first, &consumer);
            if !round.batches.is_empty() && self.rounds.blocking_send(round).is_err() {
                break;
            }
            if let Err(end) = ended {
                return end;
            }
        }
        if self.skipped > 0 {
            tracing::info!(id = %self.id, records = self.skipped, "records that could not become messages were skipped");
        }
        End::Stopped
    }

    fn fill<'a>(
        &mut self,
        round: &mut Round,
        first: Result<BorrowedMessage<'a>, KafkaError>,
        consumer: &'a Consumer,
    ) -> Result<(), End> {
        let mut next = Some(first);
        while let Some(polled) = next {
            match polled {
                Ok(message) => self.push(round, &message).map_err(End::Failed)?,
                Err(error) => self.judge(error)?,
            }
            if round.records >= ROUND_RECORDS_MAX || round.bytes >= ROUND_BYTES {
                break;
            }
            next = consumer.poll(Duration::ZERO);
        }
        Ok(())
    }

    /// Most of what goes wrong is temporary, and the client goes on by itself.
    fn judge(&self, error: KafkaError) -> Result<(), End> {
        match error {
            KafkaError::MessageConsumptionFatal(_) => {
                Err(End::Failed(Error::Failed { id: self.id.clone(), source: error }))
            }
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
            ) => Err(End::Lost),
            _ => Ok(()),
        }
    }

    fn push(&mut self, round: &mut Round, read: &BorrowedMessage<'_>) -> Result<(), Error> {
        // What is left in the queue of a topic that is not ours can't be; it would have no place to go.
        let Some((topic, route)) = self.routes.get_key_value(read.topic()) else { return Ok(()) };
        let record = Record {
            partition: read.partition(),
            offset: read.offset(),
            timestamp_ms: read.timestamp().to_millis(),
            key: read.key(),
            value: read.payload(),
            trace: if self.traces { trace(read) } else { None },
        };
        let made = message(route, &record, || headers(read));
        let batch = round.batch(topic, record.partition);
        let size = read.key_len() + read.payload_len();
        match (made, self.bad_records) {
            (Ok(message), _) => batch.records.push(message),
            (Err(reason), BadRecords::DeadLetter) => {
                let (place, value) = (place(topic, &record), record.value.unwrap_or_default());
                let record = Bytes::copy_from_slice(value);
                batch.records.push(SourceRecord::Malformed { place, reason, record });
            }
            (Err(reason), BadRecords::Skip) => {
                self.skipped += 1;
                let place = place(topic, &record);
                tracing::debug!(id = %self.id, place, reason, skipped = self.skipped, "a record is skipped");
            }
            (Err(reason), BadRecords::Fail) => {
                let (id, place) = (self.id.clone(), place(topic, &record));
                return Err(Error::BadRecord { id, place, reason });
            }
        }
        batch.next = record.offset + 1;
        round.records += 1;
        round.bytes += size;
        Ok(())
    }
}

impl Round {
    /// The batch of a partition. Records come partition by partition, so it is mostly the last one.
    fn batch(&mut self, topic: &Arc<str>, partition: i32) -> &mut Batch {
        let is_it = |batch: &Batch| batch.part.partition == partition && batch.part.topic == *topic;
        let index = self.batches.iter().rposition(is_it).unwrap_or_else(|| {
            let part = Part { topic: topic.clone(), partition };
            self.batches.push(Batch { part, records: Vec::new(), next: 0 });
            self.batches.len() - 1
        });
        &mut self.batches[index]
    }
}

fn place(topic: &str, record: &Record<'_>) -> String {
    format!("{topic}/{}@{}", record.partition, record.offset)
}

/// The span that a record follows from; the last header counts, as with Kafka's own clients.
fn trace(read: &BorrowedMessage<'_>) -> Option<TraceContext> {
    let headers = headers(read).ok()?;
    let header = headers.iter().rev().find(|header| header.key == TRACEPARENT)?;
    TraceContext::parse(header.value?)
}

fn headers<'a>(read: &'a BorrowedMessage<'_>) -> Result<Vec<Header<'a>>, Reason> {
    let Some(headers) = read.headers() else { return Ok(Vec::new()) };
    // The client library panics over a name that is not text.
    let all = || headers.iter().map(|it| Header { key: it.key, value: it.value }).collect();
    catch_unwind(AssertUnwindSafe(all)).map_err(|_| {
        "the name of a header of the record is not UTF-8; hint: correct its producer".to_owned()
    })
}
