//! Values with the name of their type, kept exactly as they came over the wire.

mod fixed;

use std::fmt;

use bytes::Bytes;

pub use fixed::FixedType;

/// The typename that stands for "the function named none" in a state declaration.
pub const UNSET_TYPENAME: &str = "io.statefun.types/unset";

/// A value and the name of its type: the bytes of an encoded `TypedValue` protobuf message
/// (`typename = 1: string, has_value = 2: bool, value = 3: bytes`).
///
/// The bytes are never decoded and encoded again on the way from one function to the next, so that fields we do not
/// know survive. Cloning is cheap (a small copy, or a reference count).
#[derive(Clone)]
pub struct TypedValue(Repr);

/// Most values are small, and much of what a message costs is the memory that is allocated for it: small ones need none.
///
/// They are copied over and over, and read soon after they were written. That is quick if both happens in whole words: therefore
/// the tag is one, and what it stands for consists of such.
#[derive(Clone)]
#[repr(u64)]
enum Repr {
    Inline(Inline),
    Shared(Bytes),
}

/// A small value with a typename, as everybody encodes it. The last byte is the length.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
struct Inline([u8; INLINE_MAX + 1]);

/// The longest encoded value that needs no allocation: a number with its typename takes 39 bytes at most. More would make every
/// message larger.
const INLINE_MAX: usize = 39;

/// The longest encoded value that is copied rather than shared with the buffer in which it came.
const COPIED_MAX: usize = 64;

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
    #[inline]
    pub fn new(typename: &str, value: &[u8]) -> TypedValue {
        match Inline::new(typename.as_bytes(), value) {
            Some(inline) => TypedValue(Repr::Inline(inline)),
            None => TypedValue::new_shared(typename, value),
        }
    }

    #[cold]
    fn new_shared(typename: &str, value: &[u8]) -> TypedValue {
        let length = typename.len() + value.len() + 16;
        let mut bytes = Vec::with_capacity(length);
        push_field(&mut bytes, 1, typename.as_bytes());
        bytes.extend([0x10, 1]);
        push_field(&mut bytes, 3, value);
        TypedValue(Repr::Shared(bytes.into()))
    }

    /// Takes encoded bytes after checking that they are well formed.
    ///
    /// # Errors
    /// If they are not an encoded `TypedValue`.
    pub fn from_encoded(bytes: Bytes) -> Result<TypedValue, InvalidTypedValue> {
        let usual = usual(&bytes);
        let parts = match &usual {
            Some(parts) => parts,
            None => &parts(&bytes)?,
        };
        std::str::from_utf8(parts.typename).map_err(|_| InvalidTypedValue::TypenameNotUtf8)?;
        let inline = match usual {
            Some(parts) if !parts.typename.is_empty() => Inline::copy_of(&bytes),
            _ => None,
        };
        Ok(TypedValue(match inline {
            Some(inline) => Repr::Inline(inline),
            // What is small does not keep a large buffer alive.
            None if bytes.len() <= COPIED_MAX => Repr::Shared(Bytes::copy_from_slice(&bytes)),
            None => Repr::Shared(bytes),
        }))
    }

    /// The encoded bytes.
    #[must_use]
    #[inline]
    pub fn encoded(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline(inline) => inline.encoded(),
            Repr::Shared(bytes) => bytes,
        }
    }

    /// Appends the encoded bytes. Quicker than copying [`TypedValue::encoded`], as those of a small one are copied with a known
    /// length, for which room is made.
    #[inline]
    pub fn append_to(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::Inline(inline) => {
                let end = out.len() + inline.encoded().len();
                out.extend_from_slice(&inline.0);
                out.truncate(end);
            }
            Repr::Shared(bytes) => out.extend_from_slice(bytes),
        }
    }

    /// The encoded bytes, shared where they can be.
    #[must_use]
    pub fn to_encoded(&self) -> Bytes {
        self.shared(self.encoded())
    }

    /// The name of the type; empty if the sender gave none.
    #[must_use]
    pub fn typename(&self) -> &str {
        std::str::from_utf8(self.parts().typename).expect("checked when the value was made")
    }

    /// Whether it is of this type. Quicker than comparing its typename.
    #[must_use]
    #[inline]
    pub fn is(&self, typename: &str) -> bool {
        self.parts().typename == typename.as_bytes()
    }

    /// The bytes of the value, if there is one and it is of this type.
    #[must_use]
    #[inline]
    pub fn value_of(&self, typename: &str) -> Option<&[u8]> {
        let parts = self.parts();
        (parts.has_value && parts.typename == typename.as_bytes()).then_some(parts.value)
    }

    /// Whether there is a value. An empty value is one: it is how protobuf encodes 0, "" and false.
    #[must_use]
    #[inline]
    pub fn has_value(&self) -> bool {
        self.parts().has_value
    }

    /// The bytes of the value; empty if there is none.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        self.parts().value
    }

    /// The bytes of the value, shared where they can be.
    #[must_use]
    pub fn to_value(&self) -> Bytes {
        self.shared(self.value())
    }

    /// Whether it needs no memory beside itself. Such a value has a type, and `has_value` is set.
    #[must_use]
    #[inline]
    pub fn is_plain(&self) -> bool {
        matches!(self.0, Repr::Inline(_))
    }

    /// The same value with its bytes in an allocation of their own, so that a small value does not keep a large buffer
    /// alive.
    #[must_use]
    pub fn detached(self) -> TypedValue {
        match self.0 {
            Repr::Inline(_) => self,
            Repr::Shared(bytes) => TypedValue(Repr::Shared(Bytes::copy_from_slice(&bytes))),
        }
    }

    /// What it takes in memory beside itself, roughly.
    #[must_use]
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Inline(_) => 0,
            Repr::Shared(bytes) => bytes.len() + 40,
        }
    }

    fn shared(&self, part: &[u8]) -> Bytes {
        match &self.0 {
            Repr::Shared(bytes) => bytes.slice_ref(part),
            Repr::Inline(_) => Bytes::copy_from_slice(part),
        }
    }

    #[inline]
    fn parts(&self) -> Parts<'_> {
        match &self.0 {
            Repr::Inline(inline) => inline.parts(),
            Repr::Shared(bytes) => known(bytes),
        }
    }
}

