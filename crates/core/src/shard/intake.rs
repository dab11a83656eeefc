//! What comes from outside: requests, and records of sources.

use std::sync::Arc;

use bytes::Bytes;
use statera_model::{Address, KeyGroup};
use statera_ports::{Answer, Refusal, Request, SourceBatch, SourceId, SourceRecord};

use super::reply::check_length;
use super::{Shard, call_id};
use crate::input::{
    ADDRESS_BYTES_MAX, Effect, FUNCTION_TYPES_MAX, NAME_BYTES_MAX, RequestKind, Ticket,
};
use crate::keys::Key;
use crate::values::{DeadBody, DeadLetter, Dedupe, Fate};

impl Shard {
    /// The shard that takes the records of a source, as a key group.
    #[must_use]
    pub fn source_group(source: &SourceId, key_groups: u16) -> KeyGroup {
        KeyGroup::of(&format!("{}#{}", source.ingress, source.partition), key_groups)
    }

    pub(super) fn request(&mut self, ticket: Ticket, request: Request, kind: RequestKind) {
        let Request { target, argument, idempotency_key, trace } = request;
        if idempotency_key.as_ref().is_some_and(|key| key.len() > NAME_BYTES_MAX) {
            let refusal = Refusal::TooLong { bytes_max: NAME_BYTES_MAX };
            self.effects.push(Effect::Refuse { ticket, refusal });
            return;
        }
        if let Some(key) = &idempotency_key
            && let Some(seen) = self.calls.seen(&(target.clone(), key.clone()))
        {
            let fate = seen.fate.clone();
            return self.repeated(ticket, kind, fate);
        }
        if let Some(refusal) = self.refusal(&target, idempotency_key.is_some()) {
            self.effects.push(Effect::Refuse { ticket, refusal });
            return;
        }
        let group = self.group(&target);
        let caller = match kind {
            RequestKind::Send => {
                if let Some(key) = idempotency_key {
                    self.remember(group, (target.clone(), key), Fate::Sent);
                }
                self.releases.accepted.push(ticket);
                None
            }
            RequestKind::Call => Some(self.new_call(group, ticket, &target, idempotency_key)),
        };
        self.traces.set_current(trace);
        self.receive(target, caller, argument, None);
        self.traces.set_current(None);
    }

    /// A request with an idempotency key that was seen before.
    fn repeated(&mut self, ticket: Ticket, kind: RequestKind, fate: Fate) {
        match (kind, fate) {
            (RequestKind::Send, Fate::Sent) => self.releases.accepted.push(ticket),
            (RequestKind::Call, Fate::Waiting { call }) => {
                self.calls.wait(call, Some(ticket), None)
            }
            (RequestKind::Call, Fate::Answered(answer)) => {
                self.releases.answers.push((ticket, answer))
            }
            (RequestKind::Send, _) => self.refuse_reuse(ticket, "call"),
            (RequestKind::Call, Fate::Sent) => self.refuse_reuse(ticket, "send"),
        }
    }

    fn refuse_reuse(&mut self, ticket: Ticket, used: &'static str) {
        self.effects.push(Effect::Refuse { ticket, refusal: Refusal::KeyReused { used } });
    }

    fn refusal(&mut self, target: &Address, has_key: bool) -> Option<Refusal> {
        let limits = self.config.limits;
        if check_length(target).is_err() {
            return Some(Refusal::TooLong { bytes_max: ADDRESS_BYTES_MAX });
        }
        if self.functions.len() >= FUNCTION_TYPES_MAX
            && !self.function_index.contains_key(&target.function)
        {
            return Some(Refusal::Full { limit: "the number of function types" });
        }
        let number = self.function(&target.function);
        let function = &self.functions[number as usize];
        if function.policy.is_none() {
            return Some(Refusal::NotCovered(target.function.clone()));
        }
        // A type whose functions don't keep up must leave room for the others.
        let full = self.mails.bytes() >= limits.mailbox_bytes
            || function.mail_bytes >= limits.mailbox_bytes / 2;
        if full {
            return Some(Refusal::Full { limit: "memory.mailboxBytes" });
        }
        if has_key && self.calls.seen_count() >= limits.idempotency_keys {
            return Some(Refusal::Full { limit: "limits.idempotencyKeys" });
        }
        let waiting = self
            .instances
            .find(number, &target.id)
            .map_or(0, |i| self.instances.get(i).mailbox.len());
        (waiting >= limits.mailbox_messages)
            .then_some(Refusal::Full { limit: "limits.mailboxMessages" })
    }

    fn new_call(
        &mut self,
        group: KeyGroup,
        ticket: Ticket,
        target: &Address,
        key: Option<Arc<str>>,
    ) -> Address {
        self.call_number += 1;
        let call = call_id(group, self.config.nonce, self.call_number);
        let key = key.map(|key| (target.clone(), key));
        if let Some(key) = key.clone() {
            self.remember(group, key, Fate::Waiting { call: call.clone() });
        }
        self.calls.wait(call.clone(), Some(ticket), key);
        Address { function: self.call_function.clone(), id: call.into() }
    }

    fn remember(&mut self, group: KeyGroup, key: (Address, Arc<str>), fate: Fate) {
        let expires = match self.calls.seen(&key) {
            Some(seen) => seen.expires,
            None => self.now.after(self.config.limits.idempotency_retention_ms),
        };
        let dedupe = Dedupe { expires, fate };
        let stored = Key::Dedupe { target: key.0.clone(), key: key.1.clone() };
        self.pending.put(stored.encode(group), dedupe.encode());
        self.calls.remember(key, dedupe);
    }

    /// Some function answered a call, or its message was given up.
    pub(super) fn answer(&mut self, call: &str, answer: Answer) {
        // Nobody waits: it was answered before, or the wait ended with the one who waited.
        let Some(waiting) = self.calls.answered(call) else { return };
        if let Some(key) = waiting.key {
            let group = self.group(&key.0);
            self.remember(group, key, Fate::Answered(answer.clone()));
        }
        for ticket in waiting.tickets {
            self.releases.answers.push((ticket, answer.clone()));
        }
    }

    pub(super) fn deliver(&mut self, batch: SourceBatch) {
        let SourceBatch { source, records, position } = batch;
        let group = Shard::source_group(&source, self.config.key_groups);
        debug_assert_eq!(self.owner(group), self.config.shard, "delivered to the owner");
        for record in records {
            match record {
                SourceRecord::Message { targets, argument, trace } => {
                    self.traces.set_current(trace.map(|trace| *trace));
                    for target in targets {
                        if let Err(reason) = check_length(&target) {
                            let record = argument.to_encoded();
                            self.bury_record(
                                group,
                                source.to_string().into(),
                                reason.into(),
                                record,
                            );
                            continue;
                        }
                        self.route(target, None, argument.clone());
                    }
                }
                SourceRecord::Malformed { place, reason, record } => {
                    self.bury_record(group, place.into(), reason.into(), record);
                }
            }
        }
        self.traces.set_current(None);
        self.pending.put(Key::Source(source).encode(group), position.to_vec());
    }

    fn bury_record(&mut self, group: KeyGroup, place: Arc<str>, reason: Arc<str>, record: Bytes) {
        let body = DeadBody::Record { place, record };
        self.bury(group, DeadLetter { at: self.now, attempts: 0, reason, body });
    }
}
