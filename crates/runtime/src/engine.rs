//! The handle to a running engine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use statera_config::Application;
use statera_core::keys::{self, Key};
use statera_core::values::{DeadBody, DeadLetter, Mail, StateValue};
use statera_core::{Figures, Input, RequestKind, Shard, Ticket};
use statera_model::{Address, FunctionType, KeyGroup, TypedValue};
use statera_ports::{
    Answer, BoxFuture, DataId, DeadLetterId, Refusal, Request, SourceBatch, SourceId, SourceStatus,
    Stopping,
};
use statera_store::Store;
use statera_trace::Tracer;
use tokio::sync::{oneshot, watch};

use crate::error::QueryError;
use crate::figures::Watch;
use crate::halts::Halts;
use crate::inbox::{Event, Inbox, Waiter};
use crate::ingress::Ingresses;
use crate::news::{Announcer, WAIT_TOLD_AFTER};
use crate::pulse::Pulse;
use crate::recent::Recent;
use crate::reload::Live;

/// How long a source that found the engine full waits before it looks again.
const FULL_PAUSE: Duration = Duration::from_millis(2);

/// What all threads of a worker share.
pub(crate) struct Shared {
    pub(crate) running: Arc<Live>,
    /// `memory.mailboxBytes`, which never changes while it runs.
    pub(crate) mailbox_bytes: usize,
    pub(crate) inboxes: Arc<[Inbox]>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) store: Arc<Store>,
    pub(crate) sources: BTreeMap<SourceId, Bytes>,
    /// How far sources have delivered since the start: from there on goes an ingress that is started anew.
    pub(crate) positions: Mutex<BTreeMap<SourceId, Bytes>>,
    pub(crate) figures: Vec<Mutex<Figures>>,
    pub(crate) key_groups: u16,
    pub(crate) tickets: AtomicU64,
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) halts: Halts,
    pub(crate) ingresses: Ingresses,
    pub(crate) recent: Arc<Recent>,
    pub(crate) data: DataId,
    pub(crate) watch: Arc<Watch>,
    pub(crate) announcer: Arc<Announcer>,
    pub(crate) tracer: Option<Tracer>,
}

impl Shared {
    pub(crate) fn publish(&self, shard: u16, figures: Figures) {
        let mut published =
            self.figures[usize::from(shard)].lock().unwrap_or_else(PoisonError::into_inner);
        *published = figures;
    }

    fn inbox(&self, group: KeyGroup) -> &Inbox {
        &self.inboxes[group.shard(self.inboxes.len(), self.key_groups)]
    }

    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.tickets.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether sources must wait: too much is under way, or a sink lags too far behind. Sources may fill half of the
    /// mailboxes; the other half stays free for requests, so that records for an endpoint that is down don't keep
    /// requests for others out.
    fn is_full(&self) -> bool {
        let limit = self.mailbox_bytes / 2;
        let each = limit / self.figures.len();
        self.figures().any(|shard| shard.mail_bytes >= each) || self.sinks_lag(limit)
    }

    fn figures(&self) -> impl Iterator<Item = Figures> {
        self.figures.iter().map(|shard| *shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn sinks_lag(&self, limit: usize) -> bool {
        self.running.get().sinks.values().map(|sink| sink.bytes()).sum::<usize>() >= limit
    }

    /// A source has delivered.
    fn moved(&self, batch: &SourceBatch) {
        let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        match positions.get_mut(&batch.source) {
            Some(position) => position.clone_from(&batch.position),
            None => drop(positions.insert(batch.source.clone(), batch.position.clone())),
        }
    }

    /// Why no request is taken now, if so.
    fn refusal(&self) -> Option<Refusal> {
        if self.is_stopping() {
            return Some(Refusal::Stopping);
        }
        let lags = self.sinks_lag(self.mailbox_bytes);
        lags.then_some(Refusal::Full { limit: "memory.mailboxBytes" })
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }
}

/// The handle to a running engine. Cheap to clone; may be used from any thread.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

/// A stored state value.
#[derive(Clone, Debug)]
pub struct State {
    /// Its name.
    pub name: Arc<str>,
    /// The value, and when it was last accessed if it expires.
    pub value: StateValue,
}

/// A dead letter.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its id.
    pub id: DeadLetterId,
    /// Its content.
    pub letter: DeadLetter,
}

impl Engine {
    /// The state of an address as of the last durable epoch.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn states(&self, address: &Address) -> Result<Vec<State>, QueryError> {
        let group = KeyGroup::of(&address.id, self.shared.key_groups);
        let prefix = keys::state_prefix(group, address);
        let found = self.scan(vec![prefix], None, usize::MAX).await?;
        let state = |(key, value): (Bytes, Bytes)| match Key::decode(&key).map_err(corrupt)? {
            (_, Key::State { name, .. }) => {
                Ok(State { name, value: StateValue::decode(value).map_err(corrupt)? })
            }
            (_, other) => Err(QueryError::Corrupt(format!("{other:?} among states").into())),
        };
        found.into_iter().map(state).collect()
    }

