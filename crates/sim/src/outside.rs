//! The world outside: people who ask, sources, destinations, an operator.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use statera_core::keys::Key;
use statera_core::{Input, RequestKind, Shard, Ticket};
use statera_model::{Address, Epoch, KeyGroup, Millis};
use statera_ports::{Answer, Refusal, Request, SourceBatch, SourceId, SourceRecord};

use crate::book::Origin;
use crate::check::{Checked, Invariant, dead_message, source_name, violated};
use crate::functions::{
    FLAKY, Message, NOBODY, PLAIN, SERVED, SHY, Work, answer_text, name, read_text,
};
use crate::plan::BEGIN;
use crate::random::Random;
use crate::world::{Event, Waiter, World};

/// How long a person waits before giving up a ticket.
const WAIT_MS: u64 = 2_000;
/// How long an answer may take when only others fail.
const QUICK_MS: u64 = 1_500;

/// Somebody who has one request.
#[derive(Debug)]
pub(crate) struct Person {
    message: Message,
    target: Address,
    kind: RequestKind,
    key: Option<Arc<str>>,
    /// How often an accepted request is made again.
    repeats: u64,
    asked_at: Option<Millis>,
    waits: Option<Ticket>,
    done: bool,
    answer: Option<Answer>,
}

impl Person {
    pub(crate) fn check_end(&self) -> Checked {
        if self.done {
            return Ok(());
        }
        violated(Invariant::Progress, format!("nobody answered {self:?}"))
    }
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

/// Where egress records go, and the sink on the way there.
#[derive(Debug, Default)]
pub(crate) struct Endpoint {
    /// What has arrived.
    pub(crate) written: Vec<(Epoch, Vec<String>)>,
    pub(crate) queue: VecDeque<(Epoch, Vec<String>)>,
    pub(crate) busy: bool,
}

impl World {
    pub(crate) fn populate(&mut self) {
        let time_ms = self.plan.calm_at.since(BEGIN);
        for number in 0..self.plan.requests {
            let person = self.person(number);
            self.book.plan(
                person.target.clone(),
                Origin::Request,
                person.message.clone(),
                self.plan.ids,
            );
            self.people.push(person);
            let delay_ms = self.random.below(time_ms);
            self.later(delay_ms, Event::Ask(number as usize));
        }
        for source in 0..self.plan.sources {
            let records =
                (0..self.plan.records).map(|record| self.record(source, record)).collect();
            self.sources.push(Source { records, next: 0 });
            self.later(1, Event::Read(source));
        }
    }

    fn person(&mut self, number: u64) -> Person {
        let id = format!("q{number}");
        let failing = self.random.one_in(self.plan.failing_one_in);
        let random = &mut self.random;
        let kind = if random.one_in(3) { RequestKind::Call } else { RequestKind::Send };
        let work = match kind {
            _ if failing => failing_work(random),
            RequestKind::Call if random.one_in(3) => Work::Ask,
            RequestKind::Call => Work::Answer,
            RequestKind::Send => work(random),
        };
        let key = (random.one_in(2)).then(|| format!("key{number}").into());
        let target = requested(random, self.plan.ids, failing && self.plan.timed);
        Person {
            target,
            message: Message { id, work },
            kind,
            repeats: if key.is_some() { random.below(3) } else { 0 },
            key,
            asked_at: None,
            waits: None,
            done: false,
            answer: None,
        }
    }

    fn record(&mut self, source: usize, record: usize) -> SourceRecord {
        if self.random.one_in(25) {
            let place = format!("{} record {record}", source_name(source));
            self.malformed.push((place.clone(), source, record));
            let reason = "not a message".to_owned();
            return SourceRecord::Malformed { place, reason, record: Bytes::from_static(b"?") };
        }
        let failing = self.random.one_in(self.plan.failing_one_in);
        let work = if failing { failing_work(&mut self.random) } else { work(&mut self.random) };
        let id = format!("{}:{record}", source_name(source));
        let apart = failing && self.plan.timed;
        let target = requested(&mut self.random, self.plan.ids, apart);
        let message = Message { id, work };
        let argument = message.value();
        self.book.plan(target.clone(), Origin::Source { source, record }, message, self.plan.ids);
        SourceRecord::Message { targets: vec![target], argument }
    }

    pub(crate) fn owner(&self, group: KeyGroup) -> usize {
        group.shard(self.plan.shards.into(), self.plan.key_groups)
    }

