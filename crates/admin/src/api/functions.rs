//! Types of functions, and who sends to whom.

use serde::{Deserialize, Serialize};

use super::{Health, Latency, Pause};

/// A page of function types, in the order of their names: those that were seen since the start, and those that are linked or
/// have an endpoint of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Functions {
    /// The types.
    pub functions: Vec<Function>,
    /// What to give as `after` for the next page; missing on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A type of functions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Function {
    /// Its name, `namespace/type`.
    pub name: String,
    /// The endpoint that serves it, by the functions it serves; missing if it is linked, or nobody serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Whether it is linked into the program.
    pub linked: bool,
    /// Whether its functions answer.
    pub health: Health,
    /// Why it is not invoked for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// When a function of it last did what it should, since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<String>,
    /// Instances in memory, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u64>,
    /// Invocations in flight.
    pub in_flight: usize,
    /// Addresses that wait for their turn.
    pub queued: usize,
    /// Addresses whose invocations fail and are tried again.
    pub failing: usize,
    /// Paused addresses, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_addresses: Option<u64>,
    /// Messages in mailboxes, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<u64>,
    /// Bytes of messages in mailboxes.
    pub mail_bytes: usize,
    /// Messages that came into mailboxes since the start.
    pub messages_in: u64,
    /// Messages that its functions sent and that have come into mailboxes, since the start.
    pub messages_out: u64,
    /// Failed invocations since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<u64>,
    /// Messages a second that came into mailboxes; missing until somebody has asked twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_in: Option<f64>,
    /// Messages a second that its functions sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_out: Option<f64>,
    /// How long its invocations take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// The states it has declared since the start.
    pub states: Vec<DeclaredState>,
}

/// A state that a function has declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DeclaredState {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub typename: String,
    /// When a value is forgotten.
    pub expires: Expiry,
    /// After how many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
}

/// When a state value is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Expiry {
    /// Never.
    Never,
    /// Some time after it was last written.
    AfterWrite,
    /// Some time after its function was last invoked.
    AfterInvoke,
}

/// Who has sent to whom since the start: a graph drawn from messages, not from configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Graph {
    /// The edges, in the order of their ends.
    pub edges: Vec<Edge>,
    /// Whether there were more pairs than are counted. Messages of the others are among those from or to `other`.
    pub truncated: bool,
}

/// Messages from one part to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Edge {
    /// Who sent them.
    pub from: Node,
    /// Who received them.
    pub to: Node,
    /// How many since the start.
    pub messages: u64,
    /// How many a second; missing until somebody has asked twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
}

/// One end of an edge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Its name, `namespace/name`.
    pub name: String,
}

/// What stands at the end of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum NodeKind {
    /// An ingress.
    Ingress,
    /// A type of functions.
    Function,
    /// An egress.
    Egress,
    /// Who waits for the answer of a call. Its name is empty.
    Caller,
    /// All that are too many to be counted apart. Its name is empty.
    Other,
}
