//! Where messages come in, and where records leave.

use serde::{Deserialize, Serialize};

use super::{Pause, Value};

/// Where messages come in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Ingresses {
    /// Each, in the order of the configuration.
    pub ingresses: Vec<Ingress>,
}

/// An ingress, and how it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// Its id, `namespace/name`.
    pub id: String,
    /// `http`, `file`, `kafka`, `kinesis` or `playground`.
    pub kind: String,
    /// The configured address, file or topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Why it takes nothing for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// Messages it has brought since the start.
    pub messages: u64,
    /// Messages a second; missing until somebody has asked twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The streams it reads, if it can replay them.
    pub sources: Vec<Source>,
}

/// A stream that an ingress reads, and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The part of the ingress, such as a topic's partition; empty if there is only one.
    pub partition: String,
    /// Where it stands, in its own format: as far as records were taken, which may not be durable yet.
    pub position: Value,
    /// When the last records were taken, since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<String>,
    /// Records that are there and not taken yet, if the source tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_records: Option<u64>,
    /// Bytes that are there and not taken yet, if the source tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_bytes: Option<u64>,
    /// How many milliseconds ago that came which is taken next, if the source tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
}

/// Where records leave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Egresses {
    /// Each, in the order of the configuration.
    pub egresses: Vec<Egress>,
}

/// An egress, and how it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Egress {
    /// Its id, `namespace/name`.
    pub id: String,
    /// `file`, `stdout`, `kafka`, `kinesis` or `playground`.
    pub kind: String,
    /// The configured address, file or brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The last epoch whose records its destination has confirmed, since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_epoch: Option<u64>,
    /// When it has confirmed that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<String>,
    /// Durable records that wait to be written or confirmed.
    pub backlog_records: usize,
    /// Bytes they take.
    pub backlog_bytes: usize,
    /// Records it has confirmed since the start.
    pub records: u64,
    /// Records a second; missing until somebody has asked twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Attempts to write that failed since the start.
    pub failures: u64,
    /// Whether the last attempt to write failed.
    pub failing: bool,
    /// The last failure, also if it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<EgressFailure>,
}

/// An attempt to write that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EgressFailure {
    /// When.
    pub at: String,
    /// Why.
    pub reason: String,
}