    fn ticket(&mut self, waiter: Waiter) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.process.tickets.insert(ticket, waiter);
        ticket
    }

    pub(crate) fn ask(&mut self, number: usize) -> Checked {
        let ticket = self.ticket(Waiter::Person(number));
        let now = self.now;
        let person = &mut self.people[number];
        if person.waits.is_some() {
            return Ok(());
        }
        person.waits = Some(ticket);
        person.asked_at.get_or_insert(now);
        let request = Request {
            target: person.target.clone(),
            argument: person.message.value(),
            idempotency_key: person.key.clone(),
        };
        let (kind, keyed) = (person.kind, person.key.is_some());
        self.trace.note(now, format_args!("{} asks {} {kind:?}", person.message.id, person.target));
        self.later(WAIT_MS, Event::GiveUp(number, ticket));
        let shard = self.owner(KeyGroup::of(&request.target.id, self.plan.key_groups));
        let full =
            self.process.shards[shard].figures().mail_bytes >= self.plan.limits.mailbox_bytes;
        self.apply(shard, Input::Request { ticket, request, kind })?;
        if full && !keyed && self.process.tickets.contains_key(&ticket) {
            return violated(Invariant::Bounds, "a request is accepted though mailboxes are full");
        }
        let keys = self.process.shards[shard].figures().idempotency_keys;
        let keys_max = self.plan.limits.idempotency_keys;
        // After a restart with fewer shards one of them may have the keys of several.
        if self.figures.crashes == 0 && keys > keys_max {
            return violated(Invariant::Bounds, format!("{keys} idempotency keys"));
        }
        Ok(())
    }

    /// The request of a person was not accepted: nothing of it remains.
    pub(crate) fn refused(&mut self, number: usize, refusal: &Refusal) -> Checked {
        self.figures.refusals += 1;
        let person = &mut self.people[number];
        self.trace.note(self.now, format_args!("{} refused: {refusal}", person.message.id));
        person.waits = None;
        if World::is_full(refusal) {
            // Whoever retries for ever gets through in the end, unless the limit is one of keys.
            let no_keys = matches!(refusal, Refusal::Full { limit: "limits.idempotencyKeys" });
            if no_keys {
                person.key = None;
                person.repeats = 0;
            }
            let delay_ms = self.random.between(20, 200);
            self.later(delay_ms, Event::Ask(number));
            return Ok(());
        }
        person.done = true;
        match refusal {
            Refusal::NotCovered(function) if function.as_str() == NOBODY => {
                self.book.refused.insert(person.message.id.clone());
                Ok(())
            }
            other => panic!("{person:?} was refused: {other}"),
        }
    }

    pub(crate) fn accepted(&mut self, number: usize, answer: Option<Answer>) -> Checked {
        let person = &mut self.people[number];
        self.trace.note(self.now, format_args!("{} accepted, {answer:?}", person.message.id));
        person.waits = None;
        self.book.acknowledged.insert(person.message.id.clone());
        if answer.is_some() != (person.kind == RequestKind::Call) {
            return violated(Invariant::Durability, format!("{answer:?} for {person:?}"));
        }
        if let Some(Answer::Value(value)) = &answer
            && read_text(value) != answer_text(&person.message.id)
        {
            return violated(Invariant::ExactlyOnce, format!("{answer:?} for {person:?}"));
        }
        if person.answer.is_some() && person.answer != answer {
            let what = format!("two answers, the later one is {answer:?}: {person:?}");
            return violated(Invariant::ExactlyOnce, what);
        }
        person.answer = answer;
        self.figures.answers += u64::from(person.answer.is_some());
        self.check_quick(number)?;
        let person = &mut self.people[number];
        if person.repeats > 0 {
            person.repeats -= 1;
            let delay_ms = self.random.below(400);
            self.later(delay_ms, Event::Ask(number));
        }
        self.people[number].done = true;
        Ok(())
    }

    /// A request to those who do not fail is answered in time (8).
    fn check_quick(&self, number: usize) -> Checked {
        let person = &self.people[number];
        let function = person.target.function.as_str();
        let affected =
            ![PLAIN, SHY].contains(&function) || person.message.work.fails() || person.done;
        let waited = self.now.since(person.asked_at.expect("accepted after it was asked"));
        if !self.plan.timed || affected || waited < QUICK_MS {
            return Ok(());
        }
        violated(Invariant::Isolation, format!("{person:?} waited {waited} ms"))
    }

