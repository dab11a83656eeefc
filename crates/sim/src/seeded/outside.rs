//! The world outside: people who ask, sources, an operator.

use std::sync::Arc;

use bytes::Bytes;
use statera_core::keys::Key;
use statera_core::{Halted, Input, Policy, Reload, RequestKind, Shard};
use statera_model::{Address, KeyGroup, TraceContext};
use statera_ports::{Answer, Refusal, Request, SourceBatch, SourceId, SourceRecord};

use super::Seeded;
use super::book::Origin;
use super::check::source_name;
use super::functions::{
    FLAKY, Message, NOBODY, PLAIN, SERVED, SHY, Work, answer_text, name, policy, read_text,
};
use crate::image::{dead_letter, dead_message};
use crate::life::Life as _;
use crate::people::Person;
use crate::random::Random;
use crate::settings::BEGIN;
use crate::violation::{Checked, Invariant, violated};
use crate::world::{Event, Inside, Waiter, World};

/// How long an answer may take when only others fail.
const QUICK_MS: u64 = 1_500;

/// What is going to happen outside, apart from people.
#[derive(Debug)]
pub(crate) enum Occasion {
    /// A source reads on.
    Read(usize),
    /// The operator looks around.
    Operate,
    /// Faults stop.
    Calm,
}

/// A replayable source.
#[derive(Debug)]
pub(crate) struct Source {
    records: Vec<SourceRecord>,
    next: usize,
}

impl Source {
    pub(crate) fn check_end(&self) -> Checked {
        if self.next == self.records.len() {
            return Ok(());
        }
        violated(Invariant::Progress, format!("a source stands at {}", self.next))
    }
}

impl World<Seeded> {
    pub(crate) fn populate(&mut self) {
        let time_ms = self.life.plan.calm_at.since(BEGIN);
        for number in 0..self.life.plan.requests {
            let (mut person, message) = self.person(number);
            let target = person.request.target.clone();
            self.life.book.plan(target, Origin::Request, message, self.life.plan.ids);
            person.due = BEGIN.after(self.random.below(time_ms));
            self.welcome(person);
        }
        for source in 0..self.life.plan.sources {
            let records =
                (0..self.life.plan.records).map(|record| self.record(source, record)).collect();
            self.life.sources.push(Source { records, next: 0 });
            self.later(1, Event::Outside(Occasion::Read(source)));
        }
    }

    fn person(&mut self, number: u64) -> (Person, Message) {
        let plan = &self.life.plan;
        let random = &mut self.random;
        let failing = random.one_in(plan.failing_one_in);
        let kind = if random.one_in(3) { RequestKind::Call } else { RequestKind::Send };
        let work = match kind {
            _ if failing => failing_work(random),
            RequestKind::Call if random.one_in(3) => Work::Ask,
            RequestKind::Call => Work::Answer,
            RequestKind::Send => work(random),
        };
        let keyed = random.one_in(2);
        let message = Message { id: format!("q{number}"), work };
        let request = Request {
            target: requested(random, plan.ids, failing && plan.timed),
            argument: message.value(),
            idempotency_key: keyed.then(|| format!("key{number}").into()),
            // Traces change nothing.
            trace: number.is_multiple_of(3).then(|| TraceContext {
                trace: u128::from(number + 1).to_be_bytes(),
                span: [1; 8],
                sampled: true,
            }),
        };
        let repeats = if keyed { random.below(3) } else { 0 };
        let person = Person::new(message.id.clone(), request, kind, BEGIN);
        (Person { repeats, ..person }, message)
    }

