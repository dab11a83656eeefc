//! The shard itself: one `match` over everything it can be told; the verbs are in the files beside this one.

mod cut;
mod dispatch;
mod failure;
mod figures;
mod inspect;
mod intake;
mod news;
mod operate;
mod reload;
mod reply;
mod restore;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use statera_model::{
    Address, Epoch, FunctionType, Id, KeyGroup, LocalReply, Millis, TraceContext, TypedValue,
};
use statera_ports::DeadLetterId;

use crate::calls::Calls;
use crate::delays::Delays;
use crate::delta::DeltaWriter;
use crate::functions::Function;
use crate::input::{
    CALL_FUNCTION, Config, DUE_PER_EPOCH_MAX, Effect, Halted, Input, InvocationId, LOCAL_MAX,
    PeerItem, PeerMessage, Releases, Wants,
};
use crate::instance::{Instance, Instances, Marks, Phase, Trouble};
use crate::mailbox::{Mails, Message};
use crate::outbox::Outbox;
use crate::pending::Pending;
use crate::traces::Traces;
use crate::values::Mail;
use crate::{graph, keys};
use cut::OpenPart;

pub use dispatch::Invocation;
pub use inspect::{
    Activity, Answers, Failing, Inspected, Inspection, Presence, TimerPage, TimerPlace, TimerQuery,
};
pub use news::{Attempted, Buried, BuriedWhat, FailedInvocation, Follows, News};
pub use restore::RestoreError;

/// Instances that will be needed soon are looked at together, without work between: the processor then waits for all of
/// them at once. Between two of them there is more work than it can look ahead. About as many as it can wait for.
const TOUCHED_AT_ONCE: usize = 16;

/// Instances looked at for eviction after each input, while there are too many.
const EVICTION_STEPS: usize = 64;

/// A shard: the owner of a range of key groups. See the crate's documentation.
pub struct Shard {
    config: Config,
    call_function: FunctionType,
    functions: Vec<Function>,
    function_index: HashMap<FunctionType, u32, FixedState>,
    /// The type asked for last: often the next one too.
    last_function: u32,
    /// Functions with ready instances that may be able to start.
    listed: VecDeque<u32>,
    instances: Instances,
    /// Of those that fail, by their index.
    troubles: BTreeMap<u32, Trouble>,
    mails: Mails,
    /// Messages for addresses of this shard, on their way to their mailboxes.
    local: Vec<Sent>,
    /// Invocations in flight that end before the next input of any other kind.
    inline: usize,
    traces: Traces,
    /// Instances with changes since the last cut.
    dirty: Vec<u32>,
    delays: Delays,
    calls: Calls,
    outbox: Outbox,
    dead_letters: BTreeSet<DeadLetterId>,
    /// Which function types begin no invocations.
    halted: Option<Halted>,
    /// Whether messages for types that nobody serves wait.
    awaits_reload: bool,
    /// Who has answered calls.
    answerers: graph::Counts,
    /// Paused addresses are never evicted, so that this count is all there is to know.
    paused: usize,
    pending: Pending,
    /// How long the next delta may become, by the last one.
    delta_room: usize,
    releases: Releases,
    /// The epoch that is being built.
    epoch: Epoch,
    /// The part of the epoch before, while markers of peers are missing.
    open: Option<OpenPart>,
    flushed: Epoch,
    alarms: BinaryHeap<Reverse<(Millis, u64, Alarm)>>,
    in_flight: usize,
    /// Delayed messages sent since the last cut.
    due_sent: usize,
    sequence: u64,
    attempt: u64,
    alarm_order: u64,
    call_number: u64,
    dead_letter_number: u64,
    now: Millis,
    effects: Vec<Effect>,
}

/// A message on its way to a mailbox of its shard.
struct Sent {
    /// Where it is kept.
    slot: u32,
    /// The type of its target, [`ANSWER`] if that is a waiting call, and the id.
    function: u32,
    id: Id,
    /// Of the two of them.
    hash: u32,
}

/// Stands for the function type of waiting calls, which is none that functions serve.
const ANSWER: u32 = u32::MAX;

/// Why to look at something at a certain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    /// An instance may be tried again.
    Retry(InvocationId),
    /// The gate of a function may let somebody through.
    Gate(u32),
}

