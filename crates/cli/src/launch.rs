//! An application, launched: the engine with all its ingresses and egresses.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use statera_admin::AdminServer;
use statera_config::{Application, Changes, Egress, Ingress};
use statera_model::{Chain, Name, codes};
use statera_ports::{self as ports, Engine as _};
use statera_runtime::{Engine, EngineError, Options, ReloadError, Worker, check_endpoints};
use statera_trace::Exporter;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::Functions;
use crate::parts::{self, Part};

/// How long a stop waits for ingresses to answer what they have accepted.
const INGRESSES_STOP_MAX: Duration = Duration::from_secs(15);

/// How long a single ingress may take for that, while all else goes on.
const INGRESS_STOP_MAX: Duration = Duration::from_secs(5);

/// A running application.
pub(crate) struct Launched {
    worker: Worker,
    parts: BTreeMap<Place, Running>,
    admin: Option<Admin>,
    /// What sends traces, which outlives all else so that the last spans leave.
    exporter: Option<Running>,
    addresses: Vec<(String, SocketAddr)>,
}

/// A part by its role and id.
type Place = (Role, Name);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Ingress,
    /// The server of an egress that has one.
    Egress,
}

/// A part that runs until it is told to stop, or the engine stops.
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
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
        bound.extend(open.server.map(|server| (Role::Egress, Part::Connector(server))));
    }
    let ingresses = application.ingresses.clone();
    let (tracer, exporter) = statera_trace::open(&application.engine.traces)?.unzip();
    let worker = Worker::start(Options { application, data, egresses, functions, tracer })?;
    let engine = worker.engine();
    for spec in &ingresses {
        bound.push((Role::Ingress, parts::ingress(spec, &engine)?));
    }
    let admin = admin.map(|settings| AdminServer::open(settings, engine.clone())).transpose()?;
    let mut addresses = Vec::new();
    let mut parts = BTreeMap::new();
    for (role, part) in bound {
        addresses.extend(part.local_addr().map(|address| (part.id().to_string(), address)));
        parts.insert((role, part.id().clone()), start(part, &engine));
    }
    addresses.extend(admin.iter().map(|admin| ("admin".to_owned(), admin.local_addr())));
    let exporter = exporter.map(run_exporter);
    Ok(Launched { worker, parts, admin: admin.map(run_admin), exporter, addresses })
}

fn run_admin(server: AdminServer) -> Admin {
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(async move {
        // An error means that nobody is left who could stop it: then it stops, too.
        let stopped = Box::pin(async { drop(stopped.await) });
        if let Err(error) = server.run(stopped).await {
            tracing::error!(code = %codes::ADMIN_STOPPED, error = %Chain(&error), "the admin API has stopped");
        }
    });
    Admin { stop, running }
}

fn run_exporter(exporter: Exporter) -> Running {
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(exporter.run(async { drop(stopped.await) }));
    Running { stop, task }
}

/// Runs an ingress or an egress's server. If it fails the others go on, and it is said once.
fn start(part: Part, engine: &Engine) -> Running {
    let (stop, told) = oneshot::channel::<()>();
    let stopping = engine.stopping();
    let task = tokio::spawn(async move {
        let id: Name = part.id().clone();
        let stop = Box::pin(async move {
            tokio::select! {
                () = stopping => {}
                // An error means that nobody is left who could tell: the engine stops.
                Ok(()) = told => {}
            }
        });
        if let Err(error) = part.run(stop).await {
            tracing::error!(code = %codes::INGRESS_STOPPED, %id, error = %Chain(&*error), "an ingress has stopped");
        }
    });
    Running { stop, task }
}

