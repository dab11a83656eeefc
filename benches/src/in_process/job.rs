//! What a process is to measure, and what it found: sent between processes as JSON.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// One measurement, in a process of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) work: Work,
    /// Instances addressed, timers, or values, as the work has it.
    pub(super) ids: u64,
    pub(super) shards: u16,
    /// Messages that travel at once.
    pub(super) in_flight: u64,
    /// Functions in the cycle.
    pub(super) functions: u64,
    /// How long a rate is measured.
    pub(super) seconds: u64,
    pub(super) durability: Durability,
    /// `memory.stateBytes`, if not its default.
    pub(super) state_bytes: Option<u64>,
    /// The data directory.
    pub(super) data: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Work {
    Chain,
    Counter,
    Transfer,
    Fanout,
    Timers,
    Spill,
    /// Stores values, and then waits to be killed.
    Store,
    /// Starts with what is stored, and says when a call was answered.
    Recover,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub(super) enum Durability {
    Fsync,
    None,
}

impl Durability {
    pub(super) fn name(self) -> &'static str {
        match self {
            Durability::Fsync => "fsync",
            Durability::None => "none",
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// Messages processed while it was measured.
    pub(super) messages: u64,
    pub(super) seconds: f64,
    pub(super) cpu: Cpu,
    /// From a call until its durable answer; `None` if there were no calls.
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) written_bytes: u64,
    /// The most memory the process had until the end of the measurement.
    pub(super) rss_max_bytes: u64,
    /// The memory that instances and their state take by the engine's own account.
    pub(super) state_bytes: u64,
    /// What else there is to tell.
    pub(super) notes: Vec<String>,
    /// What is wrong with the result.
    pub(super) wrong: Option<String>,
}

/// Processor time in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Cpu {
    /// Of the threads of the shards.
    pub(super) shards: f64,
    /// Of the thread that makes the records.
    pub(super) generator: f64,
    /// Of the whole process.
    pub(super) all: f64,
}

impl Outcome {
    pub(super) fn per_second(&self) -> f64 {
        self.messages as f64 / self.seconds
    }

    /// Notes what is wrong, unless the two are equal.
    pub(super) fn compare<T: PartialEq + std::fmt::Debug>(
        &mut self,
        what: &str,
        found: T,
        expected: T,
    ) {
        if found != expected {
            let wrong = format!("{what}: {found:?}, expected {expected:?}");
            self.wrong.get_or_insert(wrong);
        }
    }
}
