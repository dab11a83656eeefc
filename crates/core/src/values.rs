//! The values of the key space, byte by byte.
//!
//! A *number* is a LEB128 varint, a *text* or *blob* is its length as a number and its bytes, an *address* is three
//! texts (namespace, type, id), a *typed value* at the end of a value is its encoded bytes to the end. The first byte of
//! an alternative is its tag; tags are never renumbered.

use std::sync::Arc;

use bytes::Bytes;
use statera_model::{Address, Epoch, Millis, Name, TypedValue};
use statera_ports::{Answer, DeadLetterId, SinkPosition};

/// A value of kind `kind` cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored {kind} is corrupt")]
pub struct CorruptValue {
    /// What it should have been.
    pub kind: &'static str,
}

/// A state value: `number last access in ms (0 if it never expires), typed value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateValue {
    /// When it was last written, or sent to its function if that counts; zero if it never expires.
    pub last_access: Millis,
    /// The value.
    pub value: TypedValue,
}

impl StateValue {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.value.encoded().len() + 6);
        StateValue::push(&mut out, self.last_access, &self.value);
        out
    }

    #[inline]
    pub(crate) fn push(out: &mut Vec<u8>, last_access: Millis, value: &TypedValue) {
        push_number(out, last_access.0);
        value.append_to(out);
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`CorruptValue`]
    pub fn decode(bytes: Bytes) -> Result<StateValue, CorruptValue> {
        read("state value", bytes, |reader| {
            Some(StateValue { last_access: Millis(reader.number()?), value: reader.typed_value()? })
        })
    }
}

/// A message: `u8 has a caller, address caller if so, typed value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Who sent it; `None` if it came from outside.
    pub caller: Option<Address>,
    /// What it carries.
    pub argument: TypedValue,
}

impl Mail {
    pub(crate) fn push(out: &mut Vec<u8>, caller: Option<&Address>, argument: &TypedValue) {
        push_caller(out, caller);
        argument.append_to(out);
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`CorruptValue`]
    pub fn decode(bytes: Bytes) -> Result<Mail, CorruptValue> {
        read("message", bytes, |reader| {
            Some(Mail { caller: reader.caller()?, argument: reader.typed_value()? })
        })
    }
}

/// A delayed message: `address sender, address target, text token (empty if none), typed value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delayed {
    /// Who sent it.
    pub sender: Address,
    /// Who receives it.
    pub target: Address,
    /// What cancels it.
    pub token: Option<Arc<str>>,
    /// What it carries.
    pub argument: TypedValue,
}

impl Delayed {
    /// Reads it.
    ///
    /// # Errors
    /// [`CorruptValue`]
    pub fn decode(bytes: Bytes) -> Result<Delayed, CorruptValue> {
        let parts = DelayedParts::decode(&bytes)?;
        Ok(Delayed {
            sender: parts.sender.owned(),
            target: parts.target.owned(),
            token: Some(parts.token).filter(|token| !token.is_empty()).map(Into::into),
            argument: parts.argument_of(&bytes)?,
        })
    }
}

/// A [`Delayed`] as its bytes have it, without anything of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DelayedParts<'a> {
    pub(crate) sender: AddressParts<'a>,
    pub(crate) target: AddressParts<'a>,
    /// Empty if nothing cancels it.
    pub(crate) token: &'a str,
    /// An encoded typed value; not checked when it is read.
    pub(crate) argument: &'a [u8],
}

/// An [`Address`] as its bytes have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressParts<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) id: &'a str,
}

impl<'a> DelayedParts<'a> {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for address in [&self.sender, &self.target] {
            for text in [address.namespace, address.name, address.id] {
                push_blob(out, text.as_bytes());
            }
        }
        push_blob(out, self.token.as_bytes());
        out.extend_from_slice(self.argument);
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Result<DelayedParts<'a>, CorruptValue> {
        DelayedParts::take(bytes).ok_or(CorruptValue { kind: DELAYED })
    }

    fn take(mut rest: &'a [u8]) -> Option<DelayedParts<'a>> {
        Some(DelayedParts {
            sender: AddressParts::take(&mut rest)?,
            target: AddressParts::take(&mut rest)?,
            token: take_text(&mut rest)?,
            argument: rest,
        })
    }

    /// The argument, checked. `bytes` is what the parts were read from.
    pub(crate) fn argument_of(&self, bytes: &Bytes) -> Result<TypedValue, CorruptValue> {
        TypedValue::from_encoded(bytes.slice_ref(self.argument))
            .map_err(|_| CorruptValue { kind: DELAYED })
    }
}

