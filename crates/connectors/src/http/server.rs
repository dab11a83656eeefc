//! A socket, its connections, and their orderly end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use statera_model::{Name, codes};
use statera_ports::BoxFuture;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Limits, Response};
use crate::Error;

/// How long to wait after the system had no file descriptor or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long answers may take to leave once nobody waits for the engine any more.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// Bytes that a connection buffers of what it reads.
const BUFFER_BYTES: usize = 128 * 1024;

/// An open socket that waits to be served.
#[derive(Debug)]
pub(crate) struct Server {
    id: Name,
    listener: std::net::TcpListener,
    local_addr: SocketAddr,
    limits: Limits,
    phase: watch::Sender<Phase>,
}

/// How far a server is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Takes connections.
    Open,
    /// Takes nothing new; requests in flight go on.
    Draining,
    /// Requests in flight answer at once.
    Closing,
}

/// Ends when a phase is reached, or the server is gone.
pub(crate) async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    // An error means that the server is gone, which is as good as closing.
    let _ = phase.wait_for(|now| *now >= wanted).await;
}

impl Server {
    pub(crate) fn bind(id: Name, address: SocketAddr, limits: Limits) -> Result<Server, Error> {
        let listen = || {
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let local_addr = listener.local_addr()?;
            Ok((listener, local_addr))
        };
        match listen() {
            Ok((listener, local_addr)) => Ok(Server {
                id,
                listener,
                local_addr,
                limits,
                phase: watch::Sender::new(Phase::Open),
            }),
            Err(source) => Err(listen_error(id, address, source)),
        }
    }

    pub(crate) fn id(&self) -> &Name {
        &self.id
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// For handlers that wait: they must not wait once [`Phase::Closing`] is reached.
    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Serves until `stop` ends, then lets requests in flight end within [`Limits::drain_time`].
    pub(crate) async fn run<H, F>(
        self,
        handle: H,
        mut stop: BoxFuture<'static, ()>,
    ) -> Result<(), Error>
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let Server { id, listener, local_addr, limits, phase } = self;
        let listener = TcpListener::from_std(listener)
            .map_err(|source| listen_error(id.clone(), local_addr, source))?;
        let places = Arc::new(Semaphore::new(limits.connections));
        let builder = connections(&limits);
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = tasks.join_next() => {}
                (stream, place) = accept(&listener, &places, &id) => {
                    let serving = serve(stream, builder.clone(), handle.clone(), phase.subscribe());
                    tasks.spawn(async move {
                        serving.await;
                        drop(place);
                    });
                }
            }
        }
        drop(listener);
        for (next, limit) in [(Phase::Draining, limits.drain_time), (Phase::Closing, CLOSING_TIME)]
        {
            phase.send_replace(next);
            let _ = timeout(limit, async { while tasks.join_next().await.is_some() {} }).await;
        }
        if !tasks.is_empty() {
            tracing::warn!(code = %codes::INGRESS_CUT_OFF, %id, connections = tasks.len(), "closing connections with requests in flight");
        }
        tasks.shutdown().await;
        Ok(())
    }
}

fn listen_error(id: Name, address: SocketAddr, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::AddrInUse => Error::AddressInUse { id, address },
        _ => Error::Listen { id, address, source },
    }
}

fn connections(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // The number of headers is left at hyper's limit of 100: another one would cost an allocation for each request.
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_header_size(limits.head_bytes)
        .max_buf_size(BUFFER_BYTES);
    builder
}

/// Waits for a place among the connections, and then for a connection. May be dropped at any time.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    id: &Name,
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
                tracing::warn!(code = %codes::INGRESS_UNREACHABLE, %id, %error, "cannot accept connections for now");
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

async fn serve<H, F>(
    stream: TcpStream,
    builder: http1::Builder,
    handle: H,
    mut phase: watch::Receiver<Phase>,
) where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response>,
{
    let service = service_fn(|request| {
        let answer = handle(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = reached(&mut phase, Phase::Draining) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // The client went away, was too slow, or does not speak HTTP: its affair, and it cannot be told any more.
        tracing::debug!(%error, "a connection ended early");
    }
}
