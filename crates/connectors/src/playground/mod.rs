//! The kinds of StateFun's playground, for its examples and for trying things out: `io.statefun.playground.v1/ingress`
//! and `io.statefun.playground.v1/egress`.
//!
//! As there, each answer has a header `Status`. There, the real status is always 200; here it is the same as in the
//! header, and an answer to what is wrong has a body that explains it.

mod egress;
mod ingress;
#[cfg(test)]
mod tests;

use hyper::header::{HeaderName, HeaderValue};

use crate::http::Response;

pub(crate) use egress::{EgressServer, egress};
pub(crate) use ingress::PlaygroundIngress;

const STATUS: HeaderName = HeaderName::from_static("status");

/// Repeats the status of an answer in the header `Status`.
fn with_status_header(mut response: Response) -> Response {
    let status = HeaderValue::from(response.status().as_u16());
    response.headers_mut().insert(STATUS, status);
    response
}
