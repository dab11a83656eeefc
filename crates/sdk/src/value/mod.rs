//! Values: how Rust types become bytes with a typename, and back.

mod built_in;
#[cfg(feature = "json")]
pub(crate) mod json;
mod macros;
#[cfg(feature = "protobuf")]
pub(crate) mod protobuf;

use statera_model::TypedValue;
use statera_protocol::egress::{KafkaRecord, KinesisRecord};

use crate::error::{Error, Result};
use crate::message::Message;

/// Any error of a conversion.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A type of values, with a name that all functions and languages agree on.
///
/// `bool`, `i32`, `i64`, `f32`, `f64` and `String` have the six types that every StateFun SDK knows. For your own types
/// there are [`json_value!`](crate::json_value), [`protobuf_value!`](crate::protobuf_value) and
/// [`bytes_value!`](crate::bytes_value), or an implementation by hand:
///
/// ```
/// use statera_sdk::{BoxError, Value};
///
/// struct Celsius(f64);
///
/// impl Value for Celsius {
///     const TYPENAME: &'static str = "weather/Celsius";
///
///     fn encode(&self, out: &mut Vec<u8>) -> Result<(), BoxError> {
///         out.extend(self.0.to_string().bytes());
///         Ok(())
///     }
///
///     fn decode(bytes: &[u8]) -> Result<Self, BoxError> {
///         Ok(Celsius(std::str::from_utf8(bytes)?.parse()?))
///     }
/// }
/// ```
pub trait Value: Sized + Send + 'static {
    /// The name of the type, `namespace/name`.
    const TYPENAME: &'static str;

    /// Appends the bytes of the value.
    ///
    /// # Errors
    /// If it has no representation. What the function did is undone, and it will be tried again.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), BoxError>;

    /// Reads the value from its bytes.
    ///
    /// # Errors
    /// If they are not such a value.
    fn decode(bytes: &[u8]) -> Result<Self, BoxError>;

    /// The value with its typename. Override it only to be faster.
    ///
    /// # Errors
    /// If it can't be encoded.
    fn to_typed_value(&self) -> Result<TypedValue, ValueError> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes)
            .map_err(|source| ValueError::Unencodable { typename: Self::TYPENAME, source })?;
        Ok(TypedValue::new(Self::TYPENAME, &bytes))
    }

    /// Reads a value that must be of this type. Override it only to be faster.
    ///
    /// # Errors
    /// If it is of another type, not there, or malformed.
    fn from_typed_value(value: &TypedValue) -> Result<Self, ValueError> {
        if !value.is(Self::TYPENAME) {
            let found = value.typename().to_owned();
            return Err(ValueError::OtherType { expected: Self::TYPENAME, found });
        }
        if !value.has_value() {
            return Err(ValueError::NoValue { typename: Self::TYPENAME });
        }
        Self::decode(value.value())
            .map_err(|source| ValueError::Malformed { typename: Self::TYPENAME, source })
    }
}

/// Why a value can't be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// It is of another type.
    #[error("a value of type `{expected}` is expected, this one is of type `{found}`")]
    OtherType {
        /// The typename asked for.
        expected: &'static str,
        /// The typename it has.
        found: String,
    },
    /// It is of the right type, but says that there is no value.
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
        source: BoxError,
    },
    /// It has no representation in bytes.
    #[error("the value can't be written as `{typename}`")]
    Unencodable {
        /// Its type.
        typename: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
}

/// What can be sent: any [`Value`], `&str`, a [`Message`] or [`TypedValue`] as it is, an enum of
/// [`one_of!`](crate::one_of), and the records of [`egress`](crate::egress).
pub trait IntoValue {
    /// The value with its typename.
    ///
    /// # Errors
    /// If it can't be encoded.
    fn into_value(self) -> Result<TypedValue, ValueError>;
}

impl<T: Value> IntoValue for T {
    fn into_value(self) -> Result<TypedValue, ValueError> {
        self.to_typed_value()
    }
}

impl IntoValue for &str {
    fn into_value(self) -> Result<TypedValue, ValueError> {
        Ok(statera_protocol::types::encode(self))
    }
}

impl IntoValue for TypedValue {
    fn into_value(self) -> Result<TypedValue, ValueError> {
        Ok(self)
    }
}

impl IntoValue for Message {
    fn into_value(self) -> Result<TypedValue, ValueError> {
        Ok(self.into())
    }
}

impl IntoValue for KafkaRecord<'_> {
    fn into_value(self) -> Result<TypedValue, ValueError> {
        Ok(self.encode())
    }
}

impl IntoValue for KinesisRecord<'_> {
    fn into_value(self) -> Result<TypedValue, ValueError> {
        Ok(self.encode())
    }
}

/// What a function can take: a [`Value`] of one type, an enum of [`one_of!`](crate::one_of), or any [`Message`].
pub trait Argument: Sized + Send {
    /// Reads the message.
    ///
    /// # Errors
    /// If it is nothing that the function takes. By convention such an error asks for a dead letter: the bytes will be
    /// the same next time.
    fn from_message(message: &TypedValue) -> Result<Self>;
}

impl<T: Value> Argument for T {
    fn from_message(message: &TypedValue) -> Result<Self> {
        T::from_typed_value(message).map_err(Error::dead_letter)
    }
}

impl Argument for Message {
    fn from_message(message: &TypedValue) -> Result<Self> {
        Ok(message.clone().into())
    }
}

/// What a function can return: `()`, or a value that is sent to whoever sent the message, if there is a sender. `None`
/// answers nothing.
pub trait Answer {
    /// The value to send to the caller.
    ///
    /// # Errors
    /// If it can't be encoded.
    fn into_answer(self) -> Result<Option<TypedValue>, ValueError>;
}

impl Answer for () {
    fn into_answer(self) -> Result<Option<TypedValue>, ValueError> {
        Ok(None)
    }
}

impl<T: IntoValue> Answer for T {
    fn into_answer(self) -> Result<Option<TypedValue>, ValueError> {
        self.into_value().map(Some)
    }
}

impl<T: IntoValue> Answer for Option<T> {
    fn into_answer(self) -> Result<Option<TypedValue>, ValueError> {
        self.map(IntoValue::into_value).transpose()
    }
}
