//! A world of hosted functions, driven from outside.

use std::sync::Arc;

use statera_core::keys::{Key, state};
use statera_core::values::{Delayed, StateValue};
use statera_core::{RequestKind, Shard, Wants};
use statera_model::{Address, EgressId, Expiration, KeyGroup, Millis, StateSpec, TypedValue};
use statera_ports::{Answer, Request};

use super::check::Check;
use super::{Guests, Hosted, Hosting, door, tag};
use crate::Report;
use crate::image::{dead_letter, dead_message};
use crate::people::Person;
use crate::settings::BEGIN;
use crate::violation::{Checked, Invariant, Violation, violated};
use crate::world::World;

/// The most events until everything has come to rest: functions that send to each other for ever end here.
const EVENTS_MAX: u64 = 1_000_000;

/// A world of hosted functions. Nothing happens in it but while it is told to [rest](Host::rest) or to
/// [call](Host::call).
///
/// After a violation a world is of no use but for its trace.
pub struct Host {
    world: World<Hosted>,
}

/// A message that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Who should have processed it.
    pub target: Address,
    /// What it carries.
    pub argument: TypedValue,
    /// Why it was given up.
    pub reason: Arc<str>,
}

/// A delayed message that is not due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Who sent it.
    pub sender: Address,
    /// Who receives it.
    pub target: Address,
    /// What it carries.
    pub argument: TypedValue,
    /// What cancels it.
    pub token: Option<Arc<str>>,
    /// When it is due, in milliseconds since the beginning.
    pub due_ms: u64,
}

/// Driving.
impl Host {
    /// A world in which nothing has happened.
    ///
    /// # Errors
    /// If an invariant does not hold.
    pub fn new(hosting: Hosting, guests: Guests) -> Result<Host, Violation> {
        let (settings, hosted) = Hosted::new(hosting, guests);
        let mut world = World::new(settings, hosted);
        world.start()?;
        Ok(Host { world })
    }

    /// Somebody sends a message after so many milliseconds. With `until_acknowledged` they use an idempotency key and try until they know that it
    /// is accepted; without, they try once. Returns the number of the request.
    pub fn send(
        &mut self,
        after_ms: u64,
        target: Address,
        argument: &TypedValue,
        until_acknowledged: bool,
    ) -> usize {
        self.request(after_ms, target, argument, RequestKind::Send, until_acknowledged)
    }

    fn request(
        &mut self,
        after_ms: u64,
        target: Address,
        argument: &TypedValue,
        kind: RequestKind,
        keyed: bool,
    ) -> usize {
        let number = self.world.people.len();
        let argument = self.world.life.ledger.request(number, target.clone(), argument);
        let idempotency_key = keyed.then(|| format!("key {number}").into());
        let request = Request { target, argument, idempotency_key, trace: None };
        let due = self.world.now.after(after_ms);
        self.world.welcome(Person::new(format!("request {number}"), request, kind, due));
        number
    }

    /// Somebody sends a message and waits for the answer, also for one that takes so many milliseconds.
    ///
    /// # Errors
    /// If an invariant does not hold, or nobody answers.
    pub fn call(
        &mut self,
        target: Address,
        argument: &TypedValue,
        patience_ms: u64,
    ) -> Result<Answer, Violation> {
        let until = self.world.now.after(patience_ms);
        let number = self.request(0, target.clone(), argument, RequestKind::Call, true);
        let mut events = 0;
        while !self.world.people[number].done {
            if self.world.people[number].waits.is_some() && self.world.is_idle(until) {
                let what = format!("nobody answers the call of `{target}`");
                return violated(Invariant::Functions, what);
            }
            self.world.step_of(&mut events)?;
        }
        let answer = self.world.people[number].answer.clone();
        Ok(match answer.expect("a call that is done has an answer") {
            Answer::Value(value) => {
                Answer::Value(tag::read(&value).map_or(value, |(_, value)| value))
            }
            given_up @ Answer::DeadLettered { .. } => given_up,
        })
    }

