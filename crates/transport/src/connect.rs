//! Makes connections, and keeps the task that drives each of them.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::life::Life;
use crate::pool::{Connection, Http1, Http2, Lease, Pool};
use crate::settings::{Lifetime, Settings};
use crate::statistics::{Counters, Gauge, count};
use crate::stream::{Metered, Stream};
use crate::target::Origin;
use crate::url::{HostPort, Place};

/// What can go wrong before a request can be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("{0:?} passed")]
    Timeout(Duration),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error("`{0}` is not a name that a certificate can be for")]
    ServerName(String),
    #[error("{0}")]
    Handshake(#[from] hyper::Error),
}

pub(crate) struct Connector {
    settings: Settings,
    /// `None` where nothing can lead to `https`.
    tls: Option<Arc<ClientConfig>>,
    counters: Rc<Counters>,
    http1: http1::Builder,
}

impl Connector {
    pub(crate) fn new(
        settings: Settings,
        tls: Option<Arc<ClientConfig>>,
        counters: Rc<Counters>,
    ) -> Connector {
        Connector { settings, tls, counters, http1: http1::Builder::new() }
    }

    /// Puts a connection into a lease that has none: a new one, or the shared one if it is HTTP/2.
    pub(crate) async fn connect(
        &self,
        origin: &Origin,
        lease: &mut Lease,
    ) -> Result<(), ConnectError> {
        let limit = self.settings.connect;
        let connection = match tokio::time::timeout(limit, self.connection(origin)).await {
            Ok(connection) => connection?,
            Err(_) => return Err(ConnectError::Timeout(limit)),
        };
        lease.connection = Some(connection);
        Ok(())
    }

    async fn connection(&self, origin: &Origin) -> Result<Connection, ConnectError> {
        let http2 = self.tls.as_ref().is_some_and(|tls| tls.alpn_protocols.len() > 1);
        let may_be_shared =
            http2 && matches!(origin.place, Place::Tls(_)) && !origin.declined_http2.get();
        if !may_be_shared {
            return self.make(origin).await;
        }
        if let Some(shared) = origin.pool.shared() {
            return Ok(Connection::Http2(shared));
        }
        let _making = origin.making.lock().await;
        // While we waited, another call may have made it.
        match origin.pool.shared() {
            Some(shared) => Ok(Connection::Http2(shared)),
            None => self.make(origin).await,
        }
    }

    async fn make(&self, origin: &Origin) -> Result<Connection, ConnectError> {
        let stream = self.stream(&origin.place).await?;
        let http2 =
            matches!(&stream, Stream::Tls(tls) if tls.get_ref().1.alpn_protocol() == Some(b"h2"));
        let life = Rc::new(Life::default());
        let io = TokioIo::new(Metered::new(stream, Rc::clone(&life), self.settings.write));
        let number = self.counters.made.get();
        tracing::debug!(place = %origin.place, http2, number, "connected");
        count(&self.counters.made);
        let driver = Driver {
            life: Rc::clone(&life),
            pool: Rc::downgrade(&origin.pool),
            lifetime: jittered(self.settings.lifetime, number),
            _open: Gauge::raise(&self.counters, |counters| &counters.open),
        };
        if http2 {
            let (sender, connection) = http2::Builder::new(LocalExecutor).handshake(io).await?;
            tokio::task::spawn_local(driver.run(connection));
            let shared = Http2 { sender, life };
            origin.pool.share(shared.clone());
            return Ok(Connection::Http2(shared));
        }
        origin.declined_http2.set(matches!(origin.place, Place::Tls(_)));
        let (sender, connection) = self.http1.handshake(io).await?;
        tokio::task::spawn_local(driver.run(connection));
        Ok(Connection::Http1(Http1 { sender, life }))
    }

    async fn stream(&self, place: &Place) -> Result<Stream, ConnectError> {
        match place {
            Place::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
            Place::Tcp(to) => Ok(Stream::Tcp(tcp(to).await?)),
            Place::Tls(to) => {
                let name = server_name(&to.host)?;
                let config =
                    self.tls.clone().ok_or_else(|| io::Error::other("TLS is not set up"))?;
                let tcp = tcp(to).await?;
                let tls = TlsConnector::from(config).connect(name, tcp).await;
                Ok(Stream::Tls(Box::new(tls.map_err(ConnectError::Tls)?)))
            }
        }
    }
}

async fn tcp(to: &HostPort) -> Result<TcpStream, ConnectError> {
    let stream = TcpStream::connect((to.host.as_str(), to.port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn server_name(host: &str) -> Result<ServerName<'static>, ConnectError> {
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(ServerName::IpAddress(address.into())),
        Err(_) => ServerName::try_from(host.to_owned())
            .map_err(|_| ConnectError::ServerName(host.to_owned())),
    }
}

/// Adds one to three seconds, spread evenly over consecutive connections, so that those made together do not end
/// together.
fn jittered(lifetime: Lifetime, number: u64) -> Lifetime {
    match lifetime {
        Lifetime::Age(age) => {
            let jitter_ms = 1000 + number.wrapping_mul(1237) % 2000;
            Lifetime::Age(age.saturating_add(Duration::from_millis(jitter_ms)))
        }
        other => other,
    }
}

/// The task that moves the bytes of a connection.
struct Driver {
    life: Rc<Life>,
    pool: Weak<Pool>,
    lifetime: Lifetime,
    _open: Gauge,
}

impl Drop for Driver {
    /// However the task ends: also when it is dropped with its runtime.
    fn drop(&mut self) {
        self.retire();
    }
}

impl Driver {
    async fn run<F>(self, connection: F)
    where
        F: Future<Output = hyper::Result<()>>,
    {
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            biased;
            ended = &mut connection => Some(ended),
            () = self.grows_old() => None,
        };
        self.retire();
        // Requests that are under way on it are finished. Dropping its last sender ends it.
        let ended = match ended {
            Some(ended) => ended,
            None => connection.await,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection lost");
        }
    }

    async fn grows_old(&self) {
        match self.lifetime {
            Lifetime::Unlimited => std::future::pending().await,
            Lifetime::Age(age) => tokio::time::sleep(age).await,
            Lifetime::Idle(time) => loop {
                tokio::time::sleep(time).await;
                if !self.life.used.replace(false) {
                    return;
                }
            },
        }
    }

    fn retire(&self) {
        self.life.over.set(true);
        if let Some(pool) = self.pool.upgrade() {
            pool.forget(&self.life);
        }
    }
}

#[derive(Clone, Copy)]
struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_one_to_three_seconds_longer_and_differ() {
        let age = Duration::from_secs(15);
        let ages: Vec<_> = (0..100).map(|n| jittered(Lifetime::Age(age), n)).collect();
        for jittered in &ages {
            let Lifetime::Age(jittered) = jittered else { panic!("{jittered:?}") };
            assert!((1..3).contains(&(*jittered - age).as_secs()), "{jittered:?}");
        }
        assert!(ages.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
