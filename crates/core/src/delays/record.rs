//! A pending message in memory. What it has in common with others (its function types) is a number there.
//!
//! Byte by byte, in the words of [`crate::values`]: `number sender's function, number target's function, text sender's
//! id, number 0 if the target has the same id or else 1 + the length of its id and the id, text token, argument`.

use bytes::Bytes;
use statera_model::{Address, TypedValue};

use super::names::Names;
use crate::values::{AddressParts, DelayedParts, push_blob, push_number, take_number, take_text};

/// A pending message as its bytes have it.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    /// Numbers in [`Names`].
    pub(super) sender_function: u32,
    pub(super) target_function: u32,
    pub(super) sender_id: &'a str,
    /// `None` if it is the sender's.
    target_id: Option<&'a str>,
    /// Empty if nothing cancels it.
    pub(super) token: &'a str,
    argument: &'a [u8],
}

/// A message whose time has come, or that has been cancelled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) sender: Address,
    pub(crate) target: Address,
    pub(crate) argument: TypedValue,
}

impl<'a> Record<'a> {
    /// Its function types are used once more each.
    pub(super) fn new(parts: DelayedParts<'a>, names: &mut Names) -> Record<'a> {
        let DelayedParts { sender, target, token, argument } = parts;
        Record {
            sender_function: names.take(sender.namespace, sender.name),
            target_function: names.take(target.namespace, target.name),
            sender_id: sender.id,
            target_id: Some(target.id).filter(|id| *id != sender.id),
            token,
            argument,
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        push_number(out, self.sender_function.into());
        push_number(out, self.target_function.into());
        push_blob(out, self.sender_id.as_bytes());
        match self.target_id {
            None => push_number(out, 0),
            Some(id) => {
                push_number(out, id.len() as u64 + 1);
                out.extend_from_slice(id.as_bytes());
            }
        }
        push_blob(out, self.token.as_bytes());
        out.extend_from_slice(self.argument);
    }

    pub(super) fn read(bytes: &'a [u8]) -> Record<'a> {
        Record::take(bytes).expect("as it was written")
    }

    fn take(mut rest: &'a [u8]) -> Option<Record<'a>> {
        Some(Record {
            sender_function: take_number(&mut rest)? as u32,
            target_function: take_number(&mut rest)? as u32,
            sender_id: take_text(&mut rest)?,
            target_id: match take_number(&mut rest)?.checked_sub(1) {
                None => None,
                Some(length) => Some(std::str::from_utf8(rest.split_off(..length as usize)?).ok()?),
            },
            token: take_text(&mut rest)?,
            argument: rest,
        })
    }

    /// As it is stored.
    pub(super) fn parts(&self, names: &'a Names) -> DelayedParts<'a> {
        let address = |function, id| {
            let name = names.get(function);
            AddressParts { namespace: name.namespace(), name: name.name(), id }
        };
        DelayedParts {
            sender: address(self.sender_function, self.sender_id),
            target: address(self.target_function, self.target_id.unwrap_or(self.sender_id)),
            token: self.token,
            argument: self.argument,
        }
    }

    pub(super) fn due(&self, names: &Names) -> Due {
        let sender = Address::new(names.get(self.sender_function).clone(), self.sender_id);
        let function = names.get(self.target_function).clone();
        let target = match self.target_id {
            None => Address { function, id: sender.id.clone() },
            Some(id) => Address::new(function, id),
        };
        let argument = TypedValue::from_encoded(Bytes::copy_from_slice(self.argument));
        Due { sender, target, argument: argument.expect("checked when it came in") }
    }
}
