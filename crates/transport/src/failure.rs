//! What went wrong, in words for people and as a kind for the engine.

use std::error::Error;
use std::fmt::Write;

use hyper::StatusCode;
use statera_model::{Failure, FailureKind};

use crate::settings::Dialect;

/// Characters of a response that are quoted in the reason of a failure.
const QUOTED_CHARS_MAX: usize = 300;

pub(crate) fn unavailable(reason: String) -> Failure {
    Failure::new(FailureKind::Unavailable, reason)
}

pub(crate) fn rejected(reason: String) -> Failure {
    Failure::new(FailureKind::Rejected, reason)
}

/// The kind of a failure that okhttp does not retry.
pub(crate) fn hopeless(dialect: Dialect) -> FailureKind {
    match dialect {
        Dialect::Async => FailureKind::Rejected,
        Dialect::OkHttp => FailureKind::Fatal,
    }
}

/// What a status other than 2xx means.
pub(crate) fn kind_of(status: StatusCode, dialect: Dialect) -> FailureKind {
    match status.as_u16() {
        429 | 502 | 503 | 504 => FailureKind::Unavailable,
        413 => FailureKind::TooLarge,
        // No SDK of StateFun answers so. It is how a function of ours says that this message will never do.
        422 => FailureKind::Fatal,
        408 | 409 | 420 | 499 | 500.. => FailureKind::Rejected,
        _ => hopeless(dialect),
    }
}

/// An error with all its causes.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let cause = source.to_string();
        if !text.contains(&cause) {
            let _ = write!(text, ": {cause}");
        }
        next = source.source();
    }
    text
}

/// Quotes the start of a text, with a colon before it; nothing if it is empty or not a text.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // Cut in the middle of a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return String::new(),
    };
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let mut quoted = String::from(": `");
    for character in text.chars().take(QUOTED_CHARS_MAX) {
        if character.is_control() {
            quoted.extend(character.escape_default());
        } else {
            quoted.push(character);
        }
    }
    if text.chars().nth(QUOTED_CHARS_MAX).is_some() {
        quoted.push('…');
    }
    quoted.push('`');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_mean_what_the_transport_makes_of_them() {
        use FailureKind::{Fatal, Rejected, TooLarge, Unavailable};
        for (status, asynchronous, okhttp) in [
            (301, Rejected, Fatal),
            (400, Rejected, Fatal),
            (404, Rejected, Fatal),
            (408, Rejected, Rejected),
            (409, Rejected, Rejected),
            (413, TooLarge, TooLarge),
            (420, Rejected, Rejected),
            (429, Unavailable, Unavailable),
            (499, Rejected, Rejected),
            (500, Rejected, Rejected),
            (501, Rejected, Rejected),
            (502, Unavailable, Unavailable),
            (503, Unavailable, Unavailable),
            (504, Unavailable, Unavailable),
            (599, Rejected, Rejected),
        ] {
            let code = StatusCode::from_u16(status).unwrap();
            assert_eq!(kind_of(code, Dialect::Async), asynchronous, "async {status}");
            assert_eq!(kind_of(code, Dialect::OkHttp), okhttp, "okhttp {status}");
        }
    }

    #[test]
    fn quotes_are_short_and_without_control_characters() {
        assert_eq!(quoted(b" a\tb\x1b[0m\n"), ": `a\\tb\\u{1b}[0m`");
        assert_eq!(quoted(b"  "), "");
        assert_eq!(quoted(&[0xff, 0xfe, 0x00]), "");
        assert_eq!(quoted(&"ü".as_bytes()[..1]), "");
        assert_eq!(quoted("üü".repeat(200).as_bytes()).chars().count(), 300 + 5);
    }
}
