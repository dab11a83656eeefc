//! What a function answered: checked as a whole, then applied as a whole.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use statera_model::{
    Address, Change, Delayed, Egress, Expiration, Failure, FailureKind, Id, KeyGroup, LocalReply,
    Millis, Mutation, Outcome, Reply, StateChange, StateSpec, TypedValue, UNSET_TYPENAME,
};

use super::Shard;
use crate::functions::Function;
use crate::input::{ADDRESS_BYTES_MAX, EgressRecord, InvocationId, NAME_BYTES_MAX};
use crate::instance::{CellStatus, Instance, Marks, Phase};
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
                match placed(reply, sent) {
                    Ok(mut reply) => self.replied(id, &mut reply, request),
                    Err(reason) => self.rejected(id, reason, request),
                }
            }
        }
    }

    /// Takes everything out of a reply, all or none of which is applied.
    pub(super) fn replied(&mut self, id: InvocationId, reply: &mut LocalReply, request: Bytes) {
        let instance = self.instances.attempt(id.instance, id.attempt);
        let Some((instance, batch, states)) = instance.and_then(Instance::running) else {
            return *reply = LocalReply::default();
        };
        let sent = &self.functions[instance.function as usize].states[..states];
        if let Some(reason) = self.refused(&instance.id, sent, reply) {
            *reply = LocalReply::default();
            return self.rejected(id, reason, request);
        }
        self.change(id.instance, &mut reply.changes);
        self.send_all(id.instance, reply);
        self.take_mail(id.instance, batch);
        self.succeeded(id.instance, batch);
    }

    /// An attempt has succeeded: its place is free, and the address goes on with the next batch, if there is one.
    fn succeeded(&mut self, index: u32, batch: usize) {
        let instance = self.instances.get_mut(index);
        let number = instance.function;
        let function = &mut self.functions[number as usize];
        let is_back = function.gate.answered();
        function.last_success = Some(self.now);
        function.in_flight -= 1;
        self.in_flight -= 1;
        self.inline -= usize::from(function.is_inline());
        if instance.marks.has(Marks::TROUBLED) {
            self.recovered(index, batch);
            self.go_on(index);
        } else if instance.mailbox.is_empty() {
            instance.phase = Phase::Idle;
        } else {
            instance.phase = Phase::Queued;
            function.ready.push_back(index);
        }
        self.list(number);
        if is_back {
            self.tell_answering(index);
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

    fn rejected(&mut self, id: InvocationId, reason: String, request: Bytes) {
        let failure = Failure::new(FailureKind::Rejected, reason);
        self.failed(id, &failure, request);
    }

    /// Why a reply can't be applied, if it can't.
    fn refused(&self, id: &Id, sent: &[StateSpec], reply: &LocalReply) -> Option<String> {
        for message in &reply.messages {
            if let Some(reason) = too_long(&message.target) {
                return Some(reason);
            }
        }
        for change in &reply.changes {
            if let Some(reason) = refused_change(sent, change) {
                return Some(reason);
            }
        }
        if !reply.delayed.is_empty()
            && let Some(reason) = self.refused_delays(id, &reply.delayed)
        {
            return Some(reason);
        }
        reply.egress.iter().find_map(|record| {
            let accepts = match self.config.egresses.get(&record.egress) {
                Some(accepts) => accepts,
                None => return Some(format!("there is no egress `{}`", record.egress)),
            };
            let refusal = accepts(&record.argument).err()?;
            Some(format!("egress `{}` refuses a record: {refusal}", record.egress))
        })
    }

    fn refused_delays(&self, sender_id: &Id, delayed: &[Delayed]) -> Option<String> {
        let mut tokens: BTreeMap<&Arc<str>, bool> = BTreeMap::new();
        for entry in delayed {
            if let Delayed::Send { message, .. } = entry
                && let Some(reason) = too_long(&message.target)
            {
                return Some(reason);
            }
            match entry {
                Delayed::Send { delay_ms, .. } if *delay_ms < 0 => {
                    return Some(format!("a message is delayed by {delay_ms} ms; hint: 0 or more"));
                }
                Delayed::Send { token: Some(token), .. } if token.len() > NAME_BYTES_MAX => {
                    return Some(format!(
                        "a cancellation token is longer than {NAME_BYTES_MAX} bytes"
                    ));
                }
                Delayed::Send { token: Some(token), .. } => {
                    let pending = tokens.insert(token, true);
                    if pending.unwrap_or_else(|| self.delays.is_pending(sender_id, token)) {
                        return Some(format!(
                            "cancellation token `{token}` is already used by a pending delayed \
                             message of id `{sender_id}`; hint: cancel it first"
                        ));
                    }
                }
                Delayed::Send { token: None, .. } => {}
                Delayed::Cancel { token } if token.is_empty() => {
                    return Some("a cancellation has an empty token".to_owned());
                }
                Delayed::Cancel { token } => drop(tokens.insert(token, false)),
            }
        }
        None
    }

    #[inline]
    fn send_all(&mut self, index: u32, reply: &mut LocalReply) {
        let LocalReply { messages, delayed, egress, .. } = reply;
        if messages.is_empty() && delayed.is_empty() && egress.is_empty() {
            return;
        }
        let instance = self.instances.get(index);
        let (group, function) = (instance.group, instance.function);
        let name = self.functions[function as usize].take_name();
        let sender = Address { function: name, id: instance.id.clone() };
        // Nothing but messages for other shards becomes an effect here.
        let (sent, effects) = (messages.len(), self.effects.len());
        // The last message takes the sender along, unless that is needed.
        let last = if delayed.is_empty() { messages.pop() } else { None };
        // Most of these are empty.
        if !messages.is_empty() {
            for message in messages.drain(..) {
                self.route(message.target, Some(sender.clone()), message.argument);
            }
        }
        if !delayed.is_empty() {
            self.send_later(&sender, group, function, delayed);
        }
        if !egress.is_empty() {
            self.emit(group, function, egress);
        }
        if let Some(message) = last {
            self.route(message.target, Some(sender), message.argument);
        }
        let out_remote = self.effects.len() - effects;
        let counts = &mut self.functions[function as usize].counts;
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

    fn change(&mut self, index: u32, changes: &mut Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let instance = self.instances.get_mut(index);
        let specs = &self.functions[instance.function as usize].states;
        let (mut before, mut after) = (0, 0);
        for Change { place, value } in &mut *changes {
            let (spec, cell) = (&specs[*place], &mut instance.cells[*place]);
            before += cell.heap_bytes();
            // The value that was there leaves with the reply: so each is moved once.
            mem::swap(&mut cell.value, value);
            if let Some(value) = &mut cell.value
                && !value.is_plain()
            {
                *value = stored(value, spec);
            }
            after += cell.heap_bytes();
            cell.last_access = match spec.expiration {
                Expiration::Never => Millis(0),
                Expiration::AfterWrite { .. } | Expiration::AfterInvoke { .. } => self.now,
            };
            cell.status = CellStatus::Dirty;
        }
        changes.clear();
        if instance.mark_dirty(self.epoch) {
            self.dirty.push(index);
        }
        self.instances.replaced(before, after);
    }
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

/// Why a state can't be changed like this, if it can't. `sent` are those whose values were sent with the request.
#[inline]
fn refused_change(sent: &[StateSpec], Change { place, value }: &Change) -> Option<String> {
    match (sent.get(*place), value) {
        (Some(_), None) => None,
        (Some(spec), Some(value)) if value.is(&spec.typename) => None,
        (Some(spec), Some(value)) => misfit(spec, value),
        (None, _) => Some(format!("state number {place} is changed, but was not declared")),
    }
}

#[cold]
fn misfit(spec: &StateSpec, value: &TypedValue) -> Option<String> {
    let typename = typename(value);
    (*typename != *spec.typename).then(|| {
        format!(
            "state `{}` is declared as `{}`, but set to a value of type `{typename}`",
            spec.name, spec.typename
        )
    })
}

/// Why an address can't be part of a key, if it can't.
#[inline]
pub(super) fn too_long(address: &Address) -> Option<String> {
    let bytes = address.function.as_str().len() + address.id.len();
    (bytes > ADDRESS_BYTES_MAX).then(|| longer(address, bytes))
}

#[cold]
fn longer(address: &Address, bytes: usize) -> String {
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

/// A value as it is stored and sent back: `has_value` is ignored when it is set, and always set when it is sent.
#[cold]
fn stored(value: &TypedValue, spec: &StateSpec) -> TypedValue {
    if value.has_value() && !value.is("") {
        value.clone().detached()
    } else {
        TypedValue::new(&spec.typename, value.value())
    }
}
