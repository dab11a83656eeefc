//! Values that are protobuf messages.

use prost::Message;

use super::BoxError;

pub(crate) fn encode<T: Message>(value: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
    Ok(value.encode(out)?)
}

pub(crate) fn decode<T: Message + Default>(bytes: &[u8]) -> Result<T, BoxError> {
    Ok(T::decode(bytes)?)
}
