//! What a function answered: checked as a whole, then applied as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use statera_model::{
    Address, Change, Delayed, Egress, Failure, FailureKind, Id, KeyGroup, LocalReply, Mutation,
    Outcome, Reply, StateChange, StateSpec, TypedValue, UNSET_TYPENAME,
};

use super::{Shard, take_mail};
use crate::functions::Function;
use crate::input::{ADDRESS_BYTES_MAX, EgressRecord, InvocationId, NAME_BYTES_MAX};
use crate::instance::{Instance, Marks, Phase};
use crate::keys::DelayedKey;
use crate::values::DelayedParts;

impl Shard {
    pub(super) fn completed(&mut self, id: InvocationId, outcome: Outcome, request: Bytes) {
        let Some(instance) = self.instances.attempt(id.instance, id.attempt) else { return };
        let Phase::Running { states, .. } = instance.phase else { return };
        match outcome {
            Outcome::Incomplete(asked) => self.incomplete(id, asked, states.into(), request),
            Outcome::Complete(reply) => {
                let sent = &self.functions[instance.function as usize].states[..states.into()];
                let applied = match placed(reply, sent) {
                    Ok(mut reply) => self.replied(id, &mut reply),
                    Err(reason) => Err(reason),
                };
                if let Err(reason) = applied {
                    self.rejected(id, reason, request);
                }
            }
        }
    }

    /// Takes everything out of a reply and applies it; or nothing, and says why. The reply of an attempt that is over counts for
    /// nothing.
    pub(super) fn replied(
        &mut self,
        id: InvocationId,
        reply: &mut LocalReply,
    ) -> Result<(), String> {
        let instance = self.instances.attempt(id.instance, id.attempt);
        let Some((instance, batch, states)) = instance.and_then(Instance::running) else {
            *reply = LocalReply::default();
            return Ok(());
        };
        let sent = &self.functions[instance.function as usize].states[..states];
        if let Err(reason) = self.refused(&instance.id, sent, reply) {
            *reply = LocalReply::default();
            return Err(reason);
        }
        self.forget_traces(id.instance, batch);
        self.succeeded(id.instance, batch, reply);
        Ok(())
    }

    /// An attempt has succeeded: what the function did happens, its place is free, and the address goes on with the next batch,
    /// if there is one.
    fn succeeded(&mut self, index: u32, batch: usize, reply: &mut LocalReply) {
        let instance = self.instances.get_mut(index);
        let (number, group) = (instance.function, instance.group);
        let function = &mut self.functions[number as usize];
        let (before, after) = instance.change(&mut reply.changes, &function.states, self.now);
        if !reply.changes.is_empty() && instance.mark_dirty(self.epoch) {
            self.dirty.push(index);
        }
        reply.changes.clear();
        take_mail(&mut self.mails, &mut self.pending, function, instance, batch);
        let sender = sends(reply)
            .then(|| Address { function: function.name.clone(), id: instance.id.clone() });
        let is_back = function.gate.answered();
        function.last_success = Some(self.now);
        function.successes += 1;
        function.in_flight -= 1;
        self.in_flight -= 1;
        self.inline -= usize::from(function.is_inline());
        let was_troubled = instance.marks.has(Marks::TROUBLED);
        if instance.mailbox.is_empty() {
            instance.phase = Phase::Idle;
        } else {
            instance.phase = Phase::Queued;
            function.ready.push_back(index);
        }
        function.list(number, &mut self.listed);
        self.instances.replaced(before, after);
        if was_troubled {
            self.recovered(index, batch);
        }
        if is_back {
            self.tell_answering(index);
        }
        if let Some(sender) = sender {
            self.send_all(sender, group, number, reply);
        }
    }

    fn incomplete(&mut self, id: InvocationId, asked: Vec<StateSpec>, sent: usize, request: Bytes) {
        let function = self.function_of(id.instance);
        match function.register(asked, sent) {
            Err(reason) => self.rejected(id, reason, request),
            Ok(()) => {
                if function.gate.incomplete() {
                    self.tell_answering(id.instance);
                }
                self.release_place(id.instance);
                self.again_with_states(id.instance);
            }
        }
    }

