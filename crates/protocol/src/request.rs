//! Requests: a batch of messages for one address, with the values of its states.
//!
//! | message | field | number | type |
//! |---|---|---|---|
//! | `ToFunction` | `invocation` | 100 | `InvocationBatchRequest`, the only choice of a oneof |
//! | `InvocationBatchRequest` | `target` | 1 | `Address` |
//! | | `state` | 2 | repeated `PersistedValue` |
//! | | `invocations` | 3 | repeated `Invocation` |
//! | `PersistedValue` | `state_name` | 1 | string |
//! | | `state_value` | 2 | `TypedValue`, absent if there is no value |
//! | `Invocation` | `caller` | 1 | `Address`, absent if a message came from outside |
//! | | `argument` | 2 | `TypedValue` |

use std::sync::Arc;

use bytes::Bytes;
use statera_model::{Address, TypedValue};

use crate::decoder::Decoder;
use crate::error::{At, DecodeError, Problem};
use crate::message::{RawAddress, RawValue, address_len, put_address};
use crate::wire::{
    Field, Fields, bytes_len, message_len, put_bytes, put_message, put_message_head,
};

/// A request, about to be sent. The parts are borrowed, and passed over several times: first for the lengths, then for
/// the bytes. Anything that is cheap to clone and to iterate will do, such as a slice's mapped iterator.
#[derive(Clone, Debug)]
pub struct Request<'a, S, I> {
    /// Who is invoked.
    pub target: &'a Address,
    /// All states that the function is known to have: name, and value if there is one.
    pub states: S,
    /// The messages, in order: caller (none if the message came from outside), and argument.
    pub invocations: I,
}

impl<'a, S, I> Request<'a, S, I>
where
    S: IntoIterator<Item = (&'a str, Option<&'a TypedValue>)> + Clone,
    I: IntoIterator<Item = (Option<&'a Address>, &'a TypedValue)> + Clone,
{
    /// The length of the encoded request in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        message_len(100, self.batch_len())
    }

    /// Appends the encoded request to `out`, which grows at most once.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let batch_length = self.batch_len();
        out.reserve(message_len(100, batch_length));
        put_message_head(out, 100, batch_length);
        put_address(out, 1, self.target);
        for (name, value) in self.states.clone() {
            put_message_head(out, 2, state_len(name, value));
            put_bytes(out, 1, name.as_bytes());
            if let Some(value) = value {
                put_message(out, 2, value.encoded());
            }
        }
        for (caller, argument) in self.invocations.clone() {
            put_message_head(out, 3, invocation_len(caller, argument));
            if let Some(caller) = caller {
                put_address(out, 1, caller);
            }
            put_message(out, 2, argument.encoded());
        }
    }

    fn batch_len(&self) -> usize {
        let mut length = message_len(1, address_len(self.target));
        for (name, value) in self.states.clone() {
            length += message_len(2, state_len(name, value));
        }
        for (caller, argument) in self.invocations.clone() {
            length += message_len(3, invocation_len(caller, argument));
        }
        length
    }
}

fn state_len(name: &str, value: Option<&TypedValue>) -> usize {
    bytes_len(1, name.as_bytes()) + value.map_or(0, |value| message_len(2, value.encoded().len()))
}

fn invocation_len(caller: Option<&Address>, argument: &TypedValue) -> usize {
    caller.map_or(0, |caller| message_len(1, address_len(caller)))
        + message_len(2, argument.encoded().len())
}

/// A request, as a function receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRequest {
    /// Who is invoked.
    pub target: Address,
    /// The states that were sent. One that the function declares and that is missing here must be asked for with
    /// [`Outcome::Incomplete`](statera_model::Outcome::Incomplete).
    pub states: Vec<PersistedValue>,
    /// The messages, in order.
    pub invocations: Vec<Invocation>,
}

/// A state of the invoked address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistedValue {
    /// The name of the state.
    pub name: Arc<str>,
    /// Its value. One whose `has_value` is not set means none, too.
    pub value: Option<TypedValue>,
}