    /// Lets happen what is going on, and all delayed messages that become due in the next so many milliseconds. Then checks
    /// everything.
    ///
    /// # Errors
    /// If an invariant does not hold, there is no end, or a message was given up though none may be.
    pub fn rest(&mut self, horizon_ms: u64) -> Result<(), Violation> {
        let last = self.world.people.iter().map(|person| person.due).max().unwrap_or(BEGIN);
        self.run_to_rest(self.world.now.after(horizon_ms).max(last))
    }

    /// Lets so much time pass, and what was going on by then come to its end. Then checks everything.
    ///
    /// # Errors
    /// As [`Host::rest`].
    pub fn advance(&mut self, time_ms: u64) -> Result<(), Violation> {
        let until = self.world.now.after(time_ms);
        self.run_to_rest(until)?;
        self.world.now = self.world.now.max(until);
        Ok(())
    }

    fn run_to_rest(&mut self, until: Millis) -> Checked {
        let mut events = 0;
        while !self.world.is_at_rest(until) {
            self.world.step_of(&mut events)?;
        }
        // What is left of the time are events that change nothing any more.
        while self.world.events.first_key_value().is_some_and(|((at, _), _)| *at <= until) {
            self.world.step_of(&mut events)?;
        }
        if !self.world.is_at_rest(until) {
            return self.run_to_rest(until);
        }
        self.world.check_rest()
    }

    /// The engine crashes now.
    ///
    /// # Errors
    /// If an invariant does not hold.
    pub fn crash(&mut self) -> Result<(), Violation> {
        self.world.crash()
    }

    /// Comes to rest, and ends. What it was like.
    ///
    /// # Errors
    /// As [`Host::rest`].
    pub fn finish(&mut self) -> Result<Report, Violation> {
        self.rest(0)?;
        self.world.check_memory()?;
        Ok(Report {
            trace_hash: self.world.trace.hash(),
            messages: self.world.life.ledger.messages.len(),
            dead_letters: self.given_up().len() as u64,
            ..self.world.figures.clone()
        })
    }

    /// A number from 0 to `end`, `end` excluded, that depends on the seed.
    pub fn random_below(&mut self, end: u64) -> u64 {
        self.world.random.below(end.max(1))
    }
}

/// Looking.
impl Host {
    /// Milliseconds since the beginning.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.world.now.since(BEGIN)
    }

    /// Whether the sender of a request knows that it is accepted.
    #[must_use]
    pub fn is_acknowledged(&self, request: usize) -> bool {
        self.world.people[request].acknowledged
    }

    /// The durable value of a state, unless it has expired.
    #[must_use]
    pub fn state(&self, of: &Address, spec: &StateSpec) -> Option<TypedValue> {
        let group = KeyGroup::of(&of.id, self.world.settings.key_groups);
        let stored = self.world.durable.get(&state(group, of, &spec.name))?.clone();
        let StateValue { last_access, value } = StateValue::decode(stored).expect("a state value");
        let alive = match spec.expiration {
            Expiration::Never => true,
            Expiration::AfterWrite { ttl_ms } | Expiration::AfterInvoke { ttl_ms } => {
                last_access.after(ttl_ms.unsigned_abs()) > self.world.now
            }
        };
        alive.then_some(value)
    }

    /// The records that have arrived where an egress leads, in order, with their senders.
    #[must_use]
    pub fn arrived(&self, egress: &EgressId) -> Vec<(Address, TypedValue)> {
        let ledger = &self.world.life.ledger;
        let written = &self.world.endpoints[door(egress)].written;
        let numbered = written.iter().flat_map(|(_, records)| records.iter().map(tag::read));
        let records = numbered.map(|record| record.expect("records are numbered"));
        let mine = records.filter(|(number, _)| ledger.records[*number].egress == *egress);
        mine.map(|(number, record)| (ledger.emitter(number).clone(), record)).collect()
    }

    /// The messages in the durable dead letters.
    #[must_use]
    pub fn given_up(&self) -> Vec<GivenUp> {
        self.world.given_up()
    }

    /// The durable delayed messages, soonest first.
    #[must_use]
    pub fn waiting(&self) -> Vec<Waiting> {
        let mut waiting = Vec::new();
        for (key, value) in &self.world.durable {
            let (_, key) = Key::decode(key).expect("the core writes its own keys");
            let Key::Delayed(place) = key else { continue };
            let Delayed { sender, target, token, argument } =
                Delayed::decode(value.clone()).expect("a delayed message");
            let (number, argument) = tag::read(&argument).expect("messages are numbered");
            let due_ms = place.due.since(BEGIN);
            waiting.push((due_ms, number, Waiting { sender, target, argument, token, due_ms }));
        }
        waiting.sort_by_key(|(due_ms, number, _)| (*due_ms, *number));
        waiting.into_iter().map(|(_, _, waiting)| waiting).collect()
    }

    /// The last lines of what happened, at most so many, without what happened inside the engine.
    #[must_use]
    pub fn story(&self, lines: usize) -> String {
        self.world.trace.story(lines)
    }

    /// The last lines of all that happened.
    #[must_use]
    pub fn trace_tail(&self) -> String {
        self.world.trace.tail()
    }
}

