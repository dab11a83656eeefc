//! What the shell around a shard does: it carries out effects, and brings back what came of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use statera_core::values::StateValue;
use statera_core::{Effect, Input, InvocationId, PeerItem};
use statera_model::{
    Address, Expiration, Millis, Mutation, Outcome, Reply, StateChange, StateSpec, TypedValue,
};
use statera_ports::{Answer, Batch as _};

use crate::image::{encode_request, is_call, same};
use crate::life::{Answered, Asked, Attempt, Fate, Life};
use crate::settings::Sabotage;
use crate::violation::{Checked, Invariant, violated};
use crate::world::{Inside, Waiter, World};

impl<L: Life> World<L> {
    pub(crate) fn effect(&mut self, shard: usize, effect: Effect) -> Checked {
        match effect {
            Effect::Invoke(id) => {
                self.invoke(shard, id)?;
                if self.settings.sabotage == Some(Sabotage::InvokeTwice) && self.random.one_in(20) {
                    self.invoke(shard, id)?;
                }
                Ok(())
            }
            Effect::Load(id) => {
                let keys = self.process.shards[shard].missing_states(id);
                self.trace.detail(self.now, format_args!("{shard} load {id:?} {}", keys.len()));
                if self.are_for_linked(&keys) {
                    return self.load(shard, id, &keys);
                }
                let delay_ms = self.random.below(12);
                self.inside(delay_ms, Inside::Loaded { shard, id, keys });
                Ok(())
            }
            Effect::Send { shard: to, item } => {
                self.send(shard, to.into(), item);
                Ok(())
            }
            Effect::Marker(cut) => {
                for to in (0..self.process.shards.len()).filter(|to| *to != shard) {
                    self.send(shard, to, PeerItem::Marker(cut.clone()));
                }
                Ok(())
            }
            Effect::Part(part) => self.part(shard, *part),
            Effect::Refuse { ticket, refusal } => match self.process.tickets.remove(&ticket) {
                Some(Waiter::Person(person)) => self.refused(person, &refusal),
                other => panic!("{other:?} was refused"),
            },
            Effect::News(_) => Ok(()),
            Effect::Unknown(ticket) => {
                self.process.tickets.remove(&ticket);
                Ok(())
            }
        }
    }

    pub(crate) fn load(&mut self, shard: usize, id: InvocationId, keys: &[Vec<u8>]) -> Checked {
        let stored = |key: &Vec<u8>| {
            let bytes = self.store.get(key)?.clone();
            Some(StateValue::decode(bytes).expect("a state value"))
        };
        let values: Vec<_> = keys.iter().map(stored).collect();
        self.figures.loads += values.iter().flatten().count() as u64;
        self.apply(shard, Input::Loaded { invocation: id, values })
    }

    fn send(&mut self, from: usize, to: usize, item: PeerItem) {
        self.trace.detail(self.now, format_args!("{from} sends {to} {}", self.describe(&item)));
        let channel = self.process.channels.entry((from, to)).or_default();
        channel.push_back(item);
        if self.settings.sabotage == Some(Sabotage::ReorderBetweenShards)
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
        self.trace.detail(self.now, format_args!("{to} gets from {from} {}", self.describe(&item)));
        let from = from as u16;
        if self.settings.sabotage == Some(Sabotage::DuplicateBetweenShards)
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
        let linked = self.life.is_linked(invocation.function());
        let asked = if linked { Asked::lent(&invocation) } else { Asked::of(invocation) };
        let (caller, first) = asked.messages.first().expect("a batch is never empty");
        let request = encode_request(caller.as_ref(), first);
        let target = asked.target.clone();
        let shown: Vec<String> =
            asked.messages.iter().map(|(_, argument)| self.life.show(argument)).collect();
        let shown = shown.join(", ");
        self.trace.note(self.now, format_args!("{target} is invoked with {shown}"));
        self.figures.invocations += 1;
        self.check_turn(shard, &asked, id)?;
        let Attempt { answered, delay_ms } = L::answer(self, asked)?;
        if linked {
            return self.answered(shard, id, target, answered, request);
        }
        self.inside(delay_ms, Inside::Answered { shard, id, target, answered, request });
        Ok(())
    }

