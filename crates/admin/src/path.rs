//! What paths and queries say.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use statera_model::{Address, Name};

use crate::problem::{Code, Problem};
use crate::routes::Parameter;

/// The address in three decoded segments. The id may be empty, as a function may name it.
pub(crate) fn address([namespace, name, id]: &[String; 3]) -> Result<Address, Problem> {
    for (segment, what) in [(namespace, "namespace"), (name, "type")] {
        if segment.is_empty() {
            return Err(Problem::new(
                Code::InvalidPath,
                format!("the {what} in the path is empty"),
                "an address is <namespace>/<type>/<id>",
            ));
        }
    }
    Ok(Address::new(Name::from_parts(namespace, name), id.as_str()))
}

/// The decoded parameters of a query.
#[derive(Debug)]
pub(crate) struct Query {
    known: &'static [Parameter],
    values: Vec<Option<String>>,
}

impl Query {
    /// Reads a query, all of whose parameters must be known.
    pub(crate) fn read(text: Option<&str>, known: &'static [Parameter]) -> Result<Query, Problem> {
        let mut query = Query { known, values: vec![None; known.len()] };
        for parameter in text.unwrap_or_default().split('&').filter(|text| !text.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let Some(place) = known.iter().position(|known| known.name == name) else {
                let names: Vec<&str> = known.iter().map(|known| known.name).collect();
                let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                return Err(Problem::new(
                    Code::InvalidQuery,
                    format!("the query parameter `{name}` is unknown"),
                    format!("known here: {names}"),
                ));
            };
            let value = decode(value).map_err(|problem| problem.with_code(Code::InvalidQuery))?;
            query.values[place] = Some(value);
        }
        Ok(query)
    }

    /// A parameter of the route.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values[self.place(name)].as_deref()
    }

    /// A number of the route, if it is given.
    pub(crate) fn number(&self, name: &str, default: usize) -> Result<usize, Problem> {
        let place = self.place(name);
        let max = self.known[place].max.expect("it is a number");
        let Some(text) = &self.values[place] else { return Ok(default) };
        match text.parse() {
            Ok(number) if (1..=max).contains(&number) => Ok(number),
            _ => Err(Problem::new(
                Code::InvalidQuery,
                format!("`{text}` is not a {name}"),
                format!("write a number from 1 to {max}"),
            )),
        }
    }

    fn place(&self, name: &str) -> usize {
        self.known.iter().position(|known| known.name == name).expect("a parameter of the route")
    }
}

/// What a list names as `next`: bytes as text that needs no encoding.
pub(crate) fn next_text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of what was named as `next`, if `read` can make sense of them.
pub(crate) fn after<T>(
    text: Option<&str>,
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<Option<T>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    match bytes.and_then(|bytes| read(&bytes)) {
        Some(place) => Ok(Some(place)),
        None => Err(Problem::new(
            Code::InvalidQuery,
            format!("`{text}` is not what this list named as `next`"),
            "give it as it was given to you, or leave it out to begin",
        )),
    }
}

/// Undoes percent-encoding.
pub(crate) fn decode(text: &str) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, after) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => (hex(*high).zip(hex(*low)), tail),
            (b'%', _) => (None, tail),
            _ => {
                bytes.push(*first);
                rest = tail;
                continue;
            }
        };
        let (high, low) = byte.ok_or_else(|| {
            Problem::new(
                Code::InvalidPath,
                format!("`{text}` is not percent-encoded correctly"),
                "after each % there are two hexadecimal digits; write a percent sign as %25",
            )
        })?;
        bytes.push(high << 4 | low);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| {
        Problem::new(
            Code::InvalidPath,
            format!("`{text}` does not decode to UTF-8"),
            "percent-encode the bytes of the UTF-8 text",
        )
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_is_undone() {
        let good = [("Bob", "Bob"), ("a%2Fb%20c%25", "a/b c%"), ("%c3%A4", "ä"), ("a+b", "a+b")];
        for (text, expected) in good {
            assert_eq!(decode(text).unwrap(), expected);
        }
        for bad in ["%", "%2", "%zz", "%ff", "x%"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }
}
