//! The world: all parts of it, simulated time, and one loop over what happens next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use statera_core::{
    Cut, Effect, Input, InvocationId, Part, PeerItem, Reload, Shard, Ticket, Wants,
};
use statera_model::{Address, EgressId, Epoch, KeyGroup, LocalReply, Millis, Mutation};
use statera_ports::SinkPosition;

use crate::Report;
use crate::endpoints::Endpoint;
use crate::image::Image;
use crate::life::{Answered, Life};
use crate::log::Log;
use crate::people::Person;
use crate::random::Random;
use crate::round::Round;
use crate::settings::{BEGIN, Sabotage, Settings};
use crate::shell::Shown;
use crate::trace::Trace;
use crate::violation::{Checked, Invariant, violated};

pub(crate) struct World<L: Life> {
    pub(crate) settings: Settings,
    pub(crate) life: L,
    pub(crate) random: Random,
    pub(crate) now: Millis,
    pub(crate) trace: Trace,
    /// What is going to happen; events of one time in a random order.
    pub(crate) events: BTreeMap<(Millis, u64), Event<L::Event>>,
    pub(crate) process: Process,
    /// What survives a crash: the log, the durable key space that follows from it, and how much of that the store has.
    pub(crate) log: Log,
    pub(crate) durable: Image,
    pub(crate) durable_epoch: Epoch,
    pub(crate) store: Image,
    pub(crate) store_epoch: Epoch,
    /// Deltas of durable epochs that the store has not.
    pub(crate) unflushed: VecDeque<(Epoch, Vec<u8>)>,
    pub(crate) people: Vec<Person>,
    pub(crate) egresses: Vec<EgressId>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) next_ticket: u64,
    /// Whether faults have stopped.
    pub(crate) calm: bool,
    pub(crate) figures: Report,
    /// An empty list with room.
    pub(crate) effects: Vec<Effect>,
    /// An empty reply with room.
    pub(crate) reply: LocalReply,
}

/// What a crash takes away.
pub(crate) struct Process {
    /// Which one since the beginning: events of earlier ones are void.
    pub(crate) generation: u64,
    pub(crate) shards: Vec<Shard>,
    /// Of each of them.
    pub(crate) rounds: Vec<Round>,
    pub(crate) channels: BTreeMap<(usize, usize), VecDeque<PeerItem>>,
    /// When the last item of a channel arrives.
    pub(crate) arrivals: BTreeMap<(usize, usize), Millis>,
    pub(crate) ticks: Vec<Option<Millis>>,
    pub(crate) in_flight: BTreeMap<Address, InvocationId>,
    /// What each address must be shown at its next invocation.
    pub(crate) shown: Shown,
    /// Changes of replies that may have been taken, and when: the next invocation tells.
    pub(crate) open: BTreeMap<Address, (Vec<Mutation>, Millis)>,
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
pub(crate) enum Event<E> {
    /// Something within the process; void after a crash.
    Inside(u64, Inside),
    /// A person asks, or asks again.
    Ask(usize),
    /// A person has waited long enough for a ticket.
    GiveUp(usize, Ticket),
    /// Something else outside.
    Outside(E),
}

#[derive(Debug)]
pub(crate) enum Inside {
    Channel(usize, usize),
    Tick(usize),
    /// A shard goes on with what it wants done.
    Round(usize),
    Answered {
        shard: usize,
        id: InvocationId,
        target: Address,
        answered: Answered,
        request: Bytes,
    },
    Loaded {
        shard: usize,
        id: InvocationId,
        keys: Vec<Vec<u8>>,
    },
    Pulse,
    Cut(usize, Arc<Cut>),
    Durable,
    Flush,
    Flushed(usize, Epoch),
    Sink(usize),
    Reload(usize, Reload),
}

impl<L: Life> World<L> {
    pub(crate) fn new(settings: Settings, life: L) -> World<L> {
        let egresses: Vec<EgressId> = life.egresses().into_iter().map(|(id, _)| id).collect();
        World {
            random: Random::new(settings.seed),
            now: BEGIN,
            trace: Trace::new(settings.seed),
            events: BTreeMap::new(),
            process: Process::new(0),
            log: Log::new(settings.seed),
            durable: Image::new(),
            durable_epoch: Epoch::ZERO,
            store: Image::new(),
            store_epoch: Epoch::ZERO,
            unflushed: VecDeque::new(),
            people: Vec::new(),
            endpoints: egresses.iter().map(|_| Endpoint::default()).collect(),
            egresses,
            next_ticket: 0,
            calm: false,
            figures: Report::default(),
            effects: Vec::new(),
            reply: LocalReply::default(),
            settings,
            life,
        }
    }

