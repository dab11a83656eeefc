//! Instances of functions, what waits for them, and what they have sent for later.

use serde::{Deserialize, Serialize};

use super::{Pause, State, Value};

/// A page of instances: those that have state, mail, or are paused, as of the last durable epoch. They come key group by key group,
/// and within one in the order of their addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Instances {
    /// The instances. A page may hold fewer than were asked for, even none, and yet not be the last one.
    pub instances: Vec<Instance>,
    /// What to give as `after` for the next page; missing on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// Its address, `namespace/type/id`.
    pub address: String,
    /// Its type, `namespace/type`.
    pub function: String,
    /// Its id.
    pub id: String,
    /// What it does.
    pub phase: Phase,
    /// Messages in its mailbox.
    pub mail: usize,
}

/// What an instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Nothing: its mailbox is empty.
    Idle,
    /// It has mail and waits for its turn.
    Queued,
    /// Its state is being read, or its function is being invoked.
    Running,
    /// Its function failed and will be invoked again.
    Retrying,
    /// It takes no messages until it is resumed.
    Paused,
}

/// An instance with what is known about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InstanceDetail {
    /// What the list says about it.
    #[serde(flatten)]
    pub instance: Instance,
    /// Whether it is in memory.
    pub in_memory: bool,
    /// The key group of its id.
    pub key_group: u16,
    /// The shard that owns it.
    pub shard: u16,
    /// Its last failure, until it has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failing>,
    /// Why it takes no messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// Its state as of the last durable epoch.
    pub states: Vec<State>,
    /// The first messages of its mailbox. `mail` tells how many there are.
    pub mailbox: Vec<Message>,
    /// The next messages that it has sent for later.
    pub timers: Vec<Timer>,
    /// Whether these are all. If not, there may be more: only so many of all timers are looked at.
    pub timers_complete: bool,
    /// Its last invocations, newest first: those that failed, and all that ended since somebody asked for this instance in the
    /// last minutes.
    #[serde(default)]
    pub recent: Vec<RecentInvocation>,
}

/// An invocation that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecentInvocation {
    /// When it ended.
    pub at: String,
    /// How long it took, if that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// Messages in it.
    pub messages: usize,
    /// Bytes of its request, with the state; missing if they were not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
    /// What came of it.
    pub outcome: InvocationOutcome,
    /// Why it failed, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// If it failed: how many of the instance had failed since one succeeded, this one included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
}

/// What came of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum InvocationOutcome {
    /// It did what it should.
    Ok,
    /// It failed, and its messages were tried again.
    Retry,
    /// It failed, and its message was given up.
    DeadLetter,
    /// It failed, and the instance takes no messages until it is resumed.
    Paused,
}

/// Invocations that fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// Since when.
    pub since: String,
    /// How often.
    pub attempts: u32,
    /// When the last one failed.
    pub failed_at: String,
    /// When it is tried again, unless it is being tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<String>,
    /// The last failure.
    pub reason: String,
}

/// A message in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Who sent it, `namespace/type/id`; missing if it came from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// What it carries.
    #[serde(flatten)]
    pub value: Value,
}

/// A page of messages that were sent for later, soonest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Timers {
    /// How many there are, whoever sent them.
    pub total: usize,
    /// The messages. A page may hold fewer than were asked for, even none, and yet not be the last one.
    pub timers: Vec<Timer>,
    /// What to give as `after` for the next page; missing on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A message that was sent for later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Timer {
    /// When it is due.
    pub due: String,
    /// Who sent it, `namespace/type/id`.
    pub sender: String,
    /// Who receives it, `namespace/type/id`.
    pub target: String,
    /// The token that cancels it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What it carries.
    #[serde(flatten)]
    pub value: Value,
}
