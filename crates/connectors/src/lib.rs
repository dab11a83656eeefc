//! Where messages come in and records leave: HTTP, files, standard output, the playground.
//!
//! An adapter knows the engine only through [`statera_ports`]: an ingress drives an [`Engine`], an egress is a
//! [`Sink`](ports::Sink). It never decides what a message means, never keeps what the engine keeps for it (positions,
//! deduplication, the outbox), and never loses or skips input silently.
//!
//! Start with [`ingress`] and [`egress`], the one table of all kinds, and [`Bound`], what a kind becomes once its
//! socket is open. Opening is apart from running, so that a taken port is found before anything starts.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use statera_config::Ingress;
//! # use statera_ports::Engine;
//! # async fn run(spec: &Ingress, engine: Arc<dyn Engine>) -> Result<(), statera_connectors::Error> {
//! let ingress = statera_connectors::ingress(spec, Arc::clone(&engine))?;
//! println!("{} listens on {:?}", ingress.id(), ingress.local_addr());
//! ingress.run(engine.stopping()).await
//! # }
//! ```
#![warn(missing_docs)]

mod error;
mod file_egress;
mod file_ingress;
mod http;
mod http_ingress;
mod json_line;
mod playground;
mod stdout_egress;
#[cfg(test)]
mod testing;

use std::net::SocketAddr;
use std::sync::Arc;

use statera_config as config;
use statera_model::Name;
use statera_ports as ports;
use statera_ports::{BoxFuture, Engine};

pub use error::Error;

/// Opens an ingress.
///
/// # Errors
/// If its address cannot be listened on, or its file is not there.
pub fn ingress(spec: &config::Ingress, engine: Arc<dyn Engine>) -> Result<Bound, Error> {
    Ok(Bound(match spec {
        config::Ingress::Http(spec) => Part::Http(http_ingress::HttpIngress::bind(spec, engine)?),
        config::Ingress::File(spec) => Part::File(file_ingress::FileIngress::bind(spec, engine)?),
        config::Ingress::Playground(spec) => {
            Part::PlaygroundIngress(playground::PlaygroundIngress::bind(spec, engine)?)
        }
        config::Ingress::Kafka(_) => return Err(Error::Elsewhere { kind: "Kafka" }),
        config::Ingress::Kinesis(_) => return Err(Error::Elsewhere { kind: "Kinesis" }),
    }))
}

/// Opens an egress. Files are opened later, by [`ports::Sink::recover`].
///
/// # Errors
/// If its address cannot be listened on.
pub fn egress(spec: &config::Egress) -> Result<OpenEgress, Error> {
    Ok(match spec {
        config::Egress::File(spec) => {
            OpenEgress { egress: file_egress::egress(spec), server: None }
        }
        config::Egress::Stdout(spec) => {
            OpenEgress { egress: stdout_egress::egress(spec), server: None }
        }
        config::Egress::Playground(spec) => {
            let (egress, server) = playground::egress(spec)?;
            OpenEgress { egress, server: Some(Bound(Part::PlaygroundEgress(server))) }
        }
        config::Egress::Kafka(_) => return Err(Error::Elsewhere { kind: "Kafka" }),
        config::Egress::Kinesis(_) => return Err(Error::Elsewhere { kind: "Kinesis" }),
    })
}

/// An egress, and what has to run for it.
#[derive(Debug)]
pub struct OpenEgress {
    /// To be attached to the engine.
    pub egress: ports::Egress,
    /// Where people read what left, if this kind of egress has such a place. To be run until the engine stops.
    pub server: Option<Bound>,
}

/// A part that is opened and waits to be run.
#[derive(Debug)]
pub struct Bound(Part);

#[derive(Debug)]
enum Part {
    Http(http_ingress::HttpIngress),
    File(file_ingress::FileIngress),
    PlaygroundIngress(playground::PlaygroundIngress),
    PlaygroundEgress(playground::EgressServer),
}

impl Bound {
    /// The id of the ingress or egress.
    #[must_use]
    pub fn id(&self) -> &Name {
        match &self.0 {
            Part::Http(part) => part.server.id(),
            Part::File(part) => part.id(),
            Part::PlaygroundIngress(part) => part.server.id(),
            Part::PlaygroundEgress(part) => part.server.id(),
        }
    }

    /// Where it listens, if it does. The port is the real one, also if the configuration says 0.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            Part::Http(part) => Some(part.server.local_addr()),
            Part::File(_) => None,
            Part::PlaygroundIngress(part) => Some(part.server.local_addr()),
            Part::PlaygroundEgress(part) => Some(part.server.local_addr()),
        }
    }

    /// Runs until `stop` ends, usually [`Engine::stopping`]; requests in flight then have a limited time to end. A file
    /// that is not followed ends by itself. Must be called within a tokio runtime that has IO and time.
    ///
    /// # Errors
    /// If the part cannot go on without losing or skipping something. The others are not concerned.
    pub async fn run(self, stop: BoxFuture<'static, ()>) -> Result<(), Error> {
        match self.0 {
            Part::Http(part) => part.run(stop).await,
            Part::File(part) => part.run(stop).await,
            Part::PlaygroundIngress(part) => part.run(stop).await,
            Part::PlaygroundEgress(part) => part.run(stop).await,
        }
    }
}
