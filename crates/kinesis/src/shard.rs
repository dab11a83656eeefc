//! Reading one shard to its end.
//!
//! The service deletes records after a while, and does not tell a reader who comes too late. So we know up to which time
//! everything has been read: as long as that is not longer ago than the stream keeps records, nothing can have been lost. Else the record that was
//! read last must still be there, or the ingress ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use statera_config::{BadRecords, StreamRoute};
use statera_model::{Address, Name, TypedValue, codes};
use statera_ports::{Engine, SourceBatch, SourceId, SourceRecord, SourceStatus, SourceUnit};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use crate::Error;
use crate::aggregated::{self, Content, SubRecord};
use crate::api::{self, Api, ApiError, IteratorType, Kind, Record, Records};
use crate::lineage::Start;
use crate::position::{Last, Position};
use crate::retry::patiently;

/// The most records in a batch for the engine.
const BATCH_RECORDS_MAX: usize = 1024;

/// A batch takes no further record from this size on.
const BATCH_BYTES: usize = 1 << 20;

/// No stream keeps records for less.
const RETENTION_MIN_MS: i64 = 24 * HOUR_MS;
const HOUR_MS: i64 = 3_600_000;

/// How often it becomes durable that a shard without records has been read.
const QUIET_MARK_MS: i64 = HOUR_MS;

/// What all shards of an ingress share.
pub(crate) struct Shared {
    pub(crate) id: Name,
    pub(crate) api: Api,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) bad_records: BadRecords,
    /// The time from one request for records of a shard to the next.
    pub(crate) interval: Duration,
    /// The most records that are asked for at once.
    pub(crate) limit: u32,
    /// How many shards may hold what they have read.
    pub(crate) reads: Semaphore,
}

/// A shard that is being read.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    route: Arc<StreamRoute>,
    source: SourceId,
    shard: api::Shard,
    position: Position,
    /// Where to begin as long as nothing was read.
    begin: IteratorType,
    /// Where to begin again if even that fails: `latest` is never the same twice.
    begin_again: IteratorType,
    /// What of `position.read_to` the engine knows.
    known_read_to: Option<i64>,
    /// The shard is listed as closed.
    closed: Arc<AtomicBool>,
    strangers: u64,
}

/// Why an iterator is not used any more.
enum Over {
    Expired,
    End,
}

/// Records on their way to the engine.
#[derive(Default)]
struct Batch {
    records: Vec<SourceRecord>,
    bytes: usize,
}

impl Reader {
    pub(crate) fn new(
        shared: Arc<Shared>,
        route: Arc<StreamRoute>,
        shard: api::Shard,
        start: Start,
        closed: Arc<AtomicBool>,
    ) -> Reader {
        let Start { position, begin, .. } = start;
        let source = source(&shared.id, &route.name, &shard.id);
        let begin_again = match (&begin, position.read_to) {
            (IteratorType::Latest, Some(time)) => IteratorType::AtTimestamp(time),
            _ => begin.clone(),
        };
        Reader {
            shared,
            route,
            source,
            shard,
            known_read_to: position.read_to,
            position,
            begin,
            begin_again,
            closed,
            strangers: 0,
        }
    }

    /// Reads to the end of the shard. Returns up to which time everything has been read. May be dropped at any time:
    /// what the engine has not taken is read again.
    pub(crate) async fn run(mut self) -> Result<(String, Option<i64>), Error> {
        tracing::info!(source = %self.source, "reading a shard");
        loop {
            let iterator = self.iterator().await?;
            match self.follow(iterator).await? {
                Over::Expired => tracing::debug!(source = %self.source, "the iterator has expired"),
                Over::End => break,
            }
        }
        self.position.ended = true;
        self.hand_over(Batch::default()).await;
        self.shared.engine.report(&self.source, None);
        tracing::info!(source = %self.source, "a shard is read to its end");
        Ok((self.shard.id, self.position.read_to))
    }

    async fn iterator(&mut self) -> Result<String, Error> {
        let begin = match &self.position.last {
            Some(Last { sequence, within: None }) => {
                IteratorType::AfterSequenceNumber(sequence.clone())
            }
            Some(Last { sequence, within: Some(_) }) => {
                IteratorType::AtSequenceNumber(sequence.clone())
            }
            None => std::mem::replace(&mut self.begin, self.begin_again.clone()),
        };
        let Shared { id, api, .. } = &*self.shared;
        let ask = || api.shard_iterator(&self.route.name, &self.shard.id, &begin);
        patiently(id, ask).await.map_err(|error| match (error.kind, &self.position.last) {
            (Kind::Invalid, Some(_)) => self.records_gone(),
            _ => self.failed(error),
        })
    }