/// A message for the invoked address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Who sent it; none if it came from outside.
    pub caller: Option<Address>,
    /// What it carries.
    pub argument: TypedValue,
}

impl OwnedRequest {
    /// The encoded request. One that was received without foreign fields comes out as it went in.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let states = self.states.iter().map(|state| (&*state.name, state.value.as_ref()));
        let invocations =
            self.invocations.iter().map(|message| (message.caller.as_ref(), &message.argument));
        let mut out = Vec::new();
        Request { target: &self.target, states, invocations }.encode(&mut out);
        out
    }
}

/// Reads the body of a request, an encoded `ToFunction`. Use [`Decoder::request`] to read many.
///
/// # Errors
/// If the bytes are not such a message, or it holds no invocation.
pub fn decode_request(body: Bytes) -> Result<OwnedRequest, DecodeError> {
    Decoder::new().request(body)
}

pub(crate) fn decode(decoder: &mut Decoder, body: &Bytes) -> Result<OwnedRequest, DecodeError> {
    let mut batch = None;
    merge_to_function(decoder, body, &mut batch).at("ToFunction")?;
    let batch = batch.ok_or(Problem::NoInvocation).at("ToFunction")?;
    let target = batch.target.build(decoder).at("ToFunction.invocation.target")?;
    Ok(OwnedRequest { target, states: batch.states, invocations: batch.invocations })
}

#[derive(Default)]
struct RawBatch<'a> {
    target: RawAddress<'a>,
    states: Vec<PersistedValue>,
    invocations: Vec<Invocation>,
}

fn merge_to_function<'a>(
    decoder: &mut Decoder,
    body: &'a Bytes,
    batch: &mut Option<RawBatch<'a>>,
) -> Result<(), DecodeError> {
    for field in Fields::of(body) {
        if let (100, field) = field? {
            let batch = batch.get_or_insert_default();
            merge_batch(decoder, body, batch, field).at("invocation")?;
        }
    }
    Ok(())
}

fn merge_batch<'a>(
    decoder: &mut Decoder,
    body: &Bytes,
    batch: &mut RawBatch<'a>,
    message: Field<'a>,
) -> Result<(), DecodeError> {
    for field in Fields::of(message.bytes()?) {
        match field? {
            (1, field) => batch.target.merge(field).at("target")?,
            (2, field) => {
                let state = read_state(decoder, body, field);
                batch.states.push(state.at_element("state", batch.states.len())?);
            }
            (3, field) => {
                let invocation = read_invocation(decoder, body, field);
                let index = batch.invocations.len();
                batch.invocations.push(invocation.at_element("invocations", index)?);
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_state(
    decoder: &mut Decoder,
    body: &Bytes,
    message: Field<'_>,
) -> Result<PersistedValue, DecodeError> {
    let mut name: &[u8] = b"";
    let mut value = RawValue::default();
    for field in Fields::of(message.bytes()?) {
        match field? {
            (1, field) => name = field.bytes().at("state_name")?,
            (2, field) => value.merge(body, field).at("state_value")?,
            _ => {}
        }
    }
    Ok(PersistedValue { name: decoder.state(name).at("state_name")?, value: value.build() })
}

fn read_invocation(
    decoder: &mut Decoder,
    body: &Bytes,
    message: Field<'_>,
) -> Result<Invocation, DecodeError> {
    let mut caller: Option<RawAddress<'_>> = None;
    let mut argument = RawValue::default();
    for field in Fields::of(message.bytes()?) {
        match field? {
            (1, field) => caller.get_or_insert_default().merge(field).at("caller")?,
            (2, field) => argument.merge(body, field).at("argument")?,
            _ => {}
        }
    }
    let caller = caller.map(|caller| caller.build(decoder)).transpose().at("caller")?;
    Ok(Invocation { caller, argument: argument.build_or_empty() })
}
