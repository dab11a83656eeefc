//! A real Apache Kafka for tests and benchmarks, run from the artifacts that `cargo xtask components` installs.
//!
//! * [`Artifacts`] are the jars; the variable `STATERA_KAFKA` says where they are.
//! * [`Cluster`] is one node or three on loopback, with data of their own. Each can be killed and started again.
//! * [`Producer`] and [`Reader`] are Kafka's console producer and consumer, so that what we wrote is judged by a client that
//!   isn't ours.
//!
//! Starting a Java program takes a second or more; so one producer or reader should serve a whole test.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use statera_test_kafka::{Artifacts, Cluster, Options, Producer, Reader};
//!
//! let artifacts = Artifacts::from_environment().map_err(anyhow::Error::msg)?;
//! let folder = std::path::Path::new("/somewhere/empty");
//! let cluster = Cluster::start(&artifacts, folder, &Options::default())?;
//! cluster.create_topics(&[("greetings", 4)])?;
//! let mut producer = Producer::start(&cluster, "greetings")?;
//! producer.send(Some("Ada"), Some("hello"), &[("language", "en")])?;
//! producer.finish()?;
//! let records = Reader::start(&cluster, "greetings")?.wait_for(1)?;
//! # Ok(())
//! # }
//! ```

mod artifacts;
mod cluster;
mod console;
mod node;
mod ports;
mod producer;
mod reader;
mod text;
mod tools;

pub use artifacts::{Artifacts, VARIABLE};
pub use cluster::{Cluster, Options};
pub use node::Node;
pub use producer::Producer;
pub use reader::{Reader, Record};
pub use tools::{CommittedOffset, Transaction};
