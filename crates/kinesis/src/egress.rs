//! The egress: records to streams, at least once.
//!
//! A write is spread over lanes, each of which has one request under way at a time; records of one partition key go
//! through one lane, in order. What the service did not take of a request is sent again alone, one record of each key at a time, before
//! anything behind it. Only what was in the same request may so overtake it. If the write must be given up for a
//! while, what was taken is remembered, and only the rest is written the next time.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use statera_config as config;
use statera_model::{Epoch, TypedValue};
use statera_ports::{BoxFuture, DataId, Egress, Sink, SinkBatch, SinkError, SinkPosition};
use statera_protocol::egress::KinesisRecord;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::api::{Api, Entry};
use crate::connect::{Properties, Service, connect};
use crate::environment::Environment;
use crate::retry::{Backoff, passes};

/// The most records in a request: a limit of the service.
const REQUEST_RECORDS_MAX: usize = 500;

/// The most bytes in a request, keys included: a limit of the service.
const REQUEST_BYTES_MAX: usize = 5 << 20;

/// The largest record, key included: a limit of the service.
const RECORD_BYTES_MAX: usize = 1 << 20;

/// The longest partition key, in characters: a limit of the service.
const KEY_CHARS_MAX: usize = 256;

const STREAM_BYTES_MAX: usize = 128;

/// The most requests under way at once.
const LANES_MAX: usize = 16;

/// After so long without any success it is the engine that tries again, so that one sees that the egress is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// An egress. Nothing is asked of Kinesis before it is prepared.
#[must_use]
pub fn egress(spec: &config::KinesisEgress, environment: Environment) -> Egress {
    let sink = KinesisSink { spec: spec.clone(), environment, api: None, begun: None };
    Egress { id: spec.id.clone(), accepts: Arc::new(accepts), sink: Box::new(sink) }
}

/// Whether the service takes such a record, so that a function learns it and not the sink.
fn accepts(value: &TypedValue) -> Result<(), String> {
    let record = KinesisRecord::decode(value).map_err(|error| error.to_string())?;
    let KinesisRecord { stream, partition_key, explicit_hash_key, value } = record;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if stream.is_empty() || stream.len() > STREAM_BYTES_MAX || !stream.chars().all(allowed) {
        return Err(format!("`{stream}` is not the name of a stream"));
    }
    let characters = partition_key.chars().take(KEY_CHARS_MAX + 1).count();
    if !(1..=KEY_CHARS_MAX).contains(&characters) {
        return Err(format!("the partition key must have 1 to {KEY_CHARS_MAX} characters"));
    }
    let digits = explicit_hash_key.bytes().all(|byte| byte.is_ascii_digit());
    if !explicit_hash_key.is_empty() && (!digits || explicit_hash_key.parse::<u128>().is_err()) {
        return Err("the explicit hash key must be a decimal number below 2^128".to_owned());
    }
    let bytes = value.len() + partition_key.len();
    if bytes > RECORD_BYTES_MAX {
        return Err(format!(
            "the record has {bytes} bytes with its key, but Kinesis takes at most {RECORD_BYTES_MAX}"
        ));
    }
    Ok(())
}

struct KinesisSink {
    spec: config::KinesisEgress,
    environment: Environment,
    api: Option<Arc<Api>>,
    /// What is left of a write that failed.
    begun: Option<Begun>,
}

struct Begun {
    epoch: Epoch,
    lanes: Vec<Lane>,
}

/// Records that are written one request after the other.
#[derive(Default)]
struct Lane {
    /// What the service did not take when the rest of its request was taken.
    refused: VecDeque<Addressed>,
    waiting: VecDeque<Addressed>,
}

/// A record and its stream.
type Addressed = (Arc<str>, Entry);

impl Sink for KinesisSink {
    fn recover(
        &mut self,
        _data: DataId,
        _last: Option<SinkPosition>,
    ) -> BoxFuture<'_, Result<Option<SinkPosition>, SinkError>> {
        Box::pin(async move {
            let mut properties = Properties::new(&self.spec.properties);
            let timeouts = properties.timeouts();
            properties.warn_of_others(&self.spec.id);
            let config::KinesisEgress { id, region, credentials, .. } = &self.spec;
            let service = Service { id, region, credentials, timeouts };
            let api = connect(service, &self.environment).await.map_err(|error| SinkError {
                doing: "cannot prepare Kinesis".to_owned(),
                source: Some(error.into()),
            })?;
            self.api = Some(Arc::new(api));
            Ok(None)
        })
    }

    fn write(&mut self, batch: SinkBatch) -> BoxFuture<'_, Result<Bytes, SinkError>> {
        Box::pin(async move {
            let Some(api) = self.api.clone() else {
                let doing = "cannot write to Kinesis before it is prepared".to_owned();
                return Err(SinkError { doing, source: None });
            };
            let requests = self.spec.outstanding_max.div_ceil(REQUEST_RECORDS_MAX);
            let count = requests.clamp(1, LANES_MAX);
            let records_max = (self.spec.outstanding_max / count).clamp(1, REQUEST_RECORDS_MAX);
            let lanes = match self.begun.take().filter(|begun| begun.epoch == batch.epoch) {
                Some(begun) => begun.lanes,
                None => lanes(&batch.records, count)?,
            };
            let mut writing = JoinSet::new();
            for lane in lanes {
                writing.spawn(write_lane(Arc::clone(&api), lane, records_max));
            }
            let mut left = Vec::new();
            let mut failure = None;
            while let Some(done) = writing.join_next().await {
                let (lane, error) = done.unwrap_or_else(|error| {
                    std::panic::resume_unwind(error.into_panic());
                });
                left.push(lane);
                failure = failure.or(error);
            }
            match failure {
                None => Ok(Bytes::new()),
                Some(error) => {
                    self.begun = Some(Begun { epoch: batch.epoch, lanes: left });
                    Err(error)
                }
            }
        })
    }
}

