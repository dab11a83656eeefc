//! The wire format of protobuf, as far as proto3 uses it.
//!
//! A message is a sequence of fields. A field is a key, which is the varint `number << 3 | wire type`, and its content:
//! a varint (wire type 0: bool, int64, enum), 8 bytes (1: sfixed64, double), a varint length and so many bytes (2:
//! string, bytes, message), or 4 bytes (5: sfixed32, float). Numbers are little-endian. A varint holds seven bits per
//! byte, the lowest first; the high bit says that more follow.

use crate::error::Problem;

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const FIXED32: u8 = 5;

const FIELD_NUMBER_MAX: u64 = (1 << 29) - 1;

/// The content of a field.
#[derive(Clone, Copy)]
pub(crate) enum Field<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

impl<'a> Field<'a> {
    pub(crate) fn bytes(self) -> Result<&'a [u8], Problem> {
        match self {
            Field::Bytes(bytes) => Ok(bytes),
            other => Err(other.is_not("length-delimited field")),
        }
    }

    pub(crate) fn text(self) -> Result<&'a str, Problem> {
        text(self.bytes()?)
    }

    pub(crate) fn number(self) -> Result<u64, Problem> {
        match self {
            Field::Varint(number) => Ok(number),
            other => Err(other.is_not("varint")),
        }
    }

    pub(crate) fn fixed64(self) -> Result<[u8; 8], Problem> {
        match self {
            Field::Fixed64(bytes) => Ok(bytes),
            other => Err(other.is_not("64-bit number")),
        }
    }

    pub(crate) fn fixed32(self) -> Result<[u8; 4], Problem> {
        match self {
            Field::Fixed32(bytes) => Ok(bytes),
            other => Err(other.is_not("32-bit number")),
        }
    }

    #[cold]
    fn is_not(self, expected: &'static str) -> Problem {
        let found = match self {
            Field::Varint(_) => "varint",
            Field::Fixed64(_) => "64-bit number",
            Field::Bytes(_) => "length-delimited field",
            Field::Fixed32(_) => "32-bit number",
        };
        Problem::WireType { found, expected }
    }
}

pub(crate) fn text(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| Problem::NotUtf8)
}

/// The fields of a message in order, with their numbers. Nothing follows an error.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    #[inline]
    fn field(&mut self) -> Result<(u32, Field<'a>), Problem> {
        let key = self.varint()?;
        let number = key >> 3;
        if number == 0 || number > FIELD_NUMBER_MAX {
            return Err(Problem::FieldNumber(number));
        }
        let content = match (key & 7) as u8 {
            BYTES => {
                let length = self.varint()?;
                Field::Bytes(self.take(usize::try_from(length).map_err(|_| Problem::CutShort)?)?)
            }
            VARINT => Field::Varint(self.varint()?),
            FIXED64 => Field::Fixed64(self.take_array()?),
            FIXED32 => Field::Fixed32(self.take_array()?),
            other => return Err(Problem::UnknownWireType(other)),
        };
        Ok((number as u32, content))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Problem> {
        match self.rest {
            [byte @ 0..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            [low, high @ 0..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[cold]
    fn long_varint(&mut self) -> Result<u64, Problem> {
        let mut value = 0;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { Problem::CutShort } else { Problem::NumberTooLong })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Problem> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Problem::CutShort)?;
        self.rest = rest;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Problem::CutShort)?;
        self.rest = rest;
        Ok(*taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Field<'a>), Problem>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// The encoded length of a varint.
pub(crate) fn varint_len(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

fn key_len(number: u32) -> usize {
    varint_len(u64::from(number) << 3)
}

/// The encoded length of a message in a field, if the message itself takes `length` bytes.
pub(crate) fn message_len(number: u32, length: usize) -> usize {
    key_len(number) + varint_len(length as u64) + length
}

/// The encoded length of text or bytes; nothing is written for empty ones.
pub(crate) fn bytes_len(number: u32, bytes: &[u8]) -> usize {
    if bytes.is_empty() { 0 } else { message_len(number, bytes.len()) }
}

/// The encoded length of a number; nothing is written for zero.
pub(crate) fn number_len(number: u32, value: u64) -> usize {
    if value == 0 { 0 } else { key_len(number) + varint_len(value) }
}

/// The encoded length of a number that is written also if it is zero: that of a field which may be absent.
pub(crate) fn present_number_len(number: u32, value: u64) -> usize {
    key_len(number) + varint_len(value)
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_key(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    put_varint(out, u64::from(number) << 3 | u64::from(wire_type));
}

/// Begins a message in a field; the caller writes its `length` bytes next.
pub(crate) fn put_message_head(out: &mut Vec<u8>, number: u32, length: usize) {
    put_key(out, number, BYTES);
    put_varint(out, length as u64);
}

/// Writes a message whose bytes are there already, also if they are none.
pub(crate) fn put_message(out: &mut Vec<u8>, number: u32, message: &[u8]) {
    put_message_head(out, number, message.len());
    out.extend_from_slice(message);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_message(out, number, bytes);
    }
}

pub(crate) fn put_present_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_key(out, number, VARINT);
    put_varint(out, value);
}

pub(crate) fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        put_key(out, number, VARINT);
        put_varint(out, value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn first(bytes: &[u8]) -> Result<u32, Problem> {
        Fields::of(bytes).next().expect("there are bytes").map(|(number, _)| number)
    }

    #[test]
    fn impossible_fields_are_refused() {
        for (bytes, problem) in [
            (&b"\x0a"[..], Problem::CutShort),
            (b"\x0a\x02a", Problem::CutShort),
            (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Problem::CutShort),
            (b"\x09\x00\x00\x00\x00\x00\x00\x00", Problem::CutShort),
            (b"\x0d\x00\x00\x00", Problem::CutShort),
            (b"\xff", Problem::CutShort),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Problem::NumberTooLong),
            (b"\x02\x00", Problem::FieldNumber(0)),
            (b"\x82\x80\x80\x80\x10\x00", Problem::FieldNumber(1 << 29)),
            (b"\x0b\x0c", Problem::UnknownWireType(3)),
            (b"\x0f", Problem::UnknownWireType(7)),
        ] {
            assert_eq!(first(bytes), Err(problem), "{bytes:?}");
        }
    }

    #[test]
    fn nothing_follows_an_error() {
        assert_eq!(Fields::of(b"\x0f\x08\x01").count(), 1);
    }

    proptest! {
        #[test]
        fn numbers_come_back(value: u64, shift in 0..64, number in 1u32..1 << 29) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            put_number(&mut bytes, number, value);
            prop_assert_eq!(bytes.len(), number_len(number, value));
            let read = Fields::of(&bytes).next().map(|field| {
                let (number, field) = field.expect("it was encoded so");
                (number, field.number().expect("it was encoded so"))
            });
            prop_assert_eq!(read, (value != 0).then_some((number, value)));
        }
    }
}
