//! The shell of a shard: the thread that receives, lets the core decide, and carries out what it decided.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use statera_core::values::StateValue;
use statera_core::{
    Effect, Input, Invocation, InvocationId, News, Part, PeerItem, Shard, Ticket, Wants,
};
use statera_model::{Epoch, Failure, FailureKind, LocalReply, Millis, Outcome, TraceContext};
use statera_ports::{Answer, Batch, Embedded, Refusal};
use statera_protocol::{Decoder, Request};
use statera_store::Reader;
use statera_trace::Span;
use tokio::sync::oneshot;

use crate::engine::Shared;
use crate::error::EngineError;
use crate::figures::shard::{Latencies, ShardReport, ShellFigures, TIMED_ONE_IN};
use crate::host::{Host, Hosts, OwnedBatch};
use crate::inbox::{Event, Waiter};
use crate::invocations::{Invocations, Measure};
use crate::traces::Traced;

/// The longest sleep. The wall clock may be set while we sleep, and delayed messages follow the wall clock.
const SLEEP_MAX: Duration = Duration::from_secs(10);

/// Effects after which a round ends, so that what came in meanwhile has its turn.
const EFFECTS_PER_ROUND: usize = 1024;

/// What a shard thread owns.
pub(crate) struct Shell {
    pub(crate) index: u16,
    pub(crate) shard: Shard,
    pub(crate) shared: Arc<Shared>,
    pub(crate) reader: Reader,
    pub(crate) hosts: Hosts,
    pub(crate) parts: Sender<(u16, Part)>,
    state: State,
}

/// What belongs to carrying out, not to deciding.
struct State {
    clock: Clock,
    now: Millis,
    effects: Vec<Effect>,
    /// An empty list with room.
    spare: Vec<Effect>,
    /// An empty reply with room.
    reply: LocalReply,
    waiters: HashMap<Ticket, Waiter, RandomState>,
    taken: Vec<oneshot::Sender<()>>,
    /// What may be told to those who wait once the epoch is durable.
    held: VecDeque<Held>,
    /// What waits to be handed to each peer.
    outgoing: Vec<Vec<PeerItem>>,
    ended: Rc<Ended>,
    figures: ShellFigures,
    traced: Traced,
    invocations: Invocations,
    /// What the commit thread was told since the last cut.
    raised: Wants,
    stopped: bool,
}

struct Held {
    epoch: Epoch,
    accepted: Vec<Ticket>,
    answers: Vec<(Ticket, Answer)>,
}

/// Invocations that ended, to be applied in the next round.
struct Ended {
    shared: Arc<Shared>,
    index: u16,
    inputs: RefCell<Vec<Input>>,
    decoder: RefCell<Decoder>,
    latencies: RefCell<Latencies>,
    /// Of each of them in turn.
    measures: RefCell<Vec<(InvocationId, Measure)>>,
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.shared.inboxes[usize::from(self.index)].close();
    }
}

impl Shell {
    pub(crate) fn new(
        index: u16,
        shard: Shard,
        shared: Arc<Shared>,
        reader: Reader,
        hosts: Hosts,
        parts: Sender<(u16, Part)>,
    ) -> Shell {
        let peers = shared.inboxes.len();
        let state = State {
            clock: Clock { since: Instant::now(), at: wall_clock() },
            now: wall_clock(),
            effects: Vec::new(),
            spare: Vec::new(),
            reply: LocalReply::default(),
            waiters: HashMap::default(),
            taken: Vec::new(),
            held: VecDeque::new(),
            outgoing: (0..peers).map(|_| Vec::new()).collect(),
            ended: Rc::new(Ended {
                shared: shared.clone(),
                index,
                inputs: RefCell::default(),
                decoder: RefCell::default(),
                latencies: RefCell::default(),
                measures: RefCell::default(),
            }),
            figures: ShellFigures::default(),
            traced: Traced::default(),
            invocations: Invocations::default(),
            raised: Wants::Nothing,
            stopped: false,
        };
        Shell { index, shard, shared, reader, hosts, parts, state }
    }