/// How full a shard is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Instances in memory.
    pub instances: usize,
    /// Bytes they and their state take.
    pub state_bytes: usize,
    /// Messages waiting in mailboxes.
    pub mail: usize,
    /// Bytes they take.
    pub mail_bytes: usize,
    /// Invocations in flight.
    pub in_flight: usize,
    /// Pending delayed messages.
    pub delayed: usize,
    /// Bytes they take.
    pub delayed_bytes: usize,
    /// Unconfirmed egress records.
    pub outbox: usize,
    /// Dead letters.
    pub dead_letters: usize,
    /// Paused addresses.
    pub paused: usize,
    /// Calls without an answer.
    pub calls: usize,
    /// Remembered idempotency keys.
    pub idempotency_keys: usize,
    /// Messages in mailboxes that belong to traces.
    pub traced: usize,
}

impl Shard {
    /// An empty shard.
    #[must_use]
    pub fn new(config: Config) -> Shard {
        assert!(config.shard < config.shards && config.key_groups > 0);
        let seed = config.hash_seed;
        Shard {
            call_function: FunctionType::from_static(CALL_FUNCTION),
            functions: Vec::new(),
            function_index: HashMap::with_hasher(FixedState::with_seed(seed)),
            last_function: 0,
            listed: VecDeque::new(),
            instances: Instances::new(seed),
            troubles: BTreeMap::new(),
            mails: Mails::default(),
            local: Vec::new(),
            inline: 0,
            traces: Traces::new(seed),
            dirty: Vec::new(),
            delays: Delays::new(seed),
            calls: Calls::new(seed),
            outbox: Outbox::default(),
            dead_letters: BTreeSet::new(),
            halted: None,
            awaits_reload: false,
            answerers: graph::Counts::default(),
            paused: 0,
            pending: Pending::default(),
            delta_room: 0,
            releases: Releases::default(),
            epoch: Epoch(1),
            open: None,
            flushed: Epoch::ZERO,
            alarms: BinaryHeap::new(),
            in_flight: 0,
            due_sent: 0,
            sequence: 0,
            attempt: 0,
            alarm_order: 0,
            call_number: 0,
            dead_letter_number: 0,
            now: Millis(0),
            effects: Vec::new(),
            config,
        }
    }

    /// The only transition. `now` never goes back: an earlier time counts as the latest one seen.
    pub fn apply(&mut self, input: Input, now: Millis, effects: &mut Vec<Effect>) {
        self.now = self.now.max(now);
        std::mem::swap(&mut self.effects, effects);
        match input {
            Input::Request { ticket, request, kind } => self.request(ticket, request, kind),
            Input::Forget(ticket) => self.calls.forget(ticket),
            Input::Deliver(batch) => self.deliver(batch),
            Input::Peer { from, item: PeerItem::Message(message) } => {
                self.peer_message(from, *message)
            }
            Input::Peer { from, item: PeerItem::Traced(traced) } => {
                let (message, trace) = *traced;
                self.traces.set_current(Some(trace));
                self.peer_message(from, message);
                self.traces.set_current(None);
            }
            Input::Peer { from, item: PeerItem::Marker(cut) } => self.marker(from, &cut),
            Input::Cut(cut) => self.cut(&cut),
            Input::Completed { invocation, outcome, request } => {
                self.completed(invocation, outcome, request)
            }
            Input::Failed { invocation, failure, request } => {
                self.failed(invocation, &failure, request)
            }
            Input::Loaded { invocation, values } => self.loaded(invocation, values),
            Input::Flushed(epoch) => self.flushed = epoch,
            Input::Tick => self.send_due(),
            Input::Redrive { ticket, id, target, mail } => self.redrive(ticket, id, &target, mail),
            Input::Discard { ticket, id } => self.discard(ticket, id),
            Input::Resume { ticket, address } => self.resume(ticket, &address),
            Input::Pause { ticket, address, reason } => self.hold(ticket, address, reason),
            Input::Halt { halted, record } => self.halt(halted, record),
            Input::AwaitReload => self.awaits_reload = true,
            Input::Reload(reload) => self.reload(*reload),
        }
        self.go_on_with_others();
        std::mem::swap(&mut self.effects, effects);
    }

