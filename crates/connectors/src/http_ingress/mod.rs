//! `io.statera.v1/http-ingress`: messages and calls over HTTP.
//!
//! * `POST /v1/send/<namespace>/<type>/<id>` is answered with 202 when the message is durable.
//! * `POST /v1/call/<namespace>/<type>/<id>?timeout=30s` is answered with 200 and the value that some function sends to
//!   the caller, under the content type `application/vnd.<typename>` (`application/octet-stream` if it has none).
//!
//! The body is the value as it is. Its typename follows `application/vnd.` in `Content-Type`, or stands in the query
//! parameter `typename`, which wins. The path is percent-encoded; the id may hold slashes as `%2F`. The header
//! `Idempotency-Key` (at most 256 bytes) makes repeats safe.
//!
//! | status | when |
//! |---|---|
//! | 400 | path, query, content type, key or body are not as above |
//! | 404 | no such path, or no endpoint serves the function |
//! | 405 | not POST |
//! | 408, 413, 431 | the body is too slow, the body or the headers are too large |
//! | 409 | the idempotency key was used for a call, and this is a send, or the other way round |
//! | 502 | the message of the call was given up; `deadLetter` is its id |
//! | 503 | a limit is reached, or the engine is stopping; `Retry-After` says when to try again |
//! | 504 | no answer in time; the message stays accepted |
//!
//! All of them carry `{"error": "...", "hint": "..."}`.

mod order;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use statera_config as config;
use statera_model::{TraceContext, TypedValue};
use statera_ports::{Answer, BoxFuture, Engine, Refusal, Request};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::Error;
use crate::http::{self, Limits, Load, Phase, Problem, Response, Server, reached};
use order::{Order, Wait};

/// The ingress, its socket open.
pub(crate) struct HttpIngress {
    pub(crate) server: Server,
    engine: Arc<dyn Engine>,
    call_timeout: Duration,
}

impl std::fmt::Debug for HttpIngress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpIngress").field("server", &self.server).finish_non_exhaustive()
    }
}

impl HttpIngress {
    pub(crate) fn bind(
        spec: &config::HttpIngress,
        engine: Arc<dyn Engine>,
    ) -> Result<HttpIngress, Error> {
        let limits = Limits {
            body_bytes: spec.body_max_bytes,
            requests: spec.requests_max,
            ..Limits::DEFAULT
        };
        HttpIngress::with_limits(spec, limits, engine)
    }

    fn with_limits(
        spec: &config::HttpIngress,
        limits: Limits,
        engine: Arc<dyn Engine>,
    ) -> Result<HttpIngress, Error> {
        let server = Server::bind(spec.id.clone(), spec.address, limits)?;
        Ok(HttpIngress { server, engine, call_timeout: spec.call_timeout })
    }

    pub(crate) async fn run(self, stop: BoxFuture<'static, ()>) -> Result<(), Error> {
        let handler = Arc::new(Handler {
            engine: self.engine,
            limits: *self.server.limits(),
            load: Load::new(self.server.limits()),
            call_timeout: self.call_timeout,
            phase: self.server.phase(),
        });
        let handle = move |request| {
            let handler = Arc::clone(&handler);
            async move { handler.handle(request).await.unwrap_or_else(Problem::response) }
        };
        self.server.run(handle, stop).await
    }
}

/// What all requests share.
struct Handler {
    engine: Arc<dyn Engine>,
    limits: Limits,
    load: Load,
    call_timeout: Duration,
    phase: watch::Receiver<Phase>,
}

impl Handler {
    async fn handle(&self, request: hyper::Request<Incoming>) -> Result<Response, Problem> {
        let (head, body) = request.into_parts();
        let order = Order::parse(&head, self.call_timeout)?;
        // Asked before the body is read, which may be long.
        if !self.engine.covers(&order.target.function) {
            return Err(Refusal::NotCovered(order.target.function).into());
        }
        let mut admitted = self.load.admit()?;
        let body = http::read(body, &self.limits, &mut admitted).await?;
        let request = Request {
            argument: TypedValue::new(&order.typename, &body),
            target: order.target,
            idempotency_key: order.idempotency_key,
            trace: self.engine.traces().then(|| trace(&head)).flatten(),
        };
        // The engine counts the message from here on.
        drop(body);
        admitted.release_body();
        match order.wait {
            Wait::Durable => {
                self.engine.send(request).await?;
                Ok(http::empty(StatusCode::ACCEPTED))
            }
            Wait::Answer(timeout) => self.call(request, timeout).await,
        }
    }

    async fn call(&self, request: Request, timeout: Duration) -> Result<Response, Problem> {
        let mut phase = self.phase.clone();
        tokio::select! {
            biased;
            answer = self.engine.call(request) => match answer? {
                Answer::Value(value) => Ok(value_response(&value)),
                Answer::DeadLettered { id, reason } => Err(Problem::dead_lettered(id, &reason)),
            },
            () = sleep(timeout) => Err(no_answer(timeout)),
            () = reached(&mut phase, Phase::Closing) => Err(gone()),
        }
    }
}

/// Where the request belongs, if its sender says so.
fn trace(head: &Parts) -> Option<TraceContext> {
    TraceContext::parse(head.headers.get("traceparent")?.as_bytes())
}

fn value_response(value: &TypedValue) -> Response {
    let mut response = Response::new(Full::new(value.to_value()));
    response.headers_mut().insert(CONTENT_TYPE, content_type(value.typename()));
    response
}

fn content_type(typename: &str) -> HeaderValue {
    let unnamed = || HeaderValue::from_static("application/octet-stream");
    if typename.is_empty() {
        return unnamed();
    }
    // What a function calls its types is its own choice, and may not fit into a header.
    HeaderValue::try_from(["application/vnd.", typename].concat()).unwrap_or_else(|_| unnamed())
}

fn no_answer(timeout: Duration) -> Problem {
    Problem::new(
        StatusCode::GATEWAY_TIMEOUT,
        format!("no answer within {timeout:?}"),
        "the message stays accepted and will be processed; to wait longer set `?timeout=`, \
         and to wait again repeat the call with the same `Idempotency-Key`",
    )
}

fn gone() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "the engine stopped before an answer was there",
        "the message may have been accepted; repeat the call with the same `Idempotency-Key` when it is back",
    )
}
