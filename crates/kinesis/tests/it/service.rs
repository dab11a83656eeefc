//! Kinesis in memory, with what an honest mock lacks: shards that end, records that are deleted, a clock that is set,
//! and failures.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use md5::{Digest, Md5};
use serde_json::{Value, json};

use crate::http::Server;

/// More shards need several pages.
const PAGE: usize = 2;

pub(crate) struct Service {
    state: Arc<Mutex<State>>,
    server: Server,
}

#[derive(Default)]
pub(crate) struct State {
    /// Milliseconds since the Unix epoch; whole seconds, as the header `Date` has no more.
    pub(crate) now: i64,
    pub(crate) shards: Vec<Shard>,
    /// Whether there is a stream.
    pub(crate) exists: bool,
    /// Every iterator made before is expired.
    pub(crate) iterators_from: usize,
    iterators: Vec<(String, u64)>,
    sequence: u64,
    /// Codes of the next answers to an operation.
    pub(crate) failures: VecDeque<(&'static str, &'static str)>,
    /// For each of the next requests to write, which records are refused.
    pub(crate) refusals: VecDeque<Vec<usize>>,
    /// The operations, and the values of what was asked to be written.
    pub(crate) calls: Vec<(String, Value)>,
    /// The header `x-amz-security-token` that is asked for.
    pub(crate) token: Option<String>,
}

#[derive(Clone)]
pub(crate) struct Shard {
    pub(crate) id: String,
    parents: Vec<String>,
    range: (u128, u128),
    pub(crate) closed: bool,
    pub(crate) records: Vec<Record>,
}

#[derive(Clone)]
pub(crate) struct Record {
    sequence: u64,
    key: String,
    data: Vec<u8>,
    arrived: i64,
}

impl Service {
    /// With a stream of so many shards.
    pub(crate) async fn start(shards: u128) -> Service {
        let state = Arc::new(Mutex::new(State::new(shards)));
        let answering = Arc::clone(&state);
        let server = Server::start(move |request| answering.lock().unwrap().answer(&request)).await;
        Service { state, server }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn put(&self, key: &str, data: impl AsRef<[u8]>) {
        self.state().put(key, hash(key), data.as_ref());
    }
}

fn hash(key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(key.as_bytes()).into())
}

impl State {
    fn new(shards: u128) -> State {
        let mut state = State { now: 1_700_000_000_000, exists: true, ..State::default() };
        let width = u128::MAX / shards;
        for n in 0..shards {
            let end = if n + 1 == shards { u128::MAX } else { (n + 1) * width - 1 };
            state.open((n * width, end), &[]);
        }
        state
    }

    fn open(&mut self, range: (u128, u128), parents: &[&str]) {
        let id = format!("shardId-{:012}", self.shards.len());
        let parents = parents.iter().map(|id| (*id).to_owned()).collect();
        self.shards.push(Shard { id, parents, range, closed: false, records: Vec::new() });
    }

    pub(crate) fn put(&mut self, key: &str, hash: u128, data: &[u8]) {
        self.sequence += 1;
        let (sequence, arrived) = (self.sequence, self.now);
        let open = self.shards.iter_mut().filter(|shard| !shard.closed);
        let shard = open.into_iter().find(|s| (s.range.0..=s.range.1).contains(&hash)).unwrap();
        shard.records.push(Record { sequence, key: key.into(), data: data.into(), arrived });
    }

    /// Two halves in place of a shard.
    pub(crate) fn split(&mut self, index: usize) {
        let shard = &mut self.shards[index];
        shard.closed = true;
        let (id, (first, last)) = (shard.id.clone(), shard.range);
        let middle = first + (last - first) / 2;
        self.open((first, middle), &[&id]);
        self.open((middle + 1, last), &[&id]);
    }

    /// One in place of two neighbours.
    pub(crate) fn merge(&mut self, left: usize, right: usize) {
        for index in [left, right] {
            self.shards[index].closed = true;
        }
        let ids = [self.shards[left].id.clone(), self.shards[right].id.clone()];
        let range = (self.shards[left].range.0, self.shards[right].range.1);
        self.open(range, &[&ids[0], &ids[1]]);
    }

    pub(crate) fn values(&self) -> Vec<String> {
        let records = self.shards.iter().flat_map(|shard| &shard.records);
        records.map(|record| String::from_utf8_lossy(&record.data).into_owned()).collect()
    }

    fn answer(&mut self, request: &Request<Bytes>) -> Response<Full<Bytes>> {
        let header = |name| request.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
        let target = header("x-amz-target").unwrap();
        let action = target.strip_prefix("Kinesis_20131202.").unwrap().to_owned();
        assert!(header("authorization").unwrap().starts_with("AWS4-HMAC-SHA256 Credential="));
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        self.calls.push((action.clone(), body.clone()));
        let token = header("x-amz-security-token");
        let scripted = self.failures.pop_front_if(|(wanted, _)| *wanted == action);
        let failure = match self.token.is_some() && self.token != token {
            true => Some("ExpiredTokenException"),
            false => scripted.map(|(_, code)| code),
        };
        let answer = match failure {
            Some(code) => Err(code),
            None if !self.exists => Err("ResourceNotFoundException"),
            None => self.act(&action, &body),
        };
        let (status, body) = match answer {
            Ok(body) => (200, body),
            Err("InternalFailure") => (500, json!({ "__type": "InternalFailure" })),
            Err(code) => {
                (400, json!({ "__type": format!("com.amazonaws#{code}"), "message": "no" }))
            }
        };
        Response::builder()
            .status(status)
            .header("date", http_date(self.now))
            .body(Full::new(body.to_string().into()))
            .unwrap()
    }

