//! Kinesis: `io.statefun.kinesis.v1/ingress` and `io.statefun.kinesis.v1/egress`.
//!
//! Speaks the JSON protocol of the service itself, over the HTTP client that the workspace has anyway: four operations, and
//! a signature. This crate never loses or skips a record silently, and never keeps what the engine keeps for it: the
//! positions, whose formats are in `position.rs`, and the outbox.
//!
//! Start with [`KinesisIngress`], [`egress`], and within the crate `lineage.rs`, which decides what is read when.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use statera_kinesis::{Environment, Error, KinesisIngress};
//! # use statera_ports::Engine;
//! # async fn run(spec: &statera_config::KinesisIngress, engine: Arc<dyn Engine>) -> Result<(), Error> {
//! let stop = engine.stopping();
//! KinesisIngress::new(spec, engine, Environment::of_process()).run(stop).await
//! # }
//! ```
#![warn(missing_docs)]

mod aggregated;
mod api;
mod connect;
mod credentials;
mod egress;
mod environment;
mod error;
mod ingress;
mod lineage;
mod position;
mod retry;
mod shard;
mod sigv4;
mod time;

pub use egress::egress;
pub use environment::Environment;
pub use error::Error;
pub use ingress::KinesisIngress;
