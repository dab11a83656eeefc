//! How a remote function is called: HTTP/1.1 with keep-alive, HTTP/2 where an okhttp endpoint offers it over TLS, and
//! unix sockets.
//!
//! One [`HttpClient::call`] is one *attempt*. Whether and when there is another one is decided by the engine, which
//! learns from the [`FailureKind`](statera_model::FailureKind) what a failure means; the only thing repeated here is a
//! request that met a kept-alive connection which the server was just closing. This crate never looks into the bodies
//! that it carries, and never holds more of a response than the endpoint's limit, compressed or not.
//!
//! A client belongs to one thread, the shard's, and is called within a [`tokio::task::LocalSet`]. Start with
//! [`HttpClient`], [`Statistics`] and [`TransportError`].
//!
//! ```
//! use std::time::Duration;
//!
//! use statera_config::{Endpoint, FunctionPattern, OkHttpTransport, Scheme, Transport, UrlTemplate};
//! use statera_model::{FailureKind, FunctionType};
//! use statera_transport::HttpClient;
//!
//! let url = "http+unix:///no/such/place.sock/functions".to_owned();
//! let second = Duration::from_secs(1);
//! let endpoint = Endpoint {
//!     functions: FunctionPattern::Namespace("example".to_owned()),
//!     url: UrlTemplate { text: url, scheme: Scheme::Unix },
//!     max_batch_requests: None,
//!     transport: Transport::OkHttp(OkHttpTransport {
//!         call: second,
//!         connect: second,
//!         read: second,
//!         write: second,
//!     }),
//! };
//! let client = HttpClient::new(&endpoint)?;
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! let greeter = FunctionType::parse("example/greeter")?;
//! let call = client.call(&greeter, "the request".into(), second, None);
//! let failure = tokio::task::LocalSet::new().block_on(&runtime, call).unwrap_err();
//! assert_eq!(failure.kind, FailureKind::Unavailable);
//! assert_eq!(client.statistics().failures, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

mod client;
mod connect;
mod decode;
mod failure;
mod life;
mod pool;
mod response;
mod settings;
mod statistics;
mod stream;
mod target;
mod tls;
mod url;

pub use client::HttpClient;
pub use statistics::Statistics;
pub use tls::TransportError;
