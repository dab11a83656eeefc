//! Logical addresses: the namespace and type of a function, and the id of one of its instances.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::Id;

/// A name of the form `namespace/name`, as used for function types, value types, ingress and egress ids.
///
/// Cloning is cheap (a copy, or a reference count), and cheapest for names that are known when the program is built:
///
/// ```
/// use statera_model::Name;
///
/// const CART: Name = Name::from_static("shop/cart");
/// assert_eq!(CART, Name::parse("shop/cart")?);
/// # Ok::<(), statera_model::InvalidName>(())
/// ```
#[derive(Clone)]
pub struct Name(Text);

/// Static names are copied without counting references, which is to wait until all that the processor has written is in
/// memory: much, if it is done for each message.
#[derive(Clone)]
enum Text {
    Static { slash: u32, text: &'static str },
    Shared { slash: u32, text: Arc<str> },
}

/// The type of a function: its namespace and name. All instances of a type are served by one endpoint.
pub type FunctionType = Name;

/// The text is not of the form `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not of the form `<namespace>/<name>`")]
pub struct InvalidName(pub String);

impl Name {
    /// A name that is known when the program is built.
    ///
    /// # Panics
    /// If it is not of the form `namespace/name`; in a constant, when the program is built.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Name {
        let bytes = text.as_bytes();
        let (mut slash, mut slashes, mut at) = (0, 0, 0);
        while at < bytes.len() {
            if bytes[at] == b'/' {
                (slash, slashes) = (at, slashes + 1);
            }
            at += 1;
        }
        let is_name = slashes == 1 && slash > 0 && slash + 1 < bytes.len();
        assert!(is_name, "a name is of the form `<namespace>/<name>`");
        Name(Text::Static { slash: slash as u32, text })
    }

    /// Parses `namespace/name`. Exactly one slash is allowed, and neither part may be empty.
    ///
    /// # Errors
    /// [`InvalidName`] with the text as it was given.
    pub fn parse(text: &str) -> Result<Name, InvalidName> {
        match text.split_once('/') {
            Some((namespace, name))
                if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
            {
                Ok(Name(Text::Shared { slash: namespace.len() as u32, text: text.into() }))
            }
            _ => Err(InvalidName(text.to_owned())),
        }
    }

    /// Joins the two parts as they came over the wire. Either may be empty or hold further slashes: the protocol does
    /// not forbid it, and whether anybody serves such a name is decided elsewhere.
    #[must_use]
    pub fn from_parts(namespace: &str, name: &str) -> Name {
        let text = format!("{namespace}/{name}").into();
        Name(Text::Shared { slash: namespace.len() as u32, text })
    }

    /// The same name, whose clones count no references. Its text is never freed: for the few names that are used over and over
    /// as long as the process lives.
    #[must_use]
    pub fn leaked(&self) -> Name {
        match &self.0 {
            Text::Static { .. } => self.clone(),
            Text::Shared { slash, text } => {
                Name(Text::Static { slash: *slash, text: Box::leak(text.as_ref().into()) })
            }
        }
    }

    /// What stands before the slash.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.as_str()[..self.slash()]
    }

    /// What stands after the slash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.as_str()[self.slash() + 1..]
    }

    /// The whole text, `namespace/name`.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Static { text, .. } => text,
            Text::Shared { text, .. } => text,
        }
    }

    #[inline]
    fn slash(&self) -> usize {
        let (Text::Static { slash, .. } | Text::Shared { slash, .. }) = self.0;
        slash as usize
    }
}

/// Equal static names are mostly one text, which is quick to see.
impl PartialEq for Name {
    #[inline]
    fn eq(&self, other: &Name) -> bool {
        match (&self.0, &other.0) {
            (Text::Static { text: this, .. }, Text::Static { text: that, .. })
                if std::ptr::eq(*this, *that) =>
            {
                true
            }
            _ => self.slash() == other.slash() && self.as_str() == other.as_str(),
        }
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        self.as_str().cmp(other.as_str()).then(self.slash().cmp(&other.slash()))
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who receives a message: one instance (`id`) of a function type. Cloning is cheap (reference counts and a small copy).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The function type.
    pub function: FunctionType,
    /// The instance. May be empty.
    pub id: Id,
}

impl Address {
    /// The address of instance `id` of `function`.
    #[must_use]
    #[inline(always)]
    pub fn new(function: FunctionType, id: impl Into<Id>) -> Address {
        Address { function, id: id.into() }
    }
}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.hash(state);
        self.id.hash(state);
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.function, self.id)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_exactly_one_slash_and_two_parts() {
        let name = Name::parse("com.example/cart").unwrap();
        assert_eq!((name.namespace(), name.name()), ("com.example", "cart"));
        for bad in ["", "/", "a", "a/", "/b", "a/b/c"] {
            assert_eq!(Name::parse(bad), Err(InvalidName(bad.to_owned())), "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_the_same_wherever_its_text_is() {
        const CART: Name = Name::from_static("com.example/cart");
        let parsed = Name::parse("com.example/cart").unwrap();
        for same in [CART, parsed.clone(), parsed.leaked(), CART.leaked()] {
            assert_eq!((same.namespace(), same.name()), ("com.example", "cart"));
            assert_eq!((&same, same.cmp(&CART)), (&parsed, Ordering::Equal));
        }
        assert_ne!(CART, Name::from_static("com.example/card"));
        assert_eq!(size_of::<Name>(), 24);
        for bad in ["", "/", "a", "a/", "/b", "a/b/c"] {
            assert!(std::panic::catch_unwind(|| Name::from_static(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_from_the_wire_keep_their_parts() {
        for (namespace, name) in [("", ""), ("", "b"), ("a", ""), ("a/b", "c/d")] {
            let joined = Name::from_parts(namespace, name);
            assert_eq!((joined.namespace(), joined.name()), (namespace, name));
        }
    }
}
