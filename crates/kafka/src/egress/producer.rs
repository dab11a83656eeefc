//! A producer of librdkafka that knows what became of its records.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::Message as _;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{Producer as _, ProducerContext, ThreadedProducer};
use statera_model::{TraceContext, TypedValue, codes};
use statera_ports::SinkError;

use super::record::{read, to_send};
use super::thread::Signs;
use crate::client::{Events, Link};

/// How soon whoever waits sees that nobody waits for him.
const GLANCE: Duration = Duration::from_millis(100);

/// Pauses where the client gives no sign.
const FULL_PAUSE: Duration = Duration::from_millis(1);
const SETTLE_PAUSE: Duration = Duration::from_micros(100);

/// A producer. Blocks.
pub(super) struct Producer {
    pub(super) client: ThreadedProducer<Reports>,
}

/// How many records share a request. A topic may allow less than others, and refuses what is larger as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Packing {
    /// As configured.
    #[default]
    Full,
    /// As Kafka's Java client does it.
    Small,
    /// Each alone.
    Single,
}

impl Packing {
    const SMALL_BYTES: u64 = 16 << 10;

    /// What to try when a topic refuses something for its size.
    pub(super) fn tighter(self) -> Option<Packing> {
        match self {
            Packing::Full => Some(Packing::Small),
            Packing::Small => Some(Packing::Single),
            Packing::Single => None,
        }
    }

    fn apply(self, config: &mut ClientConfig) {
        match self {
            Packing::Full => {}
            Packing::Small => {
                let configured = config.get("batch.size").and_then(|bytes| bytes.parse().ok());
                let bytes = configured.unwrap_or(u64::MAX).min(Self::SMALL_BYTES);
                config.set("batch.size", bytes.to_string());
            }
            Packing::Single => drop(config.set("batch.num.messages", "1")),
        }
    }
}

/// Why records were not written.
#[derive(Debug)]
pub(super) enum Failure {
    /// A record, for this reason.
    Refused(Refusal),
    /// The client says so.
    Client { doing: &'static str, source: KafkaError },
    /// Nobody waits any more.
    Abandoned,
}

/// A record that was not taken.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    topic: String,
    bytes: usize,
    code: Option<RDKafkaErrorCode>,
    text: String,
}

impl Producer {
    pub(super) fn new(
        config: &ClientConfig,
        packing: Packing,
        link: &Arc<Link>,
    ) -> KafkaResult<Producer> {
        let mut config = config.clone();
        packing.apply(&mut config);
        let reports = Reports {
            events: Events(link.clone()),
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        let client = ThreadedProducer::from_config_and_context(&config, reports)?;
        Ok(Producer { client })
    }

    fn reports(&self) -> &Reports {
        self.client.context()
    }

    /// Hands over records, in order, those that are traced with a header that says so. Waits while the client is full.
    pub(super) fn send(
        &self,
        records: &[TypedValue],
        traces: &[(usize, TraceContext)],
        signs: &Signs,
    ) -> Result<(), Failure> {
        let mut traces = traces.iter().peekable();
        for (index, value) in records.iter().enumerate() {
            let trace = traces.next_if(|(traced, _)| *traced == index);
            let trace = trace.map(|(_, trace)| trace.to_string());
            let record = read(value, usize::MAX).map_err(|text| {
                // It was accepted once, by another version.
                Failure::Refused(Refusal {
                    topic: String::new(),
                    bytes: value.value().len(),
                    code: None,
                    text,
                })
            })?;
            let mut sending = to_send(&record, trace.as_deref());
            self.reports().state().outstanding += 1;
            while let Err((error, back)) = self.client.send(sending) {
                let bytes = back.delivery_opaque;
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    self.reports().state().outstanding -= 1;
                    return Err(Failure::Refused(Refusal::new(record.topic, bytes, &error)));
                }
                sending = back;
                std::thread::sleep(FULL_PAUSE);
                if !signs.go_on() {
                    self.reports().state().outstanding -= 1;
                    return Err(Failure::Abandoned);
                }
            }
        }
        Ok(())
    }

    /// Waits until each record is written, or one of them will never be.
    pub(super) fn wait_for_reports(&self, signs: &Signs) -> Result<(), Failure> {
        loop {
            let mut state = self.reports().wait_for_the_last();
            if let Some(refusal) = state.refused.take() {
                return Err(Failure::Refused(refusal));
            }
            if state.outstanding == 0 {
                return Ok(());
            }
            if !signs.go_on() {
                return Err(Failure::Abandoned);
            }
        }
    }

