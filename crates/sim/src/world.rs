//! The world: all parts of it, simulated time, and one loop over what happens next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use statera_core::values::StateValue;
use statera_core::{Cut, Effect, Input, InvocationId, Part, PeerItem, Shard, Ticket, Wants};
use statera_model::{Address, Epoch, Millis};
use statera_ports::SinkPosition;

use crate::book::Book;
use crate::check::{Checked, Findings, Image, Invariant, Outside, violated};
use crate::functions::{Answered, EGRESSES};
use crate::outside::{Endpoint, Person, Source};
use crate::plan::{BEGIN, Plan, Sabotage};
use crate::random::Random;
use crate::trace::Trace;
use crate::{Failed, Report};

/// Longer than anything legitimate takes after faults stopped.
const PATIENCE_MS: u64 = 300_000;
const EVENTS_MAX: u64 = 3_000_000;

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) random: Random,
    pub(crate) now: Millis,
    pub(crate) trace: Trace,
    /// What is going to happen; events of one time in a random order.
    pub(crate) events: BTreeMap<(Millis, u64), Event>,
    pub(crate) process: Process,
    /// What survives a crash: the durable key space, and how much of it the store has.
    pub(crate) durable: Image,
    pub(crate) durable_epoch: Epoch,
    pub(crate) store: Image,
    pub(crate) store_epoch: Epoch,
    /// Deltas of durable epochs that the store has not.
    pub(crate) unflushed: VecDeque<(Epoch, Vec<u8>)>,
    pub(crate) book: Book,
    pub(crate) people: Vec<Person>,
    pub(crate) sources: Vec<Source>,
    pub(crate) malformed: Vec<(String, usize, usize)>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) next_ticket: u64,
    pub(crate) calm: bool,
    pub(crate) figures: Report,
    /// Whether the last connection to the flaky endpoint was lost.
    pub(crate) lost: bool,
    effects: Vec<Effect>,
}

/// What a crash takes away.
pub(crate) struct Process {
    /// Which one since the beginning: events of earlier ones are void.
    pub(crate) generation: u64,
    pub(crate) shards: Vec<Shard>,
    pub(crate) channels: BTreeMap<(usize, usize), VecDeque<PeerItem>>,
    /// When the last item of a channel arrives.
    pub(crate) arrivals: BTreeMap<(usize, usize), Millis>,
    pub(crate) ticks: Vec<Option<Millis>>,
    pub(crate) in_flight: BTreeMap<Address, InvocationId>,
    /// What each address must be shown at its next invocation: by state name the value and the last access.
    pub(crate) shown: BTreeMap<Address, BTreeMap<String, (String, Millis)>>,
    pub(crate) tickets: BTreeMap<Ticket, Waiter>,
    /// The epoch that is cut next.
    pub(crate) next_epoch: Epoch,
    /// Parts of the epoch that is being cut.
    pub(crate) cutting: Option<Vec<Option<Part>>>,
    pub(crate) pulse: bool,
    /// Epochs on their way to the disk.
    pub(crate) writing: VecDeque<Vec<Part>>,
    pub(crate) written_at: Millis,
    pub(crate) confirmed: BTreeMap<usize, SinkPosition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiter {
    Person(usize),
    Operator,
}

#[derive(Debug)]
pub(crate) enum Event {
    /// Something within the process; void after a crash.
    Inside(u64, Inside),
    /// A person asks, or asks again.
    Ask(usize),
    /// A person has waited long enough for a ticket.
    GiveUp(usize, Ticket),
    /// A source reads on.
    Read(usize),
    Operate,
    /// Faults stop.
    Calm,
}

#[derive(Debug)]
pub(crate) enum Inside {
    Channel(usize, usize),
    Tick(usize),
    Answered { shard: usize, id: InvocationId, target: Address, answered: Answered, request: Bytes },
    Loaded { shard: usize, id: InvocationId, keys: Vec<Vec<u8>> },
    Pulse,
    Cut(usize, Arc<Cut>),
    Durable,
    Flush,
    Flushed(usize, Epoch),
    Sink(usize),
}

impl World {
    pub(crate) fn new(plan: Plan) -> World {
        let mut world = World {
            random: Random::new(plan.seed),
            now: BEGIN,
            trace: Trace::new(plan.seed),
            events: BTreeMap::new(),
            process: Process::new(0),
            durable: Image::new(),
            durable_epoch: Epoch::ZERO,
            store: Image::new(),
            store_epoch: Epoch::ZERO,
            unflushed: VecDeque::new(),
            book: Book::default(),
            people: Vec::new(),
            sources: Vec::new(),
            malformed: Vec::new(),
            endpoints: EGRESSES.iter().map(|_| Endpoint::default()).collect(),
            next_ticket: 0,
            calm: false,
            figures: Report::default(),
            lost: false,
            effects: Vec::new(),
            plan,
        };
        world.populate();
        world
    }

