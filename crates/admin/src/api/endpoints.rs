//! Who serves functions.

use serde::{Deserialize, Serialize};

use super::{Latency, Pause};

/// Who serves functions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// Each, in the order of the configuration.
    pub endpoints: Vec<EndpointStatus>,
}

/// An endpoint, and how it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EndpointStatus {
    /// Which functions it serves: `example/greeter`, or `example/*`. Names it in paths.
    pub functions: String,
    /// Where, as it is configured.
    pub url: String,
    /// `async` or `okhttp`.
    pub transport: String,
    /// Whether it answers.
    pub health: Health,
    /// While nobody answers: when somebody is asked next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_probe: Option<String>,
    /// Why its functions are not invoked for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// When it last answered usefully, since the start of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<String>,
    /// Types of functions it has served since the start.
    pub types: usize,
    /// Invocations in flight.
    pub in_flight: usize,
    /// Addresses whose invocations fail and are tried again.
    pub failing: usize,
    /// Attempts since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u64>,
    /// Those of them that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<u64>,
    /// How long it takes to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

/// Whether somebody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Health {
    /// Nobody was asked, or has answered yet.
    Unknown,
    /// It answers.
    Up,
    /// It does not answer; it is asked from time to time.
    Down,
}
