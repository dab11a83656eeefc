//! A running engine: started from a data directory, watched, and stopped in order.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use statera_config::{Application, Durability, EngineSettings};
use statera_core::{Config, Limits, Shard};
use statera_log::FileLog;
use statera_model::{EgressId, codes};
use statera_ports::{Accepts, Egress, Embedded};
use statera_store::{Progress, Store};
use statera_trace::Tracer;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::commit::Committer;
use crate::data_directory::DataDirectory;
use crate::engine::{Engine, Shared};
use crate::error::EngineError;
use crate::figures::Watch;
use crate::halts::Halts;
use crate::host::{Hosts, Linked, directory, milliseconds};
use crate::inbox::{Event, Inbox};
use crate::ingress::Ingresses;
use crate::news::Announcer;
use crate::pulse::Pulse;
use crate::recent::Recent;
use crate::recovery::{Recovered, replay, restore};
use crate::reload::{Live, Running};
use crate::shell::Shell;
use crate::sinks::{Driver, SinkQueue};

/// How long a stop waits for sinks to take what is durable.
pub(crate) const SINKS_DRAIN_MAX: Duration = Duration::from_secs(10);

/// What an engine is started with.
pub struct Options {
    /// What it runs.
    pub application: Application,
    /// Where it keeps what it knows.
    pub data: PathBuf,
    /// Where records leave. One for each egress of the application.
    pub egresses: Vec<Egress>,
    /// The functions that the application names as embedded.
    pub functions: Vec<Arc<dyn Embedded>>,
    /// What makes spans of traced messages, if any are to be.
    pub tracer: Option<Tracer>,
}

/// A running engine.
pub struct Worker {
    pub(crate) engine: Engine,
    threads: Vec<JoinHandle<()>>,
    pub(crate) drivers: BTreeMap<EgressId, Driver>,
    pub(crate) embedded: Arc<Linked>,
    /// What each egress takes.
    pub(crate) accepts: BTreeMap<EgressId, Accepts>,
    /// Sink positions, and records for egresses that are not there.
    pub(crate) recovered: Recovered,
    failure: watch::Receiver<Option<Arc<EngineError>>>,
    _data: DataDirectory,
}