impl<'a> AddressParts<'a> {
    fn take(rest: &mut &'a [u8]) -> Option<AddressParts<'a>> {
        Some(AddressParts {
            namespace: take_text(rest)?,
            name: take_text(rest)?,
            id: take_text(rest)?,
        })
    }

    fn owned(&self) -> Address {
        Address::new(Name::from_parts(self.namespace, self.name), self.id)
    }
}

impl<'a> From<&'a Address> for AddressParts<'a> {
    fn from(address: &'a Address) -> AddressParts<'a> {
        let (namespace, name) = (address.function.namespace(), address.function.name());
        AddressParts { namespace, name, id: &address.id }
    }
}

const DELAYED: &str = "delayed message";

/// What became of a request with an idempotency key: `number expires in ms, u8 tag`, then for tag 0 (a sent message)
/// nothing, for 1 (a call that waits) `text call id`, for 2 (answered) a typed value, for 3 (dead-lettered) `number
/// key group, number, text reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dedupe {
    pub(crate) expires: Millis,
    pub(crate) fate: Fate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Sent,
    Waiting { call: Arc<str> },
    Answered(Answer),
}

impl Dedupe {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        push_number(&mut out, self.expires.0);
        match &self.fate {
            Fate::Sent => out.push(0),
            Fate::Waiting { call } => {
                out.push(1);
                push_blob(&mut out, call.as_bytes());
            }
            Fate::Answered(Answer::Value(value)) => {
                out.push(2);
                out.extend_from_slice(value.encoded());
            }
            Fate::Answered(Answer::DeadLettered { id, reason }) => {
                out.push(3);
                push_number(&mut out, id.key_group.into());
                push_number(&mut out, id.number);
                push_blob(&mut out, reason.as_bytes());
            }
        }
        out
    }

    pub(crate) fn decode(bytes: Bytes) -> Result<Dedupe, CorruptValue> {
        read("idempotency key", bytes, |reader| {
            let expires = Millis(reader.number()?);
            let fate = match reader.byte()? {
                0 => Fate::Sent,
                1 => Fate::Waiting { call: reader.text()?.into() },
                2 => Fate::Answered(Answer::Value(reader.typed_value()?)),
                3 => Fate::Answered(Answer::DeadLettered {
                    id: DeadLetterId {
                        key_group: reader.number()?.try_into().ok()?,
                        number: reader.number()?,
                    },
                    reason: reader.text()?.into(),
                }),
                _ => return None,
            };
            Some(Dedupe { expires, fate })
        })
    }
}

/// How far a sink has confirmed: `number epoch, position to the end`.
pub(crate) fn encode_sink_position(position: &SinkPosition) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    push_number(&mut out, position.epoch.0);
    out.extend_from_slice(&position.position);
    out
}

/// Reads the position of a sink.
///
/// # Errors
/// [`CorruptValue`]
pub fn decode_sink_position(bytes: Bytes) -> Result<SinkPosition, CorruptValue> {
    read("sink position", bytes, |reader| {
        Some(SinkPosition { epoch: Epoch(reader.number()?), position: reader.rest() })
    })
}

/// Why an address takes no messages: `number since in ms, text reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    /// When it was paused.
    pub since: Millis,
    /// The failure that paused it.
    pub reason: Arc<str>,
}

impl Paused {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.reason.len() + 12);
        push_number(&mut out, self.since.0);
        push_blob(&mut out, self.reason.as_bytes());
        out
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`CorruptValue`]
    pub fn decode(bytes: Bytes) -> Result<Paused, CorruptValue> {
        read("pause", bytes, |reader| {
            Some(Paused { since: Millis(reader.number()?), reason: reader.text()?.into() })
        })
    }
}

