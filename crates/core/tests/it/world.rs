//! A small vocabulary for scenarios: shards, a store behind them, and functions that answer what the test tells them to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use statera_core::delta::changes;
use statera_core::keys::Key;
use statera_core::values::StateValue;
use statera_core::{
    CALL_FUNCTION, Config, Cut, Effect, Halted, Input, InvocationId, Limits, News, OnFailure,
    PeerItem, Policy, Reload, RequestKind, Shard, Ticket,
};
use statera_model::{
    Address, Delayed, Egress, EgressId, Epoch, Expiration, Failure, FailureKind, KeyGroup, Millis,
    Mutation, Name, Outcome, Outgoing, Reply, StateChange, StateSpec, TraceContext, TypedValue,
};
use statera_ports::Batch as _;
use statera_ports::{
    Accepts, Answer, DeadLetterId, Refusal, Request, SinkPosition, SourceBatch, SourceId,
    SourceRecord,
};

pub(crate) const BEGIN: u64 = 1_000_000;

/// `a/1` is the instance `1` of the function type `t/a`; a call is what it is.
pub(crate) fn at(text: &str) -> Address {
    if let Some(id) = text.strip_prefix("call:") {
        return Address::new(Name::parse(CALL_FUNCTION).unwrap(), id);
    }
    let (name, id) = text.split_once('/').unwrap();
    Address::new(Name::from_parts("t", name), id)
}

fn short(address: &Address) -> String {
    if address.function.as_str() == CALL_FUNCTION {
        return format!("call:{}", address.id);
    }
    format!("{}/{}", address.function.name(), address.id)
}

pub(crate) fn text(value: &str) -> TypedValue {
    TypedValue::new("v/text", value.as_bytes())
}

pub(crate) fn read(value: &TypedValue) -> String {
    String::from_utf8(value.value().to_vec()).unwrap()
}

pub(crate) fn policy() -> Policy {
    Policy {
        inline: false,
        batch_messages: 1_000,
        in_flight: 100,
        budget_ms: 1_000,
        backoff_min_ms: 4,
        backoff_max_ms: 64,
        on_failure: OnFailure::DeadLetter,
    }
}

/// An invocation that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invoked {
    pub(crate) shard: usize,
    pub(crate) id: InvocationId,
    pub(crate) target: String,
    pub(crate) states: Vec<(String, Option<String>)>,
    pub(crate) messages: Vec<String>,
    pub(crate) callers: Vec<Option<String>>,
    pub(crate) remaining_ms: u64,
}

impl Invoked {
    /// Stands for the encoded request.
    fn bytes(&self) -> Bytes {
        Bytes::from(format!("request {:?}", self.messages))
    }
}

impl Invoked {
    pub(crate) fn state(&self, name: &str) -> Option<&str> {
        let state = self.states.iter().find(|(known, _)| known == name);
        state.unwrap_or_else(|| panic!("{name} is not sent: {self:?}")).1.as_deref()
    }
}