    /// Runs until it is told to stop. `epoch` is the last durable one.
    pub(crate) async fn run(mut self, epoch: Epoch) -> Result<(), EngineError> {
        let mut events = Vec::new();
        self.shard.start(epoch, self.state.now, &mut self.state.effects);
        loop {
            self.carry_out()?;
            self.finish_round();
            if self.state.stopped {
                return Ok(());
            }
            self.next_round(&mut events).await;
            self.state.now = self.state.clock.now();
            for event in events.drain(..) {
                self.handle(event);
            }
            self.take_ended();
            if self.shard.next_deadline().is_some_and(|deadline| deadline <= self.state.now) {
                self.apply(Input::Tick);
            }
        }
    }

    /// Invocations that ran beside everything else have ended.
    fn take_ended(&mut self) {
        let inputs = std::mem::take(&mut *self.state.ended.inputs.borrow_mut());
        for (id, measure) in self.state.ended.measures.borrow_mut().drain(..) {
            self.state.invocations.measured(id, measure);
        }
        for input in inputs {
            let State { invocations, now, .. } = &mut self.state;
            let watched = match &input {
                Input::Completed { invocation, outcome: Outcome::Complete(_), request }
                    if invocations.is_watching() =>
                {
                    let running = self.shard.invocation(*invocation);
                    running.and_then(|it| {
                        invocations.watched(*invocation, &it, *now, || request.len())
                    })
                }
                _ => None,
            };
            let before = self.state.effects.len();
            self.apply(input);
            if let Some(watched) = watched {
                let State { invocations, now, effects, .. } = &mut self.state;
                invocations.ended(watched, *now, &effects[before..]);
            }
        }
    }

