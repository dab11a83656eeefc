//! HTTP/1.1 to one origin outside, with kept-alive connections, for requests and responses that are there as a whole.
//!
//! For services that parts of the engine talk to now and then. Functions are called by `statera-transport`, which gets more
//! out of a connection and knows the settings of endpoints. Start with [`Http`].
#![warn(missing_docs)]

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The most connections that are kept for later.
const IDLE_MAX: usize = 16;

/// The largest response. GetRecords returns up to 10 MiB of records, a third more in base64.
const RESPONSE_BYTES_MAX: usize = 32 << 20;

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, its TLS included.
    pub connect: Duration,
    /// For a request, from its first byte to the last one of the response.
    pub request: Duration,
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whether it is `https`.
    pub tls: bool,
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Origin {
    /// From a URL, whose path is returned too.
    #[must_use]
    pub fn parse(url: &str) -> Option<(Origin, String)> {
        let (scheme, rest) = url.split_once("://")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, if tls { 443 } else { 80 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        (!host.is_empty()).then_some((Origin { tls, host, port }, path))
    }

    /// The header `host`.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// There is no connection.
    #[error("cannot connect to `{origin}`")]
    Connect {
        /// To where.
        origin: Origin,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It took too long.
    #[error("`{origin}` did not answer within {after:?}")]
    Timeout {
        /// Who.
        origin: Origin,
        /// How long was waited.
        after: Duration,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("`{origin}` did not answer as it should")]
    Exchange {
        /// Who.
        origin: Origin,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The certificates to be trusted can't be read.
    #[error("cannot read the certificates in `{path}`: {reason}")]
    Certificates {
        /// Where they should be.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// A response.
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, at most 32 MiB.
    pub body: Bytes,
}

type Sender = SendRequest<Full<Bytes>>;

/// A client for one origin.
pub struct Http {
    /// Where it sends to.
    pub origin: Origin,
    timeouts: Timeouts,
    tls: Option<Arc<ClientConfig>>,
    idle: Mutex<Vec<Sender>>,
}

impl Http {
    /// `authorities` is a PEM file to be trusted instead of the built-in ones. Connects when it is used.
    ///
    /// # Errors
    /// [`HttpError::Certificates`].
    pub fn new(
        origin: Origin,
        timeouts: Timeouts,
        authorities: Option<&Path>,
    ) -> Result<Http, HttpError> {
        let tls = origin.tls.then(|| client_config(authorities)).transpose()?;
        Ok(Http { origin, timeouts, tls, idle: Mutex::default() })
    }

    /// Sends a request. If a kept connection turns out to be closed it is sent again over a new one, and may in rare
    /// cases arrive twice.
    ///
    /// # Errors
    /// If no whole response comes in time.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response, HttpError> {
        let after = self.timeouts.request;
        let late = || HttpError::Timeout { origin: self.origin.clone(), after };
        timeout(after, self.exchange(request)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response, HttpError> {
        while let Some(mut sender) = self.kept() {
            if sender.ready().await.is_err() {
                continue;
            }
            // Its end may cross with our request.
            match self.once(sender, request.clone()).await {
                Err(HttpError::Exchange { source, .. })
                    if source.downcast_ref::<hyper::Error>().is_some_and(is_closed) => {}
                done => return done,
            }
        }
        let sender = self.connect().await?;
        self.once(sender, request).await
    }

    async fn once(
        &self,
        mut sender: Sender,
        request: Request<Full<Bytes>>,
    ) -> Result<Response, HttpError> {
        let wrong = |source| HttpError::Exchange { origin: self.origin.clone(), source };
        let response = sender.send_request(request).await.map_err(|error| wrong(error.into()))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, RESPONSE_BYTES_MAX).collect().await.map_err(wrong)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(sender);
        }
        Ok(Response { status: head.status, headers: head.headers, body: body.to_bytes() })
    }

    fn kept(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(sender) = idle.pop() {
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    async fn connect(&self) -> Result<Sender, HttpError> {
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        timeout(self.timeouts.connect, self.handshake())
            .await
            .unwrap_or_else(|_| Err(late()))
            .map_err(|source| HttpError::Connect { origin: self.origin.clone(), source })
    }

    async fn handshake(&self) -> io::Result<Sender> {
        let tcp = TcpStream::connect((self.origin.host.as_str(), self.origin.port)).await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => drive(TokioIo::new(tcp)).await,
            Some(config) => {
                let name = server_name(&self.origin.host)?;
                let tls = TlsConnector::from(Arc::clone(config)).connect(name, tcp).await?;
                drive(TokioIo::new(tls)).await
            }
        }
    }
}

async fn drive(io: impl Read + Write + Send + Unpin + 'static) -> io::Result<Sender> {
    let (sender, connection) = http1::handshake(io).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection lost");
        }
    });
    Ok(sender)
}

fn is_closed(error: &hyper::Error) -> bool {
    error.is_canceled() || error.is_closed() || error.is_incomplete_message()
}

fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(ServerName::IpAddress(address.into())),
        Err(_) => ServerName::try_from(host.to_owned()).map_err(io::Error::other),
    }
}

fn client_config(authorities: Option<&Path>) -> Result<Arc<ClientConfig>, HttpError> {
    let roots = match authorities {
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        Some(path) => read_roots(path)
            .map_err(|reason| HttpError::Certificates { path: path.to_owned(), reason })?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn read_roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    match roots.is_empty() {
        true => Err("nothing found".to_owned()),
        false => Ok(roots),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_origins() {
        for (url, origin, path) in [
            (
                "https://kinesis.eu-central-1.amazonaws.com",
                "https://kinesis.eu-central-1.amazonaws.com",
                "/",
            ),
            ("http://localhost:4566/", "http://localhost:4566", "/"),
            ("http://[::1]:80/a?b", "http://[::1]", "/a?b"),
            ("http://[::1]", "http://[::1]", "/"),
            ("HTTPS://h:443?x", "https://h", "/?x"),
        ] {
            let (parsed, rest) = Origin::parse(url).unwrap();
            assert_eq!((parsed.to_string().as_str(), rest.as_str()), (origin, path));
        }
        for url in ["", "h", "ftp://h", "http://", "http://h:x"] {
            assert_eq!(Origin::parse(url), None, "{url}");
        }
    }
}