/// What became of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Accepted,
    Answered(String),
    DeadLettered(DeadLetterId),
    Refused(Refusal),
    Unknown,
}

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) limits: Limits,
    pub(crate) policies: BTreeMap<String, Option<Policy>>,
    pub(crate) shards: Vec<Shard>,
    /// Waiting for an answer, oldest first.
    pub(crate) waiting: VecDeque<Invoked>,
    pub(crate) fates: BTreeMap<u64, Vec<Fate>>,
    /// Released records: egress and text.
    pub(crate) egress: Vec<(String, String)>,
    /// The spans that these records follow from.
    pub(crate) egress_traces: Vec<Option<TraceContext>>,
    /// The durable key space, which the store serves up to `flushed`.
    pub(crate) durable: BTreeMap<Vec<u8>, Bytes>,
    pub(crate) store: BTreeMap<Vec<u8>, Bytes>,
    /// The changes of the last epoch.
    pub(crate) delta: Vec<(Key, Option<Bytes>)>,
    /// The changes of the last epoch, shard by shard.
    pub(crate) parts: Vec<Vec<Key>>,
    pub(crate) loads: usize,
    pub(crate) epoch: u64,
    starts: u64,
    tickets: u64,
    /// Between shards: items that have not arrived. Delivered at once unless `held`.
    channels: VecDeque<(usize, usize, PeerItem)>,
    pub(crate) held: bool,
    released: Vec<(usize, statera_core::Part)>,
    pub(crate) news: Vec<News>,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(1, Limits::default(), &[])
    }

    /// Function types that are not listed have the usual policy; with `None` nobody serves them.
    pub(crate) fn with(shards: u16, limits: Limits, policies: &[(&str, Option<Policy>)]) -> World {
        let policies = policies.iter().map(|(name, policy)| ((*name).to_owned(), *policy));
        let mut world = World {
            now: BEGIN,
            limits,
            policies: policies.collect(),
            shards: Vec::new(),
            waiting: VecDeque::new(),
            fates: BTreeMap::new(),
            egress: Vec::new(),
            egress_traces: Vec::new(),
            durable: BTreeMap::new(),
            store: BTreeMap::new(),
            delta: Vec::new(),
            parts: Vec::new(),
            loads: 0,
            epoch: 0,
            starts: 0,
            tickets: 0,
            channels: VecDeque::new(),
            held: false,
            released: Vec::new(),
            news: Vec::new(),
        };
        world.restart(shards);
        world
    }

    pub(crate) fn failing(on_failure: OnFailure) -> World {
        World::with(1, Limits::default(), &[("a", Some(Policy { on_failure, ..policy() }))])
    }

    fn config(&self, shard: u16, shards: u16) -> Config {
        let policies = self.policies.clone();
        let accepts: Accepts = Arc::new(|value| match value.typename() {
            "v/text" => Ok(()),
            other => Err(format!("`{other}` is not text")),
        });
        Config {
            shard,
            shards,
            key_groups: 128,
            hash_seed: 7,
            nonce: self.starts,
            limits: self.limits,
            directory: Arc::new(move |function| match policies.get(function.name()) {
                Some(policy) => *policy,
                None if function.as_str() == CALL_FUNCTION => None,
                None => Some(policy()),
            }),
            egresses: [(EgressId::parse("e/out").unwrap(), accepts)].into(),
        }
    }

    /// Everything volatile is lost; the durable epochs are read back.
    pub(crate) fn restart(&mut self, shards: u16) {
        self.starts += 1;
        self.waiting.clear();
        self.channels.clear();
        self.released.clear();
        self.store = self.durable.clone();
        self.shards = (0..shards).map(|shard| Shard::new(self.config(shard, shards))).collect();
        for (bytes, value) in &self.durable {
            let (group, key) = Key::decode(bytes).unwrap();
            if !matches!(key, Key::State { .. }) {
                let owner = group.shard(shards.into(), 128);
                self.shards[owner].restore(group, key, value.clone()).unwrap();
            }
        }
        for shard in 0..shards.into() {
            let mut effects = Vec::new();
            self.shards[shard].start(Epoch(self.epoch), Millis(self.now), &mut effects);
            self.carry_out(shard, effects);
        }
        self.settle();
    }

    pub(crate) fn apply(&mut self, shard: usize, input: Input) {
        let mut effects = Vec::new();
        self.shards[shard].apply(input, Millis(self.now), &mut effects);
        self.shards[shard].check();
        self.carry_out(shard, effects);
        if !self.held {
            self.settle();
        }
    }

    fn carry_out(&mut self, shard: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Invoke(id) => self.invoked(shard, id),
                Effect::Load(id) => self.load(shard, id),
                Effect::Send { shard: to, item } => {
                    self.channels.push_back((shard, to.into(), item));
                }
                Effect::Marker(cut) => {
                    for to in (0..self.shards.len()).filter(|to| *to != shard) {
                        self.channels.push_back((shard, to, PeerItem::Marker(cut.clone())));
                    }
                }
                Effect::Part(part) => self.released.push((shard, *part)),
                Effect::Refuse { ticket, refusal } => self.fate(ticket, Fate::Refused(refusal)),
                Effect::News(news) => self.news.push(*news),
                Effect::Unknown(ticket) => self.fate(ticket, Fate::Unknown),
            }
        }
    }

    fn invoked(&mut self, shard: usize, id: InvocationId) {
        let invocation = self.shards[shard].invocation(id).unwrap();
        let states = invocation.states().map(|(name, value)| (name.to_owned(), value.map(read)));
        let invoked = Invoked {
            shard,
            id,
            target: short(&invocation.target()),
            states: states.collect(),
            messages: invocation.messages().map(|(_, argument)| read(argument)).collect(),
            callers: invocation.messages().map(|(caller, _)| caller.map(short)).collect(),
            remaining_ms: invocation.remaining_ms(),
        };
        self.waiting.push_back(invoked);
    }

    fn load(&mut self, shard: usize, id: InvocationId) {
        let keys = self.shards[shard].missing_states(id);
        let stored = |key: &Vec<u8>| {
            let bytes = self.store.get(key)?.clone();
            Some(StateValue::decode(bytes).expect("a state value"))
        };
        let values: Vec<_> = keys.iter().map(stored).collect();
        self.loads += 1;
        self.apply(shard, Input::Loaded { invocation: id, values });
    }

    fn fate(&mut self, ticket: Ticket, fate: Fate) {
        self.fates.entry(ticket.0).or_default().push(fate);
    }

    /// From now on `policies` counts, and these are the egresses.
    pub(crate) fn reload(&mut self, egresses: &[&str]) {
        for shard in 0..self.shards.len() {
            self.reload_shard(shard, egresses);
        }
    }

    pub(crate) fn reload_shard(&mut self, shard: usize, egresses: &[&str]) {
        let config = self.config(shard as u16, self.shards.len() as u16);
        let accepts = config.egresses.values().next().expect("there is one").clone();
        let named = |name: &&str| (EgressId::parse(name).unwrap(), accepts.clone());
        let reload = Reload {
            directory: config.directory,
            egresses: egresses.iter().map(named).collect(),
            halted: Halted(Arc::new(|_| false)),
        };
        self.apply(shard, Input::Reload(Box::new(reload)));
    }

    /// Everything between shards arrives.
    pub(crate) fn settle(&mut self) {
        let held = std::mem::replace(&mut self.held, true);
        while let Some((from, to, item)) = self.channels.pop_front() {
            self.apply(to, Input::Peer { from: from as u16, item });
        }
        self.held = held;
    }

    pub(crate) fn owner(&self, id: &str) -> usize {
        KeyGroup::of(id, 128).shard(self.shards.len(), 128)
    }

    pub(crate) fn request(
        &mut self,
        target: &str,
        argument: &str,
        kind: RequestKind,
        key: Option<&str>,
    ) -> u64 {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let target = at(target);
        let shard = self.owner(&target.id);
        let idempotency_key = key.map(Arc::from);
        let request = Request { target, argument: text(argument), idempotency_key, trace: None };
        self.apply(shard, Input::Request { ticket, request, kind });
        self.tickets
    }

    pub(crate) fn send(&mut self, target: &str, argument: &str) -> u64 {
        self.request(target, argument, RequestKind::Send, None)
    }

    pub(crate) fn call(&mut self, target: &str, argument: &str) -> u64 {
        self.request(target, argument, RequestKind::Call, None)
    }

    pub(crate) fn send_with_key(&mut self, target: &str, argument: &str, key: &str) -> u64 {
        self.request(target, argument, RequestKind::Send, Some(key))
    }

    pub(crate) fn call_with_key(&mut self, target: &str, argument: &str, key: &str) -> u64 {
        self.request(target, argument, RequestKind::Call, Some(key))
    }

    pub(crate) fn fates(&self, ticket: u64) -> &[Fate] {
        self.fates.get(&ticket).map_or(&[], Vec::as_slice)
    }

    /// The one invocation that waits.
    #[track_caller]
    pub(crate) fn invocation(&mut self) -> Invoked {
        assert_eq!(self.waiting.len(), 1, "{:#?}", self.waiting);
        self.waiting.pop_front().unwrap()
    }

    /// The oldest invocation of this address that waits.
    #[track_caller]
    pub(crate) fn invocation_of(&mut self, target: &str) -> Invoked {
        let found = self.waiting.iter().position(|invoked| invoked.target == target);
        let found = found.unwrap_or_else(|| panic!("{target} is not in {:#?}", self.waiting));
        self.waiting.remove(found).unwrap()
    }

    #[track_caller]
    pub(crate) fn nobody_is_invoked(&self) {
        assert!(self.waiting.is_empty(), "{:#?}", self.waiting);
    }

    pub(crate) fn answer(&mut self, invoked: &Invoked, reply: impl Into<Reply>) {
        let outcome = Outcome::Complete(reply.into());
        self.apply(
            invoked.shard,
            Input::Completed { invocation: invoked.id, outcome, request: invoked.bytes() },
        );
    }

    pub(crate) fn ask_for(&mut self, invoked: &Invoked, specs: Vec<StateSpec>) {
        let outcome = Outcome::Incomplete(specs);
        self.apply(
            invoked.shard,
            Input::Completed { invocation: invoked.id, outcome, request: invoked.bytes() },
        );
    }

    pub(crate) fn fail(&mut self, invoked: &Invoked, kind: FailureKind) {
        let failure = Failure::new(kind, "it failed");
        let request = invoked.bytes();
        self.apply(invoked.shard, Input::Failed { invocation: invoked.id, failure, request });
    }

    /// Lets the waiting invocations and all that follow answer without effects; returns their messages.
    pub(crate) fn run(&mut self) -> Vec<String> {
        self.run_with(|_| reply())
    }

    pub(crate) fn run_with(&mut self, mut function: impl FnMut(&Invoked) -> Make) -> Vec<String> {
        let mut messages = Vec::new();
        while let Some(invoked) = self.waiting.pop_front() {
            assert!(messages.len() < 100_000, "it goes on for ever");
            messages.extend(invoked.messages.clone());
            let reply = function(&invoked);
            self.answer(&invoked, reply);
        }
        messages
    }

    /// The type of `target` answers, declares these states, and so is known.
    pub(crate) fn declare(&mut self, target: &str, specs: Vec<StateSpec>) {
        self.send(target, "first");
        let invoked = self.invocation_of(target);
        self.ask_for(&invoked, specs);
        let invoked = self.invocation_of(target);
        self.answer(&invoked, reply());
    }

    /// The type of `target` answers for the first time: its gate is open.
    pub(crate) fn warm(&mut self, target: &str) {
        self.send(target, "warm");
        let invoked = self.invocation_of(target);
        self.answer(&invoked, reply());
    }

    /// Time passes; every deadline on the way is kept.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some((at, shard)) = self.next_deadline().filter(|(at, _)| at.0 <= end) {
            self.now = self.now.max(at.0);
            self.apply(shard, Input::Tick);
            let next = self.shards[shard].next_deadline();
            assert!(next.is_none_or(|next| next > at), "a deadline that never passes");
        }
        self.now = end;
    }

    /// Time passes until somebody is invoked.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> Invoked {
        for _ in 0..10_000 {
            if let Some(invoked) = self.waiting.pop_front() {
                return invoked;
            }
            let (at, shard) = self.next_deadline().expect("somebody will be invoked");
            self.now = self.now.max(at.0);
            self.apply(shard, Input::Tick);
        }
        panic!("nobody is invoked");
    }

    fn next_deadline(&self) -> Option<(Millis, usize)> {
        let deadlines = self.shards.iter().enumerate();
        deadlines.filter_map(|(shard, s)| Some((s.next_deadline()?, shard))).min()
    }

    /// Cuts an epoch and makes it durable; what it holds is released.
    pub(crate) fn commit(&mut self) {
        self.commit_with(Vec::new());
    }

    pub(crate) fn commit_with(&mut self, confirmed: Vec<(EgressId, SinkPosition)>) {
        self.begin_cut(confirmed);
        self.settle();
        self.end_cut();
    }

    pub(crate) fn begin_cut(&mut self, confirmed: Vec<(EgressId, SinkPosition)>) {
        let cut = Arc::new(Cut { epoch: Epoch(self.epoch + 1), confirmed });
        for shard in 0..self.shards.len() {
            self.apply(shard, Input::Cut(cut.clone()));
        }
    }

    pub(crate) fn end_cut(&mut self) {
        self.epoch += 1;
        let mut parts = std::mem::take(&mut self.released);
        assert_eq!(parts.len(), self.shards.len(), "a part from each shard");
        parts.sort_by_key(|(shard, _)| *shard);
        self.delta.clear();
        self.parts.clear();
        for (_, part) in parts {
            let mut keys = Vec::new();
            for change in changes(&part.delta) {
                let change = change.unwrap();
                let (_, key) = Key::decode(change.key).unwrap();
                let value = change.value.map(Bytes::copy_from_slice);
                match value.clone() {
                    Some(value) => drop(self.durable.insert(change.key.to_vec(), value)),
                    None => drop(self.durable.remove(change.key)),
                }
                keys.push(key.clone());
                self.delta.push((key, value));
            }
            self.parts.push(keys);
            for ticket in part.releases.accepted {
                self.fate(ticket, Fate::Accepted);
            }
            for (ticket, answer) in part.releases.answers {
                let fate = match answer {
                    Answer::Value(value) => Fate::Answered(read(&value)),
                    Answer::DeadLettered { id, .. } => Fate::DeadLettered(id),
                };
                self.fate(ticket, fate);
            }
            let records = part.releases.egress.into_iter();
            for record in records {
                self.egress.push((record.egress.to_string(), read(&record.value)));
                self.egress_traces.push(record.trace.map(|trace| *trace));
            }
        }
    }

    /// The store catches up, and the shards know it.
    pub(crate) fn flush(&mut self) {
        self.store = self.durable.clone();
        for shard in 0..self.shards.len() {
            self.apply(shard, Input::Flushed(Epoch(self.epoch)));
        }
    }

    pub(crate) fn operator(&mut self, shard: usize, input: impl FnOnce(Ticket) -> Input) -> u64 {
        self.tickets += 1;
        self.apply(shard, input(Ticket(self.tickets)));
        self.tickets
    }

    pub(crate) fn deliver(&mut self, records: Vec<SourceRecord>, position: &'static str) {
        let source = source();
        let group = Shard::source_group(&source, 128);
        let shard = group.shard(self.shards.len(), 128);
        let position = Bytes::from_static(position.as_bytes());
        self.apply(shard, Input::Deliver(SourceBatch { source, records, position }));
    }

    pub(crate) fn durable_keys(&self, wanted: impl Fn(&Key) -> bool) -> Vec<(Key, Bytes)> {
        let all = self.durable.iter();
        let all = all.map(|(key, value)| (Key::decode(key).unwrap().1, value.clone()));
        all.filter(|(key, _)| wanted(key)).collect()
    }

    pub(crate) fn dead_letters(&self) -> Vec<(DeadLetterId, statera_core::values::DeadLetter)> {
        let letters = self.durable_keys(|key| matches!(key, Key::DeadLetter(_))).into_iter();
        let letters = letters.map(|(key, value)| match key {
            Key::DeadLetter(id) => (id, statera_core::values::DeadLetter::decode(value).unwrap()),
            _ => unreachable!(),
        });
        letters.collect()
    }
}

