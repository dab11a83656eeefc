//! Serving functions over HTTP, to any runtime that speaks the request-reply protocol of StateFun.
//!
//! | status | when | what the runtime does |
//! |---|---|---|
//! | 200 | the function ran, or needs states that were not sent | |
//! | 400 | the body is empty, or no request | tries again |
//! | 405, 415 | it is no `POST`, or no `application/octet-stream` | tries again |
//! | 413 | the body is longer than [`Limits::body_bytes_max`] | Statera sends fewer messages at once |
//! | 422 | the function asked for a [dead letter](crate::Error::dead_letter) | Statera may give up at once; StateFun tries again |
//! | 500 | the function failed, panicked, or is not here | tries again within its budget |
//! | 503 | the function said [unavailable](crate::Error::unavailable) | Statera waits for better times; StateFun tries again |
//!
//! `GET` and `HEAD` answer with a text that names the functions.

#[cfg(feature = "http")]
mod server;

use std::sync::Arc;

use bytes::Bytes;
use statera_model::{Expiration, Failure, FailureKind, Outcome};
use statera_protocol::{decode_request, encode_reply};

use crate::batch::Received;
use crate::function::Functions;

#[cfg(feature = "http")]
pub use server::{Limits, ServeError, Server};

/// The content type of requests and replies.
pub const OCTET_STREAM: &str = "application/octet-stream";
/// The content type of everything that is for people.
const TEXT: &str = "text/plain; charset=utf-8";

/// What an HTTP server shall answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
}

impl HttpReply {
    fn text(status: u16, text: impl Into<Bytes>) -> HttpReply {
        HttpReply { status, content_type: TEXT, body: text.into() }
    }
}

impl Functions {
    /// Answers the body of a `POST`: all that a web framework needs to call. Method, path and content type are its own
    /// affair; `Content-Type` of the answer must be set as [`HttpReply`] says.
    ///
    /// ```
    /// # use statera_sdk::{App, Functions, http::HttpReply};
    /// async fn route(functions: &Functions, body: Vec<u8>) -> HttpReply {
    ///     functions.handle(body.into()).await
    /// }
    /// ```
    pub async fn handle(&self, body: Bytes) -> HttpReply {
        if body.is_empty() {
            return HttpReply::text(400, "the request has no body\n");
        }
        let batch = match decode_request(body) {
            Ok(request) => Received(request),
            Err(error) => return HttpReply::text(400, format!("{error}\n")),
        };
        let name = &batch.0.target.function;
        let Some(function) = self.get(name) else {
            let known = self.describe();
            return HttpReply::text(500, format!("function `{name}` is not here\n{known}"));
        };
        let missing = function.missing(batch.0.states.iter().map(|state| &*state.name));
        let outcome = match missing.is_empty() {
            true => function.invoke_async(Arc::new(batch)).await.map(Outcome::Complete),
            false => Ok(Outcome::Incomplete(missing)),
        };
        match outcome {
            Ok(outcome) => {
                let body = encode_reply(&outcome).into();
                HttpReply { status: 200, content_type: OCTET_STREAM, body }
            }
            Err(Failure { kind, reason }) => HttpReply::text(status(kind), format!("{reason}\n")),
        }
    }

    /// The functions and their cells as text for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::from("Functions served here:\n");
        for function in self.iter() {
            text += &format!("\n{}\n", function.name());
            for spec in function.specs() {
                let expiration = match spec.expiration {
                    Expiration::Never => String::new(),
                    Expiration::AfterWrite { ttl_ms } => format!(", {ttl_ms} ms after a write"),
                    Expiration::AfterInvoke { ttl_ms } => format!(", {ttl_ms} ms after its use"),
                };
                text += &format!("  {}: {}{expiration}\n", spec.name, spec.typename);
            }
        }
        if self.iter().next().is_none() {
            text += "\nnone\n";
        }
        text
    }
}

fn status(kind: FailureKind) -> u16 {
    match kind {
        FailureKind::Rejected => 500,
        FailureKind::Fatal => 422,
        FailureKind::Unavailable => 503,
        FailureKind::TooLarge => 413,
    }
}
