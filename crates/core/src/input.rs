//! The contract between a shard and its shell: what goes in, what comes out, and what it is configured with.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use statera_model::{
    Address, EgressId, Epoch, Failure, FunctionType, Outcome, TraceContext, TypedValue,
};
use statera_ports::{Accepts, Answer, DeadLetterId, Refusal, Request, SinkPosition, SourceBatch};

use crate::keys::Halt;
use crate::shard::News;
use crate::values::{Mail, Paused, StateValue};

/// The function type of waiting calls. The id of such an address is `<key group>.<unique>`, so that the answer comes
/// back to the shard that accepted the call.
pub const CALL_FUNCTION: &str = "io.statera/call";

/// Everything a shard is told.
#[derive(Debug)]
pub enum Input {
    /// A request from outside, for an address of this shard.
    Request {
        /// Names the one who waits. Unique among all tickets of this shard since its start.
        ticket: Ticket,
        /// The request.
        request: Request,
        /// What is waited for.
        kind: RequestKind,
    },
    /// Nobody waits for this ticket any more.
    Forget(Ticket),
    /// Records of a source of this shard.
    Deliver(SourceBatch),
    /// Something from another shard. What one shard sends arrives in order.
    Peer {
        /// The other shard.
        from: u16,
        /// What it sent.
        item: PeerItem,
    },
    /// Take this cut, unless a peer's marker was faster. The next cut is given only after all parts of this one came
    /// out.
    Cut(Arc<Cut>),
    /// A function answered.
    Completed {
        /// Which invocation.
        invocation: InvocationId,
        /// What.
        outcome: Outcome,
        /// The request as it was sent, in case the outcome can't be applied.
        request: Bytes,
    },
    /// A function did not answer, or not usefully.
    Failed {
        /// Which invocation.
        invocation: InvocationId,
        /// Why.
        failure: Failure,
        /// The request as it was sent.
        request: Bytes,
    },
    /// The answer to [`Effect::Load`]: a stored state value for each of [`Shard::missing_states`](crate::Shard::missing_states).
    Loaded {
        /// Which invocation.
        invocation: InvocationId,
        /// What is stored.
        values: Vec<Option<StateValue>>,
    },
    /// The store now serves all changes up to this epoch.
    Flushed(Epoch),
    /// Time has passed. Only this sends delayed messages that are due, and only so many at once, and between two cuts:
    /// whatever else comes goes between.
    Tick,
    /// Put what lies in a dead letter back into its mailbox. Refused with [`Effect::Unknown`] if there is no such
    /// letter.
    Redrive {
        /// Who waits for it to be durable.
        ticket: Ticket,
        /// The letter.
        id: DeadLetterId,
        /// Whose mailbox.
        target: Address,
        /// The messages.
        mail: Vec<Mail>,
    },
    /// Forget a dead letter. Refused with [`Effect::Unknown`] if there is no such letter.
    Discard {
        /// Who waits for it to be durable.
        ticket: Ticket,
        /// The letter.
        id: DeadLetterId,
    },
    /// Invoke an address no more, from its next turn on. Refused with [`Effect::Unknown`] if it is paused already.
    Pause {
        /// Who waits for it to be durable.
        ticket: Ticket,
        /// Which.
        address: Address,
        /// Why.
        reason: Arc<str>,
    },
    /// From now on exactly these function types begin no invocations.
    Halt {
        /// Which.
        halted: Halted,
        /// For one shard, the owner of the key's group: who waits, and what makes it durable.
        record: Option<(Ticket, Halt, Option<Paused>)>,
    },
    /// [`Input::Reload`] is about to come, to other shards maybe sooner: until then messages for types that nobody serves wait.
    AwaitReload,
    /// From now on others serve functions, and records leave elsewhere.
    Reload(Box<Reload>),
    /// Let a paused address go on. Refused with [`Effect::Unknown`] if it is not paused.
    Resume {
        /// Who waits for it to be durable.
        ticket: Ticket,
        /// Which.
        address: Address,
    },
}

/// Tells which function types are halted.
#[derive(Clone)]
pub struct Halted(pub Arc<dyn Fn(&FunctionType) -> bool + Send + Sync>);

impl std::fmt::Debug for Halted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Halted")
    }
}

