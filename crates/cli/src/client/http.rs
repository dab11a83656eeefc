//! A small HTTP client: one server, one connection, one request at a time.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::origin::Origin;
use super::tls::Authorities;

/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// The largest answer.
const ANSWER_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("no TLS connection")]
    Tls(#[source] io::Error),
    #[error("the connection broke")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

/// What is asked.
pub(crate) struct Order {
    pub(crate) method: Method,
    /// The path and the query, percent-encoded.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) time_max: Duration,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) struct Client {
    origin: Origin,
    authorities: Authorities,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub(crate) fn new(origin: Origin, authorities: Authorities) -> Client {
        Client { origin, authorities, connection: None }
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Asks, and waits for the whole answer.
    pub(crate) async fn ask(&mut self, order: Order) -> Result<Answer, HttpError> {
        let time_max = order.time_max;
        let exchange = async { collected(self.exchange(order).await?).await };
        let answer = timeout(time_max, exchange).await;
        let answer = answer.unwrap_or(Err(HttpError::Timeout(time_max)));
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    /// Asks, and waits for the beginning of an answer that may go on for long.
    pub(crate) async fn open(&mut self, order: Order) -> Result<Response<Incoming>, HttpError> {
        let time_max = order.time_max;
        let response = timeout(time_max, self.exchange(order)).await;
        response.unwrap_or(Err(HttpError::Timeout(time_max)))
    }

    async fn exchange(&mut self, order: Order) -> Result<Response<Incoming>, HttpError> {
        let mut request = Request::new(Full::new(order.body));
        *request.method_mut() = order.method;
        *request.uri_mut() = order.path.parse().expect("paths are percent-encoded");
        *request.headers_mut() = order.headers;
        let host = self.origin.authority();
        request.headers_mut().insert(HOST, host.parse().expect("a host is visible ASCII"));
        self.connected().await?.send_request(request).await.map_err(broken)
    }

    /// The connection that is there, if the server has not closed it, or a new one.
    async fn connected(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, HttpError> {
        let usable = match &mut self.connection {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.connection = Some(self.connect().await?);
        }
        Ok(self.connection.as_mut().expect("it is there now"))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, HttpError> {
        let connecting = TcpStream::connect((self.origin.bare_host(), self.origin.port));
        let stream = in_time(connecting).await.map_err(HttpError::Connect)?;
        // A socket that is already gone refuses this; using it will tell.
        let _ = stream.set_nodelay(true);
        if !self.origin.is_tls {
            return speak(stream).await;
        }
        let securing = self.authorities.secure(stream, &self.origin);
        speak(in_time(securing).await.map_err(HttpError::Tls)?).await
    }
}

/// The whole of an answer.
pub(crate) async fn collected(response: Response<Incoming>) -> Result<Answer, HttpError> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(HttpError::Broken)?.to_bytes();
    Ok(Answer { status: head.status, headers: head.headers, body })
}

async fn in_time<T>(connecting: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let connected = timeout(CONNECT_TIME_MAX, connecting).await;
    connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Full<Bytes>>, HttpError> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // How it ends, the request in flight is told.
    tokio::spawn(connection);
    Ok(sender)
}

fn broken(error: hyper::Error) -> HttpError {
    HttpError::Broken(error.into())
}
