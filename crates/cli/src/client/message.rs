//! `statera send` and `statera call`.

pub(super) mod value;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use statera_admin::api;
use statera_model::TypedValue;

use super::address::{Target, encoded};
use super::admin::{NoAnswer, Refusal, reason};
use super::http::{Answer, Client, HttpError, Order};
use super::origin::Origin;
use super::terminal::Terminal;
use super::tls::Authorities;
use super::{Usage, duration, show};
use value::ValueOptions;

/// How long a send may take.
const SEND_TIME_MAX: Duration = Duration::from_secs(60);

/// How much longer than the engine we wait for a reply.
const CALL_TIME_MARGIN: Duration = Duration::from_secs(5);

/// What the ingress puts before the typename of a reply.
const VENDOR_PREFIX: &str = "application/vnd.";

#[derive(Args)]
struct Message {
    /// Who receives it, as NAMESPACE/TYPE/ID
    address: Target,
    /// The type of the value, such as `example/Order` or `io.statefun.types/int`
    #[arg(long = "type", value_name = "TYPENAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    typename: String,
    #[command(flatten)]
    value: ValueOptions,
    /// Where the HTTP ingress of the engine is
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        env = "STATERA_INGRESS_URL"
    )]
    ingress: Origin,
    /// Makes repeats safe: of several messages to one address with one key only the first counts
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

impl Message {
    /// Posts it under `/v1/<how>/...`.
    async fn post(
        &self,
        how: &str,
        timeout: Option<Duration>,
        time_max: Duration,
    ) -> anyhow::Result<Answer> {
        let timeout =
            timeout.map_or(String::new(), |time| format!("&timeout={}ms", time.as_millis()));
        let path = format!(
            "/v1/{how}/{}?typename={}{timeout}",
            self.address.path(),
            encoded(&self.typename)
        );
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.idempotency_key {
            let key = HeaderValue::try_from(key).map_err(|_| {
                Usage(format!("`{key}` can't be an idempotency key; hint: use letters and digits"))
            })?;
            headers.insert("idempotency-key", key);
        }
        let body = self.value.encode(&self.typename)?;
        let order = Order { method: Method::POST, path, headers, body, time_max };
        let answer = Client::new(self.ingress.clone(), Authorities::default()).ask(order).await;
        let answer = answer.map_err(|error| no_ingress(&self.ingress, error))?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(Refusal::of(&answer).map_or_else(|| self.foreign(&answer), anyhow::Error::new))
    }

    fn foreign(&self, answer: &Answer) -> anyhow::Error {
        anyhow!(
            "what answers at `{}` ({}) is not an HTTP ingress of an engine; \
                 hint: name its address with `--ingress`",
            self.ingress,
            answer.status
        )
    }
}

fn no_ingress(origin: &Origin, error: HttpError) -> anyhow::Error {
    match error {
        HttpError::Connect(error) => NoAnswer::new(format!(
            "no ingress answers at `{origin}`{}; hint: start an application that has an HTTP ingress with \
             `statera run`, or name its address with `--ingress`",
            reason(&error)
        ), None),
        HttpError::Tls(_) => NoAnswer::new(format!("no TLS connection to `{origin}`"), Some(error)),
        HttpError::Broken(_) | HttpError::Timeout(_) => NoAnswer::new(format!(
            "the message to `{origin}` may or may not have been accepted; \
             hint: repeats are safe with `--idempotency-key`"
        ), Some(error)),
    }.into()
}

#[derive(Args)]
pub(crate) struct Send {
    #[command(flatten)]
    message: Message,
}

impl Send {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        self.message.post("send", None, SEND_TIME_MAX).await?;
        terminal.note(&format!("accepted for `{}`", self.message.address.0))?;
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
pub(crate) struct Call {
    #[command(flatten)]
    message: Message,
    /// How long to wait for the reply
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration::parse)]
    timeout: Duration,
    /// Write out the bytes of the reply as they are
    #[arg(long)]
    raw: bool,
}

impl Call {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let time_max = self.timeout.saturating_add(CALL_TIME_MARGIN);
        let answer = self.message.post("call", Some(self.timeout), time_max).await?;
        if self.raw {
            terminal.out.write_all(&answer.body)?;
            return Ok(ExitCode::SUCCESS);
        }
        let typename = typename(&answer.headers);
        let reply = api::Value::from(&TypedValue::new(typename, &answer.body));
        match typename {
            "" => terminal.note("reply without a type:")?,
            typename => terminal.note(&format!("reply of type {typename}:"))?,
        }
        terminal.print_foreign(&show::value(&reply))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn typename(headers: &HeaderMap) -> &str {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.and_then(|text| text.strip_prefix(VENDOR_PREFIX)).unwrap_or_default()
}
