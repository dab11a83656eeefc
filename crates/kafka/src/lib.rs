//! Kafka: records of topics as messages, and messages as records.
//!
//! An adapter like those of `statera-connectors`, in a crate of its own because of its weight: librdkafka, a library in C.
//! It knows the engine only through [`statera_ports`], keeps no state of its own, and never skips a record silently.
//!
//! Start with [`KafkaIngress`], which drives an [`Engine`](statera_ports::Engine), [`egress`], which makes a
//! [`Sink`](statera_ports::Sink), and [`Error`], what users see if something is wrong at the start.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use statera_config::KafkaIngress as Spec;
//! # use statera_kafka::KafkaIngress;
//! # use statera_ports::Engine;
//! # async fn run(spec: &Spec, engine: Arc<dyn Engine>) -> Result<(), statera_kafka::Error> {
//! let ingress = KafkaIngress::bind(spec, Arc::clone(&engine))?;
//! ingress.run(engine.stopping()).await
//! # }
//! ```
#![warn(missing_docs)]

mod client;
mod egress;
mod error;
mod ingress;
mod properties;

pub use egress::egress;
pub use error::Error;
pub use ingress::KafkaIngress;

/// The header that says which span a record follows from, of the W3C trace context.
const TRACEPARENT: &str = "traceparent";
