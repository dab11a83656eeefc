//! Writing replies.

use statera_model::{
    Delayed, Egress, Expiration, Mutation, Outcome, Outgoing, Reply, StateChange, StateSpec,
};

use super::{AFTER_INVOKE, AFTER_WRITE, MODIFY};
use crate::message::{address_len, put_address};
use crate::wire::{
    bytes_len, message_len, number_len, put_bytes, put_message, put_message_head, put_number,
};

/// The body of a reply, an encoded `FromFunction`. It is never empty, also if the function did nothing.
#[must_use]
pub fn encode_reply(outcome: &Outcome) -> Vec<u8> {
    let (number, length) = match outcome {
        Outcome::Complete(reply) => (100, reply_len(reply)),
        Outcome::Incomplete(missing) => (101, missing_len(missing)),
    };
    let mut out = Vec::with_capacity(message_len(number, length));
    put_message_head(&mut out, number, length);
    match outcome {
        Outcome::Complete(reply) => put_reply(&mut out, reply),
        Outcome::Incomplete(missing) => put_missing(&mut out, missing),
    }
    debug_assert_eq!(out.len(), message_len(number, length));
    out
}

fn reply_len(reply: &Reply) -> usize {
    reply.mutations.iter().map(|mutation| message_len(1, mutation_len(mutation))).sum::<usize>()
        + reply.messages.iter().map(|message| message_len(2, outgoing_len(message))).sum::<usize>()
        + reply.delayed.iter().map(|delayed| message_len(3, delayed_len(delayed))).sum::<usize>()
        + reply.egress.iter().map(|record| message_len(4, egress_len(record))).sum::<usize>()
}

fn put_reply(out: &mut Vec<u8>, reply: &Reply) {
    for mutation in &reply.mutations {
        put_message_head(out, 1, mutation_len(mutation));
        put_mutation(out, mutation);
    }
    for message in &reply.messages {
        put_message_head(out, 2, outgoing_len(message));
        put_address(out, 1, &message.target);
        put_message(out, 2, message.argument.encoded());
    }
    for delayed in &reply.delayed {
        put_message_head(out, 3, delayed_len(delayed));
        put_delayed(out, delayed);
    }
    for record in &reply.egress {
        put_message_head(out, 4, egress_len(record));
        put_bytes(out, 1, record.egress.namespace().as_bytes());
        put_bytes(out, 2, record.egress.name().as_bytes());
        put_message(out, 3, record.argument.encoded());
    }
}

fn mutation_len(mutation: &Mutation) -> usize {
    let change = match &mutation.change {
        StateChange::Delete => 0,
        StateChange::Modify(value) => {
            number_len(1, MODIFY as u64) + message_len(3, value.encoded().len())
        }
    };
    bytes_len(2, mutation.state.as_bytes()) + change
}

fn put_mutation(out: &mut Vec<u8>, mutation: &Mutation) {
    match &mutation.change {
        StateChange::Delete => put_bytes(out, 2, mutation.state.as_bytes()),
        StateChange::Modify(value) => {
            put_number(out, 1, MODIFY as u64);
            put_bytes(out, 2, mutation.state.as_bytes());
            put_message(out, 3, value.encoded());
        }
    }
}

fn outgoing_len(message: &Outgoing) -> usize {
    message_len(1, address_len(&message.target)) + message_len(2, message.argument.encoded().len())
}

fn delayed_len(delayed: &Delayed) -> usize {
    match delayed {
        Delayed::Send { delay_ms, message, token } => {
            number_len(1, *delay_ms as u64)
                + message_len(2, address_len(&message.target))
                + message_len(3, message.argument.encoded().len())
                + token.as_ref().map_or(0, |token| bytes_len(11, token.as_bytes()))
        }
        Delayed::Cancel { token } => number_len(10, 1) + bytes_len(11, token.as_bytes()),
    }
}

fn put_delayed(out: &mut Vec<u8>, delayed: &Delayed) {
    match delayed {
        Delayed::Send { delay_ms, message, token } => {
            put_number(out, 1, *delay_ms as u64);
            put_address(out, 2, &message.target);
            put_message(out, 3, message.argument.encoded());
            if let Some(token) = token {
                put_bytes(out, 11, token.as_bytes());
            }
        }
        Delayed::Cancel { token } => {
            put_number(out, 10, 1);
            put_bytes(out, 11, token.as_bytes());
        }
    }
}

fn egress_len(record: &Egress) -> usize {
    bytes_len(1, record.egress.namespace().as_bytes())
        + bytes_len(2, record.egress.name().as_bytes())
        + message_len(3, record.argument.encoded().len())
}

fn missing_len(missing: &[StateSpec]) -> usize {
    missing.iter().map(|spec| message_len(1, spec_len(spec))).sum()
}

fn put_missing(out: &mut Vec<u8>, missing: &[StateSpec]) {
    for spec in missing {
        put_message_head(out, 1, spec_len(spec));
        put_bytes(out, 1, spec.name.as_bytes());
        if let Some((mode, ttl_ms)) = expiration(spec) {
            put_message_head(out, 2, expiration_len(mode, ttl_ms));
            put_number(out, 1, mode);
            put_number(out, 2, ttl_ms);
        }
        put_bytes(out, 3, spec.typename.as_bytes());
    }
}

fn spec_len(spec: &StateSpec) -> usize {
    let expiration =
        expiration(spec).map_or(0, |(mode, ttl_ms)| message_len(2, expiration_len(mode, ttl_ms)));
    bytes_len(1, spec.name.as_bytes()) + expiration + bytes_len(3, spec.typename.as_bytes())
}

/// Mode and duration as on the wire; the field is left out if the value never expires.
fn expiration(spec: &StateSpec) -> Option<(u64, u64)> {
    match spec.expiration {
        Expiration::Never => None,
        Expiration::AfterWrite { ttl_ms } => Some((AFTER_WRITE as u64, ttl_ms as u64)),
        Expiration::AfterInvoke { ttl_ms } => Some((AFTER_INVOKE as u64, ttl_ms as u64)),
    }
}

fn expiration_len(mode: u64, ttl_ms: u64) -> usize {
    number_len(1, mode) + number_len(2, ttl_ms)
}
