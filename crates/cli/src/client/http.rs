//! A small HTTP client: one server, one connection, one request at a time.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderMap};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// The largest answer.
const ANSWER_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Where a server is: `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    host: String,
    port: u16,
}

#[derive(Debug, thiserror::Error)]
#[error("an address is http://HOST:PORT, such as `http://127.0.0.1:8181`")]
pub(crate) struct InvalidOrigin;

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Origin, InvalidOrigin> {
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = text.parse().map_err(|_| InvalidOrigin)?;
        let is_plain =
            uri.scheme_str() == Some("http") && uri.query().is_none() && uri.path() == "/";
        match uri.host() {
            Some(host) if is_plain && !host.is_empty() => {
                Ok(Origin { host: host.to_owned(), port: uri.port_u16().unwrap_or(80) })
            }
            _ => Err(InvalidOrigin),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("the connection broke")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

/// What is asked.
pub(crate) struct Order {
    pub(crate) method: Method,
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
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub(crate) fn new(origin: Origin) -> Client {
        Client { origin, connection: None }
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) async fn ask(&mut self, order: Order) -> Result<Answer, HttpError> {
        let time_max = order.time_max;
        let answer = timeout(time_max, self.exchange(order)).await;
        let answer = answer.unwrap_or(Err(HttpError::Timeout(time_max)));
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    async fn exchange(&mut self, order: Order) -> Result<Answer, HttpError> {
        let mut request = Request::new(Full::new(order.body));
        *request.method_mut() = order.method;
        *request.uri_mut() = order.path.parse().expect("paths are percent-encoded");
        *request.headers_mut() = order.headers;
        let host = format!("{}:{}", self.origin.host, self.origin.port);
        request.headers_mut().insert(HOST, host.parse().expect("a host is visible ASCII"));
        let response = self.connected().await?.send_request(request).await.map_err(broken)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(HttpError::Broken)?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// The connection that is there, if the server has not closed it, or a new one.
    async fn connected(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, HttpError> {
        let usable = match &mut self.connection {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.connection = Some(connect(&self.origin).await?);
        }
        Ok(self.connection.as_mut().expect("it is there now"))
    }
}

async fn connect(origin: &Origin) -> Result<SendRequest<Full<Bytes>>, HttpError> {
    let host = origin.host.trim_start_matches('[').trim_end_matches(']');
    let connecting = timeout(CONNECT_TIME_MAX, TcpStream::connect((host, origin.port)));
    let stream = connecting.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let stream = stream.map_err(HttpError::Connect)?;
    // A socket that is already gone refuses this; using it will tell.
    let _ = stream.set_nodelay(true);
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // How it ends, the request in flight is told.
    tokio::spawn(connection);
    Ok(sender)
}

fn broken(error: hyper::Error) -> HttpError {
    HttpError::Broken(error.into())
}