    /// Up to `limit` dead letters behind `after`, in the order of their ids.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn dead_letters(
        &self,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<Letter>, QueryError> {
        let first = after.map_or(0, |id| id.key_group);
        let prefixes =
            (first..self.shared.key_groups).map(|g| keys::dead_letter_prefix(KeyGroup(g)));
        let after = after.map(|id| Key::DeadLetter(id).encode(KeyGroup(id.key_group)));
        let (store, prefixes) = (self.shared.store.clone(), prefixes.collect::<Vec<_>>());
        let page = move || store.reader().page(&prefixes, after.as_deref(), limit);
        let found = tokio::task::spawn_blocking(page).await.map_err(|_| QueryError::Stopping)??;
        found.into_iter().map(letter).collect()
    }

    /// A dead letter.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn dead_letter(&self, id: DeadLetterId) -> Result<Option<Letter>, QueryError> {
        let key = Key::DeadLetter(id).encode(KeyGroup(id.key_group));
        let found = self.get(key.clone()).await?;
        found.map(|value| letter((key.into(), value))).transpose()
    }

    /// Puts the messages of a dead letter back into their mailbox; the letter is gone then. Returns whether there was
    /// such a letter, once that is durable.
    ///
    /// # Errors
    /// If the store can't be read, or the letter holds no message.
    pub async fn redrive(&self, id: DeadLetterId) -> Result<bool, QueryError> {
        self.redrive_as(id, None).await
    }

    /// As [`Engine::redrive`], with another value in the place of that of its message, if one is given.
    ///
    /// # Errors
    /// If the store can't be read, or the letter holds no message.
    pub async fn redrive_as(
        &self,
        id: DeadLetterId,
        value: Option<TypedValue>,
    ) -> Result<bool, QueryError> {
        let Some(Letter { letter, .. }) = self.dead_letter(id).await? else { return Ok(false) };
        let (target, mut mail) = match letter.body {
            DeadBody::Message { target, mail } => (target, vec![mail]),
            DeadBody::Invocation { target, request } => {
                let request = statera_protocol::decode_request(request).map_err(corrupt)?;
                let mail = request.invocations.into_iter();
                let mail =
                    mail.map(|message| Mail { caller: message.caller, argument: message.argument });
                (target, mail.collect())
            }
            DeadBody::Record { place, .. } => {
                let why = format!(
                    "dead letter {id} is a record that could not become a message ({place}); \
                     hint: send a repaired one, and drop this"
                );
                return Err(QueryError::Corrupt(why.into()));
            }
        };
        if let Some(value) = value {
            mail.iter_mut().for_each(|mail| mail.argument = value.clone());
        }
        let ticket = self.shared.ticket();
        self.operate(KeyGroup(id.key_group), ticket, Input::Redrive { ticket, id, target, mail })
            .await
    }

    /// Forgets a dead letter. Returns whether there was such a letter, once that is durable.
    ///
    /// # Errors
    /// If the engine is stopping.
    pub async fn discard(&self, id: DeadLetterId) -> Result<bool, QueryError> {
        let ticket = self.shared.ticket();
        self.operate(KeyGroup(id.key_group), ticket, Input::Discard { ticket, id }).await
    }

    /// Lets a paused address go on. Returns whether it was paused, once that is durable.
    ///
    /// # Errors
    /// If the engine is stopping.
    pub async fn resume(&self, address: Address) -> Result<bool, QueryError> {
        let ticket = self.shared.ticket();
        let group = KeyGroup::of(&address.id, self.shared.key_groups);
        self.operate(group, ticket, Input::Resume { ticket, address }).await
    }

    /// Invokes an address no more, from its next turn on. Returns whether it was not paused before, once that is durable.
    ///
    /// # Errors
    /// If the engine is stopping.
    pub async fn pause(&self, address: Address, reason: &str) -> Result<bool, QueryError> {
        let ticket = self.shared.ticket();
        let group = KeyGroup::of(&address.id, self.shared.key_groups);
        let reason = reason.into();
        self.operate(group, ticket, Input::Pause { ticket, address, reason }).await
    }

    /// How full each shard is.
    #[must_use]
    pub fn figures(&self) -> Vec<Figures> {
        self.shared.figures().collect()
    }

    /// The application it runs now.
    #[must_use]
    pub fn application(&self) -> Arc<Application> {
        self.shared.running.get().application.clone()
    }

    pub(crate) async fn operate(
        &self,
        group: KeyGroup,
        ticket: Ticket,
        input: Input,
    ) -> Result<bool, QueryError> {
        let (sender, receiver) = oneshot::channel();
        if group.0 >= self.shared.key_groups {
            return Ok(false);
        }
        let waiter = Waiter::Operator(sender);
        self.shared.inbox(group).push(Event::Operate { ticket, input, waiter });
        receiver.await.map_err(|_| QueryError::Stopping)
    }

    /// What the store holds under a key as of the last durable epoch.
    pub(crate) async fn get(&self, key: Vec<u8>) -> Result<Option<Bytes>, QueryError> {
        let store = self.shared.store.clone();
        let get = move || Ok::<_, QueryError>(store.reader().get(&key)?);
        tokio::task::spawn_blocking(get).await.map_err(|_| QueryError::Stopping)?
    }

    /// What the store holds under each of the prefixes as of the last durable epoch.
    async fn scan(
        &self,
        prefixes: Vec<Vec<u8>>,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, QueryError> {
        let store = self.shared.store.clone();
        let scan =
            move || Ok::<_, QueryError>(store.reader().scan(&prefixes, after.as_deref(), limit)?);
        tokio::task::spawn_blocking(scan).await.map_err(|_| QueryError::Stopping)?
    }
}

