//! A message of any type.

use std::fmt;

use statera_model::TypedValue;
use statera_protocol::types;

use crate::error::{Error, Result};
use crate::value::Value;

/// A value of any type, as it came. A function that takes one of these takes everything.
///
/// ```
/// use statera_sdk::{Context, Message, Result};
///
/// fn anything(ctx: &mut Context, message: Message) -> Result {
///     if message.is::<String>() {
///         ctx.send(("demo/texts", ctx.id()), message.get::<String>()?.to_uppercase());
///     } else {
///         ctx.send(("demo/others", ctx.id()), message); // forwarded as it is
///     }
///     Ok(())
/// }
/// ```
///
/// Cloning is cheap (a reference count).
#[derive(Clone, PartialEq, Eq)]
pub struct Message(TypedValue);

impl Message {
    /// A message of bytes that no Rust type stands for.
    #[must_use]
    pub fn new(typename: &str, bytes: &[u8]) -> Message {
        Message(TypedValue::new(typename, bytes))
    }

    /// The name of its type.
    #[must_use]
    pub fn typename(&self) -> &str {
        self.0.typename()
    }

    /// Its bytes, without the typename.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.value()
    }

    /// Whether it is of this type, as far as its typename says.
    #[must_use]
    pub fn is<T: Value>(&self) -> bool {
        self.typename() == T::TYPENAME
    }

    /// Reads it as a value of this type.
    ///
    /// # Errors
    /// If it is of another type, or malformed. The error asks for a dead letter.
    pub fn get<T: Value>(&self) -> Result<T> {
        T::from_typed_value(&self.0).map_err(Error::dead_letter)
    }

    /// Reads its bytes as JSON, whatever its typename.
    ///
    /// # Errors
    /// If they are not JSON for this type. The error asks for a dead letter.
    #[cfg(feature = "json")]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        crate::value::json::decode(self.bytes()).map_err(Error::dead_letter)
    }

    /// The value as the runtime knows it.
    #[must_use]
    pub fn typed_value(&self) -> &TypedValue {
        &self.0
    }
}

impl From<TypedValue> for Message {
    fn from(value: TypedValue) -> Message {
        Message(value)
    }
}

impl From<Message> for TypedValue {
    fn from(message: Message) -> TypedValue {
        message.0
    }
}

/// For people: `int 5`, `string "a"`, `shop/Order {"pieces":1}`, `album/Photo <1024 bytes>`.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typename = self.typename();
        let short = typename.strip_prefix("io.statefun.types/").unwrap_or(typename);
        match built_in(&self.0).or_else(|| text(self.bytes())) {
            Some(text) => write!(f, "{short} {text}"),
            None => write!(f, "{short} <{} bytes>", self.bytes().len()),
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn built_in(value: &TypedValue) -> Option<String> {
    let shown = match value.typename() {
        types::BOOL => types::decode::<bool>(value).ok()?.to_string(),
        types::INT => types::decode::<i32>(value).ok()?.to_string(),
        types::LONG => types::decode::<i64>(value).ok()?.to_string(),
        types::FLOAT => types::decode::<f32>(value).ok()?.to_string(),
        types::DOUBLE => types::decode::<f64>(value).ok()?.to_string(),
        types::STRING => format!("{:?}", types::decode::<&str>(value).ok()?),
        _ => return None,
    };
    Some(shown)
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::IntoValue;

    fn shown(value: impl IntoValue) -> String {
        Message::from(value.into_value().unwrap()).to_string()
    }

    #[test]
    fn messages_are_shown_for_people() {
        assert_eq!(shown(true), "bool true");
        assert_eq!(shown(-5), "int -5");
        assert_eq!(shown(5_i64), "long 5");
        assert_eq!(shown(0.5_f32), "float 0.5");
        assert_eq!(shown(0.5_f64), "double 0.5");
        assert_eq!(shown("a\n"), r#"string "a\n""#);
        assert_eq!(shown(Message::new("shop/Order", b"{}")), "shop/Order {}");
        assert_eq!(shown(Message::new("shop/Order", b"\n")), "shop/Order <1 bytes>");
        assert_eq!(shown(Message::new("shop/Order", b"")), "shop/Order <0 bytes>");
        assert_eq!(shown(Message::new(types::INT, b"x")), "int x");
    }

    #[test]
    fn a_message_of_another_type_is_a_dead_letter() {
        let message = Message::new("a/b", b"1");
        assert!(!message.is::<i32>());
        let error = message.get::<i32>().unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::DeadLetter);
        assert_eq!(message.json::<i32>().unwrap(), 1);
    }
}
