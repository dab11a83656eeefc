//! Answers to what can't be served: a status, what is wrong, and what to do.

use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode};
use statera_runtime::QueryError;

use crate::answers::{Response, json};
use crate::api;

/// Why a request is not served.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    error: String,
    hint: String,
    allow: Option<String>,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        error: impl Into<String>,
        hint: impl Into<String>,
    ) -> Problem {
        Problem { status, error: error.into(), hint: hint.into(), allow: None }
    }

    pub(crate) fn bad_request(error: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, error, hint)
    }

    pub(crate) fn not_found(error: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, error, hint)
    }

    pub(crate) fn conflict(error: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, error, hint)
    }

    pub(crate) fn unavailable(error: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, error, hint)
    }

    pub(crate) fn stopping() -> Problem {
        Problem::unavailable("the engine is stopping", "try again when it is back")
    }

    pub(crate) fn method_not_allowed(method: &Method, allowed: String) -> Problem {
        let problem = Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("the method `{method}` is not served here"),
            format!("use {allowed}"),
        );
        Problem { allow: Some(allowed), ..problem }
    }

    pub(crate) fn response(self) -> Response {
        let mut response = json(self.status, &api::Problem { error: self.error, hint: self.hint });
        let headers = response.headers_mut();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
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
                    error = &error as &dyn std::error::Error,
                    "an admin request failed"
                );
                Problem::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    chain(&error),
                    "look at the log of the engine; its disk may be full or broken",
                )
            }
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