impl Worker {
    /// Recovers what the data directory holds and starts all threads. Sinks are driven on the current tokio runtime.
    ///
    /// # Errors
    /// If the data directory can't be used, or an endpoint can't be called.
    pub fn start(options: Options) -> Result<Worker, EngineError> {
        let Options { application, data, egresses, functions, tracer } = options;
        let application = Arc::new(application);
        let embedded = functions.into_iter().map(|function| (function.name().clone(), function));
        let embedded: Arc<Linked> = Arc::new(embedded.collect());
        debug_assert!(application.embedded.iter().eq(embedded.keys()), "each is named and there");
        let settings = &application.engine;
        let data = DataDirectory::open(&data, settings.key_groups)?;
        let inboxes: Arc<[Inbox]> = (0..shard_count(settings)).map(|_| Inbox::default()).collect();
        let pulse =
            Arc::new(Pulse::new(settings.epochs.min_interval, settings.epochs.max_interval));
        let (fail, failure) = watch::channel(None);
        let fail = Fail(Arc::new(fail));

        let store_settings = statera_store::Settings {
            unflushed_bytes: settings.memory.unflushed_bytes,
            cache_bytes: (settings.memory.state_bytes / 8) as u64,
            ..statera_store::Settings::default()
        };
        let log_settings = log_settings(settings, store_settings.replay_bytes);
        let report = report_progress(pulse.clone(), fail.clone());
        let store = Arc::new(Store::open(data.store(), store_settings, report)?);
        let mut log = FileLog::open(&data.log(), log_settings)?;
        let last = replay(&mut log, &store)?;

        let accepts: BTreeMap<_, _> =
            egresses.iter().map(|egress| (egress.id.clone(), egress.accepts.clone())).collect();
        let mut shards = make_shards(&application, &embedded, inboxes.len(), accepts.clone());
        let mut recovered = restore(&store.reader(), &mut shards, data.key_groups)?;
        let queues: BTreeMap<EgressId, Arc<SinkQueue>> = egresses
            .iter()
            .map(|egress| {
                (egress.id.clone(), Arc::new(SinkQueue::new(recovered.take_outbox(&egress.id))))
            })
            .collect();
        let running = Running { application: application.clone(), sinks: queues.clone() };
        let running = Arc::new(Live::new(running));
        for (egress, records) in recovered.orphans() {
            tracing::warn!(code = %codes::EGRESS_REMOVED, %egress, records, "records wait for an egress that is not configured any more");
        }
        let full = shards.iter().map(Shard::figures);
        let watched = Arc::new(Watch::new(data.log(), full));
        let halts = Halts::new(std::mem::take(&mut recovered.halts));
        for shard in &mut shards {
            shard.set_halted(halts.halted(&application));
        }
        let recent = Arc::new(Recent::default());
        let shared = Arc::new(Shared {
            inboxes: inboxes.clone(),
            pulse: pulse.clone(),
            store: store.clone(),
            running: running.clone(),
            mailbox_bytes: settings.memory.mailbox_bytes,
            sources: std::mem::take(&mut recovered.sources),
            positions: Mutex::default(),
            figures: shards.iter().map(|shard| Mutex::new(shard.figures())).collect(),
            key_groups: data.key_groups,
            tickets: AtomicU64::new(1),
            stopping: watch::Sender::new(false),
            halts,
            ingresses: Ingresses::default(),
            recent: recent.clone(),
            data: data.id.clone(),
            watch: watched.clone(),
            announcer: Arc::new(Announcer::new(Handle::current())),
            tracer: tracer.clone(),
        });

        let (parts_sender, parts) = mpsc::channel();
        let mut threads = Vec::new();
        // Clients are made here once too, so that a certificate that can't be read is an error of the start.
        Hosts::new(application.clone(), embedded.clone())?;
        for (index, shard) in shards.into_iter().enumerate() {
            let (shared, parts) = (shared.clone(), parts_sender.clone());
            let (application, embedded) = (application.clone(), embedded.clone());
            let run = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(|source| EngineError::Thread {
                    name: format!("shard-{index}"),
                    source,
                })?;
                let reader = shared.store.reader();
                let hosts = Hosts::new(application, embedded)?;
                let shell = Shell::new(index as u16, shard, shared, reader, hosts, parts);
                LocalSet::new().block_on(&runtime, shell.run(last))
            };
            threads.push(spawn(format!("shard-{index}"), fail.clone(), run)?);
        }
        drop(parts_sender);
        let committer = Committer {
            log,
            store,
            last,
            pulse: pulse.clone(),
            inboxes,
            parts,
            running,
            watch: watched,
            recent,
            tracer,
        };
        threads.push(spawn("commit".to_owned(), fail, move || committer.run())?);