    /// The next event, or a crash before it. Returns whether there was one.
    pub(crate) fn step(&mut self) -> Checked<bool> {
        let Some(((at, _), event)) = self.events.pop_first() else { return Ok(false) };
        self.now = self.now.max(at);
        self.figures.events += 1;
        let crashes = self.figures.crashes < self.settings.crashes_max && !self.calm;
        if crashes && self.random.one_in(self.settings.crash_one_in) {
            self.crash()?;
        }
        self.happen(event)?;
        self.plan_cut();
        Ok(true)
    }

    fn happen(&mut self, event: Event<L::Event>) -> Checked {
        match event {
            Event::Inside(generation, _) if generation != self.process.generation => Ok(()),
            Event::Inside(_, inside) => self.happen_inside(inside),
            Event::Ask(person) => self.ask(person),
            Event::GiveUp(person, ticket) => self.give_up(person, ticket),
            Event::Outside(event) => L::happen(self, event),
        }
    }

    fn happen_inside(&mut self, inside: Inside) -> Checked {
        match inside {
            Inside::Channel(from, to) => self.receive(from, to),
            Inside::Tick(shard) => {
                self.process.ticks[shard] = None;
                self.apply(shard, Input::Tick)
            }
            Inside::Round(shard) => self.carry_out(shard),
            Inside::Answered { shard, id, target, answered, request } => {
                self.answered(shard, id, target, answered, request)
            }
            Inside::Loaded { shard, id, keys } => self.load(shard, id, &keys),
            Inside::Pulse => self.pulse(),
            Inside::Cut(shard, cut) => self.apply(shard, Input::Cut(cut)),
            Inside::Durable => self.durable(),
            Inside::Flush => self.flush(),
            Inside::Flushed(shard, epoch) => self.apply(shard, Input::Flushed(epoch)),
            Inside::Sink(sink) => self.write_sink(sink),
            Inside::Reload(shard, reload) => self.apply(shard, Input::Reload(Box::new(reload))),
        }
    }

    pub(crate) fn plan_tick(&mut self, shard: usize) {
        let Some(at) = self.process.shards[shard].next_deadline() else { return };
        if at == Millis(u64::MAX) {
            return; // Idempotency keys are remembered for ever.
        }
        if self.process.ticks[shard].is_some_and(|planned| planned <= at)
            || self.settings.sabotage == Some(Sabotage::IgnoreDeadlines)
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

    pub(crate) fn owner(&self, group: KeyGroup) -> usize {
        group.shard(self.settings.shards.into(), self.settings.key_groups)
    }

    pub(crate) fn at(&mut self, at: Millis, event: Event<L::Event>) {
        let order = self.random.next();
        self.events.insert((at, order), event);
    }

    pub(crate) fn later(&mut self, delay_ms: u64, event: Event<L::Event>) {
        self.at(self.now.after(delay_ms), event);
    }

    pub(crate) fn inside_at(&mut self, at: Millis, inside: Inside) {
        self.at(at, Event::Inside(self.process.generation, inside));
    }

    pub(crate) fn inside(&mut self, delay_ms: u64, inside: Inside) {
        self.inside_at(self.now.after(delay_ms), inside);
    }

    /// When everything is flushed, memory shrinks to its limit.
    pub(crate) fn check_memory(&mut self) -> Checked {
        if self.settings.sabotage != Some(Sabotage::NeverFlush) {
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
            if bytes > self.settings.limits.state_bytes {
                let what = format!("{bytes} bytes of state at rest: {:?}", self.settings.limits);
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
            rounds: Vec::new(),
            channels: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            ticks: Vec::new(),
            in_flight: BTreeMap::new(),
            shown: BTreeMap::new(),
            open: BTreeMap::new(),
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