    fn record(&mut self, source: usize, record: usize) -> SourceRecord {
        if self.random.one_in(25) {
            let place = format!("{} record {record}", source_name(source));
            self.life.malformed.push((place.clone(), source, record));
            let reason = "not a message".to_owned();
            return SourceRecord::Malformed { place, reason, record: Bytes::from_static(b"?") };
        }
        let failing = self.random.one_in(self.life.plan.failing_one_in);
        let work = if failing { failing_work(&mut self.random) } else { work(&mut self.random) };
        let id = format!("{}:{record}", source_name(source));
        let apart = failing && self.life.plan.timed;
        let target = requested(&mut self.random, self.life.plan.ids, apart);
        let message = Message { id, work };
        let argument = message.value();
        self.life.book.plan(
            target.clone(),
            Origin::Source { source, record },
            message,
            self.life.plan.ids,
        );
        SourceRecord::Message { targets: vec![target], argument, trace: None }
    }

    /// What a person hears.
    pub(crate) fn heard(&mut self, number: usize, answer: Option<&Answer>) -> Checked {
        let person = &self.people[number];
        self.life.book.acknowledged.insert(person.name.clone());
        if let Some(Answer::Value(value)) = answer
            && read_text(value) != answer_text(&person.name)
        {
            return violated(Invariant::ExactlyOnce, format!("{answer:?} for {person:?}"));
        }
        self.check_quick(number)
    }

    pub(crate) fn turned_away(&mut self, number: usize, refusal: &Refusal) -> Checked {
        let person = &self.people[number];
        match refusal {
            Refusal::NotCovered(function) if function.as_str() == NOBODY => {
                self.life.book.refused.insert(person.name.clone());
                Ok(())
            }
            other => panic!("{person:?} was refused: {other}"),
        }
    }

    /// A request to those who do not fail is answered in time (8).
    fn check_quick(&self, number: usize) -> Checked {
        let person = &self.people[number];
        let function = person.request.target.function.as_str();
        let fails = self.life.book.entries[&person.name].fails;
        let affected = ![PLAIN, SHY].contains(&function) || fails || person.done;
        let waited = self.now.since(person.asked_at.expect("accepted after it was asked"));
        if !self.life.plan.timed || affected || waited < QUICK_MS {
            return Ok(());
        }
        violated(Invariant::Isolation, format!("{person:?} waited {waited} ms"))
    }

    fn source_id(source: usize) -> SourceId {
        SourceId { ingress: name("sim/in"), partition: source_name(source).into() }
    }

    pub(crate) fn read_source(&mut self, source: usize) -> Checked {
        let next = self.life.sources[source].next;
        let id = Self::source_id(source);
        let shard = self.owner(Shard::source_group(&id, self.settings.key_groups));
        let figures = self.process.shards[shard].figures();
        let pause_ms = self.random.below(150);
        if next == self.life.sources[source].records.len() {
            return Ok(());
        }
        self.later(pause_ms, Event::Outside(Occasion::Read(source)));
        if figures.mail_bytes >= self.settings.limits.mailbox_bytes {
            return Ok(());
        }
        let count = self.random.between(1, 4) as usize;
        let end = (next + count).min(self.life.sources[source].records.len());
        let records = self.life.sources[source].records[next..end].to_vec();
        self.life.sources[source].next = end;
        self.trace.note(self.now, format_args!("source {source} {next}..{end}"));
        let position = end.to_string().into();
        self.apply(shard, Input::Deliver(SourceBatch { source: id, records, position }))
    }

    pub(crate) fn recover_sources(&mut self) {
        for source in 0..self.life.sources.len() {
            let id = Self::source_id(source);
            let group = Shard::source_group(&id, self.settings.key_groups);
            let position = self.durable.get(&Key::Source(id).encode(group));
            let finished =
                self.life.sources[source].next == self.life.sources[source].records.len();
            self.life.sources[source].next = position
                .map_or(0, |position| String::from_utf8_lossy(position).parse().expect("a number"));
            // A source that reads has its next event planned.
            if finished && self.process.generation > 0 {
                self.later(1, Event::Outside(Occasion::Read(source)));
            }
        }
    }