    fn act(&mut self, action: &str, body: &Value) -> Result<Value, &'static str> {
        match action {
            "ListShards" => Ok(self.list(body)),
            "GetShardIterator" => self.iterator(body),
            "GetRecords" => self.records(body),
            "PutRecords" => Ok(self.put_records(body)),
            "DescribeStreamSummary" => {
                Ok(json!({ "StreamDescriptionSummary": { "RetentionPeriodHours": 24 } }))
            }
            other => panic!("{other}"),
        }
    }

    fn list(&self, body: &Value) -> Value {
        let first: usize = body["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        assert_eq!(body["StreamName"].is_null(), first > 0, "{body}");
        let page: Vec<_> = self.shards.iter().skip(first).take(PAGE).map(Shard::listed).collect();
        let next = first + page.len();
        let next = (next < self.shards.len()).then(|| next.to_string());
        json!({ "Shards": page, "NextToken": next })
    }

    fn iterator(&mut self, body: &Value) -> Result<Value, &'static str> {
        let id = body["ShardId"].as_str().unwrap();
        let shard = self.shards.iter().find(|shard| shard.id == id);
        let shard = shard.ok_or("ResourceNotFoundException")?;
        let sequence = || body["StartingSequenceNumber"].as_str().unwrap().parse::<u64>().unwrap();
        let from = match body["ShardIteratorType"].as_str().unwrap() {
            "TRIM_HORIZON" => 0,
            "LATEST" => self.sequence + 1,
            "AT_SEQUENCE_NUMBER" => sequence(),
            "AFTER_SEQUENCE_NUMBER" => sequence() + 1,
            "AT_TIMESTAMP" => {
                let at = (body["Timestamp"].as_f64().unwrap() * 1000.0) as i64;
                let first = shard.records.iter().find(|record| record.arrived >= at);
                first.map_or(self.sequence + 1, |record| record.sequence)
            }
            other => panic!("{other}"),
        };
        Ok(self.next(id.to_owned(), from))
    }

    fn next(&mut self, shard: String, from: u64) -> Value {
        self.iterators.push((shard, from));
        json!({ "ShardIterator": (self.iterators.len() - 1).to_string() })
    }

    fn records(&mut self, body: &Value) -> Result<Value, &'static str> {
        let number: usize = body["ShardIterator"].as_str().unwrap().parse().unwrap();
        if number < self.iterators_from {
            return Err("ExpiredIteratorException");
        }
        let limit = body["Limit"].as_u64().unwrap() as usize;
        let (id, from) = self.iterators[number].clone();
        let shard = self.shards.iter().find(|shard| shard.id == id);
        let shard = shard.ok_or("ResourceNotFoundException")?.clone();
        let unread: Vec<_> = shard.records.iter().filter(|r| r.sequence >= from).collect();
        let read: Vec<_> = unread.iter().take(limit).map(|record| record.read()).collect();
        let left = unread.get(read.len());
        let behind = left.map_or(0, |record| (self.now - record.arrived).max(1));
        let to = unread.get(read.len().wrapping_sub(1)).map_or(from, |last| last.sequence + 1);
        let next = match shard.closed && left.is_none() {
            true => Value::Null,
            false => self.next(id, to)["ShardIterator"].take(),
        };
        Ok(json!({ "Records": read, "NextShardIterator": next, "MillisBehindLatest": behind }))
    }

    fn put_records(&mut self, body: &Value) -> Value {
        let records = body["Records"].as_array().unwrap();
        assert!(records.len() <= 500);
        let refused = self.refusals.pop_front().unwrap_or_default();
        let mut outcomes = Vec::new();
        for (index, record) in records.iter().enumerate() {
            if refused.contains(&index) {
                let code = "ProvisionedThroughputExceededException";
                outcomes.push(json!({ "ErrorCode": code, "ErrorMessage": "slowly" }));
                continue;
            }
            let key = record["PartitionKey"].as_str().unwrap();
            let explicit = record["ExplicitHashKey"].as_str().map(|key| key.parse().unwrap());
            let data = STANDARD.decode(record["Data"].as_str().unwrap()).unwrap();
            self.put(key, explicit.unwrap_or_else(|| hash(key)), &data);
            outcomes.push(json!({ "SequenceNumber": self.sequence.to_string(), "ShardId": "x" }));
        }
        json!({ "FailedRecordCount": refused.len(), "Records": outcomes })
    }
}

impl Shard {
    fn listed(&self) -> Value {
        let end = self.closed.then_some("999999");
        json!({
            "ShardId": self.id,
            "ParentShardId": self.parents.first(),
            "AdjacentParentShardId": self.parents.get(1),
            "HashKeyRange": {
                "StartingHashKey": self.range.0.to_string(),
                "EndingHashKey": self.range.1.to_string(),
            },
            "SequenceNumberRange": { "StartingSequenceNumber": "0", "EndingSequenceNumber": end },
        })
    }
}

impl Record {
    fn read(&self) -> Value {
        json!({
            "SequenceNumber": self.sequence.to_string(),
            "PartitionKey": self.key,
            "Data": STANDARD.encode(&self.data),
            "ApproximateArrivalTimestamp": self.arrived as f64 / 1000.0,
        })
    }
}

/// Within November 2023, where the clock of the service stands.
fn http_date(ms: i64) -> String {
    let seconds = ms / 1000 - 1_698_796_800;
    let (day, second) = (seconds / 86_400 + 1, seconds % 86_400);
    assert!((1..=30).contains(&day));
    format!(
        "Day, {day:02} Nov 2023 {:02}:{:02}:{:02} GMT",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}
