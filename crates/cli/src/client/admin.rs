//! The admin API of a running engine.

use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use clap::Args;
use hyper::Method;
use hyper::header::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use statera_admin::api;

use super::http::{Answer, Client, HttpError, Order, Origin};

/// How long the engine may take for an answer; it gives up itself after 30 s.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(40);

#[derive(Args)]
pub(crate) struct AdminOptions {
    /// Where the admin API of the engine is
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8181",
        env = "STATERA_ADMIN_URL"
    )]
    admin: Origin,
    /// Write JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

impl AdminOptions {
    pub(crate) fn open(&self) -> Admin {
        Admin { client: Client::new(self.admin.clone()) }
    }
}

pub(crate) struct Admin {
    client: Client,
}

impl Admin {
    pub(crate) async fn get(&mut self, path: String) -> anyhow::Result<Json> {
        self.ask(Method::GET, path).await
    }

    /// Asks for something, and reads the answer as JSON, of which we may not know all fields.
    pub(crate) async fn ask(&mut self, method: Method, path: String) -> anyhow::Result<Json> {
        let order = Order {
            method,
            path,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            time_max: ANSWER_TIME_MAX,
        };
        let origin = self.client.origin().clone();
        let answer = self.client.ask(order).await.map_err(|error| no_engine(&origin, error))?;
        if !answer.status.is_success() {
            return Err(refusal(&answer).unwrap_or_else(|| foreign(&origin, &answer)));
        }
        serde_json::from_slice(&answer.body).map_err(|_| foreign(&origin, &answer))
    }
}

/// The fields we know.
pub(crate) fn known<T: DeserializeOwned>(answer: Json) -> anyhow::Result<T> {
    serde_json::from_value(answer).context(
        "the engine's answer is not understood; hint: use a `statera` of the engine's version",
    )
}

/// What a server of ours says when it does not do what it was asked for.
pub(crate) fn refusal(answer: &Answer) -> Option<anyhow::Error> {
    let api::Problem { error, hint, .. } = serde_json::from_slice(&answer.body).ok()?;
    Some(Refusal { error, hint }.into())
}

/// A server of ours understood what it was asked for, and did not do it.
#[derive(Debug, thiserror::Error)]
#[error("{error}; hint: {hint}")]
pub(crate) struct Refusal {
    error: String,
    hint: String,
}

fn foreign(origin: &Origin, answer: &Answer) -> anyhow::Error {
    anyhow!(
        "what answers at `{origin}` ({}) is not the admin API of an engine; \
         hint: name its address with `--admin`",
        answer.status
    )
}

fn no_engine(origin: &Origin, error: HttpError) -> anyhow::Error {
    match error {
        HttpError::Connect(error) => anyhow!(
            "no engine answers at `{origin}`{}; hint: start one with `statera run`, \
             or name its admin address with `--admin`",
            reason(&error)
        ),
        HttpError::Timeout(_) => anyhow::Error::new(error)
            .context(format!("the engine at `{origin}` is too slow; hint: look at its log")),
        HttpError::Broken(_) => anyhow::Error::new(error).context(format!(
            "no engine answers at `{origin}`; hint: it may just have stopped, \
             or something else listens there"
        )),
    }
}

/// Why there is no connection, unless it is for the usual reason.
pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => String::new(),
        _ => format!(" ({error})"),
    }
}