    fn function_of(&mut self, index: u32) -> &mut Function {
        let function = self.instances.get(index).function;
        &mut self.functions[function as usize]
    }

    pub(super) fn rejected(&mut self, id: InvocationId, reason: String, request: Bytes) {
        let failure = Failure::new(FailureKind::Rejected, reason);
        self.failed(id, &failure, request);
    }

    /// Says why a reply can't be applied, if it can't.
    #[inline]
    fn refused(&self, id: &Id, sent: &[StateSpec], reply: &LocalReply) -> Result<(), String> {
        for message in &reply.messages {
            check_length(&message.target)?;
        }
        for change in &reply.changes {
            check_change(sent, change)?;
        }
        if reply.delayed.is_empty() && reply.egress.is_empty() {
            return Ok(());
        }
        self.check_delays(id, &reply.delayed)?;
        self.check_egress(&reply.egress)
    }

    fn check_egress(&self, egress: &[Egress]) -> Result<(), String> {
        for record in egress {
            let Some(accepts) = self.config.egresses.get(&record.egress) else {
                return Err(format!("there is no egress `{}`", record.egress));
            };
            accepts(&record.argument).map_err(|refusal| {
                format!("egress `{}` refuses a record: {refusal}", record.egress)
            })?;
        }
        Ok(())
    }

    fn check_delays(&self, sender_id: &Id, delayed: &[Delayed]) -> Result<(), String> {
        let mut tokens: BTreeMap<&Arc<str>, bool> = BTreeMap::new();
        for entry in delayed {
            if let Delayed::Send { message, .. } = entry {
                check_length(&message.target)?;
            }
            match entry {
                Delayed::Send { delay_ms, .. } if *delay_ms < 0 => {
                    return Err(format!("a message is delayed by {delay_ms} ms; hint: 0 or more"));
                }
                Delayed::Send { token: Some(token), .. } if token.len() > NAME_BYTES_MAX => {
                    return Err(format!(
                        "a cancellation token is longer than {NAME_BYTES_MAX} bytes"
                    ));
                }
                Delayed::Send { token: Some(token), .. } => {
                    let pending = tokens.insert(token, true);
                    if pending.unwrap_or_else(|| self.delays.is_pending(sender_id, token)) {
                        return Err(format!(
                            "cancellation token `{token}` is already used by a pending delayed \
                             message of id `{sender_id}`; hint: cancel it first"
                        ));
                    }
                }
                Delayed::Send { token: None, .. } => {}
                Delayed::Cancel { token } if token.is_empty() => {
                    return Err("a cancellation has an empty token".to_owned());
                }
                Delayed::Cancel { token } => drop(tokens.insert(token, false)),
            }
        }
        Ok(())
    }

    fn send_all(&mut self, sender: Address, group: KeyGroup, number: u32, reply: &mut LocalReply) {
        let LocalReply { messages, delayed, egress, .. } = reply;
        // Nothing but messages for other shards becomes an effect here.
        let (sent, effects) = (messages.len(), self.effects.len());
        // The last message, most often the only one, takes the sender along.
        if sent > 1 {
            for message in messages.drain(..sent - 1) {
                self.route(message.target, Some(sender.clone()), message.argument);
            }
        }
        if !delayed.is_empty() {
            self.send_later(&sender, group, number, delayed);
        }
        if !egress.is_empty() {
            self.emit(group, number, egress);
        }
        if let Some(last) = messages.pop() {
            self.route(last.target, Some(sender), last.argument);
        }
        let out_remote = self.effects.len() - effects;
        let counts = &mut self.functions[number as usize].counts;
        counts.out_local += (sent - out_remote) as u64;
        counts.out_remote += out_remote as u64;
    }

