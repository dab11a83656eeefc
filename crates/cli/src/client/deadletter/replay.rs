//! `statera deadletter replay`: what failed in production, sent to a function server on a laptop.

mod answer;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use bytes::Bytes;
use clap::Args;
use hyper::Method;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use statera_admin::api;
use statera_model::{Address, Name, TypedValue};
use statera_ports::DeadLetterId;
use statera_protocol::{Invocation, OwnedRequest, PersistedValue, decode_request};

use super::detail;
use crate::client::address::Target;
use crate::client::admin::{Admin, AdminOptions, NoAnswer, known, reason};
use crate::client::duration;
use crate::client::http::{Client, HttpError, Order};
use crate::client::origin::Url;
use crate::client::show;
use crate::client::terminal::Terminal;
use crate::client::tls::Authorities;
use answer::Verdict;

#[derive(Args)]
pub(crate) struct Replay {
    /// Which
    id: DeadLetterId,
    /// Where the function server is; `{function.name}` stands for the name of the function, as in module.yaml
    #[arg(long, value_name = "URL")]
    endpoint: String,
    /// How long the function may take; long enough for a debugger
    #[arg(long, value_name = "DURATION", default_value = "10min", value_parser = duration::parse)]
    timeout: Duration,
    #[command(flatten)]
    admin: AdminOptions,
}

/// What is sent again.
struct Stored {
    body: Bytes,
    request: OwnedRequest,
    /// Whether it is what was sent before, and not made of the message alone.
    is_original: bool,
}

impl Replay {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let mut admin = self.admin.open()?;
        let found = detail(&mut admin, self.id).await?;
        let mut stored = Stored::of(&found)?;
        let url = self.url(&stored.request.target.function)?;
        if !self.admin.json {
            stored.announce(&url, terminal)?;
        }
        let mut verdict = self.send(&url, &stored).await?;
        let added = stored.missing(&verdict);
        if !added.is_empty() {
            if !self.admin.json {
                terminal.note(&format!(
                    "the function asks for states that the stored request does not have ({}); sending it again with what \
                     the engine has now",
                    added.join(", ")
                ))?;
            }
            stored = stored.with_states(&added, &mut admin).await?;
            verdict = self.send(&url, &stored).await?;
        }
        if self.admin.json {
            let mut json = verdict.json(&stored.request);
            json["added"] = added.into();
            terminal.print_json(&json)?;
        } else {
            let text = verdict.render(&stored.request, &terminal.style);
            terminal.print(&text)?;
            terminal.note(&format!(
                "nothing was changed in the engine; hint: `statera deadletter redrive {}` puts the message back",
                self.id
            ))?;
        }
        Ok(if verdict.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn url(&self, function: &Name) -> anyhow::Result<Url> {
        let url = self.endpoint.replace("{function.name}", function.name());
        url.parse().map_err(|error| {
            crate::client::Usage(format!("`{url}` is not an endpoint: {error}")).into()
        })
    }

    async fn send(&self, url: &Url, stored: &Stored) -> anyhow::Result<Verdict> {
        let octets = HeaderValue::from_static("application/octet-stream");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, octets.clone()), (ACCEPT, octets)]);
        let (path, body) = (url.path.clone(), stored.body.clone());
        let order = Order { method: Method::POST, path, headers, body, time_max: self.timeout };
        let mut client = Client::new(url.origin.clone(), Authorities::default());
        let start = Instant::now();
        let answer = client.ask(order).await.map_err(|error| no_function(url, error))?;
        Ok(Verdict::of(answer, start.elapsed()))
    }
}

fn no_function(url: &Url, error: HttpError) -> NoAnswer {
    match error {
        HttpError::Connect(error) => NoAnswer::new(
            format!(
                "no function server answers at `{url}`{}; hint: start yours, and name its address with `--endpoint`",
                reason(&error)
            ),
            None,
        ),
        HttpError::Broken(_) => NoAnswer::new(
            format!(
                "the function server at `{url}` broke off without an answer; hint: look at its output"
            ),
            Some(error),
        ),
        HttpError::Tls(_) | HttpError::Timeout(_) => {
            NoAnswer::new(format!("the function server at `{url}` does not answer"), Some(error))
        }
    }
}

impl Stored {
    fn of(letter: &api::DeadLetterDetail) -> anyhow::Result<Stored> {
        if let Some(body) = show::bytes(letter.request.as_deref()) {
            let body = Bytes::from(body);
            let request = decode_request(body.clone())?;
            return Ok(Stored { body, request, is_original: true });
        }
        let request = made(letter).ok_or_else(|| {
            let id = &letter.letter.id;
            anyhow!("dead letter `{id}` has no message that a function could be sent; hint: see `statera deadletter show {id}`")
        })?;
        Ok(Stored { body: request.encode().into(), request, is_original: false })
    }

    /// The names of states that the function asks for and did not get.
    fn missing(&self, verdict: &Verdict) -> Vec<String> {
        let is_new = |name: &&str| self.request.states.iter().all(|state| *state.name != **name);
        verdict.asked_for().filter(is_new).map(str::to_owned).collect()
    }

    /// With more states, as the engine would send them now.
    async fn with_states(self, names: &[String], admin: &mut Admin) -> anyhow::Result<Stored> {
        let Stored { mut request, .. } = self;
        let path = format!("/v1/state/{}", Target(request.target.clone()).path());
        let found: api::States = known(admin.get(&path).await?)?;
        for name in names {
            let value = found.states.iter().find(|state| state.name == *name);
            let value = value.map(|state| typed(&state.value));
            request.states.push(PersistedValue { name: name.as_str().into(), value });
        }
        Ok(Stored { body: request.encode().into(), request, is_original: false })
    }

    fn announce(&self, url: &Url, terminal: &mut Terminal<'_>) -> std::io::Result<()> {
        let OwnedRequest { target, states, invocations } = &self.request;
        if !self.is_original {
            terminal
                .note("the message never reached a function: it is sent alone, without state")?;
        }
        let counted = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        terminal.note(&format!(
            "sending {} for `{target}` with {} ({}) to {url}",
            counted(invocations.len(), "message"),
            counted(states.len(), "state"),
            show::size(self.body.len()),
        ))
    }
}

/// A request as the engine would make it, for a message that was never sent to a function.
fn made(letter: &api::DeadLetterDetail) -> Option<OwnedRequest> {
    let address = |text: &str| text.parse::<Target>().ok().map(|Target(address)| address);
    let target: Address = letter.letter.target.as_deref().and_then(address)?;
    let argument = typed(letter.message.as_ref()?);
    let caller = letter.caller.as_deref().and_then(address);
    let states = letter.states.iter().map(|state| PersistedValue {
        name: state.name.as_str().into(),
        value: Some(typed(&state.value)),
    });
    let states = states.collect();
    Some(OwnedRequest { target, states, invocations: vec![Invocation { caller, argument }] })
}

fn typed(value: &api::Value) -> TypedValue {
    TypedValue::new(&value.typename, &show::bytes(value.value.as_deref()).unwrap_or_default())
}
