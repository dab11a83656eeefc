//! What those who watch ask about single things: instances, mailboxes, timers. The store is read through its reader, and a shard
//! answers between two rounds of its work, each question with few things: nothing is stopped.

use std::sync::Arc;

use statera_core::keys::{self, Key};
use statera_core::values::{Delayed, Paused};
use statera_core::{Answers, Edge, Inspected, Inspection, Presence, Shard, TimerPlace, TimerQuery};
use statera_model::{Address, FunctionType, KeyGroup};
use statera_ports::DataId;
use statera_store::{HeadPlace, HeadQuery};
use tokio::sync::oneshot;

use crate::engine::{Engine, Shared, State, corrupt};
use crate::error::QueryError;
use crate::inbox::Event;
use crate::invocations::RecentInvocation;

/// Keys that are looked at in files for a page of instances, about.
const KEY_VISITS_MAX: usize = 20_000;

/// Delayed messages that a shard looks at in one go.
const TIMER_VISITS_MAX: usize = 5_000;

/// How often a shard is asked for the delayed messages of one instance.
const TIMER_QUESTIONS_MAX: usize = 10;

/// Edges that a shard tells of.
const EDGES_MAX: usize = 4_096;

/// Invocations that are told of an instance.
const RECENT_MAX: usize = 20;

/// Something that is asked of a shard between two rounds of its work.
pub(crate) type Question = Box<dyn FnOnce(&Shard) + Send>;

/// A page of instances.
#[derive(Clone, Debug, Default)]
pub struct InstancePage {
    /// Their addresses, and what each does if it is in memory.
    pub instances: Vec<(Address, Option<Presence>)>,
    /// Behind which place to go on, if there may be more.
    pub next: Option<HeadPlace>,
}

/// All that is known about an instance.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its key group.
    pub group: KeyGroup,
    /// The shard that owns it.
    pub shard: u16,
    /// What is known if it is in memory.
    pub inspected: Option<Inspected>,
    /// Its state as of the last durable epoch.
    pub states: Vec<State>,
    /// Why it takes no messages, as of the last durable epoch.
    pub paused: Option<Paused>,
    /// The next messages it has sent for later.
    pub timers: Vec<(TimerPlace, Delayed)>,
    /// Whether these are all.
    pub timers_complete: bool,
    /// Its last invocations, newest first: those that failed, and all since somebody looks at it.
    pub recent: Vec<RecentInvocation>,
}

/// A page of delayed messages of all shards.
#[derive(Clone, Debug, Default)]
pub struct Timers {
    /// The messages, soonest first.
    pub timers: Vec<(TimerPlace, Delayed)>,
    /// Behind which place to go on, if there may be more.
    pub next: Option<TimerPlace>,
    /// How many there are in all.
    pub total: usize,
}

impl Shared {
    /// The shard that owns a key group.
    fn owner(&self, group: KeyGroup) -> usize {
        group.shard(self.inboxes.len(), self.key_groups)
    }
}