    /// Waits until there is something to do.
    async fn next_round(&mut self, events: &mut Vec<Event>) {
        let shared = self.shared.clone();
        let inbox = &shared.inboxes[usize::from(self.index)];
        inbox.take(events);
        let deadline = self.shard.next_deadline();
        let now = self.state.clock.now();
        let due = deadline.is_some_and(|deadline| deadline <= now);
        let more = !self.state.effects.is_empty() || !self.state.ended.is_empty();
        if due || more || !events.is_empty() {
            // The connections on this thread have their turn too.
            return tokio::task::yield_now().await;
        }
        match deadline {
            None => inbox.woken().await,
            Some(deadline) => {
                let sleep = Duration::from_millis(deadline.since(now)).min(SLEEP_MAX);
                let _ = tokio::time::timeout(sleep, inbox.woken()).await;
            }
        }
        inbox.take(events);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Request { ticket, request, kind, waiter } => {
                self.state.waiters.insert(ticket, waiter);
                self.state.figures.requests.came(kind);
                self.apply(Input::Request { ticket, request, kind });
            }
            Event::Forget(ticket) => {
                self.state.waiters.remove(&ticket);
                self.apply(Input::Forget(ticket));
            }
            Event::Deliver { batch, taken, at } => {
                self.state.taken.push(taken);
                let (epoch, records) = (self.shard.epoch(), batch.records.len());
                self.state.figures.delivered(epoch, records, at);
                self.apply(Input::Deliver(batch));
            }
            Event::Operate { ticket, input, waiter } => {
                self.state.waiters.insert(ticket, waiter);
                self.apply(input);
            }
            Event::Peer { from, items } => {
                for item in items {
                    self.apply(Input::Peer { from, item });
                }
            }
            Event::Cut(cut) => self.apply(Input::Cut(cut)),
            Event::Durable(epoch) => {
                self.apply(Input::Flushed(epoch));
                self.release(epoch);
            }
            Event::Report(told) => {
                self.report();
                // Whoever asked may have gone.
                let _ = told.send(());
            }
            Event::Input(input) => self.apply(input),
            Event::Ask(question) => question(&self.shard),
            Event::Look { address, limit, told } => {
                let recent = self.state.invocations.look(&address, self.state.now, limit);
                // Whoever asked may have gone.
                let _ = told.send(recent);
            }
            Event::Prepare { application, told } => {
                // Whoever asked may have gone.
                let _ = told.send(self.hosts.prepare(application));
            }
            Event::BeforeSwitch(told) => {
                self.apply(Input::AwaitReload);
                let _ = told.send(());
            }
            Event::Switch { reload, told } => {
                self.hosts.switch();
                self.apply(Input::Reload(reload));
                let _ = told.send(());
            }
            Event::Stop => self.state.stopped = true,
        }
    }

    /// Tells everything that is counted here.
    fn report(&self) {
        let (requests, latencies) =
            (&self.state.figures.requests, self.state.ended.latencies.borrow());
        let (application, clients) = (self.hosts.application(), self.hosts.statistics());
        let report = ShardReport::of(&self.shard, application, requests, &latencies, clients);
        self.shared.watch.tell(self.index, report);
    }

    fn apply(&mut self, input: Input) {
        if !self.state.traced.is_empty() {
            return self.apply_traced(input);
        }
        self.shard.apply(input, self.state.now, &mut self.state.effects);
    }

    #[cold]
    fn apply_traced(&mut self, input: Input) {
        let spans = self.state.traced.end(&input);
        self.shard.trace(spans.first().map(Span::context));
        self.shard.apply(input, self.state.now, &mut self.state.effects);
        self.shard.trace(None);
    }

    /// The spans of an invocation that begins, if it is traced. What it does follows from the one that is returned.
    fn begin_spans(&mut self, id: InvocationId) -> Option<TraceContext> {
        let tracer = self.shared.tracer.as_ref()?;
        self.state.traced.begin(tracer, &self.shard, &mut self.hosts, id)
    }

    /// Carries out what was decided, and what follows from it, in order. Functions in this process may go on for ever
    /// sending each other messages: after a while the rest is left for the next round.
    fn carry_out(&mut self) -> Result<(), EngineError> {
        let mut carried_out = 0;
        while !self.state.effects.is_empty() && carried_out < EFFECTS_PER_ROUND {
            let mut effects =
                std::mem::replace(&mut self.state.effects, std::mem::take(&mut self.state.spare));
            carried_out += effects.len();
            for effect in effects.drain(..) {
                self.carry_out_one(effect)?;
            }
            self.state.spare = effects;
        }
        Ok(())
    }

    #[inline]
    fn carry_out_one(&mut self, effect: Effect) -> Result<(), EngineError> {
        match effect {
            Effect::Invoke(id) => self.invoke(id),
            Effect::Load(id) => self.load(id)?,
            Effect::Send { shard, item } => self.state.outgoing[usize::from(shard)].push(item),
            Effect::Marker(cut) => {
                for (peer, outgoing) in self.state.outgoing.iter_mut().enumerate() {
                    if peer != usize::from(self.index) {
                        outgoing.push(PeerItem::Marker(cut.clone()));
                    }
                }
                self.state.raised = Wants::Nothing;
            }
            Effect::Part(part) => self.hand_in(*part),
            Effect::Refuse { ticket, refusal } => self.refuse(ticket, refusal),
            Effect::Unknown(ticket) => self.tell_operator(ticket, false),
            Effect::News(news) => {
                if let News::Failed(failed) = &*news {
                    self.state.invocations.failed(failed, self.state.now);
                }
                self.shared.announcer.hear(self.index, &news, self.hosts.application());
            }
        }
        Ok(())
    }

    fn load(&mut self, id: InvocationId) -> Result<(), EngineError> {
        let keys = self.shard.missing_states(id);
        let read = |key: &Vec<u8>| match self.reader.get(key)? {
            Some(bytes) => Ok(Some(StateValue::decode(bytes)?)),
            None => Ok(None),
        };
        let values = keys.iter().map(read).collect::<Result<_, EngineError>>()?;
        let input = Input::Loaded { invocation: id, values };
        self.shard.apply(input, self.state.now, &mut self.state.effects);
        Ok(())
    }

    fn invoke(&mut self, id: InvocationId) {
        let trace = self.begin_spans(id);
        let Some(invocation) = self.shard.invocation(id) else { return };
        let (number, function) = (invocation.function_number(), invocation.function());
        let Some(host) = self.hosts.host(number, function) else {
            let failure = Failure::new(FailureKind::Unavailable, "nobody serves it any more");
            let input = Input::Failed { invocation: id, failure, request: Bytes::new() };
            return self.apply(input);
        };
        match host {
            Host::Embedded { function, states, .. } if invocation.state_count() < *states => {
                let outcome = Outcome::Incomplete(function.states().to_vec());
                self.apply(Input::Completed { invocation: id, outcome, request: Bytes::new() });
            }
            Host::Embedded { function, waits: true, .. } => {
                let running = function.start(Arc::new(OwnedBatch::of(&invocation)));
                let ended = async move { running.await.map(Outcome::Complete) };
                let timer = Timer::start(number, None);
                Attempt::run(id, timer, encode(&invocation), self.state.ended.clone(), ended);
            }
            Host::Embedded { function, .. } => {
                let (now, effects) = (self.state.now, &mut self.state.effects);
                let invocations = &mut self.state.invocations;
                let watched = match invocations.is_watching() {
                    true => invocations.watched(id, &invocation, now, || encode(&invocation).len()),
                    false => None,
                };
                let before = effects.len();
                let began = self.state.figures.is_timed().then(Instant::now);
                let failed = invoke_here(id, &**function, &invocation, &mut self.state.reply);
                if let Some(began) = began {
                    let mut latencies = self.state.ended.latencies.borrow_mut();
                    latencies.note_function(number, began.elapsed(), TIMED_ONE_IN);
                }
                let traced = &mut self.state.traced;
                let spans =
                    if traced.is_empty() { None } else { Some(traced.ended(id, failed.as_ref())) };
                if let Some(spans) = &spans {
                    self.shard.trace(spans.first().map(Span::context));
                }
                match failed {
                    None => self.shard.complete(id, &mut self.state.reply, now, effects),
                    Some(input) => self.shard.apply(input, now, effects),
                }
                if spans.is_some() {
                    self.shard.trace(None);
                }
                if let Some(watched) = watched {
                    invocations.ended(watched, now, &effects[before..]);
                }
            }
            Host::Remote(client, endpoint) => {
                let timer = Timer::start(number, Some(*endpoint));
                if invocation.is_retry() {
                    self.state.ended.latencies.borrow_mut().retried(*endpoint);
                }
                let (client, function) = (client.clone(), function.clone());
                let remaining = Duration::from_millis(invocation.remaining_ms());
                let request = encode(&invocation);
                let (body, ended) = (request.clone(), self.state.ended.clone());
                let decoding = ended.clone();
                Attempt::run(id, timer, request, ended, async move {
                    let reply = client.call(&function, body, remaining, trace).await;
                    reply.and_then(|reply| decoding.decode(reply))
                });
            }
        }
    }

    /// Hands the shard's part of an epoch to the commit thread, and holds back who waits for it.
    fn hand_in(&mut self, mut part: Part) {
        let accepted = std::mem::take(&mut part.releases.accepted);
        let answers = std::mem::take(&mut part.releases.answers);
        self.state.held.push_back(Held { epoch: part.epoch, accepted, answers });
        self.state.raised = Wants::Nothing;
        // The commit thread may have failed; then the engine is being stopped.
        let _ = self.parts.send((self.index, part));
    }

    /// An epoch is durable: those who waited for it are told.
    fn release(&mut self, epoch: Epoch) {
        let now = Instant::now();
        self.state.figures.released(epoch, now);
        let figures = &mut self.state.figures.requests;
        while let Some(held) = self.state.held.pop_front_if(|held| held.epoch <= epoch) {
            for ticket in held.accepted {
                match self.state.waiters.remove(&ticket) {
                    Some(Waiter::Send(waiter, since)) => {
                        figures.send_release.note(now - since);
                        drop(waiter.send(Ok(())));
                    }
                    Some(Waiter::Operator(waiter)) => drop(waiter.send(true)),
                    Some(Waiter::Call(..)) | None => {}
                }
            }
            for (ticket, answer) in held.answers {
                if let Some(Waiter::Call(waiter, since)) = self.state.waiters.remove(&ticket) {
                    figures.call_release.note(now - since);
                    let _ = waiter.send(Ok(answer));
                }
            }
        }
    }

    fn refuse(&mut self, ticket: Ticket, refusal: Refusal) {
        self.state.figures.requests.refused(&refusal);
        self.shared.announcer.refused(&refusal);
        match self.state.waiters.remove(&ticket) {
            Some(Waiter::Send(waiter, _)) => drop(waiter.send(Err(refusal))),
            Some(Waiter::Call(waiter, _)) => drop(waiter.send(Err(refusal))),
            Some(Waiter::Operator(_)) | None => {}
        }
    }

    fn tell_operator(&mut self, ticket: Ticket, found: bool) {
        if let Some(Waiter::Operator(waiter)) = self.state.waiters.remove(&ticket) {
            let _ = waiter.send(found);
        }
    }

    /// Hands over what gathered for others in this round.
    fn finish_round(&mut self) {
        for (peer, outgoing) in self.state.outgoing.iter_mut().enumerate() {
            if !outgoing.is_empty() {
                let items = std::mem::take(outgoing);
                self.shared.inboxes[peer].push(Event::Peer { from: self.index, items });
            }
        }
        if self.state.effects.is_empty() {
            self.state.invocations.round_ended();
        }
        self.shared.publish(self.index, self.shard.figures());
        for taken in self.state.taken.drain(..) {
            let _ = taken.send(());
        }
        let wants = self.shard.wants();
        if wants > self.state.raised {
            self.state.raised = wants;
            self.shared.pulse.raise(wants);
        }
    }
}

