//! `statera instances` and `statera mailbox`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use statera_admin::api::{self, InvocationOutcome, Phase};

use super::address::Target;
use super::admin::{AdminOptions, known};
use super::paging::{List, PageOptions, Query};
use super::show;
use super::style::{Style, Tone};
use super::table::{Cell, Column, Fields, Table};
use super::terminal::Terminal;
use super::timers;

/// The most messages of a mailbox that the API shows.
const MESSAGES_MAX: u64 = 100;

#[derive(Args)]
pub(crate) struct Instances {
    /// Only this one, as NAMESPACE/TYPE/ID, with all that is known about it
    #[arg(conflicts_with_all = ["prefix", "limit", "all", "after"])]
    address: Option<Target>,
    /// Only those whose address begins so, such as `example/cart/`
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    #[command(flatten)]
    pages: PageOptions,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Instances {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let mut admin = self.admin.open()?;
        let Some(address) = self.address else {
            let list = List {
                path: "/v1/instances",
                query: Query::default().with("prefix", self.prefix),
                field: "instances",
                things: "instances",
                columns: vec![
                    Column::left("PHASE"),
                    Column::right("MAIL"),
                    Column::left("ADDRESS"),
                ],
                row,
            };
            list.show(&self.pages, &mut admin, self.admin.json, terminal).await?;
            return Ok(ExitCode::SUCCESS);
        };
        let answer = admin.get(&format!("/v1/instances/{}", address.path())).await?;
        if self.admin.json {
            terminal.print_json(&answer)?;
        } else {
            let text = render(&known(answer)?, &terminal.style);
            terminal.print(&text)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(instance: api::Instance) -> Vec<Cell> {
    vec![phase(instance.phase), Cell::count(instance.mail), Cell::new(instance.address)]
}

fn phase(phase: Phase) -> Cell {
    match phase {
        Phase::Idle => Cell::toned("idle", Tone::Dim),
        Phase::Queued => Cell::new("queued"),
        Phase::Running => Cell::toned("running", Tone::Good),
        Phase::Retrying => Cell::toned("retrying", Tone::Bad),
        Phase::Paused => Cell::toned("paused", Tone::Warn),
    }
}

fn render(detail: &api::InstanceDetail, style: &Style) -> String {
    let mut fields = Fields::default();
    fields.text("address", &detail.instance.address);
    fields.add("phase", phase(detail.instance.phase));
    fields.maybe("paused", detail.paused.as_ref().map(show::pause));
    if let Some(failing) = &detail.failure {
        fields.add("failing", Cell::toned(format!("since {}", failing.since), Tone::Bad));
        fields.add("attempts", Cell::count(failing.attempts));
        fields.maybe("next attempt", failing.next_attempt.as_ref());
        fields.text("reason", &failing.reason);
    }
    fields.add("mail", Cell::count(detail.instance.mail));
    fields.text("shard", format!("{} (key group {})", detail.shard, detail.key_group));
    fields.text("in memory", if detail.in_memory { "yes" } else { "no" });
    let mut text = fields.render(style);
    if !detail.states.is_empty() {
        text += &show::section("state", &show::states(&detail.states, style), style);
    }
    if !detail.mailbox.is_empty() {
        let title = match detail.mailbox.len() {
            shown if shown < detail.instance.mail => {
                format!("mailbox (the first {shown} of {})", detail.instance.mail)
            }
            _ => "mailbox".to_owned(),
        };
        text += &show::section(&title, &messages(&detail.mailbox, style), style);
    }
    if !detail.timers.is_empty() {
        let mut table = Table::new(timers::columns());
        detail.timers.iter().for_each(|timer| table.row(timers::row(timer)));
        let more = if detail.timers_complete { "" } else { " (there may be more)" };
        text += &show::section(&format!("sent for later{more}"), &table.render(style), style);
    }
    if !detail.recent.is_empty() {
        text += &show::section("last invocations", &recent(&detail.recent, style), style);
    }
    text
}

fn recent(invocations: &[api::RecentInvocation], style: &Style) -> String {
    let mut table = Table::new([
        Column::left("ENDED"),
        Column::left("OUTCOME"),
        Column::right("TOOK"),
        Column::right("MESSAGES"),
        Column::right("BYTES").spare(),
        Column::long("REASON"),
    ]);
    for invocation in invocations {
        table.row([
            Cell::new(&invocation.at),
            outcome(invocation.outcome),
            Cell::or_dash(invocation.duration_ms.map(show::milliseconds)),
            Cell::count(invocation.messages),
            Cell::or_dash(invocation.bytes.map(show::size)),
            Cell::or_dash(invocation.reason.as_deref()),
        ]);
    }
    table.render(style)
}

fn outcome(outcome: InvocationOutcome) -> Cell {
    match outcome {
        InvocationOutcome::Ok => Cell::toned("ok", Tone::Good),
        InvocationOutcome::Retry => Cell::toned("retry", Tone::Warn),
        InvocationOutcome::DeadLetter => Cell::toned("dead letter", Tone::Bad),
        InvocationOutcome::Paused => Cell::toned("paused", Tone::Bad),
    }
}

fn messages(messages: &[api::Message], style: &Style) -> String {
    let mut table =
        Table::new([Column::left("FROM"), Column::left("TYPE").spare(), Column::long("VALUE")]);
    for message in messages {
        table.row([
            message.caller.as_ref().map_or_else(|| Cell::toned("(outside)", Tone::Dim), Cell::new),
            Cell::new(&message.value.typename),
            Cell::new(show::value(&message.value)),
        ]);
    }
    table.render(style)
}

#[derive(Args)]
pub(crate) struct Mailbox {
    /// Whose, as NAMESPACE/TYPE/ID
    address: Target,
    /// Show so many messages at most, the first ones
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=MESSAGES_MAX))]
    limit: u64,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Mailbox {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let query = Query::default().with("mailbox", Some(self.limit));
        let path = query.at(&format!("/v1/instances/{}", self.address.path()));
        let answer = self.admin.open()?.get(&path).await?;
        if self.admin.json {
            let part = ["address", "phase", "mail", "mailbox"]
                .map(|field| (field.to_owned(), answer[field].clone()));
            terminal.print_json(&json!(serde_json::Map::from_iter(part)))?;
            return Ok(ExitCode::SUCCESS);
        }
        let detail: api::InstanceDetail = known(answer)?;
        let (shown, mail) = (detail.mailbox.len(), detail.instance.mail);
        if shown > 0 {
            let text = messages(&detail.mailbox, &terminal.style);
            terminal.print(&text)?;
        }
        match (shown, mail) {
            (0, 0) => terminal.note(&format!("no messages wait for `{}`", self.address.0))?,
            (shown, mail) if shown < mail => {
                terminal.note(&format!("shown: the first {shown} of {mail}"))?;
            }
            _ => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}
