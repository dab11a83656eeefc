//! The forms of the API: JSON objects, with names in camel case. Fields may be added; readers ignore what they don't
//! know.

use serde::{Deserialize, Serialize};

/// What an engine runs, and how full it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The version of the engine.
    pub version: String,
    /// Whether it is on its way to its end.
    pub stopping: bool,
    /// Seconds since the admin API was opened, which is a moment after the engine has recovered.
    pub uptime_seconds: u64,
    /// The sums over all shards.
    pub total: Figures,
    /// Each shard, in order.
    pub shards: Vec<Figures>,
    /// Who serves functions.
    pub endpoints: Vec<Endpoint>,
    /// Where messages come in.
    pub ingresses: Vec<Connector>,
    /// Where records leave.
    pub egresses: Vec<Connector>,
}

/// How full a shard is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Figures {
    /// Instances in memory.
    pub instances: usize,
    /// Bytes they and their state take.
    pub state_bytes: usize,
    /// Messages waiting in mailboxes.
    pub mail: usize,
    /// Bytes they take.
    pub mail_bytes: usize,
    /// Invocations in flight.
    pub in_flight: usize,
    /// Pending delayed messages.
    pub delayed: usize,
    /// Egress records that their sink has not confirmed.
    pub outbox: usize,
    /// Dead letters.
    pub dead_letters: usize,
    /// Paused addresses.
    pub paused: usize,
    /// Calls without an answer.
    pub calls: usize,
    /// Remembered idempotency keys.
    pub idempotency_keys: usize,
}

/// Who serves functions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Which: `example/greeter`, or `example/*`.
    pub functions: String,
    /// Where, as it is configured.
    pub url: String,
}

/// An ingress or an egress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connector {
    /// Its id.
    pub id: String,
    /// `http`, `file`, `stdout` or `playground`.
    pub kind: String,
    /// The configured address or file, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// A value and the name of its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Value {
    /// The name of its type; may be empty.
    pub typename: String,
    /// Its bytes in base64; missing if there is a type but no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Its bytes, if they are printable UTF-8. A value of a built-in type is decoded before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What it means, if it is JSON or of a built-in type (`io.statefun.types/*`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<serde_json::Value>,
}

/// The state of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct States {
    /// The address, `namespace/type/id`.
    pub address: String,
    /// Its state values.
    pub states: Vec<State>,
}

/// A state value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Its name.
    pub name: String,
    /// The value.
    #[serde(flatten)]
    pub value: Value,
    /// When it was last accessed (RFC 3339), if it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_access: Option<String>,
}

/// A page of dead letters, in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetters {
    /// The letters.
    pub dead_letters: Vec<DeadLetter>,
    /// What to give as `after` for the next page; missing on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Its id.
    pub id: String,
    /// When it was given up (RFC 3339).
    pub at: String,
    /// What it is.
    pub kind: Kind,
    /// Who should have processed it, `namespace/type/id`; missing for a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Where it stands, for a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was given up.
    pub reason: String,
}

/// What a dead letter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A message that its function could not process.
    Invocation,
    /// A message that never reached a function.
    Message,
    /// A record of a source that could not become a message. It can only be dropped.
    Record,
}

/// A dead letter with all that is known about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterDetail {
    /// What the list says about it.
    #[serde(flatten)]
    pub letter: DeadLetter,
    /// Who sent it, `namespace/type/id`; missing if it came from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The message; missing for a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Value>,
    /// The states that were sent with it.
    #[serde(default)]
    pub states: Vec<State>,
    /// The body of the request as it was last sent (an encoded `ToFunction`) in base64, for an invocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The record as it was read; its typename is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Value>,
}

/// What was asked for is done, and durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// With what: the id of a dead letter, or an address.
    pub done: String,
}

/// The engine runs, or is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alive {
    /// `ok`.
    pub status: String,
}

/// Why a request is not served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// What is wrong.
    pub error: String,
    /// What to do about it.
    pub hint: String,
}