/// Invokes a function inline. What it did is in `reply`; if it failed, that is returned instead.
fn invoke_here(
    id: InvocationId,
    embedded: &dyn Embedded,
    invocation: &Invocation<'_>,
    reply: &mut LocalReply,
) -> Option<Input> {
    let failure = embedded.invoke(invocation, reply).err()?;
    *reply = LocalReply::default();
    Some(Input::Failed { invocation: id, failure, request: encode(invocation) })
}

/// The request of an invocation as it is sent, or would be.
fn encode(invocation: &Invocation<'_>) -> Bytes {
    let request = Request {
        target: &invocation.target(),
        states: invocation.states(),
        invocations: invocation.messages(),
    };
    let mut body = Vec::with_capacity(request.encoded_len());
    request.encode(&mut body);
    body.into()
}

impl Ended {
    fn decode(&self, reply: Bytes) -> Result<Outcome, Failure> {
        self.decoder.borrow_mut().reply(reply).map_err(|error| {
            Failure::new(FailureKind::Rejected, format!("the reply can't be read: {error}"))
        })
    }

    fn is_empty(&self) -> bool {
        self.inputs.borrow().is_empty()
    }

    fn add(&self, input: Input) {
        let mut inputs = self.inputs.borrow_mut();
        inputs.push(input);
        if inputs.len() == 1 {
            self.shared.inboxes[usize::from(self.index)].wake();
        }
    }
}

