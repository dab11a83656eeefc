//! What is the whole at a glance.

use serde::{Deserialize, Serialize};

/// What an engine runs, and how full it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Which: `example/greeter`, or `example/*`.
    pub functions: String,
    /// Where, as it is configured.
    pub url: String,
}

/// An ingress or an egress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