/// The parts of bytes that were checked when the value was made.
fn known(bytes: &[u8]) -> Parts<'_> {
    usual(bytes).unwrap_or_else(|| parts(bytes).expect("checked when the value was made"))
}

impl Inline {
    /// The usual encoding of a typename and a value, if it is short enough.
    #[inline]
    fn new(typename: &[u8], value: &[u8]) -> Option<Inline> {
        let (typename_end, head) = (2 + typename.len(), if value.is_empty() { 2 } else { 4 });
        let (value_at, length) = (typename_end + head, typename_end + head + value.len());
        if typename.is_empty() || length > INLINE_MAX {
            return None;
        }
        let mut bytes = [0; INLINE_MAX + 1];
        [bytes[0], bytes[1]] = [0x0a, typename.len() as u8];
        bytes[2..typename_end].copy_from_slice(typename);
        [bytes[typename_end], bytes[typename_end + 1]] = [0x10, 1];
        if !value.is_empty() {
            [bytes[typename_end + 2], bytes[typename_end + 3]] = [0x1a, value.len() as u8];
            bytes[value_at..length].copy_from_slice(value);
        }
        bytes[INLINE_MAX] = length as u8;
        Some(Inline(bytes))
    }

    /// A copy of bytes encoded as usual, with a typename, if they are few.
    fn copy_of(encoded: &[u8]) -> Option<Inline> {
        let mut bytes = [0; INLINE_MAX + 1];
        bytes[..INLINE_MAX].get_mut(..encoded.len())?.copy_from_slice(encoded);
        bytes[INLINE_MAX] = encoded.len() as u8;
        Some(Inline(bytes))
    }

    #[inline]
    fn encoded(&self) -> &[u8] {
        &self.0[..usize::from(self.0[INLINE_MAX])]
    }

    #[inline]
    fn parts(&self) -> Parts<'_> {
        let encoded = self.encoded();
        let typename_end = 2 + usize::from(encoded[1]);
        let value = encoded.get(typename_end + 4..).unwrap_or_default();
        Parts { typename: &encoded[2..typename_end], has_value: true, value }
    }
}

impl PartialEq for TypedValue {
    fn eq(&self, other: &TypedValue) -> bool {
        self.encoded() == other.encoded()
    }
}

impl Eq for TypedValue {}

impl fmt::Debug for TypedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", self.typename(), Bytes::copy_from_slice(self.value()))
    }
}

/// What we know of a value's fields.
#[derive(Default)]
struct Parts<'a> {
    typename: &'a [u8],
    has_value: bool,
    value: &'a [u8],
}

/// The parts of bytes as everybody writes them: the three fields in order, each shorter than 128 bytes.
#[inline]
fn usual(bytes: &[u8]) -> Option<Parts<'_>> {
    let [0x0a, length @ ..0x80, rest @ ..] = bytes else { return None };
    let (typename, rest) = rest.split_at_checked(usize::from(*length))?;
    let value = match rest {
        [0x10, 1, 0x1a, length @ ..0x80, value @ ..] if value.len() == usize::from(*length) => {
            value
        }
        [0x10, 1] => &[],
        _ => return None,
    };
    Some(Parts { typename, has_value: true, value })
}

