//! Ids of function instances.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// The id of a function instance: any text, which may be empty. Cloning is cheap (a small copy, or a reference count).
///
/// ```
/// use statera_model::Id;
///
/// let id = Id::from("ada");
/// assert_eq!(&*id, "ada");
/// assert!(id < Id::from("bob"));
/// ```
#[derive(Clone)]
pub struct Id(Repr);

/// Most ids are short. Each message names one, and each instance has one: short ones need no memory of their own.
#[derive(Clone)]
enum Repr {
    Inline(Inline),
    Shared(Arc<str>),
}

/// It is copied over and over. Whole words at their own places are copied best; so the mark that tells it from a shared
/// text is within it, and not before it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, align(8))]
struct Inline {
    bytes: [u8; INLINE_MAX],
    length: u8,
    _is_inline: bool,
}

/// The longest id that needs no allocation: as long as it makes an [`Id`] no larger than 24 bytes.
const INLINE_MAX: usize = 22;

impl Id {
    /// The text.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Inline(_) => std::str::from_utf8(self.as_bytes()).expect("it was a text"),
            Repr::Shared(text) => text,
        }
    }

    /// The bytes of the text. Quicker than [`Id::as_str`].
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline(inline) => &inline.bytes[..usize::from(inline.length)],
            Repr::Shared(text) => text.as_bytes(),
        }
    }

    /// Appends the bytes of the text. Quicker than copying [`Id::as_bytes`], as those of a short one are of a known length, for
    /// which room is made.
    #[inline]
    pub fn append_to(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::Inline(inline) => {
                let end = out.len() + usize::from(inline.length);
                out.extend_from_slice(&inline.bytes);
                out.truncate(end);
            }
            Repr::Shared(text) => out.extend_from_slice(text.as_bytes()),
        }
    }

    /// The number of bytes.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether it is the empty text.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it takes in memory beside itself, roughly.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Inline(_) => 0,
            Repr::Shared(text) => text.len() + 32,
        }
    }

    /// A number of at most eight digits, as text. It comes into being within a register: to read at once what was just written
    /// in smaller pieces is to wait.
    #[inline(always)]
    fn from_few_digits(number: u32) -> Id {
        let digits = eight_digits(number);
        let zeros = (digits.trailing_zeros() / 8).min(7);
        let text = (digits | 0x3030_3030_3030_3030) >> (zeros * 8);
        let mut bytes = [0; INLINE_MAX];
        bytes[..8].copy_from_slice(&text.to_le_bytes());
        Id(Repr::Inline(Inline { bytes, length: 8 - zeros as u8, _is_inline: true }))
    }

    fn from_digits(mut number: u64) -> Id {
        let mut bytes = [0; INLINE_MAX];
        let length = number.checked_ilog10().unwrap_or(0) as usize + 1;
        for digit in bytes[..length].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        Id(Repr::Inline(Inline { bytes, length: length as u8, _is_inline: true }))
    }

    fn inline(text: &str) -> Option<Id> {
        let mut bytes = [0; INLINE_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Id(Repr::Inline(Inline { bytes, length: text.len() as u8, _is_inline: true })))
    }
}

/// The decimal digits of a number below 10^8, one in each byte, the first one in the lowest. It is halved into numbers of fewer
/// digits, which lie side by side and are halved together; to divide by 100 and by 10 is to multiply and to shift.
#[inline(always)]
fn eight_digits(number: u32) -> u64 {
    let (high, low) = (u64::from(number / 10_000), u64::from(number % 10_000));
    let fours = high | low << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (twos - tens * 10) << 8
}

impl From<&str> for Id {
    #[inline]
    fn from(text: &str) -> Id {
        Id::inline(text).unwrap_or_else(|| Id(Repr::Shared(text.into())))
    }
}

impl From<String> for Id {
    fn from(text: String) -> Id {
        Id::from(text.as_str())
    }
}

/// The number in decimal.
impl From<u64> for Id {
    #[inline(always)]
    fn from(number: u64) -> Id {
        match u32::try_from(number) {
            Ok(number) if number < 100_000_000 => Id::from_few_digits(number),
            _ => Id::from_digits(number),
        }
    }
}

impl From<&String> for Id {
    fn from(text: &String) -> Id {
        Id::from(text.as_str())
    }
}

impl From<Arc<str>> for Id {
    fn from(text: Arc<str>) -> Id {
        Id::inline(&text).unwrap_or(Id(Repr::Shared(text)))
    }
}

impl From<&Id> for Id {
    fn from(id: &Id) -> Id {
        id.clone()
    }
}

impl From<Id> for Arc<str> {
    fn from(id: Id) -> Arc<str> {
        match id.0 {
            Repr::Inline(_) => id.as_str().into(),
            Repr::Shared(text) => text,
        }
    }
}

impl Deref for Id {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for Id {
    #[inline]
    fn eq(&self, other: &Id) -> bool {
        match (&self.0, &other.0) {
            // What is behind the text is zero.
            (Repr::Inline(this), Repr::Inline(other)) => this == other,
            _ => self.as_bytes() == other.as_bytes(),
        }
    }
}

impl Eq for Id {}

impl PartialEq<str> for Id {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Id {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Id) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Id {
    fn cmp(&self, other: &Id) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

/// As that of its text.
impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_small_and_short_texts_need_nothing_else() {
        assert_eq!(size_of::<Id>(), 24);
        assert_eq!(Id::from("x".repeat(22)).heap_bytes(), 0);
        assert!(Id::from("x".repeat(23)).heap_bytes() > 23);
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 99, 100, 99_999_999, 100_000_000, u64::MAX - 1, u64::MAX] {
            assert_eq!(Id::from(number).as_str(), number.to_string());
            assert_eq!(Id::from(number).heap_bytes(), 0);
        }
    }

    #[test]
    fn every_number_of_few_digits_is_its_own_text() {
        for number in (0..10_000_u64).chain((10_000..100_000_000).step_by(9_973)) {
            assert_eq!(Id::from(number).as_str(), number.to_string());
        }
    }

    fn hash(value: impl Hash) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    }

    proptest! {
        #[test]
        fn it_is_as_its_text(a in "\\PC{0,40}", b in "\\PC{0,40}") {
            let (x, y) = (Id::from(a.as_str()), Id::from(b.clone()));
            prop_assert_eq!((x.as_str(), y.as_bytes()), (a.as_str(), b.as_bytes()));
            prop_assert_eq!((x == y, x.cmp(&y)), (a == b, a.cmp(&b)));
            prop_assert_eq!((x.to_string(), format!("{x:?}")), (a.clone(), format!("{a:?}")));
            prop_assert_eq!(hash(&x), hash(&a));
            let mut bytes = b"x".to_vec();
            x.append_to(&mut bytes);
            prop_assert_eq!(&bytes[1..], a.as_bytes());
            prop_assert_eq!(&*Arc::<str>::from(x.clone()), a.as_str());
            prop_assert_eq!(Id::from(Arc::<str>::from(a)), x);
        }
    }
}