    /// As [`Shard::apply`] with [`Input::Completed`], for a function that ran on this thread. What it did is taken out of
    /// `reply`, which keeps its room for the next one.
    pub fn complete(
        &mut self,
        invocation: InvocationId,
        reply: &mut LocalReply,
        now: Millis,
        effects: &mut Vec<Effect>,
    ) {
        self.now = self.now.max(now);
        std::mem::swap(&mut self.effects, effects);
        if let Err(reason) = self.replied(invocation, reply) {
            self.rejected(invocation, reason, Bytes::new());
        }
        // While others that have begun wait for the thread, nobody else can begin.
        if self.inline == 0 {
            self.go_on_with_others();
        }
        std::mem::swap(&mut self.effects, effects);
    }

    /// What is applied next follows from this span, until `None` is set: the messages and records that it sends belong to
    /// the same trace.
    pub fn trace(&mut self, span: Option<TraceContext>) {
        self.traces.set_current(span);
    }

    /// The spans from which the messages of an invocation follow, of those that are traced.
    #[must_use]
    pub fn traces(&self, id: InvocationId) -> Vec<TraceContext> {
        if !self.traces.any_mail() {
            return Vec::new();
        }
        let Some(instance) = self.instances.attempt(id.instance, id.attempt) else {
            return Vec::new();
        };
        let Phase::Running { batch, .. } = instance.phase else { return Vec::new() };
        let messages = self.mails.iter(&instance.mailbox).take(batch as usize);
        messages.filter_map(|message| self.traces.of_mail(message.sequence)).collect()
    }

    /// What may follow from any input.
    fn go_on_with_others(&mut self) {
        self.on_time();
        if self.inline == 0 || self.local.len() >= LOCAL_MAX {
            self.receive_local();
        }
        self.dispatch();
        if self.instances.bytes() > self.config.limits.state_bytes {
            let state_bytes = self.config.limits.state_bytes;
            self.instances.evict(state_bytes, self.epoch, self.flushed, EVICTION_STEPS);
        }
    }

