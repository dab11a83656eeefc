//! How commands end: the exit codes that scripts can rely on.

use hyper::StatusCode;

use super::Usage;
use super::admin::{NoAnswer, Refusal};

/// Why a command did not do what it was asked for. The numbers never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// For a reason without a number of its own.
    Failed = 1,
    /// It can't be done as it is written; as clap has it.
    WrongUsage = 2,
    /// Nobody answers, or not now. Trying again may help.
    NoAnswer = 3,
    /// The token is missing or wrong.
    NotAllowed = 4,
    /// What was named is not there.
    NotFound = 5,
    /// It is not so that it could be done: to resume what is not paused, to redrive a record.
    Conflict = 6,
}

impl Exit {
    pub(crate) fn of(error: &anyhow::Error) -> Exit {
        if error.is::<Usage>() {
            return Exit::WrongUsage;
        }
        if error.is::<NoAnswer>() {
            return Exit::NoAnswer;
        }
        error
            .downcast_ref::<Refusal>()
            .map_or(Exit::Failed, |refusal| Exit::of_status(refusal.status))
    }

    fn of_status(status: StatusCode) -> Exit {
        match status {
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            // A configuration that is wrong, for which `statera run` ends with the same number.
            | StatusCode::UNPROCESSABLE_ENTITY => Exit::WrongUsage,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::NotAllowed,
            StatusCode::NOT_FOUND => Exit::NotFound,
            StatusCode::CONFLICT => Exit::Conflict,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Exit::NoAnswer,
            _ => Exit::Failed,
        }
    }
}