    pub(crate) fn give_up(&mut self, number: usize, ticket: Ticket) -> Checked {
        let person = &mut self.people[number];
        if person.waits != Some(ticket) {
            return Ok(());
        }
        self.trace.note(self.now, format_args!("{} gives up", person.message.id));
        person.waits = None;
        let group = KeyGroup::of(&person.target.id, self.plan.key_groups);
        let keyed = person.key.is_some();
        if keyed {
            let delay_ms = self.random.below(100);
            self.later(delay_ms, Event::Ask(number));
        } else {
            // Whether it was accepted will never be known.
            person.done = true;
        }
        self.process.tickets.remove(&ticket);
        let shard = self.owner(group);
        self.apply(shard, Input::Forget(ticket))
    }

    /// After a crash those with a key ask again, the others never learn what became of their requests.
    pub(crate) fn recover_people(&mut self) {
        for number in 0..self.people.len() {
            if self.people[number].waits.take().is_none() {
                continue;
            }
            if self.people[number].key.is_some() {
                let delay_ms = self.random.below(100);
                self.later(delay_ms, Event::Ask(number));
            } else {
                self.people[number].done = true;
            }
        }
    }

    fn source_id(source: usize) -> SourceId {
        SourceId { ingress: name("sim/in"), partition: source_name(source).into() }
    }

    pub(crate) fn read_source(&mut self, source: usize) -> Checked {
        let next = self.sources[source].next;
        let id = World::source_id(source);
        let shard = self.owner(Shard::source_group(&id, self.plan.key_groups));
        let figures = self.process.shards[shard].figures();
        let pause_ms = self.random.below(150);
        if next == self.sources[source].records.len() {
            return Ok(());
        }
        self.later(pause_ms, Event::Read(source));
        if figures.mail_bytes >= self.plan.limits.mailbox_bytes {
            return Ok(());
        }
        let count = self.random.between(1, 4) as usize;
        let end = (next + count).min(self.sources[source].records.len());
        let records = self.sources[source].records[next..end].to_vec();
        self.sources[source].next = end;
        self.trace.note(self.now, format_args!("source {source} {next}..{end}"));
        let position = end.to_string().into();
        self.apply(shard, Input::Deliver(SourceBatch { source: id, records, position }))
    }

    pub(crate) fn recover_sources(&mut self) {
        for source in 0..self.sources.len() {
            let id = World::source_id(source);
            let group = Shard::source_group(&id, self.plan.key_groups);
            let position = self.durable.get(&Key::Source(id).encode(group));
            let finished = self.sources[source].next == self.sources[source].records.len();
            self.sources[source].next = position
                .map_or(0, |position| String::from_utf8_lossy(position).parse().expect("a number"));
            // A source that reads has its next event planned.
            if finished && self.process.generation > 0 {
                self.later(1, Event::Read(source));
            }
        }
    }

    /// The operator looks at dead letters and paused addresses, and does something about some of them.
    pub(crate) fn operate(&mut self) -> Checked {
        let mut found = Vec::new();
        for (bytes, value) in &self.durable {
            let (group, key) = Key::decode(bytes).expect("a key");
            if matches!(key, Key::DeadLetter(_) | Key::Paused(_)) {
                found.push((group, key, value.clone()));
            }
        }
        if !found.is_empty() || !self.events.is_empty() {
            let again = self.events.values().any(|event| matches!(event, Event::Operate));
            if !again {
                self.later(200, Event::Operate);
            }
        }
        for (group, key, value) in found {
            if self.calm || self.random.one_in(3) {
                self.handle(group, key, value)?;
            }
        }
        Ok(())
    }

    fn handle(&mut self, group: KeyGroup, key: Key, value: Bytes) -> Checked {
        let ticket = self.ticket(Waiter::Operator);
        let shard = self.owner(group);
        self.trace.note(self.now, format_args!("operator handles {key:?}"));
        let input = match key {
            Key::Paused(address) => Input::Resume { ticket, address },
            Key::DeadLetter(id) => match dead_message(value) {
                Err(place) => {
                    self.book.discarded.insert(place);
                    Input::Discard { ticket, id }
                }
                Ok((target, mail)) => {
                    let message = Message::parse(&mail.argument).id;
                    if target.function.as_str() == NOBODY || self.random.one_in(5) {
                        self.book.discarded.insert(message);
                        Input::Discard { ticket, id }
                    } else {
                        self.book.redriven.insert(message);
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