impl Running {
    /// Stops in order, or at once if that takes too long. It takes nothing any more when this returns.
    async fn stop(self, id: &Name) {
        let Running { stop, mut task } = self;
        let _ = stop.send(());
        if tokio::time::timeout(INGRESS_STOP_MAX, &mut task).await.is_err() {
            tracing::warn!(code = %codes::INGRESS_CUT_OFF, %id, "an ingress did not stop in time, and is cut off");
            task.abort();
            let _ = task.await;
        }
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
    pub(crate) fn failed(&self) -> impl Future<Output = Arc<EngineError>> + use<> {
        self.worker.failed()
    }

    /// Runs another application in the place of this one. Returns what has changed, and why ingresses could not be opened
    /// that had to wait until their predecessors had closed.
    ///
    /// # Errors
    /// Everything that stands against it. Nothing has changed then.
    pub(crate) async fn reload(
        &mut self,
        wanted: Application,
    ) -> Result<(Changes, Vec<String>), Refusal> {
        let engine = self.worker.engine();
        let running = engine.application();
        let changes = Changes::between(&running, &wanted).map_err(Refusal::Wrong)?;
        if changes.is_empty() {
            return Ok((changes, Vec::new()));
        }
        let Opened { egresses, mut parts, late } = open(&running, &wanted, &changes, &engine)?;
        let prepared = self.worker.prepare(wanted, egresses).await?;
        // From here on it is done.
        let gone = changes.ingresses.changed.iter().chain(&changes.ingresses.removed);
        self.end(Role::Ingress, gone).await;
        self.worker.switch(prepared).await?;
        self.end(Role::Egress, changes.egresses.removed.iter()).await;
        let mut failed = Vec::new();
        for spec in late {
            match parts::ingress(&spec, &engine) {
                Ok(part) => parts.push((Role::Ingress, part)),
                Err(error) => {
                    let error =
                        format!("ingress `{}` is closed: {}", spec.id(), crate::chain(&error));
                    tracing::error!(code = %codes::INGRESS_NOT_OPENED, id = %spec.id(), error, "an ingress could not be opened anew");
                    failed.push(error);
                }
            }
        }
        for (role, part) in parts {
            if let Some(address) = part.local_addr() {
                tracing::info!(id = %part.id(), "listening on http://{address}");
            }
            self.parts.insert((role, part.id().clone()), start(part, &engine));
        }
        Ok((changes, failed))
    }

    async fn end(&mut self, role: Role, ids: impl Iterator<Item = &String>) {
        for id in ids {
            let id = Name::parse(id).expect("ids are names");
            if let Some(part) = self.parts.remove(&(role, id.clone())) {
                part.stop(&id).await;
            }
        }
    }

    /// Stops in order: ingresses first, then the admin API, then the engine.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.worker.begin_stop();
        if self.worker.has_failed() {
            // Nothing becomes durable any more. Whether what waits for it is, nobody knows: no answer is the right one.
            for part in self.parts.values() {
                part.task.abort();
            }
        }
        let ended = async {
            for part in self.parts.values_mut() {
                let _ = (&mut part.task).await;
            }
        };
        if tokio::time::timeout(INGRESSES_STOP_MAX, ended).await.is_err() {
            tracing::warn!(code = %codes::INGRESS_CUT_OFF, "some ingresses did not stop in time");
        }
        if let Some(Admin { stop, running }) = self.admin {
            // What is wrong with it has been said by itself.
            let _ = stop.send(());
            let _ = running.await;
        }
        let stopped = self.worker.stop().await;
        if let Some(Running { stop, task }) = self.exporter {
            let _ = stop.send(());
            let _ = task.await;
        }
        Ok(stopped?)
    }
}

/// Why another application does not take the place of the one that runs.
pub(crate) enum Refusal {
    Wrong(Vec<String>),
    Stopping,
}

impl From<ReloadError> for Refusal {
    fn from(error: ReloadError) -> Refusal {
        match error {
            ReloadError::Stopping => Refusal::Stopping,
            error => Refusal::Wrong(vec![crate::chain(&error.into())]),
        }
    }
}

/// What a reload needs, opened.
struct Opened {
    egresses: Vec<ports::Egress>,
    parts: Vec<(Role, Part)>,
    /// Ingresses that listen where their predecessors do: they can be opened only when those have closed.
    late: Vec<Ingress>,
}

/// Opens what is new or changed, or says everything that can't be opened.
fn open(
    running: &Application,
    wanted: &Application,
    changes: &Changes,
    engine: &Engine,
) -> Result<Opened, Refusal> {
    let mut opened = Opened { egresses: Vec::new(), parts: Vec::new(), late: Vec::new() };
    let mut problems: Vec<String> =
        check_endpoints(wanted).into_iter().map(|error| crate::chain(&error.into())).collect();
    let is_in = |names: &[&Vec<String>], id: Name| {
        names.iter().any(|names| names.iter().any(|name| *name == id.as_str()))
    };
    let news = [&changes.egresses.added, &changes.egresses.changed];
    for spec in wanted.egresses.iter().filter(|egress: &&Egress| is_in(&news, egress.id())) {
        match parts::egress(spec) {
            Ok(open) => {
                opened.egresses.push(open.egress);
                let server = open.server.map(|server| (Role::Egress, Part::Connector(server)));
                opened.parts.extend(server);
            }
            Err(error) => problems.push(crate::chain(&error)),
        }
    }
    let news = [&changes.ingresses.added, &changes.ingresses.changed];
    for spec in wanted.ingresses.iter().filter(|ingress| is_in(&news, ingress.id())) {
        let former = running.ingresses.iter().find(|former| former.id() == spec.id());
        if former
            .is_some_and(|former| listens_on(former).is_some_and(|a| Some(a) == listens_on(spec)))
        {
            opened.late.push(spec.clone());
            continue;
        }
        match parts::ingress(spec, engine) {
            Ok(part) => opened.parts.push((Role::Ingress, part)),
            Err(error) => problems.push(crate::chain(&error)),
        }
    }
    match problems.is_empty() {
        true => Ok(opened),
        false => Err(Refusal::Wrong(problems)),
    }
}

/// The port that an ingress takes, if it takes one.
fn listens_on(ingress: &Ingress) -> Option<SocketAddr> {
    let address = match ingress {
        Ingress::Http(http) => http.address,
        Ingress::Playground(playground) => playground.address,
        Ingress::File(_) | Ingress::Kafka(_) | Ingress::Kinesis(_) => return None,
    };
    Some(address).filter(|address| address.port() != 0)
}