/// An invocation that runs beside everything else on this thread. Ends with an input, whatever becomes of its task.
struct Attempt {
    id: InvocationId,
    timer: Timer,
    request: Bytes,
    ended: Rc<Ended>,
    result: Option<Result<Outcome, Failure>>,
}

/// Takes the time of an invocation, for its function type and, if there is one, its endpoint.
struct Timer {
    function: u32,
    endpoint: Option<usize>,
    began: Instant,
}

impl Timer {
    fn start(function: u32, endpoint: Option<usize>) -> Timer {
        Timer { function, endpoint, began: Instant::now() }
    }

    fn stop(&self, latencies: &RefCell<Latencies>) -> Duration {
        let (took, mut latencies) = (self.began.elapsed(), latencies.borrow_mut());
        latencies.note_function(self.function, took, 1);
        if let Some(endpoint) = self.endpoint {
            latencies.note_endpoint(endpoint, took);
        }
        took
    }
}

impl Attempt {
    fn run(
        id: InvocationId,
        timer: Timer,
        request: Bytes,
        ended: Rc<Ended>,
        running: impl Future<Output = Result<Outcome, Failure>> + 'static,
    ) {
        let attempt = Attempt { id, timer, request, ended, result: None };
        tokio::task::spawn_local(async move {
            let mut attempt = attempt;
            attempt.result = Some(running.await);
        });
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let took = self.timer.stop(&self.ended.latencies);
        let (invocation, request) = (self.id, std::mem::take(&mut self.request));
        let measure = (invocation, (took, request.len()));
        self.ended.measures.borrow_mut().push(measure);
        let lost = || Err(Failure::new(FailureKind::Rejected, "the invocation panicked"));
        self.ended.add(match self.result.take().unwrap_or_else(lost) {
            Ok(outcome) => Input::Completed { invocation, outcome, request },
            Err(failure) => Input::Failed { invocation, failure, request },
        });
    }
}

/// The wall clock, except that it never goes back: set back, it goes on from where it was, at its usual pace. The core
/// never goes back either, and would wait until the wall clock has caught up.
struct Clock {
    since: Instant,
    at: Millis,
}

impl Clock {
    fn now(&mut self) -> Millis {
        let elapsed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let steady = self.at.after(elapsed);
        let wall = wall_clock();
        if wall <= steady {
            return steady;
        }
        *self = Clock { since: Instant::now(), at: wall };
        wall
    }
}

pub(crate) fn wall_clock() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
