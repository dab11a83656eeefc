//! An engine with functions in this process.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use statera_config::{EngineOverrides, Source, load_with};
use statera_ports::{Answer, Embedded, Engine as _, Request};
use statera_runtime::{Engine, Options, Worker};
use statera_sdk::{Address, App, Cell, Context, IntoValue, Message, Name};
use tokio::time::sleep;

use super::job::Job;

/// A counter that is called to see how long that takes. It has no other part in what is measured.
const PROBE: Name = Name::from_static("bench/probe");
const PROBED: Cell<i64> = Cell::new("probed");

/// An application has an ingress. Nobody serves this one: the load speaks to the engine directly.
const INGRESS: &str = "kind: io.statera.v1/http-ingress\nspec:\n  id: bench/ingress\n";

/// Probes that are called in turn.
const PROBES: u64 = 64;

/// The longest wait for anything that must happen soon. It only matters if something is wrong.
const WAIT_MAX: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(2);

pub(super) struct Host {
    worker: Worker,
    pub(super) engine: Engine,
    probe: Name,
}

impl Host {
    /// Starts an engine with these functions, and a probe.
    pub(super) fn start(app: App, job: &Job) -> anyhow::Result<Host> {
        let probe = |ctx: &mut Context<'_>, _: Message| ctx.update(PROBED, |calls| calls + 1);
        let functions = app.function(&PROBE, PROBED, probe).build()?;
        let embedded: BTreeSet<Name> =
            functions.iter().map(|function| function.name().clone()).collect();
        let source = Source { name: "module.yaml".into(), text: module(job) };
        let loaded = load_with(&[source], &EngineOverrides::default(), &|_| None, embedded);
        let loaded = loaded.map_err(|problems| anyhow!("{problems}"))?;
        let functions =
            functions.iter().map(|function| Arc::new(function.clone()) as Arc<dyn Embedded>);
        let worker = Worker::start(Options {
            application: loaded.application,
            data: job.data.clone(),
            egresses: Vec::new(),
            functions: functions.collect(),
            tracer: None,
        })?;
        Ok(Host { engine: worker.engine(), worker, probe: PROBE })
    }

    /// Calls a probe and waits for its durable answer. Everything that was processed before is durable then.
    pub(super) async fn probe(&self, nth: u64) -> anyhow::Result<()> {
        probe(&self.engine, &self.probe, nth).await
    }

    pub(super) fn probe_name(&self) -> &Name {
        &self.probe
    }

    /// Waits until something is so.
    pub(super) async fn until(&self, what: &str, so: impl Fn() -> bool) -> anyhow::Result<()> {
        let until = Instant::now() + WAIT_MAX;
        while !so() {
            if self.worker.has_failed() {
                return Err(self.worker.failed().await.into());
            }
            if Instant::now() > until {
                bail!("waited {WAIT_MAX:?} {what}; the shards: {:?}", self.engine.figures());
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    pub(super) fn state_bytes(&self) -> u64 {
        self.engine.figures().iter().map(|shard| shard.state_bytes as u64).sum()
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.worker.stop().await.context("cannot stop the engine")
    }
}

pub(super) async fn probe(engine: &Engine, name: &Name, nth: u64) -> anyhow::Result<()> {
    let target = Address::new(name.clone(), nth % PROBES);
    let request =
        Request { target, argument: 1_i64.into_value()?, idempotency_key: None, trace: None };
    match engine.call(request).await? {
        Answer::Value(_) => Ok(()),
        Answer::DeadLettered { reason, .. } => bail!("a call became a dead letter: {reason}"),
    }
}

fn module(job: &Job) -> String {
    let Job { shards, durability, .. } = job;
    let mut module = format!(
        "{INGRESS}---\nkind: io.statera.v1/engine\nspec:\n  shards: {shards}\n  durability: {}\n",
        durability.name()
    );
    if let Some(bytes) = job.state_bytes {
        let _ = writeln!(module, "  memory:\n    stateBytes: {bytes}");
    }
    module
}