/// What changes while a shard runs.
#[derive(Clone)]
pub struct Reload {
    /// Who serves which functions. Types that run inline are those that did.
    pub directory: Directory,
    /// The egresses, and what each takes.
    pub egresses: BTreeMap<EgressId, Accepts>,
    /// Which types are halted, as those who serve them are others.
    pub halted: Halted,
}

impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let egresses: Vec<_> = self.egresses.keys().collect();
        f.debug_struct("Reload").field("egresses", &egresses).finish_non_exhaustive()
    }
}

/// Everything a shard wants done.
#[derive(Debug)]
pub enum Effect {
    /// Invoke a function; [`Shard::invocation`](crate::Shard::invocation) has the request. Ends with
    /// [`Input::Completed`] or [`Input::Failed`].
    Invoke(InvocationId),
    /// Read the states that [`Shard::missing_states`](crate::Shard::missing_states) names. Ends with [`Input::Loaded`].
    Load(InvocationId),
    /// Hand a message to another shard, in order.
    Send {
        /// The other shard.
        shard: u16,
        /// The message.
        item: PeerItem,
    },
    /// Hand a marker to every other shard, behind everything sent before.
    Marker(Arc<Cut>),
    /// The share of this shard in an epoch is complete.
    Part(Box<Part>),
    /// A request was not accepted.
    Refuse {
        /// Whose.
        ticket: Ticket,
        /// Why.
        refusal: Refusal,
    },
    /// What a redrive, discard or resume named is not there.
    Unknown(Ticket),
    /// Something that those who watch want to know. Nothing has to be done about it.
    News(Box<News>),
}

/// Names somebody who waits for this shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What the sender of a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// That it is durable.
    Send,
    /// That somebody answers.
    Call,
}

/// One attempt to invoke one instance. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InvocationId {
    pub(crate) instance: u32,
    pub(crate) attempt: u64,
}

/// What shards send to each other.
#[derive(Clone, Debug)]
pub enum PeerItem {
    /// A message for an address of the receiver.
    Message(Box<PeerMessage>),
    /// The same for one that belongs to a trace.
    Traced(Box<(PeerMessage, TraceContext)>),
    /// The sender has taken this cut: what it sends from here on belongs to the next epoch.
    Marker(Arc<Cut>),
}

/// A message on its way to another shard.
#[derive(Clone, Debug)]
pub struct PeerMessage {
    /// Who receives it.
    pub target: Address,
    /// Who sent it; `None` if it came from outside.
    pub caller: Option<Address>,
    /// What it carries.
    pub argument: TypedValue,
}

/// A cut through all shards.
#[derive(Clone, Debug)]
pub struct Cut {
    /// Its number.
    pub epoch: Epoch,
    /// What sinks have confirmed since the last cut. It travels with the cut so that all shards forget confirmed
    /// records in the epoch that records the position.
    pub confirmed: Vec<(EgressId, SinkPosition)>,
}

/// The share of one shard in an epoch.
#[derive(Debug)]
pub struct Part {
    /// Which epoch.
    pub epoch: Epoch,
    /// The changes, in the format of [`crate::delta`].
    pub delta: Vec<u8>,
    /// What may leave once the epoch is durable, and not before.
    pub releases: Releases,
}

/// What leaves the worker when an epoch is durable.
#[derive(Debug, Default)]
pub struct Releases {
    /// Requests that are accepted.
    pub accepted: Vec<Ticket>,
    /// Calls that are answered.
    pub answers: Vec<(Ticket, Answer)>,
    /// Records for egresses, in order.
    pub egress: Vec<EgressRecord>,
}

impl Releases {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accepted.is_empty() && self.answers.is_empty() && self.egress.is_empty()
    }
}

/// A record for an egress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressRecord {
    /// Where it leaves.
    pub egress: EgressId,
    /// What leaves.
    pub value: TypedValue,
    /// The span that it follows from, if it is traced.
    pub trace: Option<Box<TraceContext>>,
}

/// How urgently a shard wants to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wants {
    /// Nothing has changed since the last cut.
    Nothing,
    /// Something has changed.
    Soon,
    /// Somebody outside waits for it.
    Now,
}

