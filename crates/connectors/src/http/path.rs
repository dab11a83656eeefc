//! What paths and headers say: the address of a function, the typename of a value.

use std::borrow::Cow;

use hyper::header::{CONTENT_TYPE, HeaderMap};
use statera_model::{Address, Name};

use super::Problem;

/// Content types of values are this and the typename.
const VENDOR_PREFIX: &str = "application/vnd.";

/// The address in `<namespace>/<type>/<id>`, percent-encoded. The id may hold encoded slashes.
pub(crate) fn address(path: &str) -> Result<Address, Problem> {
    let mut segments = path.split('/');
    let (Some(namespace), Some(name), Some(id), None) =
        (segments.next(), segments.next(), segments.next(), segments.next())
    else {
        return Err(wrong_count(path));
    };
    for (segment, what) in [(namespace, "namespace"), (name, "type"), (id, "id")] {
        if segment.is_empty() {
            return Err(Problem::bad_request(
                format!("the {what} in the path is empty"),
                "the path ends with <namespace>/<type>/<id>, none of them empty",
            ));
        }
    }
    // Both parts and the slash between them are one piece of the path, and one name, if nothing is encoded.
    let function = decode(&path[..namespace.len() + 1 + name.len()])?;
    let function = Name::parse(&function).map_err(|_| {
        Problem::bad_request(
            format!("`{function}` is not a function type"),
            "namespace and type must not contain slashes, not even encoded ones",
        )
    })?;
    Ok(Address::new(function, decode(id)?.as_ref()))
}

fn wrong_count(path: &str) -> Problem {
    let count = path.split('/').count();
    let hint = match count {
        ..3 => "the path ends with <namespace>/<type>/<id>",
        _ => "the path ends with <namespace>/<type>/<id>; write a slash within the id as %2F",
    };
    Problem::bad_request(format!("`{path}` has {count} parts instead of 3"), hint)
}

/// Undoes percent-encoding.
pub(crate) fn decode(text: &str) -> Result<Cow<'_, str>, Problem> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, after) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, tail),
                _ => return Err(bad_encoding(text)),
            },
            (b'%', _) => return Err(bad_encoding(text)),
            _ => (*first, tail),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| {
        Problem::bad_request(
            format!("`{text}` does not decode to UTF-8"),
            "percent-encode the bytes of the UTF-8 text",
        )
    })
}

fn bad_encoding(text: &str) -> Problem {
    Problem::bad_request(
        format!("`{text}` is not percent-encoded correctly"),
        "after each % there are two hexadecimal digits; write a percent sign as %25",
    )
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// The typename in `Content-Type: application/vnd.<typename>`, without parameters.
pub(crate) fn vendor_type(headers: &HeaderMap) -> Option<&str> {
    let content_type = std::str::from_utf8(headers.get(CONTENT_TYPE)?.as_bytes()).ok()?;
    let (prefix, typename) = content_type.split_at_checked(VENDOR_PREFIX.len())?;
    let typename = typename.split(';').next().unwrap_or_default().trim();
    (prefix.eq_ignore_ascii_case(VENDOR_PREFIX) && !typename.is_empty()).then_some(typename)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn percent_encoding_is_undone() {
        for (text, expected) in [
            ("Bob", Some("Bob")),
            ("a%2Fb%20c%25", Some("a/b c%")),
            ("%c3%A4", Some("ä")),
            ("a+b", Some("a+b")),
        ]
        .into_iter()
        .chain(["%", "%2", "%zz", "%ff", "x%"].map(|bad| (bad, None)))
        {
            assert_eq!(decode(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_typename_is_what_follows_the_vendor_prefix() {
        for (content_type, expected) in [
            ("application/vnd.example/Greet", Some("example/Greet")),
            ("Application/VND.example/Greet; charset=utf-8", Some("example/Greet")),
            ("application/vnd.", None),
            ("application/json", None),
            ("application/vn", None),
        ] {
            let headers =
                HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            assert_eq!(vendor_type(&headers), expected, "{content_type}");
        }
        assert_eq!(vendor_type(&HeaderMap::new()), None);
    }
}
