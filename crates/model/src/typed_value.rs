//! Values with the name of their type, kept exactly as they came over the wire.

use std::fmt;

use bytes::Bytes;

/// The typename that stands for "the function named none" in a state declaration.
pub const UNSET_TYPENAME: &str = "io.statefun.types/unset";

/// A value and the name of its type: the bytes of an encoded `TypedValue` protobuf message
/// (`typename = 1: string, has_value = 2: bool, value = 3: bytes`).
///
/// The bytes are never decoded and encoded again on the way from one function to the next, so that fields we do not
/// know survive. Cloning is cheap (a reference count).
#[derive(Clone, PartialEq, Eq)]
pub struct TypedValue(Bytes);

/// The bytes are not an encoded `TypedValue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTypedValue {
    /// A field is cut short, has an impossible tag, or the wrong wire type.
    #[error("malformed protobuf in a TypedValue")]
    Malformed,
    /// The typename is not text.
    #[error("the typename of a TypedValue is not UTF-8")]
    TypenameNotUtf8,
}

impl TypedValue {
    /// A value (`has_value` is set, also for an empty `value`) of the given type.
    #[must_use]
    pub fn new(typename: &str, value: &[u8]) -> TypedValue {
        let mut bytes = Vec::with_capacity(typename.len() + value.len() + 16);
        push_field(&mut bytes, 1, typename.as_bytes());
        bytes.extend([0x10, 1]);
        push_field(&mut bytes, 3, value);
        TypedValue(bytes.into())
    }

    /// Takes encoded bytes after checking that they are well formed.
    ///
    /// # Errors
    /// If they are not an encoded `TypedValue`.
    pub fn from_encoded(bytes: Bytes) -> Result<TypedValue, InvalidTypedValue> {
        let mut typename: &[u8] = &[];
        for_each_field(&bytes, |number, field| {
            if let (1, Field::Bytes(name)) = (number, field) {
                typename = name;
            }
        })?;
        std::str::from_utf8(typename).map_err(|_| InvalidTypedValue::TypenameNotUtf8)?;
        Ok(TypedValue(bytes))
    }

    /// The encoded bytes.
    #[must_use]
    pub fn encoded(&self) -> &Bytes {
        &self.0
    }

    /// The name of the type; empty if the sender gave none.
    #[must_use]
    pub fn typename(&self) -> &str {
        let name = self.field(1).unwrap_or_default();
        std::str::from_utf8(name).expect("checked when the value was made")
    }

    /// Whether there is a value. An empty value is one: it is how protobuf encodes 0, "" and false.
    #[must_use]
    pub fn has_value(&self) -> bool {
        let mut has_value = false;
        self.visit(|number, field| {
            if let (2, Field::Varint(n)) = (number, field) {
                has_value = n != 0;
            }
        });
        has_value
    }

    /// The bytes of the value; empty if there is none.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        self.field(3).unwrap_or_default()
    }

    /// The same value with its bytes in an allocation of their own, so that a small value does not keep a large buffer
    /// alive.
    #[must_use]
    pub fn detached(&self) -> TypedValue {
        TypedValue(Bytes::copy_from_slice(&self.0))
    }

    fn field(&self, wanted: u32) -> Option<&[u8]> {
        let mut found = None;
        self.visit(|number, field| {
            if let (true, Field::Bytes(bytes)) = (number == wanted, field) {
                found = Some(bytes);
            }
        });
        found
    }

    fn visit<'a>(&'a self, visit: impl FnMut(u32, Field<'a>)) {
        for_each_field(&self.0, visit).expect("checked when the value was made");
    }
}

impl fmt::Debug for TypedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", self.typename(), Bytes::copy_from_slice(self.value()))
    }
}

