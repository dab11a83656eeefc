//! The value types that every SDK knows: `bool`, `int`, `float`, `long`, `double` and `string`.
//!
//! A value is a wrapper message with the single field `value = 1`. The default (false, 0, 0.0, "") takes zero bytes, and
//! is a value all the same.
//!
//! | typename | Rust | wrapper | field | bytes, if not the default |
//! |---|---|---|---|---|
//! | [`BOOL`] | `bool` | `BooleanWrapper` | bool | `08 01` |
//! | [`INT`] | `i32` | `IntWrapper` | sfixed32 | `0d`, 4 bytes little-endian |
//! | [`FLOAT`] | `f32` | `FloatWrapper` | float | `0d`, 4 bytes little-endian |
//! | [`LONG`] | `i64` | `LongWrapper` | sfixed64 | `09`, 8 bytes little-endian |
//! | [`DOUBLE`] | `f64` | `DoubleWrapper` | double | `09`, 8 bytes little-endian |
//! | [`STRING`] | `&str`, `String` | `StringWrapper` | string | `0a`, length as varint, UTF-8 |
//!
//! ```
//! use statera_protocol::types;
//!
//! let visits = types::encode(7_i64);
//! assert_eq!(visits.typename(), types::LONG);
//! assert_eq!(types::decode::<i64>(&visits)?, 7);
//! assert_eq!(
//!     types::decode::<i32>(&visits).unwrap_err().to_string(),
//!     "a value of type `io.statefun.types/int` is expected, this one is of type `io.statefun.types/long`"
//! );
//! # Ok::<(), types::ValueError>(())
//! ```

use statera_model::{FixedType, TypedValue};

use crate::error::{At, DecodeError, Problem};
use crate::message::typed_value;
use crate::wire::{Field, Fields, bytes_len, number_len, put_bytes, put_number};

/// The typename of a `bool`.
pub const BOOL: &str = "io.statefun.types/bool";
/// The typename of an `i32`.
pub const INT: &str = "io.statefun.types/int";
/// The typename of an `f32`.
pub const FLOAT: &str = "io.statefun.types/float";
/// The typename of an `i64`.
pub const LONG: &str = "io.statefun.types/long";
/// The typename of an `f64`.
pub const DOUBLE: &str = "io.statefun.types/double";
/// The typename of a string.
pub const STRING: &str = "io.statefun.types/string";

/// Why a [`TypedValue`] is not the value that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// It is of another type.
    #[error("a value of type `{expected}` is expected, this one is of type `{found}`")]
    OtherType {
        /// The typename asked for.
        expected: &'static str,
        /// The typename it has.
        found: String,
    },
    /// It is of the right type, but says that there is no value (`has_value` is not set).
    #[error("there is a type, `{typename}`, but no value; hint: the sender must set `has_value`")]
    NoValue {
        /// Its type.
        typename: &'static str,
    },
    /// Its bytes are not those of a value of its type.
    #[error("the bytes are not a value of type `{typename}`")]
    Malformed {
        /// Its type.
        typename: &'static str,
        /// What is wrong with them.
        #[source]
        source: DecodeError,
    },
}

/// Wraps a value.
#[must_use]
#[inline]
pub fn encode<'a>(value: impl BuiltIn<'a>) -> TypedValue {
    value.wrap()
}

/// Unwraps a value.
///
/// # Errors
/// If it is of another type, not there, or malformed.
#[inline]
pub fn decode<'a, T: BuiltIn<'a>>(value: &'a TypedValue) -> Result<T, ValueError> {
    if let Some(value) = T::unwrap_usual(value) {
        return Ok(value);
    }
    unwrap(value)
}

fn unwrap<'a, T: BuiltIn<'a>>(value: &'a TypedValue) -> Result<T, ValueError> {
    let Some(message) = value.value_of(T::TYPENAME) else { return Err(no_value::<T>(value)) };
    T::unwrap(message).at(T::WRAPPER).map_err(malformed::<T>)
}

#[cold]
fn no_value<'a, T: BuiltIn<'a>>(value: &TypedValue) -> ValueError {
    match check_type(value, T::TYPENAME) {
        Err(error) => error,
        Ok(()) => ValueError::NoValue { typename: T::TYPENAME },
    }
}

#[cold]
fn malformed<'a, T: BuiltIn<'a>>(source: DecodeError) -> ValueError {
    ValueError::Malformed { typename: T::TYPENAME, source }
}

pub(crate) fn check_type(value: &TypedValue, expected: &'static str) -> Result<(), ValueError> {
    match value.is(expected) {
        true => Ok(()),
        false => Err(ValueError::OtherType { expected, found: value.typename().to_owned() }),
    }
}

/// A Rust type with a typename that every SDK knows. Not to be implemented elsewhere.
pub trait BuiltIn<'a>: Wrapped<'a> {
    /// The typename.
    const TYPENAME: &'static str = <Self as Wrapped<'a>>::TYPE;
}

impl<'a, T: Wrapped<'a>> BuiltIn<'a> for T {}

mod wrapped {
    use super::{DecodeError, TypedValue};

    pub trait Wrapped<'a>: Sized {
        const TYPE: &'static str;
        const WRAPPER: &'static str;

        fn wrap(&self) -> TypedValue;

        /// A value as everybody encodes it. `None` does not mean that it is none: then [`Wrapped::unwrap`] decides.
        fn unwrap_usual(_value: &'a TypedValue) -> Option<Self> {
            None
        }

        fn unwrap(message: &'a [u8]) -> Result<Self, DecodeError>;
    }
}

use wrapped::Wrapped;

