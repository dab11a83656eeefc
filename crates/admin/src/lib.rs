//! The admin HTTP API: what a running engine knows, and what people may do to it.
//!
//! It asks and orders through the handle of the engine ([`statera_runtime::Engine`]) and decides nothing itself. It never
//! takes messages in (an ingress does) and never keeps anything: without requests it costs nothing. The types to know
//! are [`AdminServer`] and the forms in [`api`]; the one table of routes is in `routes.rs`.
//!
//! | request | answer |
//! |---|---|
//! | `GET /health` | 200 while the process serves |
//! | `GET /ready` | 200 while the engine takes messages, 503 once it is stopping |
//! | `GET /v1/status` | [`api::Status`] |
//! | `GET /v1/state/{namespace}/{type}/{id}` | [`api::States`] as of the last durable epoch |
//! | `GET /v1/deadletters?after=&limit=` | [`api::DeadLetters`], one page |
//! | `GET /v1/deadletters/{id}` | [`api::DeadLetterDetail`] |
//! | `POST /v1/deadletters/{id}/redrive` | [`api::Done`]: its messages are back in their mailbox, durably |
//! | `DELETE /v1/deadletters/{id}` | [`api::Done`]: it is forgotten, durably |
//! | `POST /v1/addresses/{namespace}/{type}/{id}/resume` | [`api::Done`]: the paused address goes on, durably |
//!
//! Segments of the path are percent-encoded, so that an id may hold slashes as `%2F`. What can't be served is answered
//! with [`api::Problem`]: 400 (path or query), 403 (a web page of another origin), 404, 405 (with `Allow`), 409 (not
//! possible in the present state), 413, 500 (the store), 503 (stopping, or no answer in time).
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

mod answers;
pub mod api;
mod error;
mod guard;
mod handler;
mod path;
mod problem;
mod routes;
mod server;
mod time;
mod value;

pub use error::AdminError;
pub use server::AdminServer;