#[derive(Clone, Copy)]
enum Field<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// Visits the fields of a protobuf message in order; the last one of a number counts, as protobuf demands.
fn for_each_field<'a>(
    mut bytes: &'a [u8],
    mut visit: impl FnMut(u32, Field<'a>),
) -> Result<(), InvalidTypedValue> {
    while !bytes.is_empty() {
        let tag = take_varint(&mut bytes)?;
        let number = u32::try_from(tag >> 3).map_err(|_| InvalidTypedValue::Malformed)?;
        let field = match tag & 7 {
            0 => Field::Varint(take_varint(&mut bytes)?),
            1 => take(&mut bytes, 8).map(|_| Field::Fixed)?,
            2 => {
                let length = take_varint(&mut bytes)?;
                let length = usize::try_from(length).map_err(|_| InvalidTypedValue::Malformed)?;
                Field::Bytes(take(&mut bytes, length)?)
            }
            5 => take(&mut bytes, 4).map(|_| Field::Fixed)?,
            _ => return Err(InvalidTypedValue::Malformed),
        };
        let expected = match number {
            0 => false,
            1 | 3 => matches!(field, Field::Bytes(_)),
            2 => matches!(field, Field::Varint(_)),
            _ => true,
        };
        if !expected {
            return Err(InvalidTypedValue::Malformed);
        }
        visit(number, field);
    }
    Ok(())
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], InvalidTypedValue> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or(InvalidTypedValue::Malformed)?;
    *bytes = rest;
    Ok(taken)
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64, InvalidTypedValue> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(InvalidTypedValue::Malformed)
}

fn push_field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_value_is_not_no_value() {
        let zero = TypedValue::new("io.statefun.types/int", b"");
        assert!(zero.has_value());
        assert_eq!(zero.value(), b"");
        let none = TypedValue::from_encoded(Bytes::from_static(b"\x0a\x03a/b")).unwrap();
        assert!(!none.has_value());
        assert_eq!(none.typename(), "a/b");
    }

    #[test]
    fn the_encoding_is_that_of_the_protocol() {
        let one = TypedValue::new("io.statefun.types/int", &[0x0d, 1, 0, 0, 0]);
        let mut expected = b"\x0a\x15io.statefun.types/int\x10\x01\x1a\x05".to_vec();
        expected.extend([0x0d, 1, 0, 0, 0]);
        assert_eq!(one.encoded(), &expected);
    }

    #[test]
    fn unknown_fields_survive() {
        let encoded =
            Bytes::from_static(b"\x0a\x03a/b\x10\x01\x1a\x01x\x22\x04meta\x2d\x01\x02\x03\x04");
        let value = TypedValue::from_encoded(encoded.clone()).unwrap();
        assert_eq!((value.typename(), value.value()), ("a/b", &b"x"[..]));
        assert_eq!(value.encoded(), &encoded);
    }

    #[test]
    fn malformed_bytes_are_refused() {
        for bad in
            [&b"\x0a"[..], b"\x0a\x05ab", b"\x08\x01", b"\x12\x00", b"\x00\x01", b"\x0b", b"\xff"]
        {
            let result = TypedValue::from_encoded(Bytes::copy_from_slice(bad));
            assert_eq!(result, Err(InvalidTypedValue::Malformed), "{bad:?}");
        }
        let result = TypedValue::from_encoded(Bytes::from_static(b"\x0a\x01\xff"));
        assert_eq!(result, Err(InvalidTypedValue::TypenameNotUtf8));
    }

    proptest! {
        #[test]
        fn what_was_put_in_comes_out(typename in ".{0,200}", value: Vec<u8>) {
            let made = TypedValue::new(&typename, &value);
            let read = TypedValue::from_encoded(made.encoded().clone()).unwrap();
            prop_assert_eq!(read.typename(), typename);
            prop_assert_eq!(read.value(), value);
            prop_assert!(read.has_value());
        }

        #[test]
        fn no_input_panics(bytes: Vec<u8>) {
            if let Ok(value) = TypedValue::from_encoded(bytes.into()) {
                let _ = (value.typename(), value.has_value(), value.value());
            }
        }
    }
}
