//! What the macros of this crate expand to. No part of its contract.

use statera_model::TypedValue;

use crate::error::Error;

#[cfg(feature = "json")]
pub mod json {
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use crate::value::{BoxError, json};

    pub fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        json::encode(value, out)
    }

    pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BoxError> {
        json::decode(bytes)
    }
}

#[cfg(feature = "protobuf")]
pub mod protobuf {
    use prost::Message;

    use crate::value::{BoxError, protobuf};

    pub fn encode<T: Message>(value: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        protobuf::encode(value, out)
    }

    pub fn decode<T: Message + Default>(bytes: &[u8]) -> Result<T, BoxError> {
        protobuf::decode(bytes)
    }
}

#[cold]
pub fn unexpected(message: &TypedValue, expected: &[&str]) -> Error {
    let found = message.typename();
    let expected = expected.join("`, `");
    Error::dead_letter(format!("a message of type `{found}` is none of `{expected}`"))
}
