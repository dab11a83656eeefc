//! Answers to what can't be served: a status, what is wrong, and what to do.

use hyper::header::{self, CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use statera_model::{Chain, codes};
use statera_runtime::QueryError;

use crate::answers::{Response, json};
use crate::api;

/// What kind of problem it is. Each has a name for programs, which never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidPath,
    InvalidQuery,
    InvalidBody,
    InvalidValue,
    InvalidFilter,
    Unauthorized,
    ForbiddenOrigin,
    NoSuchPath,
    NotFound,
    MethodNotAllowed,
    NotPaused,
    AlreadyPaused,
    NotRedrivable,
    LogFixed,
    ReloadRefused,
    ReloadFixed,
    BodyTooLarge,
    StoreFailed,
    Stopping,
    TooSlow,
    TooManyListeners,
}

impl Code {
    /// All of them, for the documentation.
    #[cfg(test)]
    pub(crate) const ALL: [Code; 21] = [
        Code::InvalidPath,
        Code::InvalidQuery,
        Code::InvalidBody,
        Code::InvalidValue,
        Code::InvalidFilter,
        Code::Unauthorized,
        Code::ForbiddenOrigin,
        Code::NoSuchPath,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::NotPaused,
        Code::AlreadyPaused,
        Code::NotRedrivable,
        Code::LogFixed,
        Code::ReloadRefused,
        Code::ReloadFixed,
        Code::BodyTooLarge,
        Code::StoreFailed,
        Code::Stopping,
        Code::TooSlow,
        Code::TooManyListeners,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Code::InvalidPath => "invalid-path",
            Code::InvalidQuery => "invalid-query",
            Code::InvalidBody => "invalid-body",
            Code::InvalidValue => "invalid-value",
            Code::InvalidFilter => "invalid-filter",
            Code::Unauthorized => "unauthorized",
            Code::ForbiddenOrigin => "forbidden-origin",
            Code::NoSuchPath => "no-such-path",
            Code::NotFound => "not-found",
            Code::MethodNotAllowed => "method-not-allowed",
            Code::NotPaused => "not-paused",
            Code::AlreadyPaused => "already-paused",
            Code::NotRedrivable => "not-redrivable",
            Code::LogFixed => "log-fixed",
            Code::ReloadRefused => "reload-refused",
            Code::ReloadFixed => "reload-fixed",
            Code::BodyTooLarge => "body-too-large",
            Code::StoreFailed => "store-failed",
            Code::Stopping => "stopping",
            Code::TooSlow => "too-slow",
            Code::TooManyListeners => "too-many-listeners",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Code::InvalidPath
            | Code::InvalidQuery
            | Code::InvalidBody
            | Code::InvalidValue
            | Code::InvalidFilter => StatusCode::BAD_REQUEST,
            Code::Unauthorized => StatusCode::UNAUTHORIZED,
            Code::ForbiddenOrigin => StatusCode::FORBIDDEN,
            Code::NoSuchPath | Code::NotFound => StatusCode::NOT_FOUND,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::NotPaused
            | Code::AlreadyPaused
            | Code::NotRedrivable
            | Code::LogFixed
            | Code::ReloadFixed => StatusCode::CONFLICT,
            Code::ReloadRefused => StatusCode::UNPROCESSABLE_ENTITY,
            Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::StoreFailed => StatusCode::INTERNAL_SERVER_ERROR,
            Code::Stopping | Code::TooSlow | Code::TooManyListeners => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}

/// Why a request is not served.
#[derive(Debug)]
pub(crate) struct Problem {
    code: Code,
    error: String,
    hint: String,
    allow: Option<String>,
}

impl Problem {
    pub(crate) fn new(code: Code, error: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem { code, error: error.into(), hint: hint.into(), allow: None }
    }

    pub(crate) fn with_code(self, code: Code) -> Problem {
        Problem { code, ..self }
    }

    pub(crate) fn not_found(error: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem::new(Code::NotFound, error, hint)
    }

    pub(crate) fn stopping() -> Problem {
        Problem::new(Code::Stopping, "the engine is stopping", "try again when it is back")
    }

    pub(crate) fn method_not_allowed(method: &Method, allowed: String) -> Problem {
        let problem = Problem::new(
            Code::MethodNotAllowed,
            format!("the method `{method}` is not served here"),
            format!("use {allowed}"),
        );
        Problem { allow: Some(allowed), ..problem }
    }

    pub(crate) fn response(self) -> Response {
        let status = self.code.status();
        let mut response = json(
            status,
            &api::Problem {
                title: status.canonical_reason().unwrap_or_default().to_owned(),
                status: status.as_u16(),
                code: self.code.name().to_owned(),
                error: self.error,
                hint: self.hint,
            },
        );
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(allow) = self.allow {
            let allow = HeaderValue::try_from(allow).expect("names of methods fit into a header");
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Problem {
        match error {
            QueryError::Stopping => Problem::stopping(),
            QueryError::Store(_) | QueryError::Corrupt(_) => {
                tracing::error!(
                    code = %codes::ADMIN_REQUEST_FAILED,
                    error = %Chain(&error),
                    "an admin request failed"
                );
                Problem::new(
                    Code::StoreFailed,
                    Chain(&error).to_string(),
                    "look at the log of the engine; its disk may be full or broken",
                )
            }
        }
    }
}
