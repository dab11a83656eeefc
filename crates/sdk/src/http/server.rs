//! An HTTP/1.1 server for functions.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use statera_model::codes;

use super::{HttpReply, OCTET_STREAM};
use crate::app::{App, InvalidApp};
use crate::error::Result;
use crate::function::Functions;

/// How long to wait after the system had no file descriptor or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl App {
    /// Serves the functions over HTTP until the process is told to stop (interrupt or terminate), then lets requests in
    /// flight end. It is all that `main` needs to call.
    ///
    /// # Errors
    /// If a registration is wrong, the address can't be listened on, or the caller is in an asynchronous runtime already:
    /// there, use [`App::serve_with_shutdown`].
    pub fn serve(self, address: impl ToSocketAddrs) -> Result {
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(ServeError::WithinRuntime.into());
        }
        let server = Server::bind(self, address)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(ServeError::Runtime)?;
        runtime.block_on(async {
            let stop = told_to_stop().map_err(ServeError::Runtime)?;
            Ok(server.run(stop).await?)
        })
    }

    /// As [`App::serve`], within a tokio runtime, until `stop` ends.
    ///
    /// # Errors
    /// If a registration is wrong, or the address can't be listened on.
    pub async fn serve_with_shutdown(
        self,
        address: impl ToSocketAddrs,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        Server::bind(self, address)?.run(stop).await
    }
}

/// Why functions can't be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A registration is wrong.
    #[error(transparent)]
    App(#[from] InvalidApp),
    /// The address is none, is in use, or belongs to another machine.
    #[error("cannot listen on the given address")]
    Listen(#[source] io::Error),
    /// There is no runtime to be had.
    #[error("cannot start the runtime of the server")]
    Runtime(#[source] io::Error),
    /// A runtime can't be started within another one.
    #[error(
        "`App::serve` can't run within an asynchronous runtime; hint: use `serve_with_shutdown`"
    )]
    WithinRuntime,
}

/// What a [`Server`] does not exceed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The longest body of a request, in bytes: 64 MiB.
    pub body_bytes_max: usize,
    /// The most connections; further ones wait: 8192.
    pub connections_max: usize,
    /// How long the head of a request may take: 30 s.
    pub head_time: Duration,
    /// How long requests in flight may take once the server is told to stop: 30 s.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes_max: 64 << 20,
            connections_max: 8192,
            head_time: Duration::from_secs(30),
            drain_time: Duration::from_secs(30),
        }
    }
}

/// An open socket and the functions behind it, for those who need more than [`App::serve`]: limits, an address that the
/// system chooses, a shutdown of their own.
///
/// ```
/// # use statera_sdk::{App, http::Server};
/// # async fn example(stop: impl Future<Output = ()>) -> statera_sdk::Result {
/// let server = Server::bind(App::new(), "127.0.0.1:0")?;
/// println!("functions at http://{}", server.local_addr());
/// server.run(stop).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    functions: Functions,
    listener: std::net::TcpListener,
    local_addr: SocketAddr,
    limits: Limits,
}

impl Server {
    /// Opens a socket. Connections are accepted from now on and answered once the server runs.
    ///
    /// # Errors
    /// If a registration is wrong, or the address can't be listened on.
    pub fn bind(app: App, address: impl ToSocketAddrs) -> Result<Server, ServeError> {
        let functions = app.build()?;
        let listen = || {
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        };
        let (local_addr, listener) = listen().map_err(ServeError::Listen)?;
        Ok(Server { functions, listener, local_addr, limits: Limits::default() })
    }

    /// Sets other limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Server {
        self.limits = limits;
        self
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `stop` ends, then lets requests in flight end within [`Limits::drain_time`]. Must run in a tokio
    /// runtime.
    ///
    /// # Errors
    /// If the socket is refused by the runtime.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Server { functions, listener, limits, .. } = self;
        let listener = TcpListener::from_std(listener).map_err(ServeError::Listen)?;
        let places = Arc::new(Semaphore::new(limits.connections_max));
        let draining = watch::Sender::new(false);
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next() => {}
                (stream, place) = accept(&listener, &places) => {
                    let connection = Connection {
                        functions: functions.clone(),
                        limits: limits.clone(),
                        draining: draining.subscribe(),
                        _place: place,
                    };
                    connections.spawn(connection.serve(stream));
                }
            }
        }
        drop(listener);
        draining.send_replace(true);
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(limits.drain_time, ended).await.is_err() {
            tracing::warn!(code = %codes::REQUESTS_GIVEN_UP, "requests in flight take longer than the drain time and are given up");
        }
        connections.shutdown().await;
        Ok(())
    }
}

#[cfg(unix)]
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without the signal there is no way to be told; the process is ended from outside.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Waits for a place among the connections, and then for a connection. May be dropped at any time.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // A socket that is already gone refuses this; reading from it will tell.
                let _ = stream.set_nodelay(true);
                return (stream, place);
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(code = %codes::FUNCTIONS_UNREACHABLE, %error, "cannot accept connections for now");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

struct Connection {
    functions: Functions,
    limits: Limits,
    draining: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(mut self, stream: TcpStream) {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.limits.head_time);
        let (functions, body_bytes_max) = (&self.functions, self.limits.body_bytes_max);
        let service = service_fn(|request| {
            let functions = functions.clone();
            async move { Ok::<_, Infallible>(respond(functions, body_bytes_max, request).await) }
        });
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = told(&mut self.draining) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            // The runtime went away, or does not speak HTTP; it cannot be told any more.
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// Ends when the server drains, or is gone.
async fn told(draining: &mut watch::Receiver<bool>) {
    let _ = draining.wait_for(|draining| *draining).await;
}

async fn respond(
    functions: Functions,
    body_bytes_max: usize,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let reply = match *request.method() {
        Method::GET | Method::HEAD => HttpReply::text(200, functions.describe()),
        Method::POST if !is_octet_stream(request.headers()) => {
            HttpReply::text(415, format!("the content type must be {OCTET_STREAM}\n"))
        }
        Method::POST => match collect(request.into_body(), body_bytes_max).await {
            Ok(body) => functions.handle(body).await,
            Err(refusal) => refusal,
        },
        _ => HttpReply::text(405, "functions are invoked with POST\n"),
    };
    let allowed = (reply.status == 405).then_some(HeaderValue::from_static("GET, HEAD, POST"));
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).expect("we know our statuses");
    let content_type = HeaderValue::from_static(reply.content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().extend(allowed.map(|allowed| (header::ALLOW, allowed)));
    response
}

/// A request that does not say what it is may be one.
fn is_octet_stream(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let media_type = value.to_str().unwrap_or("?").split(';').next().unwrap_or_default().trim();
    media_type.is_empty() || media_type.eq_ignore_ascii_case(OCTET_STREAM)
}

async fn collect(body: Incoming, bytes_max: usize) -> Result<Bytes, HttpReply> {
    let too_long = || HttpReply::text(413, format!("the body is longer than {bytes_max} bytes\n"));
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_long());
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_long()),
        Err(error) => Err(HttpReply::text(400, format!("the body can't be read: {error}\n"))),
    }
}
