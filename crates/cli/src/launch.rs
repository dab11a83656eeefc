//! An application, launched: the engine with all its ingresses and egresses.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use statera_admin::AdminServer;
use statera_config::Application;
use statera_model::Name;
use statera_ports::Engine as _;
use statera_runtime::{Engine, EngineError, Options, Worker};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::Functions;
use crate::parts::{self, Part};

/// How long a stop waits for ingresses to answer what they have accepted.
const INGRESSES_STOP_MAX: Duration = Duration::from_secs(15);

/// A running application.
pub(crate) struct Launched {
    worker: Worker,
    parts: JoinSet<()>,
    admin: Option<Admin>,
    addresses: Vec<(String, SocketAddr)>,
}

/// The admin API, which outlives the ingresses so that it can tell how the stop goes on.
struct Admin {
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

/// Starts everything. Must be called within a tokio runtime.
pub(crate) fn launch(
    application: Application,
    functions: Functions,
    data: PathBuf,
    admin: Option<statera_admin::Settings>,
) -> anyhow::Result<Launched> {
    let mut egresses = Vec::new();
    let mut bound = Vec::new();
    for spec in &application.egresses {
        let open = parts::egress(spec)?;
        egresses.push(open.egress);
        bound.extend(open.server.map(Part::Connector));
    }
    let ingresses = application.ingresses.clone();
    let worker = Worker::start(Options { application, data, egresses, functions })?;
    let engine = worker.engine();
    for spec in &ingresses {
        bound.push(parts::ingress(spec, &engine)?);
    }
    let admin = admin.map(|settings| AdminServer::open(settings, engine.clone())).transpose()?;
    let mut addresses = Vec::new();
    let mut parts = JoinSet::new();
    for part in bound {
        addresses.extend(part.local_addr().map(|address| (part.id().to_string(), address)));
        parts.spawn(run_part(part, engine.clone()));
    }
    addresses.extend(admin.iter().map(|admin| ("admin".to_owned(), admin.local_addr())));
    Ok(Launched { worker, parts, admin: admin.map(run_admin), addresses })
}

fn run_admin(server: AdminServer) -> Admin {
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(async move {
        // An error means that nobody is left who could stop it: then it stops, too.
        let stopped = Box::pin(async { drop(stopped.await) });
        if let Err(error) = server.run(stopped).await {
            tracing::error!(error = &error as &dyn std::error::Error, "the admin API has stopped");
        }
    });
    Admin { stop, running }
}

/// Runs an ingress or an egress's server. If it fails the others go on, and it is said once.
async fn run_part(part: Part, engine: Engine) {
    let id: Name = part.id().clone();
    if let Err(error) = part.run(engine.stopping()).await {
        let error: &dyn std::error::Error = &*error;
        tracing::error!(%id, error, "an ingress has stopped");
    }
}

impl Launched {
    /// Where its parts listen.
    pub(crate) fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// The handle to its engine.
    pub(crate) fn engine(&self) -> Engine {
        self.worker.engine()
    }

    /// Waits until the engine can't go on.
    pub(crate) async fn failed(&self) -> Arc<EngineError> {
        self.worker.failed().await
    }

    /// Stops in order: ingresses first, then the admin API, then the engine.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.worker.begin_stop();
        if self.worker.has_failed() {
            // Nothing becomes durable any more. Whether what waits for it is, nobody knows: no answer is the right one.
            self.parts.shutdown().await;
        }
        let ended = async { while self.parts.join_next().await.is_some() {} };
        if tokio::time::timeout(INGRESSES_STOP_MAX, ended).await.is_err() {
            tracing::warn!("some ingresses did not stop in time");
        }
        if let Some(Admin { stop, running }) = self.admin {
            // What is wrong with it has been said by itself.
            let _ = stop.send(());
            let _ = running.await;
        }
        Ok(self.worker.stop().await?)
    }
}
