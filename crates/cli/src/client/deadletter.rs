//! `statera deadletter`.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::json;
use statera_admin::api::{self, Kind};
use statera_ports::DeadLetterId;

use super::admin::{Admin, AdminOptions, Refusal, known};
use super::show;
use super::table::{Column, Table};
use super::terminal::{Terminal, escaped_line};

/// Dead letters on a page where all are gone through.
const PAGE: usize = 1000;

#[derive(Subcommand)]
pub(crate) enum DeadLetterCommand {
    /// List dead letters in the order of their ids
    List(List),
    /// Show a dead letter: the message, the state that was sent with it, and why it failed
    Show(Show),
    /// Put dead letters back into their mailboxes
    Redrive(Which),
    /// Forget dead letters
    Drop(Which),
}

impl DeadLetterCommand {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        match self {
            DeadLetterCommand::List(list) => list.run(terminal).await,
            DeadLetterCommand::Show(show) => show.run(terminal).await,
            DeadLetterCommand::Redrive(which) => which.run(Deed::Redrive, terminal).await,
            DeadLetterCommand::Drop(which) => which.run(Deed::Drop, terminal).await,
        }
    }
}

#[derive(Args)]
pub(crate) struct List {
    /// The most to list
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=PAGE as u64))]
    limit: u64,
    /// List only those behind this one
    #[arg(long, value_name = "ID")]
    after: Option<DeadLetterId>,
    #[command(flatten)]
    admin: AdminOptions,
}