impl World<Hosted> {
    fn step_of(&mut self, events: &mut u64) -> Checked {
        *events += 1;
        if *events > EVENTS_MAX {
            let what = format!(
                "the functions are still busy after {EVENTS_MAX} events; hint: they may send to each other for ever, \
                 or have shorter timers than there is time"
            );
            return violated(Invariant::Functions, what);
        }
        if self.step()? {
            return Ok(());
        }
        let figures: Vec<_> = self.process.shards.iter().map(Shard::figures).collect();
        violated(Invariant::Progress, format!("nothing happens any more, but: {figures:?}"))
    }

    /// Whether nothing is going on but delayed messages that are due after `until`.
    fn is_at_rest(&self, until: Millis) -> bool {
        let served =
            |person: &Person| person.done || (person.asked_at.is_none() && person.due > until);
        self.is_idle(until) && self.people.iter().all(served)
    }

    fn is_idle(&self, until: Millis) -> bool {
        let process = &self.process;
        let committed = !process.pulse
            && process.cutting.is_none()
            && process.writing.is_empty()
            && process.confirmed.is_empty();
        let idle = |shard: &Shard| {
            let figures = shard.figures();
            figures.mail + figures.in_flight + figures.outbox == 0
                && shard.wants() == Wants::Nothing
                && shard.next_deadline().is_none_or(|at| at > until)
        };
        committed
            && process.rounds.iter().all(|round| round.effects.is_empty())
            && process.channels.values().all(|channel| channel.is_empty())
            && process.shards.iter().all(idle)
    }

    fn check_rest(&self) -> Checked {
        for shard in &self.process.shards {
            shard.check();
        }
        let check = Check::new(self)?;
        check.always()?;
        check.at_rest()?;
        let given_up = if self.life.hosting.dead_letters { None } else { self.given_up().pop() };
        let Some(GivenUp { target, argument, reason }) = given_up else { return Ok(()) };
        let argument = (self.life.guests.show)(&argument);
        violated(Invariant::Functions, format!("`{target}` did not process {argument}: {reason}"))
    }

    fn given_up(&self) -> Vec<GivenUp> {
        let mut found = Vec::new();
        for (key, value) in &self.durable {
            let (_, key) = Key::decode(key).expect("the core writes its own keys");
            if !matches!(key, Key::DeadLetter(_)) {
                continue;
            }
            let letter = dead_letter(value.clone());
            let (target, mail) = dead_message(letter.body).expect("there are no sources");
            let (_, argument) = tag::read(&mail.argument).expect("messages are numbered");
            found.push(GivenUp { target, argument, reason: letter.reason });
        }
        found
    }
}