    pub(crate) fn run(mut self) -> Result<Report, Box<Failed>> {
        match self.play() {
            Ok(()) => Ok(Report {
                trace_hash: self.trace.hash(),
                messages: self.book.entries.len(),
                ..self.figures
            }),
            Err(violation) => {
                let (seed, trace_tail) = (self.plan.seed, self.trace.tail());
                Err(Box::new(Failed { seed, violation, trace_tail }))
            }
        }
    }

    fn play(&mut self) -> Checked {
        self.start()?;
        self.at(self.plan.calm_at, Event::Calm);
        while let Some(((at, _), event)) = self.events.pop_first() {
            self.now = self.now.max(at);
            self.figures.events += 1;
            self.check_patience()?;
            let crashes = self.figures.crashes < self.plan.crashes_max && !self.calm;
            if crashes && self.random.one_in(self.plan.crash_one_in) {
                self.crash()?;
            }
            self.happen(event)?;
            self.plan_cut();
        }
        self.check_end()
    }

    fn check_patience(&self) -> Checked {
        let late = self.now.since(self.plan.calm_at) > PATIENCE_MS;
        if late || self.figures.events > EVENTS_MAX {
            let figures: Vec<_> = self.process.shards.iter().map(Shard::figures).collect();
            let what = format!("there is no end after faults stopped: {figures:?}");
            return violated(Invariant::Progress, what);
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Checked {
        match event {
            Event::Inside(generation, _) if generation != self.process.generation => Ok(()),
            Event::Inside(_, inside) => self.happen_inside(inside),
            Event::Ask(person) => self.ask(person),
            Event::GiveUp(person, ticket) => self.give_up(person, ticket),
            Event::Read(source) => self.read_source(source),
            Event::Operate => self.operate(),
            Event::Calm => {
                self.trace.note(self.now, format_args!("calm"));
                self.calm = true;
                Ok(())
            }
        }
    }

    fn happen_inside(&mut self, inside: Inside) -> Checked {
        match inside {
            Inside::Channel(from, to) => self.receive(from, to),
            Inside::Tick(shard) => {
                self.process.ticks[shard] = None;
                self.apply(shard, Input::Tick)
            }
            Inside::Answered { shard, id, target, answered, request } => {
                self.answered(shard, id, target, answered, request)
            }
            Inside::Loaded { shard, id, keys } => {
                let stored = |key: &Vec<u8>| {
                    let bytes = self.store.get(key)?.clone();
                    Some(StateValue::decode(bytes).expect("a state value"))
                };
                let values: Vec<_> = keys.iter().map(stored).collect();
                self.figures.loads += values.iter().flatten().count() as u64;
                self.apply(shard, Input::Loaded { invocation: id, values })
            }
            Inside::Pulse => self.pulse(),
            Inside::Cut(shard, cut) => self.apply(shard, Input::Cut(cut)),
            Inside::Durable => self.durable(),
            Inside::Flush => self.flush(),
            Inside::Flushed(shard, epoch) => self.apply(shard, Input::Flushed(epoch)),
            Inside::Sink(sink) => self.write_sink(sink),
        }
    }

    /// Tells a shard something, and carries out what it wants.
    pub(crate) fn apply(&mut self, shard: usize, input: Input) -> Checked {
        let mut effects = std::mem::take(&mut self.effects);
        self.process.shards[shard].apply(input, self.now, &mut effects);
        self.carry_out(shard, &mut effects)?;
        self.effects = effects;
        Ok(())
    }

    pub(crate) fn carry_out(&mut self, shard: usize, effects: &mut Vec<Effect>) -> Checked {
        if self.random.one_in(8) {
            self.process.shards[shard].check();
        }
        for effect in effects.drain(..) {
            self.effect(shard, effect)?;
        }
        self.plan_tick(shard);
        let in_flight = self.process.shards[shard].figures().in_flight;
        if in_flight > self.plan.limits.invocations_in_flight {
            return violated(Invariant::Bounds, format!("{in_flight} invocations in flight"));
        }
        Ok(())
    }

    fn plan_tick(&mut self, shard: usize) {
        let Some(at) = self.process.shards[shard].next_deadline() else { return };
        if at == Millis(u64::MAX) {
            return; // Idempotency keys are remembered for ever.
        }
        if self.process.ticks[shard].is_some_and(|planned| planned <= at)
            || self.plan.sabotage == Some(Sabotage::IgnoreDeadlines)
        {
            return;
        }
        self.process.ticks[shard] = Some(at);
        let late = if self.random.one_in(4) { self.random.below(20) } else { 0 };
        let at = self.now.max(at).after(late);
        self.inside_at(at, Inside::Tick(shard));
    }

    /// Plans the next cut, if somebody wants it and the log is free.
    fn plan_cut(&mut self) {
        let process = &self.process;
        if process.pulse || process.cutting.is_some() || process.writing.len() > 1 {
            return;
        }
        let wants = process.shards.iter().map(Shard::wants).max().unwrap_or(Wants::Nothing);
        let delay_ms = match wants {
            Wants::Nothing if process.confirmed.is_empty() => return,
            Wants::Now => self.random.below(3),
            Wants::Nothing | Wants::Soon => self.random.below(15),
        };
        self.process.pulse = true;
        self.inside(delay_ms, Inside::Pulse);
    }

    pub(crate) fn at(&mut self, at: Millis, event: Event) {
        let order = self.random.next();
        self.events.insert((at, order), event);
    }

    pub(crate) fn later(&mut self, delay_ms: u64, event: Event) {
        self.at(self.now.after(delay_ms), event);
    }

    pub(crate) fn inside_at(&mut self, at: Millis, inside: Inside) {
        self.at(at, Event::Inside(self.process.generation, inside));
    }

    pub(crate) fn inside(&mut self, delay_ms: u64, inside: Inside) {
        self.inside_at(self.now.after(delay_ms), inside);
    }

    pub(crate) fn check_image(&self) -> Result<Findings, crate::Violation> {
        let findings = Findings::read(&self.durable);
        findings.check(&Outside {
            book: &self.book,
            destinations: self.endpoints.iter().map(|endpoint| &endpoint.written[..]).collect(),
            malformed: &self.malformed,
        })?;
        Ok(findings)
    }

    /// Nothing is going to happen any more: everything must be done.
    fn check_end(&mut self) -> Checked {
        for person in &self.people {
            person.check_end()?;
        }
        for (index, shard) in self.process.shards.iter().enumerate() {
            shard.check();
            let figures = shard.figures();
            let busy = figures.mail
                + figures.in_flight
                + figures.delayed
                + figures.outbox
                + figures.dead_letters
                + figures.paused;
            if busy > 0 {
                let what = format!("shard {index} is not done: {figures:?}");
                return violated(Invariant::Progress, what);
            }
        }
        for source in &self.sources {
            source.check_end()?;
        }
        self.check_image()?.check_done(&self.book)?;
        self.check_memory()
    }

    /// When everything is flushed, memory shrinks to its limit.
    fn check_memory(&mut self) -> Checked {
        if self.plan.sabotage != Some(Sabotage::NeverFlush) {
            self.flush()?;
            self.events.clear();
            for shard in 0..self.process.shards.len() {
                self.apply(shard, Input::Flushed(self.durable_epoch))?;
            }
        }
        for shard in 0..self.process.shards.len() {
            for _ in 0..200 {
                self.apply(shard, Input::Tick)?;
            }
            let bytes = self.process.shards[shard].figures().state_bytes;
            if bytes > self.plan.limits.state_bytes {
                let what = format!("{bytes} bytes of state at rest: {:?}", self.plan.limits);
                return violated(Invariant::Bounds, what);
            }
        }
        Ok(())
    }
}

impl Process {
    pub(crate) fn new(generation: u64) -> Process {
        Process {
            generation,
            shards: Vec::new(),
            channels: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            ticks: Vec::new(),
            in_flight: BTreeMap::new(),
            shown: BTreeMap::new(),
            tickets: BTreeMap::new(),
            next_epoch: Epoch::ZERO,
            cutting: None,
            pulse: false,
            writing: VecDeque::new(),
            written_at: Millis(0),
            confirmed: BTreeMap::new(),
        }
    }
}
