//! Calls over HTTP, on one connection that is made anew when it breaks.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than the ingress lets a call wait.
const CALL_MAX: Duration = Duration::from_secs(40);

pub(super) struct Client {
    ingress: SocketAddr,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// One request to the ingress.
pub(super) struct Order<'a> {
    /// `call` or `send`.
    pub(super) verb: &'a str,
    /// `namespace/type/id`.
    pub(super) address: String,
    pub(super) typename: &'a str,
    pub(super) body: String,
    pub(super) idempotency_key: Option<String>,
}

impl Client {
    pub(super) fn new(ingress: SocketAddr) -> Client {
        Client { ingress, connection: None }
    }

    /// Sends a request and returns the body of the answer.
    pub(super) async fn execute(&mut self, order: Order<'_>) -> anyhow::Result<Bytes> {
        let exchanged = timeout(CALL_MAX, self.exchange(&order)).await;
        let exchanged = exchanged.context("there was no answer in time").flatten();
        if exchanged.is_err() {
            self.connection = None;
        }
        exchanged
    }

    async fn exchange(&mut self, order: &Order<'_>) -> anyhow::Result<Bytes> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("/v1/{}/{}", order.verb, order.address))
            .header(HOST, self.ingress.to_string())
            .header(CONTENT_TYPE, format!("application/vnd.{}", order.typename));
        if let Some(key) = &order.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Full::new(order.body.clone().into()))?;
        let answer = self.connection().await?.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        match status {
            StatusCode::OK | StatusCode::ACCEPTED => Ok(body),
            _ => bail!("{status}: {}", String::from_utf8_lossy(&body).trim()),
        }
    }

    async fn connection(&mut self) -> anyhow::Result<&mut SendRequest<Full<Bytes>>> {
        let usable = match &mut self.connection {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            let stream =
                TcpStream::connect(self.ingress).await.context("cannot reach the ingress")?;
            stream.set_nodelay(true)?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(async move { drop(connection.await) });
            self.connection = Some(sender);
        }
        Ok(self.connection.as_mut().expect("made above if there was none"))
    }
}