/// The parts of any bytes; the last one of a field counts, as protobuf demands.
fn parts(bytes: &[u8]) -> Result<Parts<'_>, InvalidTypedValue> {
    let mut parts = Parts::default();
    for_each_field(bytes, |number, field| match (number, field) {
        (1, Field::Bytes(typename)) => parts.typename = typename,
        (2, Field::Varint(number)) => parts.has_value = number != 0,
        (3, Field::Bytes(value)) => parts.value = value,
        _ => {}
    })?;
    Ok(parts)
}

#[derive(Clone, Copy)]
enum Field<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// Visits the fields of a protobuf message in order.
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
        assert_eq!(one.encoded(), expected);
    }

    #[test]
    fn unusual_encodings_are_read_as_protobuf_says() {
        for (bytes, typename, has_value, value) in [
            (&b"\x10\x01\x0a\x03a/b\x1a\x01x"[..], "a/b", true, &b"x"[..]),
            (b"\x0a\x03a/b\x10\x02\x1a\x01x", "a/b", true, b"x"),
            (b"\x0a\x03a/b\x10\x00\x1a\x01x", "a/b", false, b"x"),
            (b"\x0a\x03a/b\x10\x01\x1a\x01x\x1a\x02yz", "a/b", true, b"yz"),
            (b"\x0a\x03a/b\x10\x01\x1a\x00", "a/b", true, b""),
            (b"\x0a\x83\x00a/b\x10\x01", "a/b", true, b""),
            (b"", "", false, b""),
        ] {
            let read = TypedValue::from_encoded(Bytes::copy_from_slice(bytes)).unwrap();
            assert_eq!(
                (read.typename(), read.has_value(), read.value()),
                (typename, has_value, value)
            );
            assert_eq!(read.encoded(), bytes);
        }
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<TypedValue>(), 48);
        assert_eq!(size_of::<Option<TypedValue>>(), 48);
    }

    #[test]
    fn no_length_changes_a_value() {
        for length in (0..200).chain([16_383, 16_384, 70_000]) {
            let bytes = vec![7; length];
            let value = TypedValue::new("a/b", &bytes);
            assert!(value.is("a/b") && value.has_value());
            assert_eq!((value.value(), value.to_value()), (&bytes[..], bytes.clone().into()));
            assert_eq!(TypedValue::from_encoded(value.to_encoded()).unwrap(), value);
            assert_eq!(value.clone().detached(), value);
            assert_eq!(value.is_plain(), value.heap_bytes() == 0);
            let mut appended = vec![1];
            value.append_to(&mut appended);
            assert_eq!(&appended[1..], value.encoded());
        }
    }

    #[test]
    fn unknown_fields_survive() {
        let encoded =
            Bytes::from_static(b"\x0a\x03a/b\x10\x01\x1a\x01x\x22\x04meta\x2d\x01\x02\x03\x04");
        let value = TypedValue::from_encoded(encoded.clone()).unwrap();
        assert_eq!((value.typename(), value.value()), ("a/b", &b"x"[..]));
        assert_eq!(value.encoded(), encoded);
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
        fn what_is_almost_usual_is_read_as_protobuf_says(
            typename in 0..45_usize,
            value in 0..40_usize,
            place: prop::sample::Index,
            byte: u8,
            change in 0..4,
        ) {
            let mut bytes = Vec::new();
            push_field(&mut bytes, 1, &b"n".repeat(typename));
            bytes.extend([0x10, 1]);
            push_field(&mut bytes, 3, &b"v".repeat(value));
            let at = place.index(bytes.len());
            match change {
                0 => bytes[at] = byte,
                1 => bytes.truncate(at),
                2 => bytes.push(byte),
                _ => {}
            }
            let read = TypedValue::from_encoded(bytes.clone().into());
            match parts(&bytes) {
                Ok(parts) if std::str::from_utf8(parts.typename).is_ok() => {
                    let read = read.unwrap();
                    prop_assert_eq!(
                        (read.typename().as_bytes(), read.has_value(), read.value()),
                        (parts.typename, parts.has_value, parts.value)
                    );
                    prop_assert_eq!(read.encoded(), bytes);
                }
                _ => prop_assert!(read.is_err()),
            }
        }

        #[test]
        fn what_was_put_in_comes_out(typename in ".{0,200}", value: Vec<u8>) {
            let made = TypedValue::new(&typename, &value);
            let read = TypedValue::from_encoded(made.to_encoded()).unwrap();
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