pub(crate) fn source() -> SourceId {
    SourceId { ingress: Name::parse("s/file").unwrap(), partition: "0".into() }
}

pub(crate) fn record(targets: &[&str], argument: &str) -> SourceRecord {
    let targets = targets.iter().map(|target| at(target)).collect();
    SourceRecord::Message { targets, argument: text(argument), trace: None }
}

pub(crate) fn state(name: &str) -> StateSpec {
    expiring(name, Expiration::Never)
}

pub(crate) fn expiring(name: &str, expiration: Expiration) -> StateSpec {
    StateSpec { name: name.into(), typename: "v/text".into(), expiration }
}

/// Makes a reply.
#[derive(Default)]
pub(crate) struct Make(Reply);

pub(crate) fn reply() -> Make {
    Make::default()
}

impl Make {
    pub(crate) fn send(mut self, target: &str, argument: &str) -> Make {
        self.0.messages.push(Outgoing { target: at(target), argument: text(argument) });
        self
    }

    pub(crate) fn later(self, delay_ms: i64, target: &str, argument: &str) -> Make {
        self.later_with(delay_ms, target, argument, None)
    }

    pub(crate) fn cancellable(
        self,
        token: &str,
        delay_ms: i64,
        target: &str,
        argument: &str,
    ) -> Make {
        self.later_with(delay_ms, target, argument, Some(token))
    }

