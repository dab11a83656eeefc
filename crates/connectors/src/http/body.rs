//! Reading the body of a request into one piece.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use super::load::Admitted;
use super::{Limits, Problem};

/// Reads a body whole. A small one arrives in one piece and is not copied.
pub(crate) async fn read(
    mut body: Incoming,
    limits: &Limits,
    admitted: &mut Admitted<'_>,
) -> Result<Bytes, Problem> {
    // The lower bound is what the header `Content-Length` says.
    if body.size_hint().lower() > limits.body_bytes as u64 {
        return Err(too_large(limits.body_bytes));
    }
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    match timeout(limits.body_time, collect(&mut body, limits.body_bytes, admitted)).await {
        Ok(collected) => collected,
        Err(_) => Err(too_slow(limits.body_time)),
    }
}

async fn collect(
    body: &mut Incoming,
    bytes_max: usize,
    admitted: &mut Admitted<'_>,
) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // What is not data is a trailer, and means nothing to us.
        let Ok(piece) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        if first.len().max(joined.len()) + piece.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        admitted.hold(piece.len())?;
        if first.is_empty() {
            first = piece;
        } else {
            if joined.is_empty() {
                joined.extend_from_slice(&first);
            }
            joined.extend_from_slice(&piece);
        }
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is larger than {bytes_max} bytes"),
        "send less, or raise the limit of the ingress",
    )
}

fn too_slow(limit: Duration) -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        format!("the body was not complete after {limit:?}"),
        "send the request again; nothing of it was accepted",
    )
}

fn broken(error: &hyper::Error) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        format!("the body cannot be read: {error}"),
        "check `Content-Length` and the chunked encoding",
    )
}
