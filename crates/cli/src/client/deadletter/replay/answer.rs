//! What a function answers, taken apart for people and programs.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value as Json, json};
use statera_admin::api;
use statera_model::{Delayed, Expiration, Outcome, Reply, StateChange, StateSpec, TypedValue};
use statera_protocol::{DecodeError, OwnedRequest, decode_reply};

use crate::client::http::Answer;
use crate::client::show;
use crate::client::style::{Style, Tone};
use crate::client::table::{Cell, Column, Table};
use crate::client::terminal::escaped;

/// The most that is shown of an answer that is not a reply.
const BODY_CHARS_MAX: usize = 4000;

/// What the engine would make of an answer.
pub(super) struct Verdict {
    status: StatusCode,
    body_bytes: usize,
    took: Duration,
    kind: Kind,
}

enum Kind {
    /// The function ran.
    Complete(Reply),
    /// It asks for states that it was not sent.
    Incomplete(Vec<StateSpec>),
    /// The answer is none.
    Undecodable(DecodeError),
    /// The function, or its server, failed.
    Failed(String),
}

impl Verdict {
    pub(super) fn of(answer: Answer, took: Duration) -> Verdict {
        let (status, body_bytes) = (answer.status, answer.body.len());
        let kind = if !status.is_success() {
            Kind::Failed(String::from_utf8_lossy(&answer.body).into_owned())
        } else {
            match decode_reply(answer.body) {
                Ok(Outcome::Complete(reply)) => Kind::Complete(reply),
                Ok(Outcome::Incomplete(specs)) => Kind::Incomplete(specs),
                Err(error) => Kind::Undecodable(error),
            }
        };
        Verdict { status, body_bytes, took, kind }
    }

    /// The names of the states that the function asks for.
    pub(super) fn asked_for(&self) -> impl Iterator<Item = &str> {
        let specs = match &self.kind {
            Kind::Incomplete(specs) => &specs[..],
            _ => &[],
        };
        specs.iter().map(|spec| &*spec.name)
    }

    /// Whether the engine would apply it.
    pub(super) fn is_good(&self) -> bool {
        matches!(&self.kind, Kind::Complete(reply) if problems(reply).is_empty())
    }

    pub(super) fn render(&self, request: &OwnedRequest, style: &Style) -> String {
        let took = show::milliseconds(self.took.as_secs_f64() * 1000.0);
        let about =
            format!("status {}, {}, {took}", self.status.as_u16(), show::size(self.body_bytes));
        let head = |tone, text: &str| format!("{} ({about})\n", style.paint(tone, text));
        match &self.kind {
            Kind::Complete(reply) if problems(reply).is_empty() => {
                head(Tone::Good, "the function did it") + &effects(reply, request, style)
            }
            Kind::Complete(reply) => {
                let problems = problems(reply).into_iter().map(|problem| format!("  {problem}\n"));
                head(Tone::Bad, "the engine would refuse this reply")
                    + &problems.collect::<String>()
                    + &effects(reply, request, style)
            }
            Kind::Incomplete(specs) => {
                head(Tone::Warn, "the function did not run: it asks for states though it has them")
                    + &show::indented(&asked_for(specs, style))
                    + "\nThe engine would send the message again and again. A function asks only for states that are not in the\n\
                       request, by the names that it declares.\n"
            }
            Kind::Undecodable(error) => {
                head(Tone::Bad, "the answer is not a reply of a function") + &format!("  {error}\n")
            }
            Kind::Failed(body) => {
                head(Tone::Bad, "the function failed") + &show::indented(&escaped(&shortened(body)))
            }
        }
    }

    pub(super) fn json(&self, request: &OwnedRequest) -> Json {
        let mut json = json!({
            "target": request.target.to_string(),
            "status": self.status.as_u16(),
            "bytes": self.body_bytes,
            "ms": self.took.as_secs_f64() * 1000.0,
        });
        let more = match &self.kind {
            Kind::Complete(reply) => complete(reply),
            Kind::Incomplete(specs) => json!({
                "outcome": "incomplete",
                "missing": specs.iter().map(spec).collect::<Vec<_>>(),
            }),
            Kind::Undecodable(error) => {
                json!({ "outcome": "undecodable", "error": error.to_string() })
            }
            Kind::Failed(body) => json!({ "outcome": "failed", "body": shortened(body) }),
        };
        if let (Json::Object(json), Json::Object(more)) = (&mut json, more) {
            json.extend(more);
        }
        json
    }
}

fn shortened(body: &str) -> String {
    match body.char_indices().nth(BODY_CHARS_MAX) {
        None => body.to_owned(),
        Some((end, _)) => format!("{}…", &body[..end]),
    }
}

/// What the engine refuses, though it can be decoded.
fn problems(reply: &Reply) -> Vec<String> {
    let problem = |delayed: &Delayed| match delayed {
        Delayed::Send { delay_ms, message, .. } if *delay_ms < 0 => {
            Some(format!("a delay of {delay_ms} ms, for the message to `{}`", message.target))
        }
        Delayed::Cancel { token } if token.is_empty() => {
            Some("a cancellation without a token".to_owned())
        }
        _ => None,
    };
    reply.delayed.iter().filter_map(problem).collect()
}

/// The parts of a reply that are not empty.
fn effects(reply: &Reply, request: &OwnedRequest, style: &Style) -> String {
    let mut text = String::new();
    let mut part = |title: &str, table: Option<Table>| {
        if let Some(mut table) = table.filter(|table| !table.is_empty()) {
            text += &show::section(title, &table.render(style), style);
        }
    };
    part("state", Some(states(reply, request)));
    part("messages", Some(messages(reply)));
    part("sent for later", Some(delayed(reply)));
    part("egress", Some(egress(reply)));
    if text.is_empty() { "  It changes no state and sends nothing.\n".to_owned() } else { text }
}