/// What was given up: `number at in ms, number attempts, text reason, u8 tag`, then for tag 0 `address target, blob
/// request`, for 1 `address target, u8 has a caller, address caller if so, typed value`, for 2 `text place, blob record`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// When.
    pub at: Millis,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was given up.
    pub reason: Arc<str>,
    /// What it is.
    pub body: DeadBody,
}

/// The content of a [`DeadLetter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadBody {
    /// A message that its function could not process.
    Invocation {
        /// Who should have processed it.
        target: Address,
        /// The exact request as it was last sent: an encoded `ToFunction` with this one message.
        request: Bytes,
    },
    /// A message that never reached a function.
    Message {
        /// Who should have received it.
        target: Address,
        /// The message.
        mail: Mail,
    },
    /// A record of a source that could not become a message.
    Record {
        /// Where it stands.
        place: Arc<str>,
        /// The record.
        record: Bytes,
    },
}

impl DeadLetter {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        push_number(&mut out, self.at.0);
        push_number(&mut out, self.attempts.into());
        push_blob(&mut out, self.reason.as_bytes());
        match &self.body {
            DeadBody::Invocation { target, request } => {
                out.push(0);
                push_address(&mut out, target);
                push_blob(&mut out, request);
            }
            DeadBody::Message { target, mail } => {
                out.push(1);
                push_address(&mut out, target);
                push_caller(&mut out, mail.caller.as_ref());
                out.extend_from_slice(mail.argument.encoded());
            }
            DeadBody::Record { place, record } => {
                out.push(2);
                push_blob(&mut out, place.as_bytes());
                push_blob(&mut out, record);
            }
        }
        out
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`CorruptValue`]
    pub fn decode(bytes: Bytes) -> Result<DeadLetter, CorruptValue> {
        read("dead letter", bytes, |reader| {
            let (at, attempts) = (Millis(reader.number()?), reader.number()?.try_into().ok()?);
            let reason = reader.text()?.into();
            let body = match reader.byte()? {
                0 => DeadBody::Invocation { target: reader.address()?, request: reader.blob()? },
                1 => DeadBody::Message {
                    target: reader.address()?,
                    mail: Mail { caller: reader.caller()?, argument: reader.typed_value()? },
                },
                2 => DeadBody::Record { place: reader.text()?.into(), record: reader.blob()? },
                _ => return None,
            };
            Some(DeadLetter { at, attempts, reason, body })
        })
    }
}

#[inline]
pub(crate) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn push_blob(out: &mut Vec<u8>, blob: &[u8]) {
    push_number(out, blob.len() as u64);
    out.extend_from_slice(blob);
}

fn push_address(out: &mut Vec<u8>, address: &Address) {
    push_blob(out, address.function.namespace().as_bytes());
    push_blob(out, address.function.name().as_bytes());
    push_number(out, address.id.len() as u64);
    address.id.append_to(out);
}

fn push_caller(out: &mut Vec<u8>, caller: Option<&Address>) {
    out.push(caller.is_some().into());
    if let Some(caller) = caller {
        push_address(out, caller);
    }
}

pub(crate) fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

pub(crate) fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(take_number(rest)?).ok()?;
    std::str::from_utf8(rest.split_off(..length)?).ok()
}

/// Reads all of `bytes`, or none of it.
fn read<T>(
    kind: &'static str,
    bytes: Bytes,
    parse: impl FnOnce(&mut Reader) -> Option<T>,
) -> Result<T, CorruptValue> {
    let mut reader = Reader { bytes };
    match parse(&mut reader) {
        Some(value) if reader.bytes.is_empty() => Ok(value),
        _ => Err(CorruptValue { kind }),
    }
}

struct Reader {
    bytes: Bytes,
}

impl Reader {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.first()?;
        let _ = self.bytes.split_to(1);
        Some(byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut rest = &self.bytes[..];
        let number = take_number(&mut rest)?;
        let read = self.bytes.len() - rest.len();
        let _ = self.bytes.split_to(read);
        Some(number)
    }

