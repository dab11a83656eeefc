//! The engine: shard threads, the commit thread, sinks, recovery, and the handle through which the world reaches them.
//!
//! Everything here carries out what the pure core decides ([`statera_core`]); nothing here decides about semantics. A
//! [`Worker`] is a running engine, [`Engine`] the handle to it, [`Options`] what it is started with.
//!
//! Threads: one for each shard (a single-threaded tokio runtime that also carries its HTTP clients), one that cuts epochs
//! and writes the log, and the store's own. Sinks and ingresses run on the runtime of the caller.
#![warn(missing_docs)]

mod commit;
mod data_directory;
mod engine;
mod error;
pub mod figures;
mod halts;
mod host;
mod inbox;
mod ingress;
mod inspect;
mod invocations;
mod news;
mod pulse;
mod recent;
mod recovery;
mod reload;
mod shell;
mod sinks;
mod traces;
mod worker;

pub use engine::{Engine, Letter, State};
pub use error::{EngineError, QueryError, ReloadError};
pub use halts::endpoint_name;
pub use host::check_endpoints;
pub use ingress::{IngressFigures, IngressHandle};
pub use inspect::{Instance, InstancePage, Timers};
pub use invocations::{InvocationFailure, RecentInvocation};
pub use recent::RecentEpoch;
pub use reload::Prepared;
pub use sinks::{SinkFigures, SinkTrouble};
pub use statera_store::HeadPlace as InstancePlace;
pub use statera_trace::Figures as SpanFigures;
pub use worker::{Options, Worker};
