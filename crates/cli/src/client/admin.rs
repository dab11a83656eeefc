//! The admin API of a running engine.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use clap::Args;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use statera_admin::api;

use super::Usage;
use super::http::{Answer, Client, HttpError, Order, collected};
use super::origin::Origin;
use super::tls::Authorities;

/// How long the engine may take for an answer; it gives up itself after 30 s.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(40);

/// The same variables that tell the engine its token, so that both can be started in one environment.
const TOKEN_VARIABLE: &str = "STATERA_ADMIN_TOKEN";
const TOKEN_FILE_VARIABLE: &str = "STATERA_ADMIN_TOKEN_FILE";

#[derive(Args, Clone)]
pub(crate) struct AdminOptions {
    /// Write JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
    /// Where the admin API of the engine is
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8181",
        env = "STATERA_ADMIN_URL",
        help_heading = "Engine"
    )]
    admin: Origin,
    /// A file with the token of the admin API; else the file named by `STATERA_ADMIN_TOKEN_FILE`, or the token in
    /// `STATERA_ADMIN_TOKEN`
    #[arg(long, value_name = "FILE", conflicts_with = "token", help_heading = "Engine")]
    token_file: Option<PathBuf>,
    /// The token itself. Others on this machine can see it in the list of processes
    #[arg(long, value_name = "TOKEN", help_heading = "Engine")]
    token: Option<String>,
    /// A file with the certificates (PEM) to believe if the address is https; else those that browsers believe
    #[arg(long, value_name = "FILE", env = "STATERA_ADMIN_CA_FILE", help_heading = "Engine")]
    ca_file: Option<PathBuf>,
}

impl AdminOptions {
    /// Ready to ask; nothing is asked yet.
    pub(crate) fn open(&self) -> anyhow::Result<Admin> {
        let authorities = self.ca_file.as_deref().map(Authorities::of_file).transpose()?;
        let mut headers = HeaderMap::new();
        if let Some(token) = self.token()? {
            let value = HeaderValue::try_from(format!("Bearer {}", token.trim()));
            let mut value =
                value.map_err(|_| Usage("the token has characters that none has".into()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = Client::new(self.admin.clone(), authorities.unwrap_or_default());
        Ok(Admin { client, headers })
    }

    fn token(&self) -> Result<Option<String>, Usage> {
        if let Some(token) = &self.token {
            return Ok(Some(token.clone()));
        }
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let file =
            self.token_file.clone().or_else(|| variable(TOKEN_FILE_VARIABLE).map(PathBuf::from));
        match file {
            Some(file) => fs::read_to_string(&file).map(Some).map_err(|error| {
                Usage(format!("cannot read the token in `{}`: {error}", file.display()))
            }),
            None => Ok(variable(TOKEN_VARIABLE).and_then(|token| token.into_string().ok())),
        }
    }
}

pub(crate) struct Admin {
    client: Client,
    headers: HeaderMap,
}

impl Admin {
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Json> {
        self.ask(Method::GET, path, None).await
    }

    /// Asks for something, and reads the answer as JSON, of which we may not know all fields.
    pub(crate) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Json>,
    ) -> anyhow::Result<Json> {
        let order = self.order(method, path, body);
        let origin = self.client.origin().clone();
        let answer = self.client.ask(order).await.map_err(|error| no_engine(&origin, error))?;
        self.accepted(&answer)?;
        serde_json::from_slice(&answer.body).map_err(|_| foreign(&origin, &answer))
    }

    /// Asks for something that goes on for long.
    pub(crate) async fn stream(&mut self, path: &str) -> anyhow::Result<Response<Incoming>> {
        let order = self.order(Method::GET, path, None);
        let origin = self.client.origin().clone();
        let response = self.client.open(order).await.map_err(|error| no_engine(&origin, error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let answer = collected(response).await.map_err(|error| no_engine(&origin, error))?;
        self.accepted(&answer)?;
        Err(foreign(&origin, &answer))
    }

    fn order(&self, method: Method, path: &str, body: Option<&Json>) -> Order {
        let mut headers = self.headers.clone();
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = body.map_or(Bytes::new(), |body| body.to_string().into());
        Order { method, path: path.to_owned(), headers, body, time_max: ANSWER_TIME_MAX }
    }

    fn accepted(&self, answer: &Answer) -> anyhow::Result<()> {
        if answer.status.is_success() {
            return Ok(());
        }
        let origin = self.client.origin();
        let Some(mut refusal) = Refusal::of(answer) else { return Err(foreign(origin, answer)) };
        if refusal.status == StatusCode::UNAUTHORIZED {
            refusal.error =
                format!("the engine at `{origin}` does not let us in: {}", refusal.error);
            refusal.hint = format!(
                "give the engine's token with `--token-file FILE`, or as `{TOKEN_VARIABLE}`"
            );
        }
        Err(refusal.into())
    }
}

/// The fields we know.
pub(crate) fn known<T: DeserializeOwned>(answer: Json) -> anyhow::Result<T> {
    serde_json::from_value(answer).context(
        "the engine's answer is not understood; hint: use a `statera` of the engine's version",
    )
}

/// A server of ours understood what it was asked for, and did not do it.
#[derive(Debug, thiserror::Error)]
#[error("{error}; hint: {hint}")]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) error: String,
    pub(crate) hint: String,
}

impl Refusal {
    /// What a server of ours says when it does not do what it was asked for.
    pub(crate) fn of(answer: &Answer) -> Option<Refusal> {
        let api::Problem { error, hint, .. } = serde_json::from_slice(&answer.body).ok()?;
        Some(Refusal { status: answer.status, error, hint })
    }

    /// Whether it concerns what was named, so that the same may be done with others.
    pub(crate) fn is_about_one(&self) -> bool {
        matches!(self.status, StatusCode::NOT_FOUND | StatusCode::CONFLICT)
    }
}

/// Nobody answers.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct NoAnswer {
    text: String,
    #[source]
    source: Option<HttpError>,
}

impl NoAnswer {
    pub(crate) fn new(text: String, source: Option<HttpError>) -> NoAnswer {
        NoAnswer { text, source }
    }
}

fn foreign(origin: &Origin, answer: &Answer) -> anyhow::Error {
    anyhow!(
        "what answers at `{origin}` ({}) is not the admin API of an engine; \
         hint: name its address with `--admin`",
        answer.status
    )
}

pub(crate) fn no_engine(origin: &Origin, error: HttpError) -> anyhow::Error {
    let (text, source) = match error {
        HttpError::Connect(error) => (
            format!(
                "no engine answers at `{origin}`{}; hint: start one with `statera run`, \
                 or name its admin address with `--admin`",
                reason(&error)
            ),
            None,
        ),
        HttpError::Tls(error) => (
            format!(
                "no TLS connection to `{origin}` ({error}); hint: name the certificate to believe with `--ca-file`, \
                 or write http:// if it is served without TLS"
            ),
            None,
        ),
        HttpError::Timeout(_) => {
            (format!("the engine at `{origin}` is too slow; hint: look at its log"), Some(error))
        }
        HttpError::Broken(_) => (
            format!(
                "no engine answers at `{origin}`; hint: it may just have stopped, something else may listen there, \
                 or it is served over TLS, as https://"
            ),
            Some(error),
        ),
    };
    NoAnswer::new(text, source).into()
}

/// Why there is no connection, unless it is for the usual reason.
pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => String::new(),
        _ => format!(" ({error})"),
    }
}
