//! The seam between the engine and the world outside: what an ingress, an egress and the admin API see of it.
//!
//! The engine implements [`Engine`]; adapters implement [`Sink`] or drive an [`Engine`]. Neither side knows the other,
//! so that a connector is tested against an engine of twenty lines, and the engine against a sink of ten.
#![warn(missing_docs)]

mod embedded;
mod source_status;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use statera_model::{Address, EgressId, Epoch, FunctionType, Name, TraceContext, TypedValue};

pub use embedded::{Batch, Embedded};
pub use source_status::{SourceStatus, SourceUnit};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an ingress sees of the engine. All methods may be called from any thread.
pub trait Engine: Send + Sync + 'static {
    /// Whether some endpoint serves functions of this type.
    fn covers(&self, function: &FunctionType) -> bool;

    /// Accepts a message. The future ends when the message is durable, or refused.
    fn send(&self, request: Request) -> BoxFuture<'static, Result<(), Refusal>>;

    /// Accepts a message whose caller waits for an answer. The future ends when the answer is durable. Dropping it
    /// gives up waiting; the message stays accepted.
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Answer, Refusal>>;

    /// Takes the next records of a replayable source, in order. Waits while the engine is full. Once it returned the
    /// records count as taken, though they are not durable yet: after a crash [`Engine::source_position`] tells where
    /// to go on. For one source, the next call is made after the one before has returned.
    fn deliver(&self, batch: SourceBatch) -> BoxFuture<'static, Result<(), Stopping>>;

    /// Whether it matters where messages belong in traces: whoever brings them need not look otherwise.
    fn traces(&self) -> bool {
        false
    }

    /// Where a source stood at the last durable epoch before this start, as it was given in [`SourceBatch::position`];
    /// `None` if it never delivered.
    fn source_position(&self, source: &SourceId) -> Option<Bytes>;

    /// Tells those who watch where a source stands: after each delivery, or now and then. `None`: nobody here reads it any
    /// more. Cheap, and without any effect on what is delivered.
    fn report(&self, source: &SourceId, status: Option<SourceStatus>) {
        let _ = (source, status);
    }

    /// Ends when the engine begins to stop: ingresses then take nothing new.
    fn stopping(&self) -> BoxFuture<'static, ()>;
}

/// A message from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who receives it.
    pub target: Address,
    /// What it carries.
    pub argument: TypedValue,
    /// Makes repeats safe: of several requests to one target with one key only the first counts, and all get its answer.
    pub idempotency_key: Option<Arc<str>>,
    /// The span that it follows from, if its sender says so.
    pub trace: Option<TraceContext>,
}

/// What came back from a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Some function sent this to the caller.
    Value(TypedValue),
    /// The message was given up and lies in the dead letters.
    DeadLettered {
        /// Its dead letter.
        id: DeadLetterId,
        /// Why.
        reason: Arc<str>,
    },
}

/// Why the engine did not accept a message. Nothing of it remains, unless [`Refusal::Interrupted`] says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No endpoint serves the function.
    #[error("no endpoint serves functions of type `{0}`")]
    NotCovered(FunctionType),
    /// A named limit is reached; try again later.
    #[error("{limit} is reached")]
    Full {
        /// Which limit, by the name of its setting.
        limit: &'static str,
    },
    /// The address or the idempotency key is too long.
    #[error("the address or the idempotency key is longer than {bytes_max} bytes")]
    TooLong {
        /// The most it may be.
        bytes_max: usize,
    },
    /// The idempotency key was used before for another kind of request to the same target.
    #[error("the idempotency key was used before with `{used}`")]
    KeyReused {
        /// `send` or `call`.
        used: &'static str,
    },
    /// The ingress is paused; try again when it is resumed.
    #[error("the ingress is paused")]
    Paused,
    /// The engine is stopping; try again when it is back.
    #[error("the engine is stopping")]
    Stopping,
    /// The engine stopped before it was known whether the message is durable. The only case in which something of it
    /// may remain.
    #[error("the engine stopped before the message was known to be durable")]
    Interrupted,
}

/// The engine is stopping and takes nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine is stopping")]
pub struct Stopping;

/// One ordered, replayable stream of records: an ingress, and the part of it (a file, a topic's partition).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId {
    /// The id of the ingress.
    pub ingress: Name,
    /// The part, in the ingress's own words; empty if there is only one.
    pub partition: Arc<str>,
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.partition {
            "" => self.ingress.fmt(f),
            partition => write!(f, "{}#{partition}", self.ingress),
        }
    }
}

