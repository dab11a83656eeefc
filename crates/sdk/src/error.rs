//! Errors are values, and say what shall become of the messages.

use std::error::Error as StdError;
use std::fmt;

use statera_model::FailureKind;

use crate::value::BoxError;

/// What functions return.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a function did not process a message. Nothing of what it did meanwhile counts: no state changes, no message
/// leaves.
///
/// Every error that `?` converts means "try again". The other kinds are chosen explicitly:
///
/// ```
/// use statera_sdk::{Context, Error, ResultExt, Result};
///
/// fn parse_order(ctx: &mut Context, text: String) -> Result {
///     let pieces: u32 = text.parse().or_dead_letter()?; // it will never parse
///     if pieces == 0 {
///         return Err(Error::dead_letter("an order of nothing"));
///     }
///     ctx.send(("shop/cart", ctx.id()), i64::from(pieces));
///     Ok(())
/// }
/// ```
///
/// | kind | what the runtime does | over HTTP |
/// |---|---|---|
/// | [retry](Error::retry) | the same messages again, within the budget of the endpoint; then its policy decides | 500 |
/// | [dead letter](Error::dead_letter) | gives the message up at once | 422 |
/// | [unavailable](Error::unavailable) | waits for better times, as for an endpoint that is down | 503 |
///
/// StateFun itself knows no dead letters: its default transport treats all three as "try again".
pub struct Error {
    kind: ErrorKind,
    source: BoxError,
}

/// What an [`Error`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Try again; it may be better next time.
    Retry,
    /// Trying again is no use: the message is to blame.
    DeadLetter,
    /// What the function needs is not there for now; no message is to blame.
    Unavailable,
}

impl Error {
    /// Try again.
    pub fn retry(why: impl Into<BoxError>) -> Error {
        Error { kind: ErrorKind::Retry, source: why.into() }
    }

    /// Give the message up: it goes to the dead letters, from where it can be redriven once the function, or the
    /// message's sender, has been mended.
    pub fn dead_letter(why: impl Into<BoxError>) -> Error {
        Error { kind: ErrorKind::DeadLetter, source: why.into() }
    }

    /// Something that the function needs is down. Unlike [`Error::retry`] this does not use up the patience with the
    /// message.
    pub fn unavailable(why: impl Into<BoxError>) -> Error {
        Error { kind: ErrorKind::Unavailable, source: why.into() }
    }

    /// What it asks for.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The error as it was before it became one of these.
    #[must_use]
    pub fn source(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.source
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Error {
        Error::retry(error)
    }
}

/// The error with all its causes.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)?;
        let mut cause = self.source.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// As [`fmt::Display`], since this is what people see who return it from `main`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<ErrorKind> for FailureKind {
    fn from(kind: ErrorKind) -> FailureKind {
        match kind {
            ErrorKind::Retry => FailureKind::Rejected,
            ErrorKind::DeadLetter => FailureKind::Fatal,
            ErrorKind::Unavailable => FailureKind::Unavailable,
        }
    }
}

/// Chooses the kind of an [`Error`] where it arises.
pub trait ResultExt<T> {
    /// An error sends the message to the dead letters.
    ///
    /// # Errors
    /// The same error, as one that asks for that.
    fn or_dead_letter(self) -> Result<T>;

    /// An error means that something is down.
    ///
    /// # Errors
    /// The same error, as one that asks to wait.
    fn or_unavailable(self) -> Result<T>;
}

impl<T, E: Into<BoxError>> ResultExt<T> for std::result::Result<T, E> {
    fn or_dead_letter(self) -> Result<T> {
        self.map_err(Error::dead_letter)
    }

    fn or_unavailable(self) -> Result<T> {
        self.map_err(Error::unavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot pay")]
    struct CannotPay(#[source] std::num::ParseIntError);

    fn parse(text: &str) -> Result<i32, CannotPay> {
        text.parse().map_err(CannotPay)
    }

    #[test]
    fn what_is_converted_is_tried_again() {
        let convert = || -> Result<i32> { Ok(parse("much")?) };
        assert_eq!(convert().unwrap_err().kind(), ErrorKind::Retry);
    }

    #[test]
    fn the_kind_can_be_chosen() {
        assert_eq!(parse("x").or_dead_letter().unwrap_err().kind(), ErrorKind::DeadLetter);
        assert_eq!(parse("x").or_unavailable().unwrap_err().kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn the_text_holds_all_causes() {
        let error = Error::from(parse("x").unwrap_err());
        assert_eq!(error.to_string(), "cannot pay: invalid digit found in string");
        assert_eq!(format!("{error:?}"), error.to_string());
    }
}