fn states(reply: &Reply, request: &OwnedRequest) -> Table {
    let mut table = Table::new([
        Column::left("NAME"),
        Column::left("TYPE").spare(),
        Column::left("BEFORE"),
        Column::long("AFTER"),
    ]);
    for mutation in &reply.mutations {
        let before = request.states.iter().find(|state| state.name == mutation.state);
        let before =
            before.and_then(|state| state.value.as_ref()).filter(|value| value.has_value());
        let (typename, after) = match &mutation.change {
            StateChange::Delete => ("", Cell::toned("(deleted)", Tone::Warn)),
            StateChange::Modify(value) => (value.typename(), Cell::new(shown(value))),
        };
        table.row([
            Cell::new(&*mutation.state),
            Cell::new(typename),
            Cell::or_dash(before.map(shown)),
            after,
        ]);
    }
    table
}

fn messages(reply: &Reply) -> Table {
    let mut table =
        Table::new([Column::left("TO"), Column::left("TYPE").spare(), Column::long("VALUE")]);
    for message in &reply.messages {
        table.row([
            Cell::new(message.target.to_string()),
            Cell::new(message.argument.typename()),
            Cell::new(shown(&message.argument)),
        ]);
    }
    table
}

fn delayed(reply: &Reply) -> Table {
    let mut table = Table::new([
        Column::right("AFTER"),
        Column::left("TO"),
        Column::left("TOKEN"),
        Column::left("TYPE").spare(),
        Column::long("VALUE"),
    ]);
    for delayed in &reply.delayed {
        table.row(match delayed {
            Delayed::Send { delay_ms, message, token } => vec![
                Cell::new(format!("{delay_ms} ms")),
                Cell::new(message.target.to_string()),
                Cell::or_dash(token.as_deref()),
                Cell::new(message.argument.typename()),
                Cell::new(shown(&message.argument)),
            ],
            Delayed::Cancel { token } => vec![
                Cell::toned("cancel", Tone::Warn),
                Cell::or_dash(None::<&str>),
                Cell::new(&**token),
                Cell::new(""),
                Cell::new(""),
            ],
        });
    }
    table
}

fn egress(reply: &Reply) -> Table {
    let mut table =
        Table::new([Column::left("EGRESS"), Column::left("TYPE").spare(), Column::long("VALUE")]);
    for record in &reply.egress {
        table.row([
            Cell::new(record.egress.as_str()),
            Cell::new(record.argument.typename()),
            Cell::new(shown(&record.argument)),
        ]);
    }
    table
}

fn asked_for(specs: &[StateSpec], style: &Style) -> String {
    let mut table =
        Table::new([Column::left("NAME"), Column::left("TYPE"), Column::left("EXPIRES")]);
    for spec in specs {
        let expires = match spec.expiration {
            Expiration::Never => "never".to_owned(),
            Expiration::AfterWrite { ttl_ms } => format!("{ttl_ms} ms after a write"),
            Expiration::AfterInvoke { ttl_ms } => format!("{ttl_ms} ms after an invocation"),
        };
        table.row([Cell::new(&*spec.name), Cell::new(&*spec.typename), Cell::new(expires)]);
    }
    table.render(style)
}

fn shown(value: &TypedValue) -> String {
    show::value(&api::Value::from(value))
}

fn complete(reply: &Reply) -> Json {
    let states = reply.mutations.iter().map(|mutation| match &mutation.change {
        StateChange::Delete => json!({ "name": &*mutation.state, "change": "delete" }),
        StateChange::Modify(value) => {
            with(json!({ "name": &*mutation.state, "change": "modify" }), value)
        }
    });
    let messages = reply
        .messages
        .iter()
        .map(|message| with(json!({ "target": message.target.to_string() }), &message.argument));
    let delayed = reply.delayed.iter().map(|delayed| match delayed {
        Delayed::Cancel { token } => json!({ "cancel": &**token }),
        Delayed::Send { delay_ms, message, token } => {
            let head = json!({
                "delayMs": delay_ms,
                "target": message.target.to_string(),
                "token": token.as_deref(),
            });
            with(head, &message.argument)
        }
    });
    let egress = reply
        .egress
        .iter()
        .map(|record| with(json!({ "egress": record.egress.as_str() }), &record.argument));
    json!({
        "outcome": if problems(reply).is_empty() { "complete" } else { "refused" },
        "problems": problems(reply),
        "states": states.collect::<Vec<_>>(),
        "messages": messages.collect::<Vec<_>>(),
        "delayed": delayed.collect::<Vec<_>>(),
        "egress": egress.collect::<Vec<_>>(),
    })
}

/// A form with a value in it, as the API has them.
fn with(mut head: Json, value: &TypedValue) -> Json {
    let value = serde_json::to_value(api::Value::from(value));
    if let (Json::Object(head), Ok(Json::Object(value))) = (&mut head, value) {
        head.extend(value);
    }
    head
}

fn spec(spec: &StateSpec) -> Json {
    let (expires, ttl_ms) = match spec.expiration {
        Expiration::Never => ("never", None),
        Expiration::AfterWrite { ttl_ms } => ("afterWrite", Some(ttl_ms)),
        Expiration::AfterInvoke { ttl_ms } => ("afterInvoke", Some(ttl_ms)),
    };
    json!({ "name": &*spec.name, "typename": &*spec.typename, "expires": expires, "ttlMs": ttl_ms })
}
