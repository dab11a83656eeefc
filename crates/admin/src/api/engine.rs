//! The engine itself: what it runs with, its epochs, and what it logs.

use serde::{Deserialize, Serialize};

/// What answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// `statera`.
    pub name: String,
    /// The version of the engine.
    pub version: String,
    /// The version of this API: what stands first in its paths.
    pub api: String,
}

/// What an engine runs, and with which settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// Its name, for people.
    pub name: String,
    /// The version of the engine.
    pub version: String,
    /// When the admin API was opened, which is a moment after the engine has recovered.
    pub started_at: String,
    /// Seconds since then.
    pub uptime_seconds: u64,
    /// Whether it is on its way to its end.
    pub stopping: bool,
    /// Names the data directory; the same for as long as that lives.
    pub data_id: String,
    /// The functions that are linked into the program.
    pub linked_functions: Vec<String>,
    /// How many endpoints there are.
    pub endpoints: usize,
    /// How many ingresses there are.
    pub ingresses: usize,
    /// How many egresses there are.
    pub egresses: usize,
    /// How the engine runs.
    pub settings: Settings,
}

/// The settings of the engine that matter most. Their names are those of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Shards, one thread each.
    pub shards: usize,
    /// Parts of the key space.
    pub key_groups: u16,
    /// `fsync` or `none`.
    pub durability: String,
    /// The shortest time between two cuts.
    pub epochs_min_interval_ms: u64,
    /// The longest time a change waits for a cut.
    pub epochs_max_interval_ms: u64,
    /// State values kept in memory.
    pub memory_state_bytes: usize,
    /// Messages waiting in mailboxes.
    pub memory_mailbox_bytes: usize,
    /// Changes that are durable, but not yet in the files of the store.
    pub memory_unflushed_bytes: usize,
    /// `retry`, `deadLetter` or `pause`.
    pub failures_policy: String,
}

/// The last epochs, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Epochs {
    /// The number of the last durable epoch.
    pub last: u64,
    /// The epochs of this run that are still remembered, some hundreds.
    pub epochs: Vec<Epoch>,
}

/// An epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Epoch {
    /// Its number.
    pub number: u64,
    /// When its cut began.
    pub at: String,
    /// How long it took from the cut until the store served it.
    pub duration_ms: f64,
    /// Of that: until all shards had handed in their part.
    pub cut_ms: f64,
    /// Of that: until the log had it, durably.
    pub log_ms: f64,
    /// Of that: until the store served it.
    pub store_ms: f64,
    /// Bytes of its delta.
    pub bytes: usize,
    /// Changes of keys in it, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<u64>,
    /// What it waited for, if it took long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall: Option<Stall>,
}

/// What an epoch waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Stall {
    /// What took longest.
    pub reason: StallReason,
    /// The shard that handed in its part last, if that is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<u16>,
}

/// What an epoch may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum StallReason {
    /// A shard, whose functions in this process may take long.
    Shard,
    /// The disk with the log.
    Log,
    /// The store, whose changes in memory wait for its files.
    Store,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogFilter {
    /// Such as `info`, or `warn,statera_runtime=debug`.
    pub filter: String,
}

/// What a reload has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Reloaded {
    /// Endpoints, by the functions they serve.
    pub endpoints: Changed,
    /// Ingresses, by their ids.
    pub ingresses: Changed,
    /// Egresses, by their ids.
    pub egresses: Changed,
    /// Settings that have another value, by their names in the configuration.
    pub settings: Vec<String>,
    /// What the configuration probably did not mean to say.
    pub warnings: Vec<String>,
    /// Ingresses that could not be opened once the former ones had stopped, and why.
    pub failed: Vec<String>,
}

/// What has changed of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// Those that are new.
    pub added: Vec<String>,
    /// Those that are others now.
    pub changed: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
}