    /// Waits until the client itself has noticed that all is reported, which takes some microseconds more. Its own flush
    /// looks for that ten times a second.
    pub(super) fn settle(&self) {
        for _ in 0..100 {
            if self.client.in_flight_count() == 0 {
                return;
            }
            std::thread::sleep(SETTLE_PAUSE);
        }
    }

    /// Forgets what was refused.
    pub(super) fn reset(&self) {
        *self.reports().state() = State::default();
    }

    /// What was refused since it was asked last.
    pub(super) fn take_refused(&self) -> Option<Refusal> {
        self.reports().state().refused.take()
    }
}

/// What becomes of records.
pub(super) struct Reports {
    events: Events,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Records without a report.
    outstanding: usize,
    /// The first one that was not taken.
    refused: Option<Refusal>,
}

impl Reports {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all is reported or something is refused, for a glance at most.
    fn wait_for_the_last(&self) -> MutexGuard<'_, State> {
        let waits = |state: &mut State| state.outstanding > 0 && state.refused.is_none();
        let waited = self.changed.wait_timeout_while(self.state(), GLANCE, waits);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.events.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.error(error, reason);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, bytes: usize) {
        let mut state = self.state();
        state.outstanding = state.outstanding.saturating_sub(1);
        match result {
            Ok(_) => self.events.0.up(),
            Err((error, message)) => {
                let refusal = || Refusal::new(message.topic(), bytes, error);
                state.refused.get_or_insert_with(refusal);
            }
        }
        if state.outstanding == 0 || state.refused.is_some() {
            drop(state);
            self.changed.notify_all();
        }
    }
}

impl Refusal {
    fn new(topic: &str, bytes: usize, error: &KafkaError) -> Refusal {
        let code = error.rdkafka_error_code();
        let text = code.map_or_else(|| error.to_string(), |code| code.to_string());
        Refusal { topic: topic.to_owned(), bytes, code, text }
    }

    /// What happened, and what to do.
    pub(super) fn doing(&self) -> String {
        use RDKafkaErrorCode as Code;
        let Refusal { topic, bytes, code, text } = self;
        match code {
            Some(
                Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize,
            ) => format!(
                "topic `{topic}` does not take a record of {bytes} bytes; \
                 hint: raise `max.message.bytes` of the topic, or `max.request.size` of the egress"
            ),
            Some(Code::UnknownTopic | Code::UnknownTopicOrPartition) => format!(
                "topic `{topic}` does not exist; hint: create it, or let the brokers create topics"
            ),
            Some(Code::UnknownPartition) => format!(
                "topic `{topic}` does not have the partition that a record asks for; hint: add partitions to it"
            ),
            Some(Code::TopicAuthorizationFailed) => {
                format!("topic `{topic}` must not be written to; hint: allow `Write` to the user")
            }
            Some(Code::MessageTimedOut) => {
                format!("topic `{topic}` did not take a record within `delivery.timeout.ms`")
            }
            _ => format!("topic `{topic}` did not take a record: {text}"),
        }
    }
}

impl Failure {
    /// The topic, if it refused something for its size: a record, or several at once.
    pub(super) fn too_large(&self) -> Option<&str> {
        use RDKafkaErrorCode::{MessageBatchTooLarge, MessageSizeTooLarge};
        match self {
            Failure::Refused(Refusal {
                topic,
                code: Some(MessageSizeTooLarge | MessageBatchTooLarge),
                ..
            }) => Some(topic),
            _ => None,
        }
    }
}

/// Tells once that a topic takes small requests only.
pub(super) fn tell_small(link: &Link, topic: &str) {
    tracing::warn!(
        code = %codes::EGRESS_SLOW,
        id = %link.id(), topic,
        "the topic does not take what the egress sends at once, so it sends less at once, which is slower; \
         hint: raise `max.message.bytes` of the topic"
    );
}

impl From<Failure> for SinkError {
    fn from(failure: Failure) -> SinkError {
        match failure {
            Failure::Refused(refusal) => SinkError { doing: refusal.doing(), source: None },
            Failure::Client { doing, source } => {
                SinkError { doing: doing.to_owned(), source: Some(source.into()) }
            }
            Failure::Abandoned => {
                SinkError { doing: "the write was given up".to_owned(), source: None }
            }
        }
    }
}
