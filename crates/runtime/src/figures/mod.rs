//! What a running engine tells those who watch it: [`Readings`], from [`Engine::readings`].
//!
//! Whoever counts, counts in plain integers of its own: a shard's core beside the state of each function type
//! ([`statera_core::FunctionFigures`]), its thread in [`shard::ShellFigures`], the commit thread once for each epoch. Nothing is
//! handed over until somebody asks; then each shard makes a [`shard::ShardReport`] between two rounds of its work. One that is too
//! busy to answer is not waited for: what it told last is told again, with its age.

mod epochs;
mod functions;
mod histogram;
pub(crate) mod shard;
mod sources;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use statera_config::Application;
use statera_core::{Figures, FunctionFigures};
use statera_model::{EgressId, FunctionType};
use statera_ports::{Refusal, SourceBatch, SourceId, SourceStatus};
use tokio::sync::oneshot;

use crate::engine::{Engine, Shared};
use crate::inbox::Event;
use crate::sinks::SinkFigures;
use functions::Names;
use shard::ShardReport;
use sources::Sources;

pub(crate) use epochs::Stopwatch;
pub use epochs::{EpochFigures, STALL_MIN};
pub use histogram::{BOUNDS, Histogram};
pub use shard::{EndpointFigures, RefusalReason, RequestFigures};
pub use sources::{SOURCES_TOLD_MAX, SourceFigures};

/// Function types with figures of their own. Those of all others are added up.
pub const FUNCTION_TYPES_TOLD_MAX: usize = 256;

/// How long a shard that is asked may go on with what it does before its last report is told instead.
const REPORT_PATIENCE: Duration = Duration::from_millis(250);

/// Everything an engine tells at one moment. Its size goes with the number of function types, endpoints, sources and sinks, never
/// with that of instances or messages.
#[derive(Clone, Debug)]
pub struct Readings {
    /// Since the engine has recovered.
    pub uptime: Duration,
    /// Each shard, in order.
    pub shards: Vec<ShardReading>,
    /// Function types. The first one, `io.statera/other`, is the sum of those that have no figures of their own.
    pub functions: Vec<FunctionReading>,
    /// Endpoints, in the order of the application.
    pub endpoints: Vec<EndpointReading>,
    /// Requests, and how long it took until what came in was released.
    pub requests: RequestFigures,
    /// Sources that have delivered or told where they stand.
    pub sources: Vec<(SourceId, SourceFigures)>,
    /// Egresses.
    pub egresses: Vec<(EgressId, SinkFigures)>,
    /// Epochs.
    pub epochs: EpochFigures,
    /// Bytes of all files of the log, spare ones included.
    pub log_file_bytes: u64,
    /// The store.
    pub store: statera_store::Figures,
    /// What became of spans; `None` if nothing is traced.
    pub spans: Option<statera_trace::Figures>,
}

/// How full a shard is.
#[derive(Clone, Copy, Debug)]
pub struct ShardReading {
    /// How full.
    pub figures: Figures,
    /// Function types it knows.
    pub function_types: usize,
    /// How old that, and what it told about functions, is.
    pub age: Duration,
}

/// The figures of a function type.
#[derive(Clone, Debug)]
pub struct FunctionReading {
    /// Which.
    pub name: FunctionType,
    /// Its figures, of all shards together.
    pub figures: FunctionFigures,
    /// How long invocations took, failed ones included. Of functions that run on the thread of their shard one in 61 is
    /// measured and counts 61 times.
    pub latency: Histogram,
}

/// The figures of an endpoint.
#[derive(Clone, Debug)]
pub struct EndpointReading {
    /// Which functions it serves: `example/greeter`, or `example/*`.
    pub functions: String,
    /// Its figures, of all shards together.
    pub figures: EndpointFigures,
}

/// Where all that is told comes together.
#[derive(Debug)]
pub(crate) struct Watch {
    started: Instant,
    log_directory: PathBuf,
    reports: Box<[Mutex<Arc<ShardReport>>]>,
    names: Mutex<Names>,
    epochs: Mutex<EpochFigures>,
    sources: Mutex<Sources>,
    /// Requests that were refused before they came to a shard.
    refused: Mutex<RequestFigures>,
}