    /// Reads on until the iterator is of no use any more.
    async fn follow(&mut self, mut iterator: String) -> Result<Over, Error> {
        loop {
            let next_request = Instant::now() + self.shared.interval;
            // Nothing is added after it was closed: what is read from here on is all.
            let closed = self.closed.load(Ordering::Acquire);
            let shared = Arc::clone(&self.shared);
            let permit = shared.reads.acquire().await.expect("it is never closed");
            let ask = || shared.api.records(&iterator, shared.limit);
            let records = match patiently(&shared.id, ask).await {
                Ok(records) => records,
                Err(error) if error.kind == Kind::IteratorExpired => return Ok(Over::Expired),
                Err(error) => return Err(self.failed(error)),
            };
            self.check_nothing_lost(records.at).await?;
            let drained = records.records.is_empty() && records.ms_behind == Some(0);
            let next = records.next.clone();
            self.deliver(records).await?;
            drop(permit);
            match next {
                Some(next) if !(closed && drained) => iterator = next,
                _ => return Ok(Over::End),
            }
            sleep_until(next_request).await;
        }
    }

    /// Called with records that are not delivered yet: what was deleted before they were read is known then.
    async fn check_nothing_lost(&self, at: i64) -> Result<(), Error> {
        let Some(unread) = self.position.read_to.map(|read_to| at - read_to) else { return Ok(()) };
        if unread <= RETENTION_MIN_MS {
            return Ok(());
        }
        let Shared { id, api, .. } = &*self.shared;
        let stream = &self.route.name;
        let retention = patiently(id, || api.retention_ms(stream)).await;
        if unread <= retention.map_err(|error| self.failed(error))? {
            return Ok(());
        }
        match &self.position.last {
            Some(last) if self.is_there(&last.sequence).await? => Ok(()),
            _ => Err(self.records_gone()),
        }
    }

