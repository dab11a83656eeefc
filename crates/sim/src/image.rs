//! The durable key space, as a recovery would find it, and what lies in it.

use std::collections::BTreeMap;

use bytes::Bytes;
use statera_core::CALL_FUNCTION;
use statera_core::delta::changes;
use statera_core::values::{DeadBody, DeadLetter, Mail};
use statera_model::{Address, Name, TypedValue};

/// The durable key space.
pub(crate) type Image = BTreeMap<Vec<u8>, Bytes>;

/// Where a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Consumed(Address),
    Mail(Address),
    Delayed,
    Dead,
}

pub(crate) fn apply_delta(image: &mut Image, delta: &[u8]) {
    for change in changes(delta) {
        let change = change.expect("the core writes its own deltas");
        match change.value {
            Some(value) => drop(image.insert(change.key.to_vec(), Bytes::copy_from_slice(value))),
            None => drop(image.remove(change.key)),
        }
    }
}

/// The message in a dead letter, or the place of the record.
pub(crate) fn dead_message(body: DeadBody) -> Result<(Address, Mail), String> {
    match body {
        DeadBody::Invocation { target, request } => Ok((target, decode_request(&request))),
        DeadBody::Message { target, mail } => Ok((target, mail)),
        DeadBody::Record { place, .. } => Err(place.to_string()),
    }
}

pub(crate) fn dead_letter(value: Bytes) -> DeadLetter {
    DeadLetter::decode(value).expect("a dead letter")
}

/// A simulated request: the caller of its first message as text, a zero byte, its argument.
pub(crate) fn encode_request(caller: Option<&Address>, argument: &TypedValue) -> Bytes {
    let mut out = caller.map_or_else(String::new, Address::to_string).into_bytes();
    out.push(0);
    out.extend_from_slice(argument.encoded());
    out.into()
}

fn decode_request(request: &Bytes) -> Mail {
    let zero = request.iter().position(|byte| *byte == 0).expect("a zero byte");
    let caller = std::str::from_utf8(&request[..zero]).expect("text");
    let caller = (!caller.is_empty()).then(|| {
        let mut parts = caller.splitn(3, '/');
        let mut part = || parts.next().expect("three parts");
        let function = Name::from_parts(part(), part());
        Address::new(function, part())
    });
    let argument = TypedValue::from_encoded(request.slice(zero + 1..)).expect("a typed value");
    Mail { caller, argument }
}

pub(crate) fn is_call(address: &Address) -> bool {
    address.function.as_str() == CALL_FUNCTION
}

/// Whether two values are the same to a function.
pub(crate) fn same(one: &TypedValue, other: &TypedValue) -> bool {
    one.typename() == other.typename() && one.value() == other.value()
}
