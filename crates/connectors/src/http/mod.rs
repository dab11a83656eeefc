//! What the HTTP servers share: connections and their limits, reading of bodies, paths, and answers to what is wrong.

mod body;
mod load;
mod path;
mod problem;
mod server;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{HOST, HeaderMap, ORIGIN};

pub(crate) use body::read;
pub(crate) use load::Load;
pub(crate) use path::{address, decode, vendor_type};
pub(crate) use problem::Problem;
pub(crate) use server::{Phase, Server, reached};

/// A whole answer.
pub(crate) type Response = hyper::Response<Full<Bytes>>;

/// What one server takes at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections open at once; more wait in the backlog of the socket.
    pub(crate) connections: usize,
    /// Bytes of the request line and the headers of a request. Their number is limited to 100 by hyper.
    pub(crate) head_bytes: usize,
    /// How long the head of a request may take, and how long a connection may be idle.
    pub(crate) head_time: Duration,
    /// Bytes of the body of a request.
    pub(crate) body_bytes: usize,
    /// How long the body of a request may take.
    pub(crate) body_time: Duration,
    /// Bytes of bodies that are being read at once, over all connections.
    pub(crate) bodies_bytes: usize,
    /// Requests that are being read or wait for the engine at once.
    pub(crate) requests: usize,
    /// How long requests in flight may take to end once the engine stops.
    pub(crate) drain_time: Duration,
}

impl Limits {
    /// The limits that are not configured.
    pub(crate) const DEFAULT: Limits = Limits {
        connections: 16_384,
        head_bytes: 32 * 1024,
        head_time: Duration::from_secs(60),
        body_bytes: 16 * 1024 * 1024,
        body_time: Duration::from_secs(60),
        bodies_bytes: 256 * 1024 * 1024,
        requests: 16_384,
        drain_time: Duration::from_secs(10),
    };
}

/// Refuses what a web page of another site sends through its reader's browser. Whoever is not a browser sends no
/// `Origin`.
pub(crate) fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let site =
        origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, site)| site);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if site.is_some() && site == host {
        return Ok(());
    }
    let origin = String::from_utf8_lossy(origin.as_bytes());
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        format!("a page of `{origin}` may not send messages"),
        "send them from a server, or serve the page through a proxy from the same origin",
    ))
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