/// Spreads records by stream and key.
fn lanes(records: &[TypedValue], count: usize) -> Result<Vec<Lane>, SinkError> {
    let mut lanes: Vec<_> = (0..count).map(|_| Lane::default()).collect();
    let mut streams: Vec<Arc<str>> = Vec::new();
    for value in records {
        let record = KinesisRecord::decode(value).map_err(|error| SinkError {
            doing: "cannot read a record for Kinesis".to_owned(),
            source: Some(error.into()),
        })?;
        let stream = match streams.iter().find(|stream| ***stream == *record.stream) {
            Some(stream) => Arc::clone(stream),
            None => {
                streams.push(record.stream.into());
                record.stream.into()
            }
        };
        let mut hasher = DefaultHasher::new();
        (record.stream, record.partition_key).hash(&mut hasher);
        let lane = (hasher.finish() % count as u64) as usize;
        let entry = Entry::new(record.partition_key, record.explicit_hash_key, record.value);
        lanes[lane].waiting.push_back((stream, entry));
    }
    // A request is for one stream.
    for lane in &mut lanes {
        lane.waiting.make_contiguous().sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    Ok(lanes)
}

/// Writes until all is written, or nothing has been taken for a while. Returns what is left.
async fn write_lane(
    api: Arc<Api>,
    mut lane: Lane,
    records_max: usize,
) -> (Lane, Option<SinkError>) {
    let mut backoff = Backoff::new();
    let mut last_success = Instant::now();
    while let Some(request) = lane.request(records_max) {
        let stream = Arc::clone(&request.stream);
        let written = api.put_records(&stream, &request.records).await;
        let given_up = written.as_ref().is_err_and(|error| !passes(error.kind));
        let cause: Box<dyn std::error::Error + Send + Sync> = match written {
            Ok(outcomes) => {
                let refusal = outcomes.iter().flatten().next().cloned();
                if outcomes.iter().any(Option::is_none) {
                    last_success = Instant::now();
                    backoff = Backoff::new();
                }
                lane.settle(request, &outcomes);
                let Some(refusal) = refusal else { continue };
                refusal.into()
            }
            Err(error) => {
                lane.take_back(request);
                error.into()
            }
        };
        if given_up || last_success.elapsed() > PATIENCE {
            let doing = format!("cannot write to the Kinesis stream `{stream}`");
            return (lane, Some(SinkError { doing, source: Some(cause) }));
        }
        backoff.pause().await;
    }
    (lane, None)
}

/// Records under way.
struct Request {
    stream: Arc<str>,
    records: Vec<Entry>,
    /// They were refused before.
    again: bool,
}

impl Lane {
    /// Takes out the records of the next request: those for the first stream, as many as the limits allow.
    fn request(&mut self, records_max: usize) -> Option<Request> {
        let again = !self.refused.is_empty();
        let from = if again { &mut self.refused } else { &mut self.waiting };
        let stream = Arc::clone(&from.front()?.0);
        let mut records: Vec<Entry> = Vec::new();
        let mut kept = VecDeque::new();
        let mut bytes = 0;
        while let Some((other, entry)) = from.pop_front_if(|_| records.len() < records_max) {
            bytes += entry.bytes();
            let early = again && records.iter().any(|r| r.partition_key() == entry.partition_key());
            if other != stream || bytes > REQUEST_BYTES_MAX {
                from.push_front((other, entry));
                break;
            } else if early {
                bytes -= entry.bytes();
                kept.push_back((other, entry));
            } else {
                records.push(entry);
            }
        }
        kept.append(from);
        *from = kept;
        Some(Request { stream, records, again })
    }

    /// Keeps what was not taken.
    fn settle(&mut self, request: Request, outcomes: &[Option<String>]) {
        let records = request.records.into_iter().zip(outcomes).rev();
        for (entry, _) in records.filter(|(_, outcome)| outcome.is_some()) {
            self.refused.push_front((Arc::clone(&request.stream), entry));
        }
    }

    /// Keeps a request of which nothing was taken, as far as we know.
    fn take_back(&mut self, request: Request) {
        let to = if request.again { &mut self.refused } else { &mut self.waiting };
        for entry in request.records.into_iter().rev() {
            to.push_front((Arc::clone(&request.stream), entry));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(stream: &str, key: &str, hash_key: &str, bytes: usize) -> TypedValue {
        let value = vec![0; bytes];
        let explicit_hash_key = hash_key;
        KinesisRecord { stream, partition_key: key, explicit_hash_key, value: &value }.encode()
    }

    #[test]
    fn what_kinesis_would_refuse_is_refused_at_once() {
        let max = "340282366920938463463374607431768211455";
        let over = "340282366920938463463374607431768211456";
        let long = "é".repeat(256);
        for (value, accepted) in [
            (record("s", "k", "", 0), true),
            (record("s", "k", max, RECORD_BYTES_MAX - 1), true),
            (record("s", &long, "0", 1), true),
            (record("s", "k", over, 0), false),
            (record("s", "k", "+1", 0), false),
            (record("s", "k", "", RECORD_BYTES_MAX), false),
            (record("s", &format!("{long}x"), "", 0), false),
            (record("s", "", "", 0), false),
            (record("", "k", "", 0), false),
            (record("s s", "k", "", 0), false),
            (TypedValue::new("a/b", b""), false),
        ] {
            assert_eq!(accepts(&value).is_ok(), accepted, "{:?}", accepts(&value));
        }
    }

    #[test]
    fn a_key_keeps_to_its_lane_and_its_order() {
        let records: Vec<_> = (0..1000)
            .map(|n: usize| {
                let (stream, key) = (format!("s{}", n % 3), format!("k{}", n % 7));
                let value = n.to_string().into_bytes();
                let record = KinesisRecord {
                    stream: &stream,
                    partition_key: &key,
                    explicit_hash_key: "",
                    value: &value,
                };
                record.encode()
            })
            .collect();
        let lanes = lanes(&records, 4).unwrap();
        assert_eq!(lanes.iter().map(|lane| lane.waiting.len()).sum::<usize>(), 1000);
        let mut owners = std::collections::BTreeMap::new();
        for (index, lane) in lanes.iter().enumerate() {
            assert!(lane.waiting.iter().is_sorted_by_key(|(stream, _)| stream));
            for (stream, entry) in &lane.waiting {
                let key = (stream.clone(), entry.partition_key().to_owned());
                assert_eq!(*owners.entry(key).or_insert(index), index);
            }
        }
    }

    #[test]
    fn requests_keep_within_the_limits() {
        let of = |count, bytes| {
            let records: Vec<_> = (0..count).map(|_| record("s", "k", "", bytes)).collect();
            let mut lane = lanes(&records, 1).unwrap().remove(0);
            let request = lane.request(500).unwrap();
            assert_eq!(request.records.len() + lane.waiting.len(), count);
            request.records.len()
        };
        assert_eq!(of(501, 1), 500);
        assert_eq!(of(10, (1 << 20) - 1), 5);
        assert_eq!(of(1, 1), 1);
    }

    #[test]
    fn what_was_refused_goes_alone_and_each_key_in_order() {
        let value = |n: usize| n.to_string().into_bytes();
        let keys = ["a", "b", "a", "b", "a"];
        let records: Vec<_> = (0..5)
            .map(|n| {
                let (stream, partition_key, value) = ("s", keys[n], value(n));
                let explicit_hash_key = "";
                KinesisRecord { stream, partition_key, explicit_hash_key, value: &value }.encode()
            })
            .collect();
        let mut lane = lanes(&records, 1).unwrap().remove(0);
        let no = || Some("no".to_owned());
        let mut round = |max, outcomes: &[Option<String>]| {
            let request = lane.request(max).unwrap();
            let count = request.records.len();
            let keys: Vec<_> =
                request.records.iter().map(|r| r.partition_key().to_owned()).collect();
            match outcomes.len() == count {
                true => lane.settle(request, outcomes),
                false => lane.take_back(request),
            }
            keys
        };
        assert_eq!(round(4, &[no(), None, no(), no()]), ["a", "b", "a", "b"]);
        assert_eq!(round(4, &[no(), None]), ["a", "b"]);
        assert_eq!(round(4, &[]), ["a"]);
        assert_eq!(round(4, &[None]), ["a"]);
        assert_eq!(round(4, &[None]), ["a"]);
        assert_eq!(round(4, &[]), ["a"]);
        assert_eq!(round(4, &[None]), ["a"]);
        assert!(lane.request(4).is_none());
    }
}
