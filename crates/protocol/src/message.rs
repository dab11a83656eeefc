//! The two messages that occur in both directions.
//!
//! | message | field | number | type |
//! |---|---|---|---|
//! | `Address` | `namespace` | 1 | string |
//! | | `type` | 2 | string |
//! | | `id` | 3 | string |
//! | `TypedValue` | `typename` | 1 | string |
//! | | `has_value` | 2 | bool |
//! | | `value` | 3 | bytes |

use bytes::Bytes;
use statera_model::{Address, Name, TypedValue};

use crate::decoder::Decoder;
use crate::error::{At, DecodeError, Problem};
use crate::wire::{
    Field, Fields, bytes_len, message_len, put_bytes, put_message_head, put_number, text,
};

/// An `Address` as it is read; absent fields are empty.
#[derive(Clone, Copy, Default)]
pub(crate) struct RawAddress<'a> {
    namespace: &'a [u8],
    name: &'a [u8],
    id: &'a [u8],
}

impl<'a> RawAddress<'a> {
    pub(crate) fn merge(&mut self, message: Field<'a>) -> Result<(), DecodeError> {
        for field in Fields::of(message.bytes()?) {
            match field? {
                (1, field) => self.namespace = field.bytes().at("namespace")?,
                (2, field) => self.name = field.bytes().at("type")?,
                (3, field) => self.id = field.bytes().at("id")?,
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn build(self, decoder: &mut Decoder) -> Result<Address, DecodeError> {
        let id = text(self.id).at("id")?;
        Ok(Address::new(name(decoder, (self.namespace, "namespace"), (self.name, "type"))?, id))
    }
}

/// A name that came in two fields, each with its name.
pub(crate) fn name(
    decoder: &mut Decoder,
    (namespace, namespace_field): (&[u8], &str),
    (name, name_field): (&[u8], &str),
) -> Result<Name, DecodeError> {
    if let Some(known) = decoder.known_name(namespace, name) {
        return Ok(known);
    }
    Ok(decoder.new_name(text(namespace).at(namespace_field)?, text(name).at(name_field)?))
}

/// The length of an `Address`, without the head of the field that holds it.
pub(crate) fn address_len(address: &Address) -> usize {
    bytes_len(1, address.function.namespace().as_bytes())
        + bytes_len(2, address.function.name().as_bytes())
        + bytes_len(3, address.id.as_bytes())
}

/// Writes an `Address` into field `number`.
pub(crate) fn put_address(out: &mut Vec<u8>, number: u32, address: &Address) {
    put_message_head(out, number, address_len(address));
    put_bytes(out, 1, address.function.namespace().as_bytes());
    put_bytes(out, 2, address.function.name().as_bytes());
    put_bytes(out, 3, address.id.as_bytes());
}

/// A `TypedValue` as it is read: a slice of the body. Only if the field occurs several times its parts are joined, which
/// in protobuf is the same as merging them.
#[derive(Default)]
pub(crate) struct RawValue {
    value: Option<TypedValue>,
    joined: Vec<u8>,
}

impl RawValue {
    /// `message` is a part of `body`.
    pub(crate) fn merge(&mut self, body: &Bytes, message: Field<'_>) -> Result<(), Problem> {
        let message = message.bytes()?;
        let part =
            TypedValue::from_encoded(body.slice_ref(message)).map_err(Problem::TypedValue)?;
        match &self.value {
            None => self.value = Some(part),
            Some(first) => {
                if self.joined.is_empty() {
                    self.joined.extend_from_slice(first.encoded());
                }
                self.joined.extend_from_slice(message);
            }
        }
        Ok(())
    }

    /// The value, if the field was there.
    pub(crate) fn build(self) -> Option<TypedValue> {
        if self.joined.is_empty() { self.value } else { Some(encoded(self.joined)) }
    }

    /// The value; one without a typename and a value if the field was not there.
    pub(crate) fn build_or_empty(self) -> TypedValue {
        self.build().unwrap_or_else(|| encoded(Vec::new()))
    }
}

fn encoded(bytes: Vec<u8>) -> TypedValue {
    TypedValue::from_encoded(bytes.into()).expect("well-formed fields were put one after another")
}

/// A `TypedValue` whose `value` is written in place. `write` must write exactly `value_length` bytes.
pub(crate) fn typed_value(
    typename: &str,
    value_length: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> TypedValue {
    let length = bytes_len(1, typename.as_bytes()) + 2 + message_len(3, value_length);
    let mut out = Vec::with_capacity(length);
    put_bytes(&mut out, 1, typename.as_bytes());
    put_number(&mut out, 2, 1);
    if value_length > 0 {
        put_message_head(&mut out, 3, value_length);
        write(&mut out);
        debug_assert_eq!(out.len(), length);
    }
    encoded(out)
}
