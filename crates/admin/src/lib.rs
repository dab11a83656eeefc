//! The admin HTTP API: what a running engine knows, and what people may do to it.
//!
//! It asks and orders through the handle of the engine ([`statera_runtime::Engine`]) and decides nothing itself. It never
//! takes messages in (an ingress does) and never keeps anything: without requests it costs nothing. The types to know
//! are [`AdminServer`], its [`Settings`], and the forms in [`api`].
//!
//! What is served is in one table, `routes.rs`; `docs/reference/openapi.json` is made of it and of the forms, and
//! `docs/reference/admin-api.md` says what these don't. Segments of a path are percent-encoded. What can't be served is answered with
//! [`api::Problem`], which has a code for programs.
//!
//! A request may ask the shards, which answer between two rounds of their work, or read the store; nothing stops for it. Only
//! `/v1/events` lasts: who listens shares one look at the engine each second with all others.
//!
//! At `/` there is a dashboard for people, `dashboard/`, which asks the same API.
//!
//! ```no_run
//! # use statera_runtime::Engine;
//! # use statera_ports::Engine as _;
//! # async fn run(engine: Engine) -> Result<(), statera_admin::AdminError> {
//! let server = statera_admin::AdminServer::bind(([127, 0, 0, 1], 8181).into(), engine.clone())?;
//! println!("the admin API is at http://{}", server.local_addr());
//! server.run(engine.stopping()).await
//! # }
//! ```
#![warn(missing_docs)]

mod access;
mod answers;
pub mod api;
mod body;
mod bulk;
mod dashboard;
mod error;
mod given;
mod guard;
mod handler;
mod instances;
mod lists;
mod live;
mod log;
mod metrics;
#[cfg(test)]
mod openapi;
mod path;
mod problem;
mod rates;
mod reload;
mod routes;
mod server;
mod time;
mod tls;
mod value;

pub use access::{InvalidToken, TOKEN_BYTES_MIN, Token};
pub use error::AdminError;
pub use log::LogControl;
pub use metrics::metrics_reference;
pub use reload::{ReloadControl, ReloadRefused};
pub use server::{AdminServer, Settings};
pub use tls::Tls;