impl Wrapped<'_> for bool {
    const TYPE: &'static str = BOOL;
    const WRAPPER: &'static str = "BooleanWrapper";

    #[inline]
    fn wrap(&self) -> TypedValue {
        let number = u64::from(*self);
        typed_value(BOOL, number_len(1, number), |out| put_number(out, 1, number))
    }

    fn unwrap(message: &[u8]) -> Result<bool, DecodeError> {
        last(message, Field::number).map(|number| number.unwrap_or_default() != 0)
    }
}

// A negative zero is not the default: it is told from zero by its bits, so that it survives.
macro_rules! fixed {
    ($($number:ty: $typename:ident $wrapper:literal $field:ident;)+) => {$(
        impl Wrapped<'_> for $number {
            const TYPE: &'static str = $typename;
            const WRAPPER: &'static str = $wrapper;

            #[inline]
            fn wrap(&self) -> TypedValue {
                const { FixedType::new($typename) }.encode(self.to_le_bytes())
            }

            #[inline]
            fn unwrap_usual(value: &TypedValue) -> Option<$number> {
                const { FixedType::new($typename) }.decode(value).map(<$number>::from_le_bytes)
            }

            fn unwrap(message: &[u8]) -> Result<$number, DecodeError> {
                let bytes = last(message, Field::$field)?;
                Ok(<$number>::from_le_bytes(bytes.unwrap_or_default()))
            }
        }
    )+};
}

fixed! {
    i32: INT "IntWrapper" fixed32;
    f32: FLOAT "FloatWrapper" fixed32;
    i64: LONG "LongWrapper" fixed64;
    f64: DOUBLE "DoubleWrapper" fixed64;
}

impl<'a> Wrapped<'a> for &'a str {
    const TYPE: &'static str = STRING;
    const WRAPPER: &'static str = "StringWrapper";

    #[inline]
    fn wrap(&self) -> TypedValue {
        let text = self.as_bytes();
        typed_value(STRING, bytes_len(1, text), |out| put_bytes(out, 1, text))
    }

    fn unwrap(message: &'a [u8]) -> Result<&'a str, DecodeError> {
        last(message, Field::text).map(Option::unwrap_or_default)
    }
}

impl<'a> Wrapped<'a> for String {
    const TYPE: &'static str = STRING;
    const WRAPPER: &'static str = <&str as Wrapped>::WRAPPER;

    #[inline]
    fn wrap(&self) -> TypedValue {
        self.as_str().wrap()
    }

    fn unwrap(message: &'a [u8]) -> Result<String, DecodeError> {
        <&str as Wrapped>::unwrap(message).map(str::to_owned)
    }
}

/// The last field 1 of a wrapper message.
fn last<'a, T>(
    message: &'a [u8],
    read: impl Fn(Field<'a>) -> Result<T, Problem>,
) -> Result<Option<T>, DecodeError> {
    let mut value = None;
    for field in Fields::of(message) {
        if let (1, field) = field? {
            value = Some(read(field).at("value")?);
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn the_bytes_are_those_that_the_sdks_write() {
        for (value, typename, bytes) in [
            (encode(true), BOOL, &b"\x08\x01"[..]),
            (encode(1_i32), INT, b"\x0d\x01\x00\x00\x00"),
            (encode(-2_i32), INT, b"\x0d\xfe\xff\xff\xff"),
            (encode(1.0_f32), FLOAT, b"\x0d\x00\x00\x80\x3f"),
            (encode(-0.0_f32), FLOAT, b"\x0d\x00\x00\x00\x80"),
            (encode(1_i64), LONG, b"\x09\x01\x00\x00\x00\x00\x00\x00\x00"),
            (encode(1.0_f64), DOUBLE, b"\x09\x00\x00\x00\x00\x00\x00\xf0\x3f"),
            (encode("é"), STRING, b"\x0a\x02\xc3\xa9"),
            (encode(String::from("a")), STRING, b"\x0a\x01a"),
        ] {
            assert_eq!((value.typename(), value.value()), (typename, bytes));
            assert!(value.has_value());
        }
    }

    #[test]
    fn a_default_is_a_value_of_zero_bytes() {
        for value in [
            encode(false),
            encode(0_i32),
            encode(0.0_f32),
            encode(0_i64),
            encode(0.0_f64),
            encode(""),
        ] {
            assert!(value.has_value());
            assert_eq!(value.value(), b"");
            assert_eq!(value, TypedValue::new(value.typename(), b""));
        }
        assert_eq!(decode::<i32>(&encode(0_i32)), Ok(0));
        assert_eq!(decode::<&str>(&encode("")), Ok(""));
    }

    #[test]
    fn a_type_without_a_value_is_not_the_default() {
        let none = TypedValue::from_encoded(Bytes::from_static(b"\x0a\x16io.statefun.types/bool"));
        let error = decode::<bool>(&none.unwrap());
        assert_eq!(error, Err(ValueError::NoValue { typename: BOOL }));
    }

    #[test]
    fn bytes_of_another_form_are_refused() {
        for (typename, bytes, place) in [
            (INT, &b"\x08\x01"[..], "IntWrapper.value"),
            (INT, b"\x0d\x01", "IntWrapper"),
            (INT, b"raw text", "IntWrapper"),
        ] {
            match decode::<i32>(&TypedValue::new(typename, bytes)) {
                Err(ValueError::Malformed { typename: INT, source }) => {
                    assert_eq!(source.path(), place);
                }
                other => panic!("{bytes:?}: {other:?}"),
            }
        }
        let text = TypedValue::new(STRING, b"\x0a\x01\xff");
        assert!(matches!(decode::<String>(&text), Err(ValueError::Malformed { .. })));
    }
}
