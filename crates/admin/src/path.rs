//! What paths and queries say.

use hyper::StatusCode;
use statera_model::{Address, Name};

use crate::problem::Problem;

/// The address in three decoded segments. The id may be empty, as a function may name it.
pub(crate) fn address([namespace, name, id]: &[String; 3]) -> Result<Address, Problem> {
    for (segment, what) in [(namespace, "namespace"), (name, "type")] {
        if segment.is_empty() {
            return Err(Problem::bad_request(
                format!("the {what} in the path is empty"),
                "an address is <namespace>/<type>/<id>",
            ));
        }
    }
    Ok(Address::new(Name::from_parts(namespace, name), id.as_str()))
}

/// The decoded parameters of a query, each of one of the names.
pub(crate) fn query<const N: usize>(
    text: Option<&str>,
    names: [&str; N],
) -> Result<[Option<String>; N], Problem> {
    let mut values = [const { None }; N];
    for parameter in text.unwrap_or_default().split('&').filter(|text| !text.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let Some(index) = names.iter().position(|known| *known == name) else {
            return Err(Problem::bad_request(
                format!("the query parameter `{name}` is unknown"),
                format!(
                    "known here: {}",
                    if N == 0 { "none".to_owned() } else { names.join(", ") }
                ),
            ));
        };
        values[index] = Some(decode(value)?);
    }
    Ok(values)
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
            Problem::bad_request(
                format!("`{text}` is not percent-encoded correctly"),
                "after each % there are two hexadecimal digits; write a percent sign as %25",
            )
        })?;
        bytes.push(high << 4 | low);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| {
        Problem::new(
            StatusCode::BAD_REQUEST,
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