    fn later_with(
        mut self,
        delay_ms: i64,
        target: &str,
        argument: &str,
        token: Option<&str>,
    ) -> Make {
        let message = Outgoing { target: at(target), argument: text(argument) };
        let token = token.map(Into::into);
        self.0.delayed.push(Delayed::Send { delay_ms, message, token });
        self
    }

    pub(crate) fn cancel(mut self, token: &str) -> Make {
        self.0.delayed.push(Delayed::Cancel { token: token.into() });
        self
    }

    pub(crate) fn emit(self, record: &str) -> Make {
        self.emit_to("e/out", text(record))
    }

    pub(crate) fn emit_to(mut self, egress: &str, argument: TypedValue) -> Make {
        self.0.egress.push(Egress { egress: Name::parse(egress).unwrap(), argument });
        self
    }

    pub(crate) fn set(self, state: &str, value: &str) -> Make {
        self.set_value(state, text(value))
    }

    pub(crate) fn set_value(mut self, state: &str, value: TypedValue) -> Make {
        let change = StateChange::Modify(value);
        self.0.mutations.push(Mutation { state: state.into(), change });
        self
    }

    pub(crate) fn delete(mut self, state: &str) -> Make {
        let change = StateChange::Delete;
        self.0.mutations.push(Mutation { state: state.into(), change });
        self
    }
}

impl From<Make> for Reply {
    fn from(make: Make) -> Reply {
        make.0
    }
}
