//! The decoder: reads messages, and shares the names that recur in them.

use std::sync::Arc;

use bytes::Bytes;
use statera_model::{Name, Outcome};

use crate::error::{DecodeError, Problem};
use crate::request::OwnedRequest;
use crate::wire::text;
use crate::{reply, request};

/// Reads requests and replies. It remembers the function types, egress ids and state names that it saw last, so that a
/// name which occurs again costs a comparison instead of an allocation. Keep one per thread.
///
/// Typed values are slices of the body: each of them keeps the whole body in memory. Use
/// [`TypedValue::detached`](statera_model::TypedValue::detached) for those that live long.
#[derive(Debug, Default)]
pub struct Decoder {
    names: Recent<Name>,
    states: Recent<Arc<str>>,
}

impl Decoder {
    /// How many function types and egress ids, and how many state names, are remembered.
    pub const NAMES_MAX: usize = 16;

    /// Longer names are not remembered, in bytes.
    pub const NAME_BYTES_MAX: usize = 256;

    /// A decoder that has seen nothing yet.
    #[must_use]
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Reads the body of a reply, an encoded `FromFunction`. An empty body is a reply without effects.
    ///
    /// # Errors
    /// If the bytes are not such a message, a state change is of an unknown kind, or a typename of a declared state is
    /// not of the form `namespace/name`.
    pub fn reply(&mut self, body: Bytes) -> Result<Outcome, DecodeError> {
        reply::decode(self, &body)
    }

    /// Reads the body of a request, an encoded `ToFunction`.
    ///
    /// # Errors
    /// If the bytes are not such a message, or it holds no invocation.
    pub fn request(&mut self, body: Bytes) -> Result<OwnedRequest, DecodeError> {
        request::decode(self, &body)
    }

    // Names are looked for as bytes, before anybody asks whether they are text: that check costs more than the search.

    pub(crate) fn known_name(&self, namespace: &[u8], name: &[u8]) -> Option<Name> {
        self.names.find(|known| {
            known.name().as_bytes() == name && known.namespace().as_bytes() == namespace
        })
    }

    pub(crate) fn new_name(&mut self, namespace: &str, name: &str) -> Name {
        let new = Name::from_parts(namespace, name);
        self.names.remember(&new, new.as_str().len());
        new
    }

    pub(crate) fn state(&mut self, name: &[u8]) -> Result<Arc<str>, Problem> {
        if let Some(known) = self.states.find(|known| known.as_bytes() == name) {
            return Ok(known);
        }
        let new: Arc<str> = text(name)?.into();
        self.states.remember(&new, new.len());
        Ok(new)
    }
}

/// The last few different values; the oldest makes room for a new one.
#[derive(Debug)]
struct Recent<T> {
    seen: Vec<T>,
    oldest: usize,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Recent { seen: Vec::new(), oldest: 0 }
    }
}

impl<T: Clone> Recent<T> {
    fn find(&self, is: impl Fn(&T) -> bool) -> Option<T> {
        self.seen.iter().find(|known| is(known)).cloned()
    }

    fn remember(&mut self, new: &T, bytes: usize) {
        if bytes > Decoder::NAME_BYTES_MAX {
            return;
        }
        if self.seen.len() < Decoder::NAMES_MAX {
            self.seen.push(new.clone());
        } else {
            self.seen[self.oldest] = new.clone();
            self.oldest = (self.oldest + 1) % Decoder::NAMES_MAX;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(decoder: &mut Decoder, name: &str) -> Arc<str> {
        let read = decoder.state(name.as_bytes()).unwrap();
        assert_eq!(*read, *name);
        read
    }

    #[test]
    fn a_name_seen_before_is_shared() {
        let mut decoder = Decoder::new();
        assert!(Arc::ptr_eq(&state(&mut decoder, "seen"), &state(&mut decoder, "seen")));
        let name = decoder.new_name("a", "b/c");
        assert_eq!(decoder.known_name(b"a", b"b/c"), Some(name));
        assert_eq!(decoder.known_name(b"a/b", b"c"), None);
    }

    #[test]
    fn only_so_many_names_are_remembered() {
        let mut decoder = Decoder::new();
        for number in 0..3 * Decoder::NAMES_MAX {
            state(&mut decoder, &number.to_string());
        }
        assert_eq!(decoder.states.seen.len(), Decoder::NAMES_MAX);
        let newest = (3 * Decoder::NAMES_MAX - 1).to_string();
        assert!(decoder.states.find(|name| **name == *newest).is_some());
    }

    #[test]
    fn long_names_are_not_remembered() {
        let mut decoder = Decoder::new();
        state(&mut decoder, &"x".repeat(Decoder::NAME_BYTES_MAX + 1));
        assert!(decoder.states.seen.is_empty());
    }
}