impl Engine {
    /// Asks a shard something that it answers between two rounds of its work.
    async fn ask<T: Send + 'static>(
        &self,
        shard: usize,
        question: impl FnOnce(&Shard) -> T + Send + 'static,
    ) -> Result<T, QueryError> {
        self.begin_to_ask(shard, question).await.map_err(|_| QueryError::Stopping)
    }

    fn begin_to_ask<T: Send + 'static>(
        &self,
        shard: usize,
        question: impl FnOnce(&Shard) -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (sender, receiver) = oneshot::channel();
        let question = move |shard: &Shard| {
            // Whoever asked may have gone.
            if !sender.is_closed() {
                let _ = sender.send(question(shard));
            }
        };
        self.shared.inboxes[shard].push(Event::Ask(Box::new(question)));
        receiver
    }

    /// Asks all shards the same, and waits for all of them.
    async fn ask_all<T: Send + 'static>(
        &self,
        question: impl Fn(&Shard) -> T + Send + Sync + 'static,
    ) -> Result<Vec<T>, QueryError> {
        let question = Arc::new(question);
        let shards = 0..self.shared.inboxes.len();
        let asked = shards.map(|shard| {
            let question = question.clone();
            self.begin_to_ask(shard, move |shard| question(shard))
        });
        let asked: Vec<_> = asked.collect();
        let mut answers = Vec::with_capacity(asked.len());
        for answer in asked {
            answers.push(answer.await.map_err(|_| QueryError::Stopping)?);
        }
        Ok(answers)
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shared.inboxes.len()
    }

    /// How many key groups there are.
    #[must_use]
    pub fn key_groups(&self) -> u16 {
        self.shared.key_groups
    }

    /// Names the data directory.
    #[must_use]
    pub fn data_id(&self) -> &DataId {
        &self.shared.data
    }

    /// Instances that have state, mail, or are paused, as of the last durable epoch: those whose address, `namespace/type/id`,
    /// begins with `prefix`. A page may hold fewer than `limit` and yet not be the last one.
    ///
    /// # Errors
    /// If the store can't be read, or the engine is stopping.
    pub async fn instances(
        &self,
        prefix: &str,
        after: Option<HeadPlace>,
        limit: usize,
    ) -> Result<InstancePage, QueryError> {
        let (store, key_groups) = (self.shared.store.clone(), self.shared.key_groups);
        let prefix = keys::address_prefix(prefix);
        let read = move || {
            store.reader().heads(&HeadQuery {
                key_groups,
                kinds: &keys::OF_INSTANCES,
                head_end: keys::address_end,
                prefix: &prefix,
                after: after.as_ref(),
                limit,
                visits_max: KEY_VISITS_MAX,
            })
        };
        let heads = tokio::task::spawn_blocking(read).await.map_err(|_| QueryError::Stopping)??;
        let mut instances = Vec::with_capacity(heads.heads.len());
        for place in &heads.heads {
            let address = keys::decode_address(&place.head).map_err(corrupt)?;
            instances.push((KeyGroup(place.group), address));
        }
        let presences = self.presences(&instances).await?;
        let instances = instances.into_iter().map(|(_, address)| address).zip(presences).collect();
        Ok(InstancePage { instances, next: heads.next })
    }

    async fn presences(
        &self,
        instances: &[(KeyGroup, Address)],
    ) -> Result<Vec<Option<Presence>>, QueryError> {
        let mut asked = Vec::new();
        for shard in 0..self.shared.inboxes.len() {
            let is_there = |(_, (group, _)): &(usize, &(KeyGroup, Address))| {
                self.shared.owner(*group) == shard
            };
            let there = instances.iter().enumerate().filter(is_there);
            let (places, addresses): (Vec<usize>, Vec<Address>) =
                there.map(|(place, (_, address))| (place, address.clone())).unzip();
            if !places.is_empty() {
                let answer = self.begin_to_ask(shard, move |shard| shard.presences(&addresses));
                asked.push((places, answer));
            }
        }
        let mut presences = vec![None; instances.len()];
        for (places, answer) in asked {
            let answer = answer.await.map_err(|_| QueryError::Stopping)?;
            places.into_iter().zip(answer).for_each(|(place, found)| presences[place] = found);
        }
        Ok(presences)
    }

    /// An instance, with so many messages of its mailbox and so many that it has sent for later.
    ///
    /// # Errors
    /// If the store can't be read, or the engine is stopping.
    pub async fn instance(
        &self,
        address: &Address,
        messages_max: usize,
        timers_max: usize,
    ) -> Result<Instance, QueryError> {
        let group = KeyGroup::of(&address.id, self.shared.key_groups);
        let shard = self.shared.owner(group);
        let asked = address.clone();
        let inspected = self.ask(shard, move |shard| shard.inspect(&asked, messages_max)).await?;
        let states = self.states(address).await?;
        let key = Key::Paused(address.clone()).encode(group);
        let paused = self.get(key).await?.map(Paused::decode).transpose().map_err(corrupt)?;
        let (timers, timers_complete) = self.timers_of(address, group, timers_max).await?;
        let shard = shard as u16;
        let recent = self.recent_invocations(address, usize::from(shard)).await?;
        Ok(Instance { group, shard, inspected, states, paused, timers, timers_complete, recent })
    }

    async fn recent_invocations(
        &self,
        address: &Address,
        shard: usize,
    ) -> Result<Vec<RecentInvocation>, QueryError> {
        let (told, recent) = oneshot::channel();
        let (address, limit) = (address.clone(), RECENT_MAX);
        self.shared.inboxes[shard].push(Event::Look { address, limit, told });
        recent.await.map_err(|_| QueryError::Stopping)
    }

    /// What an instance has sent for later, and whether that is all.
    async fn timers_of(
        &self,
        address: &Address,
        group: KeyGroup,
        limit: usize,
    ) -> Result<(Vec<(TimerPlace, Delayed)>, bool), QueryError> {
        let mut found = Vec::new();
        let mut after = None;
        for _ in 0..TIMER_QUESTIONS_MAX {
            let query = TimerQuery {
                after,
                group: Some(group),
                sender: format!("{}/{}", address.function, address.id),
                exact: true,
                limit: limit - found.len(),
                visits_max: TIMER_VISITS_MAX,
                ..TimerQuery::default()
            };
            let ask = move |shard: &Shard| shard.inspect_timers(&query);
            let page = self.ask(self.shared.owner(group), ask).await?;
            found.extend(page.timers);
            after = page.next;
            if after.is_none() || found.len() >= limit {
                break;
            }
        }
        Ok((found, after.is_none()))
    }

    /// Messages that were sent for later, soonest first: those whose sender and target, `namespace/type/id`, begin so. A page may
    /// hold fewer than `limit` and yet not be the last one.
    ///
    /// # Errors
    /// If the engine is stopping.
    pub async fn timers(
        &self,
        sender: &str,
        target: &str,
        after: Option<TimerPlace>,
        limit: usize,
    ) -> Result<Timers, QueryError> {
        let query = TimerQuery {
            after,
            sender: sender.to_owned(),
            target: target.to_owned(),
            limit,
            visits_max: TIMER_VISITS_MAX,
            ..TimerQuery::default()
        };
        let pages = self.ask_all(move |shard| shard.inspect_timers(&query)).await?;
        let mut all = Timers::default();
        // Beyond what a shard has looked at something may be missing.
        let stopped = pages.iter().filter_map(|page| page.next).min();
        for page in pages {
            all.total += page.total;
            all.timers.extend(page.timers);
        }
        all.timers.retain(|(place, _)| stopped.is_none_or(|stopped| *place <= stopped));
        all.timers.sort_unstable_by_key(|(place, _)| *place);
        all.next = stopped;
        if all.timers.len() > limit {
            all.timers.truncate(limit);
            all.next = all.timers.last().map(|(place, _)| *place);
        }
        Ok(all)
    }

    /// The function types that any shard has seen, in the order of their names: those whose names begin with `prefix` and sort behind
    /// `after`, up to `limit`. What shards say differently is the worse of it, and numbers are sums.
    ///
    /// # Errors
    /// If the engine is stopping.
    pub async fn inspect_functions(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Inspection>, QueryError> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        let ask = move |shard: &Shard| shard.inspect_functions(&prefix, after.as_deref(), limit);
        let mut all: Vec<Inspection> = self.ask_all(ask).await?.into_iter().flatten().collect();
        all.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        all.dedup_by(|other, first| {
            let same = other.name == first.name;
            if same {
                join(first, other);
            }
            same
        });
        all.truncate(limit);
        Ok(all)
    }

    /// Who has sent to whom since the start, and whether that is all. An edge may be there several times, once for each shard.
    ///
    /// # Errors
    /// If the engine is stopping.
    pub async fn edges(&self) -> Result<(Vec<Edge>, bool), QueryError> {
        let answers = self.ask_all(|shard| shard.edges(EDGES_MAX)).await?;
        let complete = answers.iter().all(|(_, complete)| *complete);
        Ok((answers.into_iter().flat_map(|(edges, _)| edges).collect(), complete))
    }

    /// The endpoint that serves a function type, by its place in the application; `None` if it is linked, or nobody serves it.
    #[must_use]
    pub fn endpoint_of(&self, function: &FunctionType) -> Option<usize> {
        let application = self.application();
        let linked = application.embedded.contains(function);
        application.endpoint_for(function).filter(|_| !linked)
    }
}

/// What another shard says of the same type.
fn join(first: &mut Inspection, other: &mut Inspection) {
    first.failing += other.failing;
    first.last_success = first.last_success.max(other.last_success);
    first.answers = match (first.answers, other.answers) {
        (Answers::No { next_probe: a }, Answers::No { next_probe: b }) => {
            Answers::No { next_probe: a.min(b) }
        }
        (a, b) => a.max(b),
    };
    for state in other.states.drain(..) {
        if first.states.iter().all(|known| known.name != state.name) {
            first.states.push(state);
        }
    }
}
