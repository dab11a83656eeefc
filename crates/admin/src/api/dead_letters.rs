//! What was given up.

use serde::{Deserialize, Serialize};

use super::{NewValue, State, Value};

/// A page of dead letters, in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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

/// How a dead letter goes back into its mailbox. The body may also be left out: then it goes back as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redrive {
    /// What replaces the value of its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<NewValue>,
}

/// Which dead letters something is done with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selection {
    /// These. With `target` too, those of them that fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
    /// Those whose target, `namespace/type/id`, begins so; `""` for all. One of `ids` and `target` must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Only those behind this id: what the answer before named as `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many, 1 to 1000. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// What was done with many dead letters, durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BulkDone {
    /// With how many.
    pub done: usize,
    /// How many fit and could not: gone meanwhile, or records, which can't be redriven.
    pub skipped: usize,
    /// There may be more: what to give as `after` to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