fn letter((key, value): (Bytes, Bytes)) -> Result<Letter, QueryError> {
    match Key::decode(&key).map_err(corrupt)? {
        (_, Key::DeadLetter(id)) => {
            Ok(Letter { id, letter: DeadLetter::decode(value).map_err(corrupt)? })
        }
        (_, other) => Err(QueryError::Corrupt(format!("{other:?} among dead letters").into())),
    }
}

pub(crate) fn corrupt(error: impl std::fmt::Display) -> QueryError {
    QueryError::Corrupt(error.to_string().into())
}

impl statera_ports::Engine for Engine {
    fn covers(&self, function: &FunctionType) -> bool {
        self.shared.running.get().application.serves(function)
    }

    fn send(&self, request: Request) -> BoxFuture<'static, Result<(), Refusal>> {
        let (sender, receiver) = oneshot::channel();
        let submitted =
            self.submit(request, RequestKind::Send, Waiter::Send(sender, Instant::now()));
        Box::pin(async move {
            submitted?;
            receiver.await.unwrap_or(Err(Refusal::Interrupted))
        })
    }

    fn call(&self, request: Request) -> BoxFuture<'static, Result<Answer, Refusal>> {
        let (sender, receiver) = oneshot::channel();
        let submitted =
            self.submit(request, RequestKind::Call, Waiter::Call(sender, Instant::now()));
        // Made here: the future may be dropped before it is ever polled.
        let waiting = submitted.map(|(group, ticket)| {
            let shared = self.shared.clone();
            Waiting { shared, group, ticket: Some(ticket) }
        });
        Box::pin(async move {
            let mut waiting = waiting?;
            let answer = receiver.await.unwrap_or(Err(Refusal::Interrupted));
            waiting.ticket = None;
            answer
        })
    }

    fn deliver(&self, batch: SourceBatch) -> BoxFuture<'static, Result<(), Stopping>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let (since, mut told) = (Instant::now(), None);
            while shared.is_full() && !shared.is_stopping() {
                tokio::time::sleep(FULL_PAUSE).await;
                if told.is_none() && since.elapsed() >= WAIT_TOLD_AFTER {
                    told = Some(shared.announcer.waits(&batch.source.ingress));
                }
            }
            drop(told);
            if shared.is_stopping() {
                return Err(Stopping);
            }
            let group = Shard::source_group(&batch.source, shared.key_groups);
            let (taken, receiver) = oneshot::channel();
            shared.watch.delivered(&batch);
            // With what follows it is one step: this future may be dropped only before or after both.
            shared.moved(&batch);
            shared.inbox(group).push(Event::Deliver { batch, taken, at: Instant::now() });
            receiver.await.map_err(|_| Stopping)
        })
    }

    fn source_position(&self, source: &SourceId) -> Option<Bytes> {
        let positions = self.shared.positions.lock().unwrap_or_else(PoisonError::into_inner);
        positions.get(source).or_else(|| self.shared.sources.get(source)).cloned()
    }

    fn report(&self, source: &SourceId, status: Option<SourceStatus>) {
        self.shared.watch.source(source, status);
    }

    fn stopping(&self) -> BoxFuture<'static, ()> {
        let mut stopping = self.shared.stopping.subscribe();
        Box::pin(async move {
            // An error means that the engine is gone: all the more.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        })
    }
}

impl Engine {
    fn submit(
        &self,
        request: Request,
        kind: RequestKind,
        waiter: Waiter,
    ) -> Result<(KeyGroup, Ticket), Refusal> {
        if let Some(refusal) = self.shared.refusal() {
            self.shared.watch.refused(&refusal);
            self.shared.announcer.refused(&refusal);
            return Err(refusal);
        }
        let ticket = self.shared.ticket();
        let group = KeyGroup::of(&request.target.id, self.shared.key_groups);
        self.shared.inbox(group).push(Event::Request { ticket, request, kind, waiter });
        Ok((group, ticket))
    }
}

/// A call whose future may be dropped before it is answered.
struct Waiting {
    shared: Arc<Shared>,
    group: KeyGroup,
    ticket: Option<Ticket>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.inbox(self.group).push(Event::Forget(ticket));
        }
    }
}
