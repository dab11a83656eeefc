//! The engine as one ingress sees it: what it brings is counted, and while it is paused nothing is taken from it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use statera_core::keys::Halt;
use statera_model::{FunctionType, Millis, Name};
use statera_ports::{
    Answer, BoxFuture, Refusal, Request, SourceBatch, SourceId, SourceRecord, SourceStatus,
    Stopping,
};
use statera_trace::Tracer;

use crate::engine::Engine;
use crate::shell::wall_clock;
use crate::traces::note_answer;

/// Function types that are told apart among those that an ingress sends to.
const TARGETS_MAX: usize = 64;

/// Parts of an ingress whose positions are remembered.
const POSITIONS_MAX: usize = 1_000;

/// What an ingress has brought since the start.
#[derive(Clone, Debug, Default)]
pub struct IngressFigures {
    /// Messages.
    pub messages: u64,
    /// Messages by the type of their target. Those to further types are only in `messages`.
    pub targets: BTreeMap<FunctionType, u64>,
    /// How far its sources have delivered, and when that was, by their partition.
    pub positions: BTreeMap<Arc<str>, (Bytes, Millis)>,
}

/// What all ingresses have brought.
#[derive(Debug, Default)]
pub(crate) struct Ingresses(Mutex<BTreeMap<Name, Arc<Mutex<IngressFigures>>>>);

/// The handle that is given to an ingress. As [`Engine`], for one ingress.
#[derive(Clone)]
pub struct IngressHandle {
    engine: Engine,
    halt: Halt,
    figures: Arc<Mutex<IngressFigures>>,
}

impl Engine {
    /// The handle for an ingress. It counts what the ingress brings, and takes nothing while that is paused.
    #[must_use]
    pub fn ingress(&self, id: &Name) -> IngressHandle {
        let figures = lock(&self.shared.ingresses.0).entry(id.clone()).or_default().clone();
        IngressHandle { engine: self.clone(), halt: Halt::Ingress(id.clone()), figures }
    }

    /// What each ingress has brought since the start.
    #[must_use]
    pub fn ingresses(&self) -> BTreeMap<Name, IngressFigures> {
        let all = lock(&self.shared.ingresses.0).clone();
        all.into_iter().map(|(id, figures)| (id, lock(&figures).clone())).collect()
    }

    /// Where each source stood at the last durable epoch before this start.
    #[must_use]
    pub fn positions_at_start(&self) -> &BTreeMap<SourceId, Bytes> {
        &self.shared.sources
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl IngressFigures {
    fn count(&mut self, target: &FunctionType) {
        self.messages += 1;
        if let Some(count) = self.targets.get_mut(target) {
            *count += 1;
        } else if self.targets.len() < TARGETS_MAX {
            self.targets.insert(target.clone(), 1);
        }
    }

    fn delivered(&mut self, batch: &SourceBatch) {
        for record in &batch.records {
            if let SourceRecord::Message { targets, .. } = record {
                targets.iter().for_each(|target| self.count(&target.function));
            }
        }
        let position = (batch.position.clone(), wall_clock());
        let partition = &batch.source.partition;
        if let Some(known) = self.positions.get_mut(partition) {
            *known = position;
        } else if self.positions.len() < POSITIONS_MAX {
            self.positions.insert(partition.clone(), position);
        }
    }
}

impl IngressHandle {
    pub(crate) fn tracer(&self) -> Option<&Tracer> {
        self.engine.shared.tracer.as_ref()
    }

    /// The ingress.
    pub(crate) fn id(&self) -> &Name {
        match &self.halt {
            Halt::Ingress(id) => id,
            _ => unreachable!("it was made with the id of an ingress"),
        }
    }

    fn is_paused(&self) -> bool {
        self.engine.shared.halts.holds(&self.halt)
    }
}

impl statera_ports::Engine for IngressHandle {
    fn covers(&self, function: &FunctionType) -> bool {
        self.engine.covers(function)
    }

    fn traces(&self) -> bool {
        self.tracer().is_some()
    }

    fn send(&self, mut request: Request) -> BoxFuture<'static, Result<(), Refusal>> {
        if self.is_paused() {
            self.engine.shared.watch.refused(&Refusal::Paused);
            return Box::pin(std::future::ready(Err(Refusal::Paused)));
        }
        let (figures, target) = (self.figures.clone(), request.target.function.clone());
        let mut span = self.enter(&mut request);
        let sent = self.engine.send(request);
        Box::pin(async move {
            let result = sent.await;
            match &result {
                Ok(()) => lock(&figures).count(&target),
                Err(refusal) => span.iter_mut().for_each(|span| span.fail(refusal.to_string())),
            }
            result
        })
    }

    fn call(&self, mut request: Request) -> BoxFuture<'static, Result<Answer, Refusal>> {
        if self.is_paused() {
            self.engine.shared.watch.refused(&Refusal::Paused);
            return Box::pin(std::future::ready(Err(Refusal::Paused)));
        }
        let (figures, target) = (self.figures.clone(), request.target.function.clone());
        let mut span = self.enter(&mut request);
        let called = self.engine.call(request);
        Box::pin(async move {
            let result = called.await;
            note_answer(&mut span, &result);
            if result.is_ok() {
                lock(&figures).count(&target);
            }
            result
        })
    }

    fn deliver(&self, mut batch: SourceBatch) -> BoxFuture<'static, Result<(), Stopping>> {
        let handle = self.clone();
        Box::pin(async move {
            if handle.is_paused() {
                let mut halts = handle.engine.shared.halts.subscribe();
                let resumed = halts.wait_for(|set| !set.contains_key(&handle.halt));
                tokio::select! {
                    // An error means that the engine is gone: to deliver tells so.
                    _ = resumed => {}
                    () = handle.engine.stopping() => return Err(Stopping),
                }
            }
            lock(&handle.figures).delivered(&batch);
            let spans = handle.enter_all(&mut batch);
            let delivered = handle.engine.deliver(batch).await;
            drop(spans);
            delivered
        })
    }

    fn source_position(&self, source: &SourceId) -> Option<Bytes> {
        self.engine.source_position(source)
    }

    fn report(&self, source: &SourceId, status: Option<SourceStatus>) {
        self.engine.report(source, status);
    }

    fn stopping(&self) -> BoxFuture<'static, ()> {
        self.engine.stopping()
    }
}
