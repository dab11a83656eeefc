//! A step of a trace.

use std::time::SystemTime;

use statera_model::TraceContext;

use crate::Tracer;

/// What role a span has towards others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Within the process.
    Internal,
    /// Serves a request from outside.
    Server,
    /// Calls something outside.
    Client,
    /// Hands a message to something outside, which processes it later.
    Producer,
    /// Takes a message that something outside has left.
    Consumer,
}

/// A step of a trace: from when it was made until it is dropped.
#[derive(Debug)]
pub struct Span {
    tracer: Tracer,
    /// What is exported; taken when it is dropped.
    record: Option<Box<Record>>,
}

/// What is known about a span.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) context: TraceContext,
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) start: SystemTime,
    pub(crate) end: SystemTime,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    pub(crate) links: Vec<TraceContext>,
    pub(crate) error: Option<String>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
}

impl Span {
    pub(crate) fn begin(
        tracer: Tracer,
        context: TraceContext,
        parent: Option<[u8; 8]>,
        (name, kind): (String, Kind),
    ) -> Span {
        let now = SystemTime::now();
        let record = Record {
            context,
            parent,
            name,
            kind,
            start: now,
            end: now,
            attributes: Vec::new(),
            links: Vec::new(),
            error: None,
        };
        Span { tracer, record: Some(Box::new(record)) }
    }

    fn record(&mut self) -> &mut Record {
        self.record.as_mut().expect("it is there until it is dropped")
    }

    /// How what follows from it refers to it.
    #[must_use]
    pub fn context(&self) -> TraceContext {
        self.record.as_ref().expect("it is there until it is dropped").context
    }

    /// Says something about it.
    pub fn text(&mut self, name: &'static str, value: impl Into<String>) {
        self.record().attributes.push((name, Value::Text(value.into())));
    }

    /// Counts something about it.
    pub fn number(&mut self, name: &'static str, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.record().attributes.push((name, Value::Number(value)));
    }

    /// It has to do with another span, which is not its parent.
    pub fn link(&mut self, other: TraceContext) {
        self.record().links.push(other);
    }

    /// What it is for has failed.
    pub fn fail(&mut self, reason: impl Into<String>) {
        self.record().error = Some(reason.into());
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.end = SystemTime::now().max(record.start);
            self.tracer.ended(*record);
        }
    }
}