    fn send_later(
        &mut self,
        sender: &Address,
        group: KeyGroup,
        function: u32,
        delayed: &mut Vec<Delayed>,
    ) {
        for entry in delayed.drain(..) {
            match entry {
                Delayed::Send { delay_ms, message, token } => {
                    self.sequence += 1;
                    let due = self.now.after(delay_ms.unsigned_abs());
                    let key = DelayedKey { due, sequence: self.sequence };
                    let message = DelayedParts {
                        sender: sender.into(),
                        target: (&message.target).into(),
                        token: token.as_deref().unwrap_or_default(),
                        argument: message.argument.encoded(),
                    };
                    self.delays.send(key, group, message);
                    self.traces.delays(key);
                    self.functions[function as usize].counts.out_delayed += 1;
                }
                Delayed::Cancel { token } => self.delays.cancel(&sender.id, &token),
            }
        }
    }

    fn emit(&mut self, group: KeyGroup, function: u32, egress: &mut Vec<Egress>) {
        for record in egress.drain(..) {
            let key = self.outbox.add(&record.egress, group, self.epoch, self.config.shard);
            self.pending.put(key, record.argument.encoded().to_vec());
            let function = &mut self.functions[function as usize];
            function.egresses.count(Some(&record.egress));
            function.counts.out_egress += 1;
            let trace = self.traces.current().map(Box::new);
            let record = EgressRecord { egress: record.egress, value: record.argument, trace };
            self.releases.egress.push(record);
        }
    }
}

/// Whether a reply does anything beside changing state.
#[inline]
fn sends(reply: &LocalReply) -> bool {
    !(reply.messages.is_empty() && reply.delayed.is_empty() && reply.egress.is_empty())
}

/// A reply with the places of the states that it names. `sent` are those whose values were sent with the request.
fn placed(reply: Reply, sent: &[StateSpec]) -> Result<LocalReply, String> {
    let Reply { messages, delayed, egress, mutations } = reply;
    let placed = |Mutation { state, change }| {
        let Some(place) = sent.iter().position(|spec| spec.name == state) else {
            return Err(format!(
                "state `{state}` is changed, but was not sent with the request; hint: declare it"
            ));
        };
        let value = match change {
            StateChange::Delete => None,
            StateChange::Modify(value) => Some(value),
        };
        Ok(Change { place, value })
    };
    let changes = mutations.into_iter().map(placed).collect::<Result<_, _>>()?;
    Ok(LocalReply { messages, delayed, egress, changes })
}

/// Says why a state can't be changed like this, if it can't. `sent` are those whose values were sent with the request.
#[inline]
fn check_change(sent: &[StateSpec], Change { place, value }: &Change) -> Result<(), String> {
    match (sent.get(*place), value) {
        (Some(_), None) => Ok(()),
        (Some(spec), Some(value)) if value.is(&spec.typename) => Ok(()),
        (Some(spec), Some(value)) => check_typename(spec, value),
        (None, _) => Err(format!("state number {place} is changed, but was not declared")),
    }
}

#[cold]
fn check_typename(spec: &StateSpec, value: &TypedValue) -> Result<(), String> {
    let typename = typename(value);
    if *typename == *spec.typename {
        return Ok(());
    }
    Err(format!(
        "state `{}` is declared as `{}`, but set to a value of type `{typename}`",
        spec.name, spec.typename
    ))
}

/// Says why an address can't be part of a key, if it can't.
#[inline]
pub(super) fn check_length(address: &Address) -> Result<(), String> {
    let bytes = address.function.as_str().len() + address.id.len();
    if bytes > ADDRESS_BYTES_MAX { Err(too_long(address, bytes)) } else { Ok(()) }
}

#[cold]
fn too_long(address: &Address, bytes: usize) -> String {
    let start: String = address.id.chars().take(40).collect();
    format!(
        "an address `{}/{start}…` of {bytes} bytes is too long; hint: at most {ADDRESS_BYTES_MAX}",
        address.function
    )
}

fn typename(value: &TypedValue) -> &str {
    match value.typename() {
        "" => UNSET_TYPENAME,
        typename => typename,
    }
}
