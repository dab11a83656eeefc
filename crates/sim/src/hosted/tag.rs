//! Numbers on values. A value carries its number in a field that its encoding has no meaning for, so that neither the
//! engine, which keeps such fields, nor a function, which never sees them, treats it differently.

use bytes::Bytes;
use statera_model::TypedValue;

/// The tag of field 76543, eight bytes long.
const MARK: [u8; 3] = [0xf9, 0xaf, 0x25];
const TAG_BYTES: usize = MARK.len() + 8;

/// The value with a number.
pub(super) fn number(value: &TypedValue, number: usize) -> TypedValue {
    let mut bytes = value.encoded().to_vec();
    bytes.extend(MARK);
    bytes.extend((number as u64).to_le_bytes());
    TypedValue::from_encoded(bytes.into()).expect("a field was added to what is well formed")
}

/// The number of a value, and the value without it.
pub(super) fn read(value: &TypedValue) -> Option<(usize, TypedValue)> {
    let bytes: &[u8] = value.encoded();
    let (rest, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
    let number = tag.strip_prefix(&MARK)?.try_into().expect("what is left are eight bytes");
    let rest = TypedValue::from_encoded(Bytes::copy_from_slice(rest)).ok()?;
    Some((u64::from_le_bytes(number) as usize, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_off_and_leaves_the_value_as_it_was() {
        for value in [TypedValue::new("a/b", b""), TypedValue::new("a/b", &[7; 300])] {
            let numbered = number(&value, 300);
            assert_eq!((numbered.typename(), numbered.value()), (value.typename(), value.value()));
            assert_eq!(read(&numbered), Some((300, value.clone())));
            assert_eq!(read(&value), None);
        }
    }
}
