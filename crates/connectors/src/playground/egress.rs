//! `io.statefun.playground.v1/egress`: records wait in memory, by topic, until somebody takes them with
//! `<any method> /<topic>`, the oldest first.
//!
//! The answer is 200 and the payload of the record, or 404 without a body if none waits, or 405 for a topic that is not
//! configured. The records are gone after a restart, as in StateFun.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{StatusCode, Uri};
use serde_json::Value;
use statera_config as config;
use statera_model::{Name, TypedValue, codes};
use statera_ports::{BoxFuture, DataId, Egress, Sink, SinkBatch, SinkError, SinkPosition};

use super::with_status_header;
use crate::Error;
use crate::http::{self, Limits, Problem, Response, Server, decode};

const EGRESS_RECORD: &str = "io.statefun.playground/EgressRecord";

/// The most records that wait in a topic; further ones are dropped, as in StateFun.
const TOPIC_RECORDS_MAX: usize = 1 << 20;

/// The most bytes of payloads that wait in a topic; further records are dropped.
const TOPIC_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Opens the egress: what functions write to, and where people read.
pub(crate) fn egress(spec: &config::PlaygroundEgress) -> Result<(Egress, EgressServer), Error> {
    let id = Name::from_parts("io.statefun.playground", "egress");
    let server = Server::bind(id.clone(), spec.address, Limits::DEFAULT)?;
    let topics = Arc::new(Topics::new(&spec.topics, TOPIC_RECORDS_MAX, TOPIC_BYTES_MAX));
    let known = Arc::clone(&topics);
    let egress = Egress {
        id,
        accepts: Arc::new(move |value| known.record(value).map(drop)),
        sink: Box::new(TopicsSink(Arc::clone(&topics))),
    };
    Ok((egress, EgressServer { server, topics }))
}

/// What hands the records out, its socket open.
#[derive(Debug)]
pub(crate) struct EgressServer {
    pub(crate) server: Server,
    topics: Arc<Topics>,
}

impl EgressServer {
    pub(crate) async fn run(self, stop: BoxFuture<'static, ()>) -> Result<(), Error> {
        let topics = self.topics;
        let handle = move |request: hyper::Request<_>| {
            let response = take(&topics, request.uri()).unwrap_or_else(Problem::response);
            std::future::ready(with_status_header(response))
        };
        self.server.run(handle, stop).await
    }
}

fn take(topics: &Topics, uri: &Uri) -> Result<Response, Problem> {
    let topic = decode(uri.path().strip_prefix('/').unwrap_or_default())?;
    let Some(queue) = topics.queue(&topic) else {
        return Err(Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("there is no topic `{topic}`"),
            format!("the topics of this egress are {}", topics.names()),
        ));
    };
    let Some(payload) = lock(queue).pop() else { return Ok(http::empty(StatusCode::NOT_FOUND)) };
    let mut response = Response::new(Full::new(Bytes::from(payload)));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

struct TopicsSink(Arc<Topics>);

impl Sink for TopicsSink {
    fn recover(
        &mut self,
        _data: DataId,
        _last: Option<SinkPosition>,
    ) -> BoxFuture<'_, Result<Option<SinkPosition>, SinkError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn write(&mut self, batch: SinkBatch) -> BoxFuture<'_, Result<Bytes, SinkError>> {
        let mut dropped = 0;
        for value in &batch.records {
            match self.0.record(value) {
                Ok(Record { queue, payload }) => {
                    if !lock(queue).push(payload) {
                        dropped += 1;
                    }
                }
                // Checked before; but the topics may have been configured otherwise when the record was made.
                Err(reason) => {
                    tracing::warn!(code = %codes::RECORDS_LOST, %reason, "dropping a record of the playground's egress")
                }
            }
        }
        if dropped > 0 {
            tracing::warn!(
                code = %codes::RECORDS_LOST,
                records = dropped,
                "dropping records of the playground's egress: a topic is full"
            );
        }
        Box::pin(std::future::ready(Ok(Bytes::new())))
    }
}

/// The records that wait, by topic.
#[derive(Debug)]
pub(super) struct Topics(BTreeMap<String, Mutex<Queue>>);

/// A record, and where it belongs.
pub(super) struct Record<'a> {
    queue: &'a Mutex<Queue>,
    payload: String,
}

impl Topics {
    pub(super) fn new(names: &[String], records_max: usize, bytes_max: usize) -> Topics {
        let queue =
            || Mutex::new(Queue { payloads: VecDeque::new(), bytes: 0, records_max, bytes_max });
        Topics(names.iter().map(|name| (name.clone(), queue())).collect())
    }

    fn queue(&self, topic: &str) -> Option<&Mutex<Queue>> {
        self.0.get(topic)
    }

    fn names(&self) -> String {
        self.0.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }

    /// Reads `{"topic": "...", "payload": "..."}`.
    pub(super) fn record(&self, value: &TypedValue) -> Result<Record<'_>, String> {
        let typename = value.typename();
        if typename != EGRESS_RECORD {
            return Err(format!(
                "the playground's egress takes values of type `{EGRESS_RECORD}`, not `{typename}`"
            ));
        }
        let wrong = |what: &str| {
            format!(
                r#"a `{EGRESS_RECORD}` is a JSON object {{"topic": "...", "payload": "..."}}: {what}"#
            )
        };
        let json: Value =
            serde_json::from_slice(value.value()).map_err(|error| wrong(&error.to_string()))?;
        let Value::Object(mut members) = json else { return Err(wrong("it is not an object")) };
        let mut take = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(wrong(&format!("`{name}` is not a string"))),
            None => Err(wrong(&format!("`{name}` is missing"))),
        };
        let (topic, payload) = (take("topic")?, take("payload")?);
        if let Some(member) = members.keys().next() {
            return Err(wrong(&format!("`{member}` is unknown")));
        }
        match self.queue(&topic) {
            Some(queue) => Ok(Record { queue, payload }),
            None => Err(format!(
                "the playground's egress has no topic `{topic}`; its topics are {}",
                self.names()
            )),
        }
    }
}

/// The records of one topic, oldest first.
#[derive(Debug)]
struct Queue {
    payloads: VecDeque<String>,
    bytes: usize,
    records_max: usize,
    bytes_max: usize,
}

impl Queue {
    /// Whether there was room.
    fn push(&mut self, payload: String) -> bool {
        let room =
            self.payloads.len() < self.records_max && self.bytes + payload.len() <= self.bytes_max;
        if room {
            self.bytes += payload.len();
            self.payloads.push_back(payload);
        }
        room
    }

    fn pop(&mut self) -> Option<String> {
        let payload = self.payloads.pop_front()?;
        self.bytes -= payload.len();
        Some(payload)
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    // Nothing in between panics, and a queue is whole at any time.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_holds_so_many_records_and_bytes() {
        let topics = Topics::new(&["t".to_owned()], 3, 10);
        let queue = topics.queue("t").unwrap();
        let push = |text: &str| lock(queue).push(text.to_owned());
        assert!(push("1234") && push("5678") && !push("90a"));
        assert!(push("90") && !push(""));
        assert_eq!(lock(queue).pop().as_deref(), Some("1234"));
        assert!(push("abcd") && !push(""));
    }
}
