//! Another application in the place of the one that runs, while it runs.
//!
//! 1. [`Worker::prepare`] makes everything that can fail: clients, on the threads that will use them. Nothing has changed.
//! 2. [`Worker::switch`]: sinks first, because a shard must not emit to an egress that nobody knows. Then every shard, in
//!    one event each, gets the clients, the directory and the egresses. When all have them, the handles show the new
//!    application. At last egresses that are gone write what was still emitted to them, and end.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use statera_config::Application;
use statera_core::Reload;
use statera_model::{EgressId, codes};
use statera_ports::Egress;
use tokio::sync::oneshot;

use crate::engine::Shared;
use crate::error::{EngineError, ReloadError};
use crate::host::directory;
use crate::inbox::Event;
use crate::sinks::{Driver, SinkQueue};
use crate::worker::{SINKS_DRAIN_MAX, Worker};

/// What an engine runs now. Shard threads have their own.
pub(crate) struct Running {
    pub(crate) application: Arc<Application>,
    /// Those of the application, and those that are gone from it and have records left.
    pub(crate) sinks: BTreeMap<EgressId, Arc<SinkQueue>>,
}

/// Where what runs now is found.
pub(crate) struct Live(RwLock<Arc<Running>>);

impl Live {
    pub(crate) fn new(running: Running) -> Live {
        Live(RwLock::new(Arc::new(running)))
    }

    pub(crate) fn get(&self) -> Arc<Running> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, application: &Arc<Application>, sinks: &BTreeMap<EgressId, Arc<SinkQueue>>) {
        let running = Running { application: application.clone(), sinks: sinks.clone() };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(running);
    }
}

/// An application that can take the place of the one that runs.
pub struct Prepared {
    application: Arc<Application>,
    /// New egresses, and those that take the place of another with the same id.
    egresses: Vec<Egress>,
    removed: Vec<EgressId>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("removed", &self.removed).finish_non_exhaustive()
    }
}

impl Worker {
    /// Makes ready to run another application: the same linked functions, and engine settings that differ in nothing but
    /// `failures`. `egresses` are those that are new or changed, opened. Changes nothing.
    ///
    /// # Errors
    /// If an endpoint can't be called, or an egress is gone for which there are records.
    pub async fn prepare(
        &self,
        application: Application,
        egresses: Vec<Egress>,
    ) -> Result<Prepared, ReloadError> {
        let shared = &self.engine.shared;
        let application = Arc::new(application);
        let running = shared.running.get();
        let gone = |id: &&EgressId| application.egresses.iter().all(|egress| egress.id() != **id);
        let removed: Vec<EgressId> = running.sinks.keys().filter(gone).cloned().collect();
        for egress in &removed {
            let queue = &running.sinks[egress];
            // One that was removed before may still be at it.
            let there = running.application.egresses.iter().any(|known| known.id() == *egress);
            if there && !queue.is_drained() {
                let records = queue.figures().backlog_records;
                return Err(ReloadError::Unreleased { egress: egress.clone(), records });
            }
        }
        let answers: Vec<Result<(), EngineError>> = shared
            .tell_all(|told| Event::Prepare { application: application.clone(), told })
            .await?;
        answers.into_iter().collect::<Result<(), EngineError>>()?;
        Ok(Prepared { application, egresses, removed })
    }

    /// Runs what was prepared, which must be what was prepared last.
    ///
    /// # Errors
    /// If the engine is stopping, or fails meanwhile.
    pub async fn switch(&mut self, prepared: Prepared) -> Result<(), ReloadError> {
        let Prepared { application, egresses, removed } = prepared;
        let shared = self.engine.shared.clone();
        // Who is halted goes by the application, too.
        let changing = shared.halts.changing.lock().await;
        let before = shared.running.get();
        let mut sinks = before.sinks.clone();
        for egress in egresses {
            self.replace(egress, &mut sinks).await;
        }
        removed.iter().for_each(|id| drop(self.accepts.remove(id)));
        shared.running.set(&before.application, &sinks);
        let halted = shared.halts.halted(&application);
        let reload = Reload {
            directory: directory(application.clone(), self.embedded.clone()),
            egresses: self.accepts.clone(),
            halted,
        };
        // A shard that has switched may send to functions that another one does not know yet.
        shared.tell_all(Event::BeforeSwitch).await?;
        shared.tell_all(|told| Event::Switch { reload: Box::new(reload.clone()), told }).await?;
        shared.running.set(&application, &sinks);
        drop(changing);
        self.retire(removed).await
    }

    /// Drives a new egress, or one in the place of another, which ends first.
    async fn replace(&mut self, egress: Egress, sinks: &mut BTreeMap<EgressId, Arc<SinkQueue>>) {
        let Egress { id, accepts, sink } = egress;
        let shared = &self.engine.shared;
        if let Some(former) = self.drivers.remove(&id) {
            let last = former.stop().await;
            self.recovered.sinks.extend(last.map(|last| (id.clone(), last)));
        }
        let queue = match sinks.get(&id) {
            Some(queue) => queue.clone(),
            None => Arc::new(SinkQueue::new(self.recovered.take_outbox(&id))),
        };
        let last = self.recovered.sinks.get(&id).cloned();
        let (data, pulse) = (shared.data.clone(), shared.pulse.clone());
        let driver = Driver::start((id.clone(), sink), data, last, queue.clone(), pulse);
        sinks.insert(id.clone(), queue);
        self.accepts.insert(id.clone(), accepts);
        self.drivers.insert(id, driver);
    }

    /// Ends egresses to which no shard emits any more, once they have written what was emitted before.
    async fn retire(&mut self, removed: Vec<EgressId>) -> Result<(), ReloadError> {
        if removed.is_empty() {
            return Ok(());
        }
        let shared = self.engine.shared.clone();
        shared.pulse.flush().await.map_err(|_| ReloadError::Stopping)?;
        let running = shared.running.get();
        let mut sinks = running.sinks.clone();
        for id in removed {
            let Some(queue) = sinks.get(&id) else { continue };
            if tokio::time::timeout(SINKS_DRAIN_MAX, queue.drained()).await.is_err() {
                tracing::warn!(code = %codes::EGRESS_REMOVED, egress = %id, "the egress is removed, but goes on until its records are written");
                continue;
            }
            if let Some(driver) = self.drivers.remove(&id) {
                let last = driver.stop().await;
                self.recovered.sinks.extend(last.map(|last| (id.clone(), last)));
            }
            sinks.remove(&id);
        }
        shared.running.set(&running.application, &sinks);
        // What they have confirmed becomes durable.
        shared.pulse.flush().await.map_err(|_| ReloadError::Stopping)
    }
}

impl Shared {
    /// Tells all shards something, and waits for their answers.
    async fn tell_all<T>(
        &self,
        event: impl Fn(oneshot::Sender<T>) -> Event,
    ) -> Result<Vec<T>, ReloadError> {
        let tell = |inbox: &crate::inbox::Inbox| {
            let (told, answer) = oneshot::channel();
            inbox.push(event(told));
            answer
        };
        let answers: Vec<_> = self.inboxes.iter().map(tell).collect();
        let mut told = Vec::new();
        for answer in answers {
            told.push(answer.await.map_err(|_| ReloadError::Stopping)?);
        }
        Ok(told)
    }
}