    /// One invocation at a time, and it sees what the one before left (3).
    fn check_turn(&mut self, shard: usize, asked: &Asked, id: InvocationId) -> Checked {
        let target = &asked.target;
        if let Some(other) = self.process.in_flight.insert(target.clone(), id) {
            let what = format!("{target} is invoked with {id:?} while {other:?} is in flight");
            return violated(Invariant::Turns, what);
        }
        let began = self.process.rounds[shard].began(id, self.now);
        let specs = self.life.states(&target.function);
        let shown = self.process.shown.entry(target.clone()).or_default();
        if let Some((reply, at)) = self.process.open.remove(target) {
            let mut taken = shown.clone();
            note_changes(&mut taken, &reply, at);
            if compare(&mut taken, &specs, asked, began).is_ok() {
                *shown = taken;
                return Ok(());
            }
        }
        compare(shown, &specs, asked, began).or_else(|what| violated(Invariant::Turns, what))
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
        let linked = self.life.is_linked(&target.function);
        let traced = self.process.shards[shard].traces(id).first().copied();
        self.process.shards[shard].trace(traced);
        match answered {
            Answered::Failure(failure) => {
                self.trace.note(self.now, format_args!("{target} fails: {failure}"));
                self.figures.linked.failed += u64::from(linked);
                self.tell(shard, Input::Failed { invocation: id, failure, request });
            }
            Answered::Outcome { outcome: Outcome::Incomplete(specs), .. } => {
                let asks = format_args!("{target} asks for {} states", specs.len());
                self.trace.note(self.now, asks);
                self.figures.linked.incomplete += u64::from(linked);
                let outcome = Outcome::Incomplete(specs);
                self.tell(shard, Input::Completed { invocation: id, outcome, request });
            }
            Answered::Outcome { outcome: Outcome::Complete(mut reply), fate } => {
                let answer = self.life.show_reply(&reply);
                self.trace.note(self.now, format_args!("{target} {answer}"));
                if self.settings.sabotage == Some(Sabotage::LoseOneChange)
                    && reply.mutations.len() > 1
                {
                    reply.mutations.remove(1);
                }
                let function = target.function.clone();
                self.expect_to_be_shown(target, &reply, fate);
                if linked {
                    self.figures.linked.refused += u64::from(fate == Fate::Refused);
                    self.complete(shard, id, &function, reply)?;
                } else {
                    let outcome = Outcome::Complete(reply);
                    self.tell(shard, Input::Completed { invocation: id, outcome, request });
                }
            }
        }
        self.process.shards[shard].trace(None);
        self.go_on(shard)
    }

    /// If a reply is taken, the next invocation has to show what it changed.
    fn expect_to_be_shown(&mut self, target: Address, reply: &Reply, fate: Fate) {
        match fate {
            Fate::Taken => {
                let shown = self.process.shown.entry(target).or_default();
                note_changes(shown, &reply.mutations, self.now);
            }
            Fate::Open => {
                self.process.open.insert(target, (reply.mutations.clone(), self.now));
            }
            Fate::Refused => {}
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

    /// How long an answer usually takes.
    pub(crate) fn usual_delay_ms(&mut self) -> u64 {
        match self.random.below(20) {
            0 => self.random.below(300),
            1..10 => 0,
            _ => self.random.below(15),
        }
    }

    fn describe(&self, item: &PeerItem) -> String {
        match item {
            PeerItem::Message(message) => {
                format!("{} for {}", self.life.show(&message.argument), message.target)
            }
            PeerItem::Traced(traced) => format!("traced message for {}", traced.0.target),
            PeerItem::Marker(cut) => format!("marker {}", cut.epoch),
        }
    }
}

/// The states of an address as they were last seen, by name, with the time of the last access.
pub(crate) type States = BTreeMap<String, (TypedValue, Millis)>;
/// What each address must be shown at its next invocation.
pub(crate) type Shown = BTreeMap<Address, States>;

fn note_changes(shown: &mut States, changes: &[Mutation], now: Millis) {
    for Mutation { state, change } in changes {
        match change {
            StateChange::Modify(value) => {
                shown.insert(state.to_string(), (value.clone(), now));
            }
            StateChange::Delete => drop(shown.remove(&**state)),
        }
    }
}

/// Whether an invocation that begins now shows what it must; what has expired, and what was accessed now, is noted.
fn compare(
    shown: &mut States,
    specs: &[StateSpec],
    asked: &Asked,
    now: Millis,
) -> Result<(), String> {
    for spec in specs {
        let Some((_, got)) = asked.states.iter().find(|(name, _)| *name == spec.name) else {
            continue;
        };
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
        let equal = match (&expected, got) {
            (Some((expected, _)), Some(got)) => same(expected, got),
            (None, None) => true,
            _ => false,
        };
        if !equal {
            let (target, name) = (&asked.target, &spec.name);
            return Err(format!("{target} is shown {name} = {got:?}, not {expected:?}"));
        }
        if let (true, Some((_, last))) = (refreshed, expected) {
            *last = now;
        }
    }
    Ok(())
}