    fn blob(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.number()?).ok()?;
        (length <= self.bytes.len()).then(|| self.bytes.split_to(length))
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.blob()?.into()).ok()
    }

    fn address(&mut self) -> Option<Address> {
        let function = Name::from_parts(&self.text()?, &self.text()?);
        Some(Address::new(function, self.text()?))
    }

    fn caller(&mut self) -> Option<Option<Address>> {
        match self.byte()? {
            0 => Some(None),
            1 => Some(Some(self.address()?)),
            _ => None,
        }
    }

    fn typed_value(&mut self) -> Option<TypedValue> {
        TypedValue::from_encoded(self.rest()).ok()
    }

    fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = TypedValue> {
        ("[a-z]{0,3}/[a-z]{0,3}", any::<Vec<u8>>()).prop_map(|(name, v)| TypedValue::new(&name, &v))
    }

    fn address() -> impl Strategy<Value = Address> {
        (".{0,3}", ".{0,3}", ".{0,5}")
            .prop_map(|(ns, name, id)| Address::new(Name::from_parts(&ns, &name), id))
    }

    fn mail() -> impl Strategy<Value = Mail> {
        (proptest::option::of(address()), value())
            .prop_map(|(caller, argument)| Mail { caller, argument })
    }

    proptest! {
        #[test]
        fn values_are_read_as_they_were_written(
            at: u64, mail in mail(), target in address(), token in proptest::option::of("[a-z]{1,4}"),
            blob: Vec<u8>, reason in ".{0,9}",
        ) {
            let at = Millis(at);
            let state = StateValue { last_access: at, value: mail.argument.clone() };
            prop_assert_eq!(StateValue::decode(state.encode().into()), Ok(state));
            let mut bytes = Vec::new();
            Mail::push(&mut bytes, mail.caller.as_ref(), &mail.argument);
            prop_assert_eq!(Mail::decode(bytes.into()), Ok(mail.clone()));
            let delayed = Delayed {
                sender: target.clone(),
                target: target.clone(),
                token: token.map(Into::into),
                argument: mail.argument.clone(),
            };
            let mut bytes = Vec::new();
            let parts = DelayedParts {
                sender: (&delayed.sender).into(),
                target: (&delayed.target).into(),
                token: delayed.token.as_deref().unwrap_or_default(),
                argument: delayed.argument.encoded(),
            };
            parts.encode(&mut bytes);
            prop_assert_eq!(DelayedParts::decode(&bytes), Ok(parts));
            prop_assert_eq!(Delayed::decode(bytes.into()), Ok(delayed));
            let reason: Arc<str> = reason.into();
            let id = DeadLetterId { key_group: 3, number: at.0 };
            for fate in [
                Fate::Sent,
                Fate::Waiting { call: reason.clone() },
                Fate::Answered(Answer::Value(mail.argument.clone())),
                Fate::Answered(Answer::DeadLettered { id, reason: reason.clone() }),
            ] {
                let dedupe = Dedupe { expires: at, fate };
                prop_assert_eq!(Dedupe::decode(dedupe.encode().into()), Ok(dedupe));
            }
            let position = SinkPosition { epoch: Epoch(at.0), position: blob.clone().into() };
            let bytes = encode_sink_position(&position);
            prop_assert_eq!(decode_sink_position(bytes.into()), Ok(position));
            let paused = Paused { since: at, reason: reason.clone() };
            prop_assert_eq!(Paused::decode(paused.encode().into()), Ok(paused));
            for body in [
                DeadBody::Invocation { target: target.clone(), request: blob.clone().into() },
                DeadBody::Message { target: target.clone(), mail: mail.clone() },
                DeadBody::Record { place: reason.clone(), record: blob.clone().into() },
            ] {
                let letter = DeadLetter { at, attempts: 9, reason: reason.clone(), body };
                prop_assert_eq!(DeadLetter::decode(letter.encode().into()), Ok(letter));
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            let _ = StateValue::decode(bytes.clone());
            let _ = Mail::decode(bytes.clone());
            let _ = Delayed::decode(bytes.clone());
            let _ = Dedupe::decode(bytes.clone());
            let _ = decode_sink_position(bytes.clone());
            let _ = Paused::decode(bytes.clone());
            let _ = DeadLetter::decode(bytes);
        }
    }
}
