//! The socket, its connections, and their orderly end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use statera_model::codes;
use statera_ports::BoxFuture;
use statera_runtime::Engine;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::access::Token;
use crate::error::AdminError;
use crate::handler::Handler;
use crate::log::LogControl;
use crate::reload::ReloadControl;
use crate::tls::Tls;

/// Connections open at once, each with one request at a time; more wait in the backlog of the socket.
const CONNECTIONS_MAX: usize = 256;

/// Bytes of the request line and the headers of a request.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// How long the head of a request may take, and how long a connection may be idle.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// How long requests in flight may take once the server is to stop.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);

/// How long to wait after the system had no file descriptor or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a TLS handshake may take.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// How the admin API is served.
#[derive(Clone)]
pub struct Settings {
    /// Where it listens. Port 0 chooses a free one.
    pub address: SocketAddr,
    /// What the application is called, for people.
    pub name: String,
    /// What requests must carry. Without it only a loopback address is served.
    pub token: Option<Token>,
    /// If it is served over TLS.
    pub tls: Option<Tls>,
    /// Who changes what is logged.
    pub log: Option<Arc<dyn LogControl>>,
    /// Who reads the configuration again.
    pub reload: Option<Arc<dyn ReloadControl>>,
}

impl Settings {
    /// Plain, on this address.
    #[must_use]
    pub fn at(address: SocketAddr) -> Settings {
        let name = "statera".to_owned();
        Settings { address, name, token: None, tls: None, log: None, reload: None }
    }
}

/// The admin API, its socket open.
pub struct AdminServer {
    listener: std::net::TcpListener,
    local_addr: SocketAddr,
    handler: Handler,
    tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for AdminServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminServer").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

impl AdminServer {
    /// Opens the socket at a loopback address, without token and TLS. Port 0 chooses a free one.
    ///
    /// # Errors
    /// If the address can't be listened on, or is not a loopback address.
    pub fn bind(address: SocketAddr, engine: Engine) -> Result<AdminServer, AdminError> {
        AdminServer::open(Settings::at(address), engine)
    }

    /// Opens the socket.
    ///
    /// # Errors
    /// If the address can't be listened on, others could reach it without a token, or a file can't be used.
    pub fn open(settings: Settings, engine: Engine) -> Result<AdminServer, AdminError> {
        let Settings { address, name, token, tls, log, reload } = settings;
        if token.is_none() && !address.ip().is_loopback() {
            return Err(AdminError::NoToken { address });
        }
        let tls = tls.map(|tls| tls.acceptor()).transpose()?;
        let listen = || {
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let local_addr = listener.local_addr()?;
            Ok((listener, local_addr))
        };
        match listen() {
            Ok((listener, local_addr)) => {
                let loopback = local_addr.ip().is_loopback();
                let handler = Handler::new(engine, name, loopback, token, log);
                let handler = Handler { reload, ..handler };
                Ok(AdminServer { listener, local_addr, handler, tls })
            }
            Err(source) => Err(listen_error(address, source)),
        }
    }

    /// Where it listens, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `stop` ends, then lets requests in flight end for at most 2 s. `stop` should end before the engine
    /// has stopped, for what is asked of a stopped engine is not answered. Must be called within a tokio runtime that
    /// has IO and time.
    ///
    /// # Errors
    /// If the socket can't be used.
    pub async fn run(self, mut stop: BoxFuture<'static, ()>) -> Result<(), AdminError> {
        let AdminServer { listener, local_addr, handler, tls } = self;
        let listener =
            TcpListener::from_std(listener).map_err(|source| listen_error(local_addr, source))?;
        let handler = Arc::new(handler);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let stopping = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = tasks.join_next() => {}
                (stream, place) = accept(&listener, &places) => {
                    let serving =
                        serve(stream, tls.clone(), Arc::clone(&handler), stopping.subscribe());
                    tasks.spawn(async move {
                        serving.await;
                        drop(place);
                    });
                }
            }
        }
        drop(listener);
        handler.live.close();
        stopping.send_replace(true);
        let _ = timeout(DRAIN_TIME_MAX, async { while tasks.join_next().await.is_some() {} }).await;
        tasks.shutdown().await;
        Ok(())
    }
}

fn listen_error(address: SocketAddr, source: io::Error) -> AdminError {
    match source.kind() {
        io::ErrorKind::AddrInUse => AdminError::AddressInUse { address },
        _ => AdminError::Listen { address, source },
    }
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
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                tracing::warn!(code = %codes::ADMIN_UNREACHABLE, %error, "the admin API cannot accept connections for now");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether accepting failed because of the one connection, not because of a shortage.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Waits for the end of the server.
async fn ended(stopping: &mut watch::Receiver<bool>) {
    // An error means that the server is gone, which is as good.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Serves a connection, after a handshake if there is one.
async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    handler: Arc<Handler>,
    stopping: watch::Receiver<bool>,
) {
    let Some(tls) = tls else { return serve_on(stream, handler, stopping).await };
    let mut stop = stopping.clone();
    let shaken = tokio::select! {
        shaken = timeout(HANDSHAKE_TIME_MAX, tls.accept(stream)) => shaken,
        () = ended(&mut stop) => return,
    };
    match shaken {
        Ok(Ok(stream)) => serve_on(stream, handler, stopping).await,
        Ok(Err(error)) => tracing::debug!(%error, "no handshake with a client of the admin API"),
        Err(_) => tracing::debug!("a client of the admin API was too slow to shake hands"),
    }
}

async fn serve_on(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    handler: Arc<Handler>,
    mut stopping: watch::Receiver<bool>,
) {
    let service = service_fn(|request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Infallible>(handler.handle(request).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(2 * HEAD_BYTES_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = ended(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // The client went away, was too slow, or does not speak HTTP: its affair, and it cannot be told any more.
        tracing::debug!(%error, "a connection to the admin API ended early");
    }
}