    /// When [`Input::Tick`] should come at the latest; a time that has passed means at once.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        let alarm = self.alarms.peek().map(|Reverse((at, _, _))| *at);
        let delayed = self.delays.next_due().filter(|_| self.due_sent < DUE_PER_EPOCH_MAX);
        [alarm, delayed, self.calls.next_expiry()].into_iter().flatten().min()
    }

    /// How urgently this shard wants to be cut.
    #[must_use]
    pub fn wants(&self) -> Wants {
        if !self.releases.is_empty() || self.due_sent >= DUE_PER_EPOCH_MAX {
            Wants::Now
        } else if !self.pending.is_empty() || !self.dirty.is_empty() || self.delays.is_changed() {
            Wants::Soon
        } else {
            Wants::Nothing
        }
    }

    /// How full it is.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            instances: self.instances.len(),
            state_bytes: self.instances.bytes(),
            mail: self.mails.len(),
            mail_bytes: self.mails.bytes(),
            in_flight: self.in_flight,
            delayed: self.delays.len(),
            delayed_bytes: self.delays.bytes(),
            outbox: self.outbox.len(),
            dead_letters: self.dead_letters.len(),
            paused: self.paused,
            calls: self.calls.waiting_count(),
            idempotency_keys: self.calls.seen_count(),
            traced: self.traces.mail_len(),
        }
    }

    /// What is due by now, except delayed messages: alarms, and idempotency keys to forget.
    #[inline]
    fn on_time(&mut self) {
        let alarm = self.alarms.peek().is_some_and(|Reverse((at, _, _))| *at <= self.now);
        if alarm || self.calls.next_expiry().is_some_and(|at| at <= self.now) {
            self.ring();
        }
    }

    #[cold]
    fn ring(&mut self) {
        while let Some(Reverse((at, _, _))) = self.alarms.peek()
            && *at <= self.now
        {
            let Reverse((_, _, alarm)) = self.alarms.pop().expect("just seen");
            match alarm {
                Alarm::Retry(id) => self.retry(id),
                Alarm::Gate(function) => {
                    self.functions[function as usize].alarm = None;
                    self.list(function);
                }
            }
        }
        while let Some((target, key)) = self.calls.pop_expired(self.now) {
            let group = self.group(&target);
            self.pending.delete(keys::Key::Dedupe { target, key }.encode(group));
        }
    }

    fn alarm(&mut self, at: Millis, alarm: Alarm) {
        self.alarm_order += 1;
        self.alarms.push(Reverse((at, self.alarm_order, alarm)));
    }

    fn address(&self, instance: &Instance) -> Address {
        let function = self.functions[instance.function as usize].name.clone();
        Address { function, id: instance.id.clone() }
    }

    fn group(&self, address: &Address) -> KeyGroup {
        group_of(address, &self.call_function, self.config.key_groups)
    }

    fn owner(&self, group: KeyGroup) -> u16 {
        group.shard(self.config.shards.into(), self.config.key_groups) as u16
    }

    /// Sends a message to where it belongs: into a mailbox of this shard, or to another shard.
    #[inline(always)]
    fn route(&mut self, target: Address, caller: Option<Address>, argument: TypedValue) {
        let alone = self.config.shards == 1;
        let shard = if alone { self.config.shard } else { self.owner(self.group(&target)) };
        if shard == self.config.shard {
            self.traces.sent(self.local.len());
            let Address { function, id } = target;
            let function = self.function_or_answer(&function);
            let hash = self.instances.hash(function, &id);
            let slot = self.mails.keep(caller, argument);
            self.local.push(Sent { slot, function, id, hash });
        } else {
            let message = PeerMessage { target, caller, argument };
            let item = match self.traces.current() {
                None => PeerItem::Message(Box::new(message)),
                Some(trace) => PeerItem::Traced(Box::new((message, trace))),
            };
            self.effects.push(Effect::Send { shard, item });
        }
    }

    /// Puts what this shard's own functions and sources sent into mailboxes, in order. Each message is for an address
    /// anywhere in memory: looking them up one after the other would be to wait for memory over and over.
    fn receive_local(&mut self) {
        if self.local.is_empty() {
            return;
        }
        let mut local = std::mem::take(&mut self.local);
        let mut place = 0;
        for some in local.chunks(LOCAL_MAX) {
            let guesses = self.look_up(some);
            for (sent, guess) in some.iter().zip(guesses) {
                self.traces.arrives(place);
                self.arrive(sent, guess);
                place += 1;
            }
        }
        self.traces.all_arrived();
        local.clear();
        self.local = local;
    }

    /// Guesses for which instance each message is. In each of these loops all that is looked at is fetched at once, because
    /// nothing in it waits for what the turn before has found.
    fn look_up(&self, messages: &[Sent]) -> [Option<u32>; LOCAL_MAX] {
        for sent in messages {
            self.instances.touch_index(sent.hash);
        }
        let mut found = [None; LOCAL_MAX];
        for (sent, found) in messages.iter().zip(&mut found) {
            *found = self.instances.guess(sent.hash);
        }
        for index in found.iter().flatten() {
            self.instances.touch(*index);
        }
        found
    }

    /// A message comes to its mailbox, probably that of the instance that was guessed.
    #[inline]
    fn arrive(&mut self, sent: &Sent, guess: Option<u32>) {
        let Sent { slot, function, id, hash } = sent;
        self.sequence += 1;
        let index = match guess {
            Some(index) if self.instances.is(index, *function, id) => index,
            _ if *function == ANSWER => return self.take_answer(*slot, id),
            _ => self.instance_of(*function, id, *hash),
        };
        self.enter(index, *slot, self.sequence, false);
    }

    fn peer_message(&mut self, from: u16, message: PeerMessage) {
        let PeerMessage { target, caller, argument } = message;
        debug_assert_eq!(self.owner(self.group(&target)), self.config.shard, "sent to the owner");
        self.receive(target, caller, argument, Some(from));
    }

    /// Puts a message into a mailbox of this shard.
    fn receive(
        &mut self,
        target: Address,
        caller: Option<Address>,
        argument: TypedValue,
        from: Option<u16>,
    ) {
        self.sequence += 1;
        let sequence = self.sequence;
        // A message that its sender sent before the cut and we receive after it was in the channel at the cut: it
        // belongs to the delta of that cut, and its end to the one after.
        let persisted = match (&mut self.open, from) {
            (Some(open), Some(from)) if open.awaits(from) => {
                let group = group_of(&target, &self.call_function, self.config.key_groups);
                DeltaWriter::new(&mut open.delta).put_with(
                    |key| keys::push_mail(key, group, &target, sequence),
                    |value| Mail::push(value, caller.as_ref(), &argument),
                );
                true
            }
            _ => false,
        };
        if target.function == self.call_function {
            self.answerers.count(caller.as_ref().map(|caller| &caller.function));
            return self.receive_answer(&target, argument, persisted.then_some(sequence));
        }
        let index = self.instance(&target);
        let slot = self.mails.keep(caller, argument);
        self.enter(index, slot, sequence, persisted);
    }

    /// A message of this shard for somebody who waits for it.
    fn take_answer(&mut self, slot: u32, call: &Id) {
        let Message { caller, argument, .. } = self.mails.take(slot);
        self.answerers.count(caller.as_ref().map(|caller| &caller.function));
        self.answer(call, statera_ports::Answer::Value(argument));
    }

    /// `written` is the sequence under which a delta has it.
    fn receive_answer(&mut self, call: &Address, argument: TypedValue, written: Option<u64>) {
        if let Some(sequence) = written {
            let group = self.group(call);
            self.pending.delete_written(|key| keys::push_mail(key, group, call, sequence));
        }
        self.answer(&call.id, statera_ports::Answer::Value(argument));
    }

    /// A message that is kept comes into a mailbox.
    #[inline]
    fn enter(&mut self, index: u32, slot: u32, sequence: u64, persisted: bool) {
        let instance = self.instances.get_mut(index);
        self.traces.enters(sequence);
        let number = instance.function;
        let function = &mut self.functions[number as usize];
        let message = self.mails.push(&mut instance.mailbox, slot, sequence, persisted);
        function.senders.count(message.caller.as_ref().map(|caller| &caller.function));
        function.mail_bytes += message.bytes();
        function.counts.entered += 1;
        instance.marks.set(Marks::REFERENCED);
        if !persisted && instance.mark_dirty(self.epoch) {
            self.dirty.push(index);
        }
        if instance.phase == Phase::Idle {
            instance.phase = Phase::Queued;
            function.ready.push_back(index);
            function.list(number, &mut self.listed);
        }
    }

    /// Takes the first messages out of a mailbox: they have had their effect.
    fn take_mail(&mut self, index: u32, count: usize) {
        self.forget_traces(index, count);
        let instance = self.instances.get_mut(index);
        let function = &mut self.functions[instance.function as usize];
        take_mail(&mut self.mails, &mut self.pending, function, instance, count);
    }

    #[inline]
    fn forget_traces(&mut self, index: u32, count: usize) {
        if self.traces.any_mail() {
            self.forget_traces_of(index, count);
        }
    }

    #[cold]
    fn forget_traces_of(&mut self, index: u32, count: usize) {
        let mailbox = &self.instances.get(index).mailbox;
        for message in self.mails.iter(mailbox).take(count) {
            self.traces.leaves(message.sequence);
        }
    }

    fn mark_dirty(&mut self, index: u32) {
        let instance = self.instances.get_mut(index);
        if instance.mark_dirty(self.epoch) {
            self.dirty.push(index);
        }
    }

    /// The index of an address, which comes into memory if it was not there.
    fn instance(&mut self, address: &Address) -> u32 {
        let function = self.function(&address.function);
        if let Some(index) = self.instances.find(function, &address.id) {
            return index;
        }
        let group = self.group(address);
        self.instances.insert(address.id.clone(), group, function)
    }

    /// As [`Shard::instance`], for an address that is no call, by the number of its type, its id, and the hash of both.
    #[inline(never)]
    fn instance_of(&mut self, function: u32, id: &Id, hash: u32) -> u32 {
        if let Some(index) = self.instances.find_hashed(hash, function, id) {
            return index;
        }
        let group = KeyGroup::of(id, self.config.key_groups);
        self.instances.insert_hashed(hash, id.clone(), group, function)
    }

    /// The index of an address that is in memory.
    fn find(&self, address: &Address) -> Option<u32> {
        self.instances.find(*self.function_index.get(&address.function)?, &address.id)
    }

    #[inline]
    fn function(&mut self, name: &FunctionType) -> u32 {
        let last = self.functions.get(self.last_function as usize);
        if last.is_some_and(|last| last.name == *name) {
            return self.last_function;
        }
        self.other_function(name)
    }

    /// As [`Shard::function`], and [`ANSWER`] for that of waiting calls.
    #[inline]
    fn function_or_answer(&mut self, name: &FunctionType) -> u32 {
        if *name == self.call_function { ANSWER } else { self.function(name) }
    }

    fn other_function(&mut self, name: &FunctionType) -> u32 {
        if let Some(index) = self.function_index.get(name) {
            self.last_function = *index;
            return *index;
        }
        let index = u32::try_from(self.functions.len()).expect("fewer than 2^32 function types");
        let policy = (self.config.directory)(name);
        let function = Function::new(name, policy);
        self.function_index.insert(function.name.clone(), index);
        self.functions.push(function);
        self.apply_halt(index);
        index
    }

    /// Checks what must always hold between two inputs. For tests: it looks at everything.
    ///
    /// # Panics
    /// If an invariant does not hold.
    pub fn check(&self) {
        let mut functions: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
        let (mut mail, mut state_bytes) = (0, 0);
        for (index, instance) in self.instances.iter() {
            state_bytes += instance.measured();
            let (in_flight, bytes) = functions.entry(instance.function).or_default();
            let messages = self.mails.iter(&instance.mailbox);
            *bytes += messages.clone().map(Message::bytes).sum::<usize>();
            assert_eq!(instance.mailbox.len(), messages.clone().count());
            mail += instance.mailbox.len();
            match instance.phase {
                Phase::Loading { .. } => *in_flight += 1,
                Phase::Running { batch, .. } => {
                    *in_flight += 1;
                    assert!(batch > 0 && batch as usize <= instance.mailbox.len());
                }
                Phase::Idle => assert!(instance.mailbox.is_empty(), "an idle address has no mail"),
                Phase::Queued | Phase::Waiting { .. } => assert!(!instance.mailbox.is_empty()),
                Phase::Paused => {}
            }
            let all_persisted = messages.clone().all(|message| message.persisted);
            let dirty = instance.marks.has(Marks::DIRTY);
            assert!(dirty || all_persisted, "unpersisted mail is in the list of changes");
            assert_eq!(dirty, self.dirty.contains(&index));
            let troubled = instance.marks.has(Marks::TROUBLED);
            assert_eq!(troubled, self.troubles.contains_key(&index));
            let sequences: Vec<u64> = messages.map(|message| message.sequence).collect();
            assert!(sequences.is_sorted(), "mail is in order");
        }
        let in_flight: usize = functions.values().map(|(in_flight, _)| in_flight).sum();
        assert_eq!((in_flight, mail), (self.in_flight, self.mails.len()));
        assert_eq!(state_bytes, self.instances.bytes(), "measured after every change");
        assert_eq!(
            self.mails.kept(),
            self.local.len(),
            "what is on its way is kept, and nothing else"
        );
        self.delays.check();
        self.check_figures();
        for (index, function) in self.functions.iter().enumerate() {
            let counted = functions.get(&(index as u32)).copied().unwrap_or_default();
            assert_eq!(counted, (function.in_flight, function.mail_bytes), "{:?}", function.name);
        }
    }
}

/// Takes the first messages out of the mailbox of an instance of this function type.
#[inline]
fn take_mail(
    mails: &mut Mails,
    pending: &mut Pending,
    function: &mut Function,
    instance: &mut Instance,
    count: usize,
) {
    for _ in 0..count {
        let (bytes, written) = mails.drop_first(&mut instance.mailbox);
        function.mail_bytes -= bytes;
        if let Some(sequence) = written {
            pending.delete_written(|key| {
                let (group, id) = (instance.group, &instance.id);
                keys::push_known_mail(key, group, &function.key, id, sequence);
            });
        }
    }
    function.counts.left += count as u64;
}

/// The key group of an address. Waiting calls name theirs.
fn group_of(address: &Address, call_function: &FunctionType, key_groups: u16) -> KeyGroup {
    if address.function == *call_function
        && let Some((group, _)) = address.id.split_once('.')
        && let Ok(group) = group.parse()
        && group < key_groups
    {
        return KeyGroup(group);
    }
    KeyGroup::of(&address.id, key_groups)
}

/// A call's id: its key group first, then what makes it unique.
fn call_id(group: KeyGroup, nonce: u64, number: u64) -> Arc<str> {
    format!("{group}.{nonce:x}.{number:x}").into()
}
