//! Answers to what cannot be served: a status, what is wrong, and what to do.

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use serde_json::json;
use statera_ports::{DeadLetterId, Refusal};

use super::Response;

/// Why a request is not served. Becomes `{"error": "...", "hint": "..."}`.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    error: String,
    hint: String,
    allow: Option<&'static str>,
    dead_letter: Option<DeadLetterId>,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        error: impl Into<String>,
        hint: impl Into<String>,
    ) -> Problem {
        Problem { status, error: error.into(), hint: hint.into(), allow: None, dead_letter: None }
    }

    pub(crate) fn bad_request(error: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, error, hint)
    }

    /// Some limit is reached for now.
    pub(crate) fn full(error: &str) -> Problem {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            error,
            "nothing was accepted; try again in a moment",
        )
    }

    pub(crate) fn method_not_allowed(method: &hyper::Method, allow: &'static str) -> Problem {
        let problem = Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("the method `{method}` is not served here"),
            format!("use {allow}"),
        );
        Problem { allow: Some(allow), ..problem }
    }

    /// The message was accepted, and given up later.
    pub(crate) fn dead_lettered(id: DeadLetterId, reason: &str) -> Problem {
        let problem = Problem::new(
            StatusCode::BAD_GATEWAY,
            reason,
            format!(
                "the message was given up and lies in the dead letters as `{id}`; \
                 see `statera deadletter`, where it can be sent again"
            ),
        );
        Problem { dead_letter: Some(id), ..problem }
    }

    pub(crate) fn response(self) -> Response {
        let mut json = json!({ "error": self.error, "hint": self.hint });
        if let Some(id) = self.dead_letter {
            json["deadLetter"] = json!(id.to_string());
        }
        let mut response = Response::new(Full::new(Bytes::from(format!("{json}\n"))));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let error = refusal.to_string();
        match refusal {
            Refusal::NotCovered(_) => Problem::new(
                StatusCode::NOT_FOUND,
                error,
                "check the address, and the `functions` of the endpoints in the configuration",
            ),
            Refusal::Full { .. } => Problem::full(&error),
            Refusal::TooLong { .. } => Problem::bad_request(
                error,
                "use shorter ids and keys, such as a hash of the long one",
            ),
            Refusal::KeyReused { .. } => Problem::new(
                StatusCode::CONFLICT,
                error,
                "use a key of its own for each message; repeat a message in the way it was sent first",
            ),
            Refusal::Paused => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                error,
                "nothing was accepted; try again when it is resumed",
            ),
            Refusal::Stopping => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                error,
                "nothing was accepted; try again when it is back",
            ),
            Refusal::Interrupted => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                error,
                "it may have been accepted; repeat it with the same `Idempotency-Key` when it is back",
            ),
        }
    }
}
