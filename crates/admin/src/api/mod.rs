//! The forms of the API: JSON objects, with names in camel case. Fields may be added; readers ignore what they don't
//! know. Times are RFC 3339 in UTC, durations and sizes say their unit. A field that is missing is not known, or is not so.
//!
//! `docs/reference/openapi.json` is made of them and of the table of routes.

mod dead_letters;
mod endpoints;
mod engine;
mod events;
mod functions;
mod instances;
mod parts;
mod status;
mod value;

pub use dead_letters::*;
pub use endpoints::*;
pub use engine::*;
pub use events::*;
pub use functions::*;
pub use instances::*;
pub use parts::*;
use serde::{Deserialize, Serialize};
pub use status::*;
pub use value::*;

/// What was asked for is done, and durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// With what: the id of a dead letter, an address, or the name of a part.
    pub done: String,
}

/// The engine runs, or is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Alive {
    /// `ok`.
    pub status: String,
}

/// Why a request is not served: problem details as RFC 9457 has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// What the status means.
    #[serde(default)]
    pub title: String,
    /// The status of the answer.
    #[serde(default)]
    pub status: u16,
    /// Names the kind of problem, for programs. Never changes its meaning.
    #[serde(default)]
    pub code: String,
    /// What is wrong.
    #[serde(rename = "detail", alias = "error")]
    pub error: String,
    /// What to do about it.
    pub hint: String,
}

/// Why somebody or something takes nothing for now, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The failure that paused it, or what the operator said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Asks for a pause. The body may also be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PauseRequest {
    /// Why, for those who will wonder. At most 1000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How long something took, over what was measured lately.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// Half took at most so many milliseconds.
    pub p50_ms: f64,
    /// Of a hundred, ninety-nine took at most so many milliseconds.
    pub p99_ms: f64,
    /// How many were measured.
    pub count: u64,
}
