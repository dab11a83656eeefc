//! Values of a fixed number of bytes, which most small messages and states are.

use super::{INLINE_MAX, Inline, Repr, TypedValue};

/// A type whose values are protobuf messages with nothing but a field 1 of `N` bytes, four or eight; if all of them are zero,
/// the field is left out. All its usual encodings differ in these bytes only, so that values are written and read without a
/// look at the typename.
///
/// ```
/// use statera_model::FixedType;
///
/// const LONG: FixedType<8> = FixedType::new("io.statefun.types/long");
/// let value = LONG.encode(7_i64.to_le_bytes());
/// assert_eq!((value.typename(), value.value()), ("io.statefun.types/long", &[9, 7, 0, 0, 0, 0, 0, 0, 0][..]));
/// assert_eq!(LONG.decode(&value), Some(7_i64.to_le_bytes()));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FixedType<const N: usize> {
    /// Without the field.
    zero: Inline,
    /// With the field, whose bytes are zero here.
    other: Inline,
}

impl<const N: usize> FixedType<N> {
    /// The type with this name.
    ///
    /// # Panics
    /// In a constant, when the program is built: if the typename is empty or longer than 32 bytes less `N`, so that an encoded
    /// value takes more than 39 bytes, or if `N` is neither four nor eight.
    #[must_use]
    pub const fn new(typename: &'static str) -> FixedType<N> {
        let name = typename.as_bytes();
        let tag = match N {
            4 => 0x0d,
            8 => 0x09,
            _ => panic!("a field of a fixed length has four bytes or eight"),
        };
        assert!(
            !name.is_empty() && name.len() + 7 + N <= INLINE_MAX,
            "too long a typename, or none"
        );
        let (mut zero, mut at) = ([0; INLINE_MAX + 1], 0);
        (zero[0], zero[1]) = (0x0a, name.len() as u8);
        while at < name.len() {
            zero[2 + at] = name[at];
            at += 1;
        }
        let end = 2 + name.len();
        (zero[end], zero[end + 1]) = (0x10, 1);
        let mut other = zero;
        (other[end + 2], other[end + 3], other[end + 4]) = (0x1a, 1 + N as u8, tag);
        (zero[INLINE_MAX], other[INLINE_MAX]) = (end as u8 + 2, (end + 5 + N) as u8);
        FixedType { zero: Inline(zero), other: Inline(other) }
    }

    /// A value, by the bytes of its field.
    #[must_use]
    #[inline(always)]
    pub fn encode(&self, field: [u8; N]) -> TypedValue {
        if field == [0; N] {
            return TypedValue(Repr::Inline(self.zero));
        }
        let at = usize::from(self.other.0[INLINE_MAX]) - N;
        let mut inline = self.other;
        inline.0[at..at + N].copy_from_slice(&field);
        TypedValue(Repr::Inline(inline))
    }

    /// The bytes of the field of a value; `None` if it is not of this type, or not encoded as everybody does it.
    #[must_use]
    #[inline(always)]
    pub fn decode(&self, value: &TypedValue) -> Option<[u8; N]> {
        let Repr::Inline(inline) = &value.0 else { return None };
        let (length, other, zero) = (inline.0[INLINE_MAX], &self.other.0, &self.zero.0);
        let at = usize::from(other[INLINE_MAX]) - N;
        if length == other[INLINE_MAX] && inline.0[..at] == other[..at] {
            return inline.0[at..at + N].try_into().ok();
        }
        let at = usize::from(zero[INLINE_MAX]);
        (length == zero[INLINE_MAX] && inline.0[..at] == zero[..at]).then_some([0; N])
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const INT: FixedType<4> = FixedType::new("io.statefun.types/int");

    #[test]
    fn its_encodings_are_those_of_any_value() {
        for field in [[0; 4], [1, 0, 0, 0], [0, 0, 0, 9]] {
            let value = INT.encode(field);
            let bytes = [&[0x0d], &field[..]].concat();
            let bytes = if field == [0; 4] { &[] } else { &bytes[..] };
            assert_eq!(value, TypedValue::new("io.statefun.types/int", bytes));
            assert_eq!((value.typename(), value.value()), ("io.statefun.types/int", bytes));
            assert!(value.has_value() && value.is_plain());
            assert_eq!(INT.decode(&value), Some(field));
        }
    }

    #[test]
    fn the_longest_encoding_has_39_bytes() {
        const DOUBLE: FixedType<8> = FixedType::new("io.statefun.types/double");
        let value = DOUBLE.encode([7; 8]);
        assert_eq!((value.encoded().len(), value.is_plain()), (INLINE_MAX, true));
        assert_eq!(DOUBLE.decode(&value), Some([7; 8]));
        let refused = std::panic::catch_unwind(|| FixedType::<8>::new("io.statefun.types/doubles"));
        assert!(refused.is_err());
    }

    #[test]
    fn what_is_of_another_type_or_unusual_is_not_decoded() {
        const FLOAT: FixedType<4> = FixedType::new("io.statefun.types/float");
        assert_eq!(INT.decode(&FLOAT.encode([1; 4])), None);
        assert_eq!(INT.decode(&FLOAT.encode([0; 4])), None);
        let long = TypedValue::new(&format!("a/{}", "b".repeat(50)), &[0x0d, 1, 0, 0, 0]);
        assert_eq!(INT.decode(&long), None);
        for unusual in [&[0x0d, 0, 0, 0, 0][..], &[0x0d, 1, 0, 0, 0, 0x10, 1], &[0x15, 1, 0, 0, 0]]
        {
            let unusual = TypedValue::new("io.statefun.types/int", unusual);
            assert!(INT.decode(&unusual).is_none_or(|field| field == [0; 4]), "{unusual:?}");
        }
        let one = INT.encode([1, 0, 0, 0]);
        let unset = [&one.encoded()[..24], &[0], &one.encoded()[25..]].concat();
        let unset = TypedValue::from_encoded(Bytes::from(unset)).unwrap();
        assert_eq!((unset.has_value(), INT.decode(&unset)), (false, None));
    }
}