        let mut drivers = BTreeMap::new();
        for Egress { id, sink, .. } in egresses {
            let (last, queue) = (recovered.sinks.get(&id).cloned(), queues[&id].clone());
            let egress = (id.clone(), sink);
            let driver = Driver::start(egress, data.id.clone(), last, queue, pulse.clone());
            drivers.insert(id, driver);
        }
        let engine = Engine { shared };
        Ok(Worker { engine, threads, drivers, embedded, accepts, recovered, failure, _data: data })
    }

    /// The handle to this engine.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine.clone()
    }

    /// Waits until the engine has failed and can't go on. What was acknowledged is safe on disk.
    pub fn failed(&self) -> impl Future<Output = Arc<EngineError>> + use<> {
        let mut failure = self.failure.clone();
        async move {
            match failure.wait_for(Option::is_some).await {
                Ok(error) => error.clone().expect("waited for it"),
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Whether the engine has failed and can't go on.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    /// Tells ingresses to take nothing more. Those who wait for an answer still get it.
    pub fn begin_stop(&self) {
        self.engine.shared.stopping.send_replace(true);
    }

    /// Stops in order: a last epoch, its egress records, their confirmations, and the store.
    ///
    /// # Errors
    /// If the engine has failed, before the stop or during it, or the store could not be closed. Nothing that was
    /// acknowledged is lost then.
    pub async fn stop(self) -> Result<(), Arc<EngineError>> {
        self.begin_stop();
        let shared = &self.engine.shared;
        let last_words = async {
            // An error means that the commit thread has failed; the log has what was acknowledged.
            let _ = shared.pulse.flush().await;
            let _ = tokio::time::timeout(SINKS_DRAIN_MAX, self.sinks_drained()).await;
            let _ = shared.pulse.flush().await;
        };
        tokio::select! {
            biased;
            _ = self.failed() => {}
            () = last_words => {}
        }
        for driver in self.drivers.values() {
            driver.abort();
        }
        for inbox in &*shared.inboxes {
            inbox.push(Event::Stop);
        }
        shared.pulse.stop();
        let (store, failure) = (shared.store.clone(), self.failure.clone());
        let threads = self.threads;
        let close = move || {
            for thread in threads {
                // What it had to say, it has said through its failure.
                let _ = thread.join();
            }
            store.sync_now()
        };
        let closed = tokio::task::spawn_blocking(close).await;
        self.engine.shared.announcer.finish();
        if let Some(failure) = &*failure.borrow() {
            return Err(failure.clone());
        }
        match closed {
            Ok(Err(error)) => Err(Arc::new(error.into())),
            _ => Ok(()),
        }
    }

    async fn sinks_drained(&self) {
        for queue in self.engine.shared.running.get().sinks.values() {
            queue.drained().await;
        }
    }
}

/// Where threads report that the engine can't go on. The first report counts.
#[derive(Clone)]
struct Fail(Arc<watch::Sender<Option<Arc<EngineError>>>>);

impl Fail {
    fn report(&self, error: EngineError) {
        self.0.send_if_modified(|failure| {
            let first = failure.is_none();
            if first {
                *failure = Some(Arc::new(error));
            }
            first
        });
    }
}

fn spawn(
    name: String,
    fail: Fail,
    run: impl FnOnce() -> Result<(), EngineError> + Send + 'static,
) -> Result<JoinHandle<()>, EngineError> {
    let thread = name.clone();
    let body = move || match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => fail.report(error),
        Err(panic) => {
            let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
            let message = message.unwrap_or_else(|| "no message".to_owned());
            fail.report(EngineError::Panic { name: thread, message });
        }
    };
    let builder = std::thread::Builder::new().name(name.clone());
    builder.spawn(body).map_err(|source| EngineError::Thread { name, source })
}

fn report_progress(pulse: Arc<Pulse>, fail: Fail) -> impl FnMut(Progress) + Send + 'static {
    move |progress| match progress {
        Progress::Durable(epoch) => pulse.truncate(epoch),
        Progress::Failed(error) => fail.report(error.into()),
    }
}

fn shard_count(settings: &EngineSettings) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let wanted = settings.shards.map_or_else(cores, usize::from);
    wanted.clamp(1, settings.key_groups.into())
}

/// The log is as long as what a start may read again, and what was truncated is used again.
fn log_settings(settings: &EngineSettings, replay_bytes: u64) -> statera_log::Settings {
    let durability = match settings.durability {
        Durability::Fsync => statera_log::Durability::Fsync,
        Durability::None => statera_log::Durability::None,
    };
    let settings = statera_log::Settings::default();
    let spare_segments_max = (replay_bytes / settings.segment_bytes) as usize;
    statera_log::Settings { durability, spare_segments_max, ..settings }
}

fn make_shards(
    application: &Arc<Application>,
    embedded: &Arc<Linked>,
    count: usize,
    egresses: BTreeMap<EgressId, Accepts>,
) -> Vec<Shard> {
    let EngineSettings { memory, limits, .. } = &application.engine;
    let limits = Limits {
        state_bytes: memory.state_bytes / count,
        mailbox_bytes: memory.mailbox_bytes / count,
        mailbox_messages: limits.mailbox_messages,
        invocations_in_flight: limits.invocations_in_flight,
        batch_bytes: limits.batch_bytes,
        idempotency_keys: limits.idempotency_keys / count,
        idempotency_retention_ms: milliseconds(application.engine.idempotency_retention),
    };
    let random = RandomState::new();
    let make = |shard| {
        Shard::new(Config {
            shard: shard as u16,
            shards: count as u16,
            key_groups: application.engine.key_groups,
            hash_seed: random.hash_one(("hash", shard)),
            nonce: random.hash_one("nonce"),
            limits,
            directory: directory(application.clone(), embedded.clone()),
            egresses: egresses.clone(),
        })
    };
    (0..count).map(make).collect()
}
