//! What the shell around a shard does: it carries out effects, and brings back what came of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use statera_core::{Effect, Input, InvocationId, PeerItem};
use statera_model::{Address, Expiration, Failure, FailureKind, Millis, Outcome, StateChange};
use statera_ports::{Answer, Refusal};

use crate::check::{Checked, Invariant, encode_request, violated};
use crate::functions::{Answered, Asked, FLAKY, Message, answer, is_call, read_text, states_of};
use crate::plan::Sabotage;
use crate::world::{Inside, Waiter, World};

/// How long an endpoint that is down takes to say so, where that matters.
const HANGS_MS: u64 = 5_000;

impl World {
    pub(crate) fn effect(&mut self, shard: usize, effect: Effect) -> Checked {
        match effect {
            Effect::Invoke(id) => {
                self.invoke(shard, id)?;
                if self.plan.sabotage == Some(Sabotage::InvokeTwice) && self.random.one_in(20) {
                    self.invoke(shard, id)?;
                }
                Ok(())
            }
            Effect::Load(id) => {
                let keys = self.process.shards[shard].missing_states(id);
                self.trace.note(self.now, format_args!("{shard} load {id:?} {}", keys.len()));
                let delay_ms = self.random.below(12);
                self.inside(delay_ms, Inside::Loaded { shard, id, keys });
                Ok(())
            }
            Effect::Send { shard: to, message } => {
                self.send(shard, to.into(), PeerItem::Message(message));
                Ok(())
            }
            Effect::Marker(cut) => {
                for to in (0..self.process.shards.len()).filter(|to| *to != shard) {
                    self.send(shard, to, PeerItem::Marker(cut.clone()));
                }
                Ok(())
            }
            Effect::Part(part) => self.part(shard, part),
            Effect::Refuse { ticket, refusal } => match self.process.tickets.remove(&ticket) {
                Some(Waiter::Person(person)) => self.refused(person, &refusal),
                other => panic!("{other:?} was refused"),
            },
            Effect::Unknown(ticket) => {
                self.process.tickets.remove(&ticket);
                Ok(())
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, item: PeerItem) {
        self.trace.note(self.now, format_args!("{from} sends {to} {}", describe(&item)));
        let channel = self.process.channels.entry((from, to)).or_default();
        channel.push_back(item);
        if self.plan.sabotage == Some(Sabotage::ReorderBetweenShards)
            && let [.., PeerItem::Message(_), PeerItem::Message(_)] = channel.make_contiguous()
        {
            let last = channel.len() - 1;
            channel.swap(last, last - 1);
        }
        let slow = self.random.one_in(20);
        let delay_ms = if slow { self.random.below(80) } else { self.random.below(3) };
        let arrival = self.process.arrivals.entry((from, to)).or_insert(Millis(0));
        *arrival = self.now.after(delay_ms).max(*arrival);
        let at = *arrival;
        self.inside_at(at, Inside::Channel(from, to));
    }

    pub(crate) fn receive(&mut self, from: usize, to: usize) -> Checked {
        let channel = self.process.channels.get_mut(&(from, to)).expect("something was sent");
        let item = channel.pop_front().expect("one event for each item");
        self.trace.note(self.now, format_args!("{to} gets from {from} {}", describe(&item)));
        let from = from as u16;
        if self.plan.sabotage == Some(Sabotage::DuplicateBetweenShards)
            && let PeerItem::Message(message) = &item
            && !is_call(&message.target)
            && self.random.one_in(20)
        {
            self.apply(to, Input::Peer { from, item: item.clone() })?;
        }
        self.apply(to, Input::Peer { from, item })
    }

    fn invoke(&mut self, shard: usize, id: InvocationId) -> Checked {
        let Some(invocation) = self.process.shards[shard].invocation(id) else {
            return violated(Invariant::Turns, format!("{id:?} is not in flight"));
        };
        let target = invocation.target().clone();
        let states = invocation.states().map(|(name, value)| (name.into(), value.map(read_text)));
        let messages = invocation.messages();
        let messages = messages.map(|(caller, value)| (caller.cloned(), Message::parse(value)));
        let asked = Asked {
            target: target.clone(),
            states: states.collect(),
            messages: messages.collect(),
        };
        let (caller, first) = invocation.messages().next().expect("a batch is never empty");
        let request = encode_request(caller, first);
        let ids: Vec<&str> = asked.messages.iter().map(|(_, message)| &*message.id).collect();
        self.trace.note(self.now, format_args!("{shard} invokes {id:?} {target} with {ids:?}"));
        self.check_turn(&asked, id)?;
        let answered = self.ask_endpoint(&asked);
        let delay_ms = self.answer_delay_ms(&target);
        self.inside(delay_ms, Inside::Answered { shard, id, target, answered, request });
        Ok(())
    }

    /// One invocation at a time, and it sees what the one before left (3).
    fn check_turn(&mut self, asked: &Asked, id: InvocationId) -> Checked {
        let target = &asked.target;
        if let Some(other) = self.process.in_flight.insert(target.clone(), id) {
            let what = format!("{target} is invoked with {id:?} while {other:?} is in flight");
            return violated(Invariant::Turns, what);
        }
        let now = self.now;
        let shown = self.process.shown.entry(target.clone()).or_default();
        for spec in states_of(&target.function) {
            let Some(got) = asked.states.get(&*spec.name) else { continue };
            let (ttl_ms, refreshed) = match spec.expiration {
                Expiration::Never => (None, false),
                Expiration::AfterWrite { ttl_ms } => (Some(ttl_ms as u64), false),
                Expiration::AfterInvoke { ttl_ms } => (Some(ttl_ms as u64), true),
            };
            let expired = |last: Millis| ttl_ms.is_some_and(|ttl_ms| last.after(ttl_ms) <= now);
            if shown.get(&*spec.name).is_some_and(|(_, last)| expired(*last)) {
                shown.remove(&*spec.name);
            }
            let expected = shown.get_mut(&*spec.name);
            if expected.as_ref().map(|(value, _)| value) != got.as_ref() {
                let what = format!("{target} is shown {} = {got:?}, not {expected:?}", spec.name);
                return violated(Invariant::Turns, what);
            }
            if let (true, Some((_, last))) = (refreshed, expected) {
                *last = now;
            }
        }
        Ok(())
    }

    fn ask_endpoint(&mut self, asked: &Asked) -> Answered {
        let now = self.now;
        if asked.target.function.as_str() == FLAKY && !self.calm {
            let outage = self.plan.outages.iter().any(|(from, to)| (*from..*to).contains(&now));
            // A connection is lost now and then, but not again and again, and not beside outages: together they could
            // look as if a message were to blame.
            self.lost = self.plan.outages.is_empty() && !self.lost && self.random.one_in(10);
            if outage || self.lost {
                return Answered::Failure(Failure::new(FailureKind::Unavailable, "down"));
            }
        }
        answer(asked, self.calm, self.plan.ids)
    }

    fn answer_delay_ms(&mut self, target: &Address) -> u64 {
        let stops = self.plan.sabotage == Some(Sabotage::StopWithTheFailing);
        if stops && !self.calm && target.function.as_str() != FLAKY {
            return self.plan.calm_at.since(self.now);
        }
        if self.plan.timed && !self.calm && target.function.as_str() == FLAKY {
            return HANGS_MS; // It keeps its place for as long as it can.
        }
        match self.random.below(20) {
            0 => self.random.below(300),
            1..10 => 0,
            _ => self.random.below(15),
        }
    }

    pub(crate) fn answered(
        &mut self,
        shard: usize,
        id: InvocationId,
        target: Address,
        answered: Answered,
        request: Bytes,
    ) -> Checked {
        self.process.in_flight.remove(&target);
        match answered {
            Answered::Failure(failure) => {
                self.trace.note(self.now, format_args!("{shard} {target} fails: {failure}"));
                self.apply(shard, Input::Failed { invocation: id, failure, request })
            }
            Answered::Outcome { mut outcome, well_formed } => {
                let answer = summary(&outcome);
                self.trace.note(self.now, format_args!("{shard} {target} answers {answer}"));
                if let (Outcome::Complete(reply), true) = (&outcome, well_formed) {
                    self.expect_to_be_shown(&target, reply);
                }
                if let (Outcome::Complete(reply), Some(Sabotage::LoseOneChange)) =
                    (&mut outcome, self.plan.sabotage)
                {
                    reply.mutations.retain(|mutation| &*mutation.state != "sum");
                }
                self.apply(shard, Input::Completed { invocation: id, outcome, request })
            }
        }
    }

    /// A reply that must be accepted: the next invocation has to show what it changed.
    fn expect_to_be_shown(&mut self, target: &Address, reply: &statera_model::Reply) {
        let lost = self.plan.sabotage == Some(Sabotage::LoseOneChange);
        let shown = self.process.shown.entry(target.clone()).or_default();
        for mutation in &reply.mutations {
            if let StateChange::Modify(value) = &mutation.change
                && !(lost && &*mutation.state == "sum")
            {
                shown.insert(mutation.state.to_string(), (read_text(value), self.now));
            }
        }
    }

    /// Somebody outside hears that what they asked for is accepted.
    pub(crate) fn tell_accepted(&mut self, waiter: Waiter) -> Checked {
        match waiter {
            Waiter::Person(person) => self.accepted(person, None),
            Waiter::Operator => {
                self.figures.dead_letters += 1;
                Ok(())
            }
        }
    }

    pub(crate) fn tell_answer(&mut self, waiter: Waiter, answer: Answer) -> Checked {
        match waiter {
            Waiter::Person(person) => self.accepted(person, Some(answer)),
            Waiter::Operator => panic!("nobody answers the operator"),
        }
    }

    pub(crate) fn is_full(refusal: &Refusal) -> bool {
        matches!(refusal, Refusal::Full { .. })
    }
}

fn summary(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Incomplete(specs) => format!("with {} states that it needs", specs.len()),
        Outcome::Complete(reply) => format!(
            "{} messages, {} delays, {} records",
            reply.messages.len(),
            reply.delayed.len(),
            reply.egress.len()
        ),
    }
}

fn describe(item: &PeerItem) -> String {
    match item {
        PeerItem::Message(message) => {
            format!("{} for {}", read_text(&message.argument), message.target)
        }
        PeerItem::Marker(cut) => format!("marker {}", cut.epoch),
    }
}

/// What was last known of the states of all addresses, from a durable image.
pub(crate) type Shown = BTreeMap<Address, BTreeMap<String, (String, Millis)>>;