    /// Whether a record has not been deleted yet.
    async fn is_there(&self, sequence: &str) -> Result<bool, Error> {
        let Shared { id, api, .. } = &*self.shared;
        let begin = IteratorType::AtSequenceNumber(sequence.to_owned());
        let ask = || async {
            let iterator = api.shard_iterator(&self.route.name, &self.shard.id, &begin).await?;
            api.records(&iterator, 1).await
        };
        match patiently(id, ask).await {
            Ok(Records { records, .. }) => {
                Ok(records.first().is_some_and(|record| record.sequence == sequence))
            }
            Err(error) if error.kind == Kind::Invalid => Ok(false),
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn deliver(&mut self, records: Records) -> Result<(), Error> {
        let mut batch = Batch::default();
        let status = status(&records);
        for record in records.records {
            self.unpack(record, &mut batch).await?;
        }
        if records.ms_behind == Some(0) {
            self.position.read_to = Some(records.at);
        }
        let quiet = match (self.position.read_to, self.known_read_to) {
            (Some(now), Some(known)) => now - known >= QUIET_MARK_MS,
            (now, _) => now.is_some(),
        };
        if !batch.records.is_empty() || quiet {
            self.hand_over(batch).await;
        }
        if status.is_some() {
            self.shared.engine.report(&self.source, status);
        }
        Ok(())
    }

    /// Adds the messages of a record to a batch, which is handed over whenever it is full.
    async fn unpack(&mut self, record: Record, batch: &mut Batch) -> Result<(), Error> {
        let skipped = match &self.position.last {
            Some(Last { sequence, within: Some(within) }) if *sequence == record.sequence => {
                *within
            }
            // Half of a record was read, and now it is not there.
            Some(Last { within: Some(_), .. }) => return Err(self.records_gone()),
            _ => 0,
        };
        match aggregated::content(&record.data) {
            Content::Single => batch.push(self.message(&record.partition_key, &record.data)),
            Content::Several(records) => {
                let rest = records.into_iter().enumerate().skip(skipped as usize);
                for (index, sub_record) in rest {
                    self.unpack_sub_record(sub_record, batch);
                    let last = Last {
                        sequence: record.sequence.clone(),
                        within: u32::try_from(index + 1).ok(),
                    };
                    self.position.last = Some(last);
                    if batch.is_full() {
                        self.hand_over(std::mem::take(batch)).await;
                    }
                }
            }
            Content::Broken => self.bad_record(&record, batch)?,
        }
        self.position.last = Some(Last { sequence: record.sequence, within: None });
        self.position.read_to = record.arrived.or(self.position.read_to);
        if batch.is_full() {
            self.hand_over(std::mem::take(batch)).await;
        }
        Ok(())
    }

    /// The Producer Library may put a record into one for another shard while shards are being split; then it notices and
    /// sends it again.
    fn unpack_sub_record(&mut self, record: SubRecord, batch: &mut Batch) {
        if self.shard.hash_key_range.contains(record.hash_key) {
            return batch.push(self.message(&record.partition_key, &record.data));
        }
        if self.strangers == 0 {
            tracing::warn!(
                code = %codes::KINESIS_STRANGERS,
                source = %self.source,
                "an aggregated record has records of other shards, which are left out: their producer sends them \
                 again, if it is the Kinesis Producer Library"
            );
        }
        self.strangers += 1;
    }

    fn bad_record(&self, record: &Record, batch: &mut Batch) -> Result<(), Error> {
        let place = format!("{} sequence number {}", self.source.partition, record.sequence);
        let reason = "it is an aggregated record that cannot be read, though its checksum is right";
        match self.shared.bad_records {
            BadRecords::DeadLetter => batch.push(SourceRecord::Malformed {
                place,
                reason: reason.to_owned(),
                record: record.data.clone(),
            }),
            BadRecords::Skip => tracing::debug!(place, reason, "a bad record is skipped"),
            BadRecords::Fail => {
                let (id, reason) = (self.shared.id.clone(), reason.to_owned());
                return Err(Error::BadRecord { id, place, reason });
            }
        }
        Ok(())
    }

    fn message(&self, key: &str, data: &Bytes) -> SourceRecord {
        let targets =
            self.route.targets.iter().map(|target| Address::new(target.clone(), key)).collect();
        let argument = TypedValue::new(self.route.value_type.as_str(), data);
        SourceRecord::Message { targets, argument, trace: None }
    }

    /// Gives the engine records and the position behind them.
    async fn hand_over(&mut self, batch: Batch) {
        let position = self.position.encode();
        let source = self.source.clone();
        let batch = SourceBatch { source, records: batch.records, position };
        if self.shared.engine.deliver(batch).await.is_err() {
            // It is stopping: whoever runs us is told so, too, and drops us.
            std::future::pending::<()>().await;
        }
        self.known_read_to = self.position.read_to;
    }

    fn failed(&self, error: ApiError) -> Error {
        let (id, stream) = (self.shared.id.clone(), self.route.name.clone());
        match error.kind {
            Kind::NotFound => Error::StreamGone { id, stream },
            _ => Error::Refused { id, stream, source: error.into() },
        }
    }

    fn records_gone(&self) -> Error {
        Error::RecordsGone {
            id: self.shared.id.clone(),
            stream: self.route.name.clone(),
            shard: self.shard.id.clone(),
        }
    }
}

impl Batch {
    fn push(&mut self, record: SourceRecord) {
        self.bytes += match &record {
            SourceRecord::Message { argument, .. } => argument.encoded().len(),
            SourceRecord::Malformed { record, .. } => record.len(),
        };
        self.records.push(record);
    }

    fn is_full(&self) -> bool {
        self.records.len() >= BATCH_RECORDS_MAX || self.bytes >= BATCH_BYTES
    }
}

/// How far behind these records were when the service gave them.
fn status(records: &Records) -> Option<SourceStatus> {
    let now = u64::try_from(records.at).ok()?;
    let behind = u64::try_from(records.ms_behind?).ok()?;
    let (position, unit) = (now.saturating_sub(behind), SourceUnit::Milliseconds);
    Some(SourceStatus { position, end: Some(now), unit })
}

/// The name of a shard for the engine.
pub(crate) fn source(ingress: &Name, stream: &str, shard: &str) -> SourceId {
    SourceId { ingress: ingress.clone(), partition: format!("{stream}/{shard}").into() }
}