    /// The operator looks at dead letters and paused addresses, and does something about some of them.
    pub(crate) fn operate(&mut self) -> Checked {
        if !self.calm && !self.life.plan.timed && self.random.one_in(4) {
            self.reload()?;
        }
        let mut found = Vec::new();
        for (bytes, value) in &self.durable {
            let (group, key) = Key::decode(bytes).expect("a key");
            if matches!(key, Key::DeadLetter(_) | Key::Paused(_)) {
                found.push((group, key, value.clone()));
            }
        }
        if !found.is_empty() || !self.events.is_empty() {
            let again = self
                .events
                .values()
                .any(|event| matches!(event, Event::Outside(Occasion::Operate)));
            if !again {
                self.later(200, Event::Outside(Occasion::Operate));
            }
        }
        for (group, key, value) in found {
            if self.calm || self.random.one_in(3) {
                self.handle(group, key, value)?;
            }
        }
        Ok(())
    }

    /// Other limits from now on, in one shard sooner than in another.
    fn reload(&mut self) -> Checked {
        let (batch_messages, in_flight) =
            (self.random.between(1, 20) as usize, self.random.between(1, 10) as usize);
        self.trace.note(
            self.now,
            format_args!("reload: batches of {batch_messages}, {in_flight} in flight"),
        );
        let linked = self.life.plan.linked;
        let limited = move |policy: Policy| Policy {
            batch_messages: batch_messages.min(policy.batch_messages),
            in_flight: in_flight.min(policy.in_flight),
            ..policy
        };
        let reload = Reload {
            directory: Arc::new(move |function| policy(function, linked).map(limited)),
            egresses: self.life.egresses().into_iter().collect(),
            halted: Halted(Arc::new(|_| false)),
        };
        for shard in 0..self.process.shards.len() {
            self.apply(shard, Input::AwaitReload)?;
        }
        for shard in 0..self.process.shards.len() {
            let delay_ms = self.random.below(30);
            self.inside(delay_ms, Inside::Reload(shard, reload.clone()));
        }
        Ok(())
    }

    fn handle(&mut self, group: KeyGroup, key: Key, value: Bytes) -> Checked {
        let ticket = self.ticket(Waiter::Operator);
        let shard = self.owner(group);
        self.trace.note(self.now, format_args!("operator handles {key:?}"));
        let input = match key {
            Key::Paused(address) => Input::Resume { ticket, address },
            Key::DeadLetter(id) => match dead_message(dead_letter(value).body) {
                Err(place) => {
                    self.life.book.discarded.insert(place);
                    Input::Discard { ticket, id }
                }
                Ok((target, mail)) => {
                    let message = Message::parse(&mail.argument).id;
                    if target.function.as_str() == NOBODY || self.random.one_in(5) {
                        self.life.book.discarded.insert(message);
                        Input::Discard { ticket, id }
                    } else {
                        self.life.book.redriven.insert(message);
                        Input::Redrive { ticket, id, target, mail: vec![mail] }
                    }
                }
            },
            other => unreachable!("{other:?} is not for the operator"),
        };
        self.apply(shard, input)
    }
}

/// To whom a request goes; `apart`: not to one of those that should be quick.
fn requested(random: &mut Random, ids: u64, apart: bool) -> Address {
    let function = match random.below(40) {
        _ if apart => SERVED[random.between(2, 5) as usize],
        0 => NOBODY,
        1..4 => FLAKY,
        _ => SERVED[random.below(6) as usize],
    };
    Address::new(name(function), format!("k{}", random.below(ids)))
}

fn work(random: &mut Random) -> Work {
    match random.below(12) {
        0 => Work::Count,
        1 => Work::Relay(random.below(20)),
        2 => Work::Fan(random.between(1, 5), random.below(3)),
        3 | 4 => Work::Transfer(random.between(1, 100) as i64),
        5 => Work::Later(random.below(800)),
        6 => Work::Later(0),
        7 => Work::Race(random.below(40)),
        8 => Work::Reschedule(random.below(300)),
        9 => Work::Answer,
        _ => Work::Emit,
    }
}

fn failing_work(random: &mut Random) -> Work {
    match random.below(5) {
        0 => Work::Poison,
        1 => Work::Fatal,
        2 => Work::Killer,
        _ => Work::Bad(random.below(6)),
    }
}
