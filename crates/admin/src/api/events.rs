//! Live figures: the data of the events at `/v1/events`.

use serde::{Deserialize, Serialize};

use super::{Figures, Health, Latency};

/// The data of an event `figures`, of which there is one each second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Live {
    /// When it was made.
    pub at: String,
    /// Seconds that its rates are over; missing in the first event, which has no rates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// How full all shards are.
    pub total: Figures,
    /// Messages a second that came into mailboxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// How long invocations take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// How long messages from outside take until what they caused is released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_to_end: Option<Latency>,
    /// Failed invocations a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_rate: Option<f64>,
    /// Addresses whose invocations fail and are tried again.
    pub failing: usize,
    /// What became of epochs.
    pub epochs: LiveEpochs,
    /// Each function type with something to tell, in the order of their names; the first 200.
    pub functions: Vec<LiveFunction>,
    /// Each ingress.
    pub ingresses: Vec<LiveIngress>,
    /// Each egress.
    pub egresses: Vec<LiveEgress>,
}

/// Epochs since the event before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LiveEpochs {
    /// The last durable one.
    pub last: u64,
    /// How many there were.
    pub count: u64,
    /// How long they took, from the cut until the store served them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Latency>,
    /// Bytes of their deltas.
    pub bytes: u64,
}

/// A function type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LiveFunction {
    /// Its name, `namespace/type`.
    pub name: String,
    /// Whether its functions answer.
    pub health: Health,
    /// Messages a second that came into mailboxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_in: Option<f64>,
    /// Messages a second that its functions sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_out: Option<f64>,
    /// Messages in mailboxes, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<u64>,
    /// Bytes of messages in mailboxes.
    pub mail_bytes: usize,
    /// Addresses that wait for their turn.
    pub queued: usize,
    /// Invocations in flight.
    pub in_flight: usize,
    /// Addresses whose invocations fail and are tried again.
    pub failing: usize,
    /// How long its invocations take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

/// An ingress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LiveIngress {
    /// Its id.
    pub id: String,
    /// Messages a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Records that are there and not taken yet, if its sources tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_records: Option<u64>,
    /// Bytes that are there and not taken yet, if its sources tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_bytes: Option<u64>,
    /// How many milliseconds ago that came which is taken next, if its sources tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
    /// Whether it is paused.
    pub paused: bool,
}

/// An egress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LiveEgress {
    /// Its id.
    pub id: String,
    /// Records a second that its destination has confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Durable records that wait to be written or confirmed.
    pub backlog_records: usize,
    /// Bytes they take.
    pub backlog_bytes: usize,
    /// The last epoch that its destination has confirmed, since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_epoch: Option<u64>,
    /// Whether the last attempt to write failed.
    pub failing: bool,
}
