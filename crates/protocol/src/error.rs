//! What can be wrong with a message, and where. These texts end up in dead letters: they are for users.

use std::fmt;

use statera_model::InvalidTypedValue;

/// A message can't be read: which field, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    path: String,
    problem: Problem,
}

impl DecodeError {
    /// The field, from the outermost message inwards: `FromFunction.invocation_result.outgoing_messages[3].target.id`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot decode `{}`: {}", self.path, self.problem)?;
        if self.problem.is_about_the_encoding() {
            let message = self.path.split('.').next().unwrap_or_default();
            write!(f, "; hint: the bytes must be one encoded protobuf message `{message}`")?;
        }
        Ok(())
    }
}

impl std::error::Error for DecodeError {}

impl From<Problem> for DecodeError {
    fn from(problem: Problem) -> DecodeError {
        DecodeError { path: String::new(), problem }
    }
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A field says that it is longer than what is left.
    #[error("the bytes end in the middle of a field")]
    CutShort,
    /// A varint of more than ten bytes.
    #[error("a number takes more than 10 bytes")]
    NumberTooLong,
    /// A field number that protobuf does not allow.
    #[error("`{0}` is not a possible field number")]
    FieldNumber(u64),
    /// A wire type that does not exist, or that of a group.
    #[error("`{0}` is not a wire type of proto3")]
    UnknownWireType(u8),
    /// A known field in another form than the protocol gives it.
    #[error("a {found} stands where a {expected} is expected")]
    WireType {
        /// What is there.
        found: &'static str,
        /// What should be.
        expected: &'static str,
    },
    /// Text that is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// The bytes are not an encoded `TypedValue`.
    #[error(transparent)]
    TypedValue(InvalidTypedValue),
    /// A state change of a kind that the protocol does not have.
    #[error("`{0}` is not a kind of state change; hint: 0 deletes the value, 1 replaces it")]
    MutationType(i32),
    /// The typename of a declared state, shortened if it is very long.
    #[error("`{0}` is not of the form `<namespace>/<name>`")]
    Typename(String),
    /// A request without an invocation.
    #[error("the request holds no `invocation`")]
    NoInvocation,
}

impl Problem {
    const TEXT_CHARS_MAX: usize = 200;

    pub(crate) fn typename(text: &str) -> Problem {
        match text.char_indices().nth(Self::TEXT_CHARS_MAX) {
            None => Problem::Typename(text.to_owned()),
            Some((end, _)) => Problem::Typename(format!("{}…", &text[..end])),
        }
    }

    fn is_about_the_encoding(&self) -> bool {
        match self {
            Problem::CutShort
            | Problem::NumberTooLong
            | Problem::FieldNumber(_)
            | Problem::UnknownWireType(_)
            | Problem::WireType { .. } => true,
            Problem::NotUtf8
            | Problem::TypedValue(_)
            | Problem::MutationType(_)
            | Problem::Typename(_)
            | Problem::NoInvocation => false,
        }
    }
}

/// Says where a problem is, one step outwards per call. Paths are only made when there is a problem.
pub(crate) trait At<T> {
    /// In this field, or message.
    fn at(self, field: &str) -> Result<T, DecodeError>;

    /// In this element of a list.
    fn at_element(self, field: &str, index: usize) -> Result<T, DecodeError>;
}

impl<T, E: Into<DecodeError>> At<T> for Result<T, E> {
    #[inline]
    fn at(self, field: &str) -> Result<T, DecodeError> {
        self.map_err(|error| outwards(error.into(), field.to_owned()))
    }

    fn at_element(self, field: &str, index: usize) -> Result<T, DecodeError> {
        self.map_err(|error| outwards(error.into(), format!("{field}[{index}]")))
    }
}

#[cold]
fn outwards(error: DecodeError, mut path: String) -> DecodeError {
    if !error.path.is_empty() {
        path.push('.');
        path.push_str(&error.path);
    }
    DecodeError { path, problem: error.problem }
}
