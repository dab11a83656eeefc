//! Serves the functions over HTTP, as any function server would.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use statera_model::codes;
use statera_protocol::{decode_request, encode_reply};
use tokio::net::{TcpListener, TcpStream};

use super::functions::invoke;

/// The largest request: more than the engine puts into one.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// Starts serving on some free port of the loopback interface, for as long as the process lives.
pub(super) async fn serve() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot serve the functions")?;
    let address = listener.local_addr().context("cannot serve the functions")?;
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(connection(stream))),
                Err(error) => {
                    tracing::warn!(code = %codes::FUNCTIONS_UNREACHABLE, %error, "cannot accept a connection")
                }
            }
        }
    });
    Ok(address)
}

async fn connection(stream: TcpStream) {
    // A socket that is gone refuses this; reading from it will tell.
    let _ = stream.set_nodelay(true);
    let answer = |request| async { Ok::<_, Infallible>(answer(request).await) };
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
    if let Err(error) = serving.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, body) = match reply(request.into_body()).await {
        Ok(reply) => (StatusCode::OK, reply),
        Err(error) => {
            tracing::warn!(code = %codes::FUNCTION_FAILS, %error, "a function failed");
            (StatusCode::INTERNAL_SERVER_ERROR, error.to_string().into())
        }
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, octets);
    response
}

async fn reply(body: Incoming) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
    let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await?.to_bytes();
    let request = decode_request(body)?;
    Ok(encode_reply(&invoke(&request)?).into())
}
