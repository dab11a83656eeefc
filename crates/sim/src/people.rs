//! People who ask something of the engine: those with an idempotency key ask until they know that they are heard, the
//! others may never learn what became of their request.

use statera_core::{Input, RequestKind, Ticket};
use statera_model::{KeyGroup, Millis};
use statera_ports::{Answer, Refusal, Request};

use crate::life::Life;
use crate::violation::{Checked, Invariant, violated};
use crate::world::{Event, Waiter, World};

/// How long a person waits before giving up a ticket.
const WAIT_MS: u64 = 2_000;

/// Somebody who has one request.
#[derive(Debug)]
pub(crate) struct Person {
    /// What the request is called.
    pub(crate) name: String,
    pub(crate) request: Request,
    pub(crate) kind: RequestKind,
    /// How often an accepted request is made again.
    pub(crate) repeats: u64,
    /// When it is made first.
    pub(crate) due: Millis,
    pub(crate) asked_at: Option<Millis>,
    pub(crate) waits: Option<Ticket>,
    /// Whether they know that they are heard.
    pub(crate) acknowledged: bool,
    /// Whether they are no longer interested.
    pub(crate) done: bool,
    pub(crate) answer: Option<Answer>,
}

impl Person {
    pub(crate) fn new(name: String, request: Request, kind: RequestKind, due: Millis) -> Person {
        Person {
            name,
            request,
            kind,
            repeats: 0,
            due,
            asked_at: None,
            waits: None,
            acknowledged: false,
            done: false,
            answer: None,
        }
    }

    pub(crate) fn check_end(&self) -> Checked {
        if self.done {
            return Ok(());
        }
        violated(Invariant::Progress, format!("nobody answered {self:?}"))
    }
}

impl<L: Life> World<L> {
    /// Somebody new, who asks when it is time.
    pub(crate) fn welcome(&mut self, person: Person) {
        self.at(person.due, Event::Ask(self.people.len()));
        self.people.push(person);
    }

    pub(crate) fn ticket(&mut self, waiter: Waiter) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.process.tickets.insert(ticket, waiter);
        ticket
    }

    pub(crate) fn ask(&mut self, number: usize) -> Checked {
        if self.people[number].waits.is_some() {
            return Ok(());
        }
        let ticket = self.ticket(Waiter::Person(number));
        let now = self.now;
        let person = &mut self.people[number];
        person.waits = Some(ticket);
        person.asked_at.get_or_insert(now);
        let (request, kind) = (person.request.clone(), person.kind);
        let keyed = request.idempotency_key.is_some();
        let (name, target) = (&person.name, &request.target);
        let shown = self.life.show(&request.argument);
        self.trace.note(now, format_args!("{name}, {kind:?} to {target}: {shown}"));
        self.later(WAIT_MS, Event::GiveUp(number, ticket));
        let shard = self.owner(KeyGroup::of(&request.target.id, self.settings.key_groups));
        let limits = self.settings.limits;
        let full = self.process.shards[shard].figures().mail_bytes >= limits.mailbox_bytes;
        self.apply(shard, Input::Request { ticket, request, kind })?;
        let heard = self.process.rounds[shard].effects.is_empty();
        if full && !keyed && heard && self.process.tickets.contains_key(&ticket) {
            return violated(Invariant::Bounds, "a request is accepted though mailboxes are full");
        }
        let keys = self.process.shards[shard].figures().idempotency_keys;
        // After a restart with fewer shards one of them may have the keys of several.
        if self.figures.crashes == 0 && keys > limits.idempotency_keys {
            return violated(Invariant::Bounds, format!("{keys} idempotency keys"));
        }
        Ok(())
    }

    /// The request of a person was not accepted: nothing of it remains.
    pub(crate) fn refused(&mut self, number: usize, refusal: &Refusal) -> Checked {
        self.figures.refusals += 1;
        let person = &mut self.people[number];
        self.trace.note(self.now, format_args!("{} is refused: {refusal}", person.name));
        person.waits = None;
        if let Refusal::Full { limit } = refusal {
            // Whoever retries for ever gets through in the end, unless the limit is one of keys.
            if *limit == "limits.idempotencyKeys" {
                person.request.idempotency_key = None;
                person.repeats = 0;
            }
            let delay_ms = self.random.between(20, 200);
            self.later(delay_ms, Event::Ask(number));
            return Ok(());
        }
        person.done = true;
        L::refused(self, number, refusal)
    }

    pub(crate) fn accepted(&mut self, number: usize, answer: Option<Answer>) -> Checked {
        let shown = match &answer {
            Some(Answer::Value(value)) => format!(": {}", self.life.show(value)),
            Some(answer) => format!(": {answer:?}"),
            None => String::new(),
        };
        let person = &mut self.people[number];
        self.trace.note(self.now, format_args!("{} is accepted{shown}", person.name));
        person.waits = None;
        person.acknowledged = true;
        if answer.is_some() != (person.kind == RequestKind::Call) {
            return violated(Invariant::Durability, format!("{answer:?} for {person:?}"));
        }
        if person.answer.is_some() && person.answer != answer {
            let what = format!("two answers, the later one is {answer:?}: {person:?}");
            return violated(Invariant::ExactlyOnce, what);
        }
        self.figures.answers += u64::from(answer.is_some());
        person.answer = answer.clone();
        L::accepted(self, number, answer.as_ref())?;
        let person = &mut self.people[number];
        person.done = true;
        if person.repeats > 0 {
            person.repeats -= 1;
            let delay_ms = self.random.below(400);
            self.later(delay_ms, Event::Ask(number));
        }
        Ok(())
    }

    pub(crate) fn give_up(&mut self, number: usize, ticket: Ticket) -> Checked {
        let person = &mut self.people[number];
        if person.waits != Some(ticket) {
            return Ok(());
        }
        self.trace.note(self.now, format_args!("{} waits no longer", person.name));
        let group = KeyGroup::of(&person.request.target.id, self.settings.key_groups);
        self.lose_patience(number);
        self.process.tickets.remove(&ticket);
        let shard = self.owner(group);
        self.apply(shard, Input::Forget(ticket))
    }

    /// After a crash those who were waiting know nothing.
    pub(crate) fn recover_people(&mut self) {
        for number in 0..self.people.len() {
            if self.people[number].waits.is_some() {
                self.lose_patience(number);
            }
        }
    }

    /// With a key one may ask again; without, one will never know.
    fn lose_patience(&mut self, number: usize) {
        let person = &mut self.people[number];
        person.waits = None;
        if person.request.idempotency_key.is_some() {
            let delay_ms = self.random.below(100);
            self.later(delay_ms, Event::Ask(number));
        } else {
            person.done = true;
        }
    }
}
