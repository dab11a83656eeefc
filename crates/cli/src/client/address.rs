//! Addresses on the command line, and in the paths of requests.

use std::fmt;
use std::str::FromStr;

use statera_model::{Address, Name};

/// `NAMESPACE/TYPE/ID`, where the id may hold slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target(pub(crate) Address);

#[derive(Debug, thiserror::Error)]
#[error("an address is NAMESPACE/TYPE/ID, such as `example/greeter/Bob`")]
pub(crate) struct InvalidTarget;

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Target, InvalidTarget> {
        let mut parts = text.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(namespace), Some(name), Some(id))
                if !namespace.is_empty() && !name.is_empty() =>
            {
                Ok(Target(Address::new(Name::from_parts(namespace, name), id)))
            }
            _ => Err(InvalidTarget),
        }
    }
}

impl Target {
    /// Its three segments in a path.
    pub(crate) fn path(&self) -> String {
        let Address { function, id } = &self.0;
        [function.namespace(), function.name(), id].map(encoded).join("/")
    }
}

/// `NAMESPACE/NAME`: a type of functions, an endpoint by what it serves, or an ingress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    namespace: String,
    name: String,
}

#[derive(Debug, thiserror::Error)]
#[error("a name is NAMESPACE/NAME, such as `example/greeter`")]
pub(crate) struct InvalidPart;

impl FromStr for Part {
    type Err = InvalidPart;

    fn from_str(text: &str) -> Result<Part, InvalidPart> {
        match text.split_once('/') {
            Some((namespace, name))
                if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
            {
                Ok(Part { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(InvalidPart),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Part {
    /// Its two segments in a path.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", encoded(&self.namespace), encoded(&self.name))
    }
}

/// Percent-encodes all but what never means anything in a URL.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte.into())
            }
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}