impl List {
    async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let answer = self.admin.open().get(page(self.limit as usize, self.after)).await?;
        if self.admin.json {
            terminal.print_json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        let page: api::DeadLetters = known(answer)?;
        if page.dead_letters.is_empty() {
            terminal.note("there are no dead letters")?;
        } else {
            terminal.print(&list(&page.dead_letters))?;
        }
        if let Some(next) = page.next {
            terminal
                .note(&format!("there are more; hint: `statera deadletter list --after {next}`"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn page(limit: usize, after: Option<DeadLetterId>) -> String {
    let after = after.map_or(String::new(), |after| format!("&after={after}"));
    format!("/v1/deadletters?limit={limit}{after}")
}

fn list(dead_letters: &[api::DeadLetter]) -> String {
    let mut table = Table::new([
        Column::Left("ID"),
        Column::Left("AT"),
        Column::Left("KIND"),
        Column::Right("ATTEMPTS"),
        Column::Left("TARGET"),
        Column::Left("REASON"),
    ]);
    for letter in dead_letters {
        let target = letter.target.as_deref().or(letter.place.as_deref()).unwrap_or("-");
        let attempts = letter.attempts.to_string();
        table.row([&letter.id, &letter.at, kind(letter.kind), &attempts, target, &letter.reason]);
    }
    table.render()
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Invocation => "invocation",
        Kind::Message => "message",
        Kind::Record => "record",
    }
}

#[derive(Args)]
pub(crate) struct Show {
    /// Which
    id: DeadLetterId,
    /// Write out only the bytes of the request (or the record) as they were, such as for
    /// `curl --data-binary @-` to a function under a debugger
    #[arg(long, conflicts_with = "json")]
    request: bool,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Show {
    async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let answer = self.admin.open().get(format!("/v1/deadletters/{}", self.id)).await?;
        if self.admin.json {
            terminal.print_json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        let detail: api::DeadLetterDetail = known(answer)?;
        if self.request {
            let record = detail.record.as_ref().and_then(|record| record.value.as_deref());
            let bytes = show::bytes(detail.request.as_deref().or(record)).ok_or_else(|| {
                anyhow!("dead letter `{}` has no request: it never reached a function", self.id)
            })?;
            terminal.out.write_all(&bytes)?;
        } else {
            terminal.print(&render(&detail))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn render(detail: &api::DeadLetterDetail) -> String {
    let letter = &detail.letter;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        text += &format!("{name:<9} {}\n", escaped_line(value));
    };
    line("id", &letter.id);
    line("at", &letter.at);
    line("kind", kind(letter.kind));
    if let Some(target) = &letter.target {
        line("target", target);
        line("caller", detail.caller.as_deref().unwrap_or("(from outside)"));
    }
    if let Some(place) = &letter.place {
        line("place", place);
    }
    line("attempts", &letter.attempts.to_string());
    line("reason", &letter.reason);
    if let Some(request) = show::bytes(detail.request.as_deref()) {
        let size = show::size(request.len());
        line("request", &format!("{size} (write it out with --request)"));
    }
    if let Some(message) = &detail.message {
        text += &format!("\nmessage of type {}\n", escaped_line(&message.typename));
        text += &show::block(message);
    }
    if let Some(record) = &detail.record {
        text += "\nrecord\n";
        text += &show::block(record);
    }
    if !detail.states.is_empty() {
        text += "\nstate that was sent with it\n";
        text += &show::states(&detail.states)
            .lines()
            .map(|line| format!("  {line}\n"))
            .collect::<String>();
    }
    text
}

#[derive(Args)]
pub(crate) struct Which {
    /// Which ones
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<DeadLetterId>,
    /// All that are there now
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    admin: AdminOptions,
}

#[derive(Clone, Copy, PartialEq)]
enum Deed {
    Redrive,
    Drop,
}

impl Which {
    async fn run(self, deed: Deed, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let mut admin = self.admin.open();
        let ids = if self.all { all(&mut admin, deed, terminal).await? } else { self.ids };
        let (mut done, mut failed, mut broken) = (Vec::new(), Vec::new(), None);
        for id in ids {
            match deed.carry_out(&mut admin, id).await {
                Ok(_) if self.admin.json => done.push(id.to_string()),
                Ok(_) => {
                    terminal.print(&format!("{id}\n"))?;
                    done.push(id.to_string());
                }
                Err(error) if error.is::<Refusal>() => {
                    terminal.note(&format!("error: {error}"))?;
                    failed.push(json!({ "id": id.to_string(), "error": error.to_string() }));
                }
                // It would be the same for all that follow.
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
        if self.admin.json {
            terminal.print_json(&json!({ "done": done, "failed": failed }))?;
        } else {
            terminal.note(&format!("{} {}", deed.done(), counted(done.len())))?;
        }
        if let Some(error) = broken {
            return Err(error);
        }
        Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Deed {
    async fn carry_out(
        self,
        admin: &mut Admin,
        id: DeadLetterId,
    ) -> anyhow::Result<serde_json::Value> {
        match self {
            Deed::Redrive => admin.ask(Method::POST, format!("/v1/deadletters/{id}/redrive")).await,
            Deed::Drop => admin.ask(Method::DELETE, format!("/v1/deadletters/{id}")).await,
        }
    }

    fn done(self) -> &'static str {
        match self {
            Deed::Redrive => "redriven:",
            Deed::Drop => "dropped:",
        }
    }
}

/// The ids of all dead letters to which this can be done. They are collected before anything is done: a message that
/// fails again becomes a new dead letter, behind the present ones.
async fn all(
    admin: &mut Admin,
    deed: Deed,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Vec<DeadLetterId>> {
    let (mut ids, mut records, mut after) = (Vec::new(), 0, None);
    loop {
        let found: api::DeadLetters = known(admin.get(page(PAGE, after)).await?)?;
        for letter in &found.dead_letters {
            match letter.kind {
                Kind::Record if deed == Deed::Redrive => records += 1,
                _ => ids.push(letter.id.parse()?),
            }
        }
        let Some(next) = found.next else { break };
        after = Some(next.parse()?);
    }
    if records > 0 {
        let records = counted(records);
        terminal.note(&format!("left alone, as records can only be dropped: {records}"))?;
    }
    Ok(ids)
}

fn counted(count: usize) -> String {
    if count == 1 { "1 dead letter".to_owned() } else { format!("{count} dead letters") }
}