impl Watch {
    pub(crate) fn new(log_directory: PathBuf, shards: impl Iterator<Item = Figures>) -> Watch {
        let report = |figures| Mutex::new(Arc::new(ShardReport::empty(figures)));
        Watch {
            started: Instant::now(),
            log_directory,
            reports: shards.map(report).collect(),
            names: Mutex::new(Names::new()),
            epochs: Mutex::default(),
            sources: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    pub(crate) fn tell(&self, shard: u16, report: ShardReport) {
        *lock(&self.reports[usize::from(shard)]) = Arc::new(report);
    }

    pub(crate) fn epochs(&self) -> MutexGuard<'_, EpochFigures> {
        lock(&self.epochs)
    }

    pub(crate) fn delivered(&self, batch: &SourceBatch) {
        lock(&self.sources).delivered(batch);
    }

    pub(crate) fn source(&self, source: &SourceId, status: Option<SourceStatus>) {
        lock(&self.sources).report(source, status);
    }

    pub(crate) fn refused(&self, refusal: &Refusal) {
        lock(&self.refused).refused(refusal);
    }
}

impl Engine {
    /// Everything that can be counted, as it is now. Each shard is asked, and answers between two rounds of its work; one
    /// that does not within a quarter of a second is told as it was when it answered last.
    pub async fn readings(&self) -> Readings {
        let shared = &self.shared;
        let answers = shared.inboxes.iter().map(|inbox| {
            let (sender, receiver) = oneshot::channel();
            inbox.push(Event::Report(sender));
            receiver
        });
        let answers: Vec<_> = answers.collect();
        let all = async {
            for answer in answers {
                // An error means that the shard has ended. What it told last remains.
                let _ = answer.await;
            }
        };
        let _ = tokio::time::timeout(REPORT_PATIENCE, all).await;
        // It looks at files.
        let blocking = shared.clone();
        let read = tokio::task::spawn_blocking(move || blocking.read()).await;
        read.unwrap_or_else(|_| shared.read())
    }
}

impl Shared {
    fn read(&self) -> Readings {
        let watch = &self.watch;
        let reports: Vec<Arc<ShardReport>> =
            watch.reports.iter().map(|report| lock(report).clone()).collect();
        let mut requests = lock(&watch.refused).clone();
        reports.iter().for_each(|report| requests.add(&report.requests));
        let shard = |report: &Arc<ShardReport>| ShardReading {
            figures: report.figures,
            function_types: report.function_types,
            age: report.at.elapsed(),
        };
        let running = self.running.get();
        let egresses = running.sinks.iter().map(|(id, sink)| (id.clone(), sink.figures()));
        Readings {
            uptime: watch.started.elapsed(),
            shards: reports.iter().map(shard).collect(),
            functions: lock(&watch.names).merge(&reports),
            endpoints: endpoints(&running.application, &reports),
            requests,
            sources: lock(&watch.sources).all(),
            egresses: egresses.collect(),
            epochs: watch.epochs().clone(),
            log_file_bytes: bytes_in(&watch.log_directory),
            store: self.store.figures(),
            spans: self.tracer.as_ref().map(statera_trace::Tracer::figures),
        }
    }
}

/// The figures of the endpoints. What shards that run another application just now tell may be missing.
fn endpoints(application: &Application, reports: &[Arc<ShardReport>]) -> Vec<EndpointReading> {
    let reading = |endpoint: &statera_config::Endpoint| {
        let functions = crate::halts::endpoint_name(&endpoint.functions).to_string();
        let mut figures = EndpointFigures::default();
        for report in reports {
            let told = report.endpoints.iter().find(|(name, _)| *name == endpoint.functions);
            told.into_iter().for_each(|(_, told)| figures.add(told));
        }
        EndpointReading { functions, figures }
    };
    application.endpoints.iter().map(reading).collect()
}

/// The sizes of the files in a directory. Those that come or go meanwhile may be left out.
fn bytes_in(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let size = |entry: std::fs::DirEntry| entry.metadata().ok().map(|metadata| metadata.len());
    entries.flatten().filter_map(size).sum()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