/// How a function type is treated; `None` if nobody serves it. Asked once for each type, and again after
/// [`Input::Reload`].
pub type Directory = Arc<dyn Fn(&FunctionType) -> Option<Policy> + Send + Sync>;

/// What a shard is made with.
pub struct Config {
    /// The number of this shard.
    pub shard: u16,
    /// How many shards there are.
    pub shards: u16,
    /// How many key groups there are.
    pub key_groups: u16,
    /// Random, so that ids can't be chosen to collide in our hash tables.
    pub hash_seed: u64,
    /// Random and different at every start, so that an answer to a call from before is not taken for one to a new call.
    pub nonce: u64,
    /// Limits.
    pub limits: Limits,
    /// Who serves which functions.
    pub directory: Directory,
    /// The egresses, and what each takes.
    pub egresses: BTreeMap<EgressId, Accepts>,
}

impl Config {
    /// A single shard with the default number of key groups, without egresses.
    #[must_use]
    pub fn alone(limits: Limits, directory: Directory) -> Config {
        Config {
            shard: 0,
            shards: 1,
            key_groups: 128,
            hash_seed: 0,
            nonce: 0,
            limits,
            directory,
            egresses: BTreeMap::new(),
        }
    }
}

/// The limits of one shard.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of instances and their state kept in memory.
    pub state_bytes: usize,
    /// Bytes of waiting messages at which requests are refused and sources wait. One function type may use half.
    pub mailbox_bytes: usize,
    /// Messages waiting for one address at which requests for it are refused.
    pub mailbox_messages: usize,
    /// Invocations in flight.
    pub invocations_in_flight: usize,
    /// Bytes of messages in one invocation, unless it is a single message.
    pub batch_bytes: usize,
    /// Idempotency keys remembered.
    pub idempotency_keys: usize,
    /// How long an idempotency key is remembered, in milliseconds.
    pub idempotency_retention_ms: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            state_bytes: 256 << 20,
            mailbox_bytes: 128 << 20,
            mailbox_messages: 100_000,
            invocations_in_flight: 32_768,
            batch_bytes: 512 << 10,
            idempotency_keys: 1_000_000,
            idempotency_retention_ms: 3_600_000,
        }
    }
}

/// How the functions of a type are invoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether an invocation ends before the shell does anything else: messages that are sent meanwhile may gather until
    /// there are several.
    pub inline: bool,
    /// The most messages in one invocation.
    pub batch_messages: usize,
    /// The most invocations of the type in flight in this shard.
    pub in_flight: usize,
    /// How long a batch that fails is tried, in milliseconds.
    pub budget_ms: u64,
    /// The delay before the second attempt; each further one is twice as long.
    pub backoff_min_ms: u64,
    /// The longest delay.
    pub backoff_max_ms: u64,
    /// What happens when the budget is used up.
    pub on_failure: OnFailure,
}

/// What happens to a batch whose budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It is tried for ever.
    Retry,
    /// The message that fails is found and put into the dead letters.
    DeadLetter,
    /// The address takes no messages until it is resumed.
    Pause,
}

/// The time a cold gate waits for the first reply of a function type before it lets others go ahead.
pub(crate) const WARMUP_MS: u64 = 1_000;

/// The longest address, so that it fits into a key even if every byte of it is escaped.
pub const ADDRESS_BYTES_MAX: usize = 8 << 10;

/// The longest name of a state, idempotency key or cancellation token.
pub const NAME_BYTES_MAX: usize = 1 << 10;

/// Function types a shard remembers before it refuses requests for others: namespaces served as a whole would let
/// anybody make up types without end.
pub(crate) const FUNCTION_TYPES_MAX: usize = 65_536;

pub(crate) const STATES_PER_FUNCTION_MAX: usize = 1_000;

/// Messages for this shard's own addresses that may gather while functions run inline.
pub(crate) const LOCAL_MAX: usize = 32;

/// Delayed messages sent by one [`Input::Tick`], so that a great number due at once does not hold up other work.
pub(crate) const DUE_PER_APPLY_MAX: usize = 1_000;

/// Delayed messages sent between two cuts: each leaves several changes, and whoever waits for an epoch waits for all that is in
/// it.
pub(crate) const DUE_PER_EPOCH_MAX: usize = 8_192;
