//! `io.statefun.playground.v1/ingress`: `<any method> /<namespace>/<type>/<id>`, answered when the message is durable.
//!
//! `Content-Type: application/vnd.<typename>` names the type of the body; with any other content type, or none, it is
//! `io.statefun.types/string`, the body being taken as it is.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::Incoming;
use statera_config as config;
use statera_model::{Name, TypedValue};
use statera_ports::{BoxFuture, Engine, Refusal, Request};

use super::with_status_header;
use crate::Error;
use crate::http::{
    self, Limits, Load, Problem, Response, Server, address, check_origin, vendor_type,
};

const STRING: &str = "io.statefun.types/string";

/// The ingress, its socket open.
pub(crate) struct PlaygroundIngress {
    pub(crate) server: Server,
    engine: Arc<dyn Engine>,
}

impl std::fmt::Debug for PlaygroundIngress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlaygroundIngress").field("server", &self.server).finish_non_exhaustive()
    }
}

impl PlaygroundIngress {
    pub(crate) fn bind(
        spec: &config::PlaygroundIngress,
        engine: Arc<dyn Engine>,
    ) -> Result<PlaygroundIngress, Error> {
        let id = Name::from_parts("io.statefun.playground", "ingress");
        Ok(PlaygroundIngress { server: Server::bind(id, spec.address, Limits::DEFAULT)?, engine })
    }

    pub(crate) async fn run(self, stop: BoxFuture<'static, ()>) -> Result<(), Error> {
        let load = Arc::new(Load::new(self.server.limits()));
        let engine = self.engine;
        let handle = move |request| {
            let (engine, load) = (Arc::clone(&engine), Arc::clone(&load));
            async move {
                with_status_header(
                    send(&*engine, &load, request).await.unwrap_or_else(Problem::response),
                )
            }
        };
        self.server.run(handle, stop).await
    }
}

async fn send(
    engine: &dyn Engine,
    load: &Load,
    request: hyper::Request<Incoming>,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    check_origin(&head.headers)?;
    let target = address(head.uri.path().strip_prefix('/').unwrap_or_default())?;
    if !engine.covers(&target.function) {
        return Err(Refusal::NotCovered(target.function).into());
    }
    let mut admitted = load.admit()?;
    let body = http::read(body, &Limits::DEFAULT, &mut admitted).await?;
    let argument = TypedValue::new(vendor_type(&head.headers).unwrap_or(STRING), &body);
    drop(body);
    admitted.release_body();
    engine.send(Request { target, argument, idempotency_key: None, trace: None }).await?;
    Ok(http::empty(StatusCode::OK))
}
