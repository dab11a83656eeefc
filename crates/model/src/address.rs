//! Logical addresses: the namespace and type of a function, and the id of one of its instances.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::Id;

/// A name of the form `namespace/name`, as used for function types, value types, ingress and egress ids.
///
/// Cloning is cheap (a reference count).
#[derive(Clone, Eq, PartialOrd, Ord)]
pub struct Name {
    text: Arc<str>,
    slash: u32,
}

/// The type of a function: its namespace and name. All instances of a type are served by one endpoint.
pub type FunctionType = Name;

/// The text is not of the form `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not of the form `<namespace>/<name>`")]
pub struct InvalidName(pub String);

impl Name {
    /// Parses `namespace/name`. Exactly one slash is allowed, and neither part may be empty.
    ///
    /// # Errors
    /// [`InvalidName`] with the text as it was given.
    pub fn parse(text: &str) -> Result<Name, InvalidName> {
        match text.split_once('/') {
            Some((namespace, name))
                if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
            {
                Ok(Name { text: text.into(), slash: namespace.len() as u32 })
            }
            _ => Err(InvalidName(text.to_owned())),
        }
    }

    /// Joins the two parts as they came over the wire. Either may be empty or hold further slashes: the protocol does
    /// not forbid it, and whether anybody serves such a name is decided elsewhere.
    #[must_use]
    pub fn from_parts(namespace: &str, name: &str) -> Name {
        Name { text: format!("{namespace}/{name}").into(), slash: namespace.len() as u32 }
    }

    /// What stands before the slash.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.text[..self.slash as usize]
    }

    /// What stands after the slash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.text[self.slash as usize + 1..]
    }

    /// The whole text, `namespace/name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Equal names are mostly one text, which is quick to see.
impl PartialEq for Name {
    #[inline]
    fn eq(&self, other: &Name) -> bool {
        self.slash == other.slash
            && (Arc::ptr_eq(&self.text, &other.text) || self.text == other.text)
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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
    pub fn new(function: FunctionType, id: impl Into<Id>) -> Address {
        Address { function, id: id.into() }
    }
}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.text.hash(state);
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
    fn names_from_the_wire_keep_their_parts() {
        for (namespace, name) in [("", ""), ("", "b"), ("a", ""), ("a/b", "c/d")] {
            let joined = Name::from_parts(namespace, name);
            assert_eq!((joined.namespace(), joined.name()), (namespace, name));
        }
    }
}