/// Some records of a source, and where it stands behind them.
#[derive(Clone, Debug)]
pub struct SourceBatch {
    /// Which source.
    pub source: SourceId,
    /// The records, in order.
    pub records: Vec<SourceRecord>,
    /// Where to go on after these records, in the source's own format.
    pub position: Bytes,
}

/// One record of a source.
#[derive(Clone, Debug)]
pub enum SourceRecord {
    /// A message for each of the targets, in this order.
    Message {
        /// Who receives it.
        targets: Vec<Address>,
        /// What it carries.
        argument: TypedValue,
        /// The span that it follows from, if the record says so.
        trace: Option<Box<TraceContext>>,
    },
    /// A record that can't become a message. It goes to the dead letters.
    Malformed {
        /// Where it stands, for people: `orders.jsonl line 17`.
        place: String,
        /// What is wrong with it and what would be right.
        reason: String,
        /// The record as it was read.
        record: Bytes,
    },
}

/// Where egress records leave. One sink is driven by one task, one call at a time.
///
/// The engine keeps every record durably until [`Sink::write`] has confirmed it, and writes epoch after epoch in order.
/// After a crash it calls [`Sink::recover`] with what the last confirmed write returned, as far as that had become
/// durable, and then writes again everything after it: the same records in the same order. A batch holds whole epochs, but
/// which of them share one may differ. A sink is exactly-once if it undoes, recognises, or reproduces byte for byte what
/// it has written after that position.
pub trait Sink: Send {
    /// Prepares for writing after `last`; `None`: nothing was ever confirmed. `data` names the engine's data directory, which
    /// alone gives epoch numbers a meaning. Returns where the destination stands, if it knows to be further: nothing up
    /// to there is written again.
    fn recover(
        &mut self,
        data: DataId,
        last: Option<SinkPosition>,
    ) -> BoxFuture<'_, Result<Option<SinkPosition>, SinkError>>;

    /// Makes the records of one epoch durable at the destination. What it returns becomes
    /// [`SinkPosition::position`]. After an error the same epoch is written again.
    fn write(&mut self, batch: SinkBatch) -> BoxFuture<'_, Result<Bytes, SinkError>>;
}

/// Tells whether a sink will take a value. Called on the shard threads when a function's reply is applied, so that a
/// function that emits what its egress cannot take fails alone. Must be quick, pure, and must not panic.
pub type Accepts = Arc<dyn Fn(&TypedValue) -> Result<(), String> + Send + Sync>;

/// An egress, ready to be attached to the engine.
pub struct Egress {
    /// Its id.
    pub id: EgressId,
    /// Which values it takes.
    pub accepts: Accepts,
    /// Where they go.
    pub sink: Box<dyn Sink>,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Names a data directory, and what lives in it: unique, and the same for as long as that lives. 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataId(pub Arc<str>);

impl fmt::Display for DataId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far a sink has confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkPosition {
    /// The last epoch whose records are durable at the destination.
    pub epoch: Epoch,
    /// What [`Sink::write`] returned for it.
    pub position: Bytes,
}

/// The egress records of one epoch, or of several in a row, in order. Never empty.
#[derive(Clone, Debug)]
pub struct SinkBatch {
    /// The epoch, the last one if there are several. Larger than that of every batch before.
    pub epoch: Epoch,
    /// The records.
    pub records: Vec<TypedValue>,
    /// The spans that records follow from, each with the index of its record; only of those that are traced, in the order of
    /// the records. Not durable: a record that is written again after a crash has none.
    pub traces: Vec<(usize, TraceContext)>,
}

/// The destination did not take a batch, or could not be prepared. The engine tries again with a growing delay;
/// nothing is lost meanwhile.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct SinkError {
    /// What could not be done, with the place: ``cannot write `out.jsonl` ``.
    pub doing: String,
    /// Why.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The id of a dead letter: its key group, and a number that grows within it. Written `<group>-<number>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId {
    /// The key group in whose part of the key space it lies.
    pub key_group: u16,
    /// The time of its making in milliseconds since the Unix epoch, moved on where two would be equal.
    pub number: u64,
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.key_group, self.number)
    }
}

impl std::str::FromStr for DeadLetterId {
    type Err = InvalidDeadLetterId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = |text: &str| {
            let (key_group, number) = text.split_once('-')?;
            Some(DeadLetterId { key_group: key_group.parse().ok()?, number: number.parse().ok()? })
        };
        parse(text).ok_or_else(|| InvalidDeadLetterId(text.to_owned()))
    }
}

/// The text is not of the form `<group>-<number>`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of a dead letter, such as `7-1768999999123`")]
pub struct InvalidDeadLetterId(pub String);
