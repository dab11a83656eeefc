//! Seeded simulation of whole worlds of shards, with crashes and a checker for each invariant.
//!
//! A world runs in one thread and simulated time: shards, the channels between them, a coordinator of epochs, a log, a
//! store, functions, sources, sinks, people who send requests, an operator, and crashes. Everything follows from a
//! [`Plan`], that is, from a seed: the same seed gives the same run, event by event.
//!
//! The simulation drives the core only through its public interface, as the real shell does. It never looks inside a
//! shard; what must hold is read off the durable key space, the answers, and the destinations of the sinks.
//!
//! The types to know are [`Plan`], [`run`] and [`Violation`].
//!
//! ```
//! let report = statera_sim::run(statera_sim::Plan::new(7)).expect("all invariants hold");
//! assert!(report.events > 0);
//! ```
#![warn(missing_docs)]

mod book;
mod check;
mod commit;
mod functions;
mod outside;
mod plan;
mod random;
mod recovery;
mod shell;
mod trace;
mod world;

use std::fmt;

pub use check::{Invariant, Violation};
pub use plan::{Plan, Sabotage};

/// What a run that went well was like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// A hash over everything that happened.
    pub trace_hash: u64,
    /// Events.
    pub events: u64,
    /// Crashes.
    pub crashes: u64,
    /// Epochs that became durable.
    pub epochs: u64,
    /// Messages that were planned, from the first request to the last descendant.
    pub messages: usize,
    /// State values read back from the store.
    pub loads: u64,
    /// Dead letters put back or thrown away.
    pub dead_letters: u64,
    /// Calls that were answered.
    pub answers: u64,
    /// Requests that were refused for a while.
    pub refusals: u64,
}

/// A run in which something did not hold.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The seed.
    pub seed: u64,
    /// What did not hold.
    pub violation: Violation,
    /// What happened last.
    pub trace_tail: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}seed {}: {}", self.trace_tail, self.seed, self.violation)
    }
}

/// Runs a world to its end.
///
/// # Errors
/// If an invariant does not hold.
///
/// # Panics
/// If an assertion of the core fails; the seed is printed.
pub fn run(plan: Plan) -> Result<Report, Box<Failed>> {
    world::World::new(plan).run()
}
