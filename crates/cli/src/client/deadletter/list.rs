//! `statera deadletter list` and `statera deadletter show`.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use statera_admin::api;
use statera_ports::DeadLetterId;

use super::{kind, path};
use crate::client::admin::{AdminOptions, known};
use crate::client::paging::{self, PageOptions, Query};
use crate::client::show;
use crate::client::style::{Style, Tone};
use crate::client::table::{Cell, Column, Fields};
use crate::client::terminal::Terminal;

#[derive(Args)]
pub(crate) struct List {
    /// Only those whose target's address begins so, such as `example/cart/`
    #[arg(long, value_name = "TEXT")]
    target: Option<String>,
    #[command(flatten)]
    pages: PageOptions,
    #[command(flatten)]
    admin: AdminOptions,
}

impl List {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let list = paging::List {
            path: "/v1/deadletters",
            query: Query::default().with("target", self.target),
            field: "deadLetters",
            things: "dead letters",
            columns: vec![
                Column::left("ID"),
                Column::left("AT"),
                Column::left("KIND").spare(),
                Column::right("ATTEMPTS").spare(),
                Column::left("TARGET"),
                Column::long("REASON"),
            ],
            row,
        };
        let mut admin = self.admin.open()?;
        list.show(&self.pages, &mut admin, self.admin.json, terminal).await?;
        Ok(ExitCode::SUCCESS)
    }
}

fn row(letter: api::DeadLetter) -> Vec<Cell> {
    vec![
        Cell::new(letter.id),
        Cell::new(letter.at),
        Cell::new(kind(letter.kind)),
        Cell::count(letter.attempts),
        Cell::or_dash(letter.target.or(letter.place)),
        Cell::toned(letter.reason, Tone::Bad),
    ]
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
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let answer = self.admin.open()?.get(&path(self.id)).await?;
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
            let text = render(&detail, &terminal.style);
            terminal.print(&text)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn render(detail: &api::DeadLetterDetail, style: &Style) -> String {
    let letter = &detail.letter;
    let mut fields = Fields::default();
    fields.text("id", &letter.id);
    fields.text("at", &letter.at);
    fields.text("kind", kind(letter.kind));
    if let Some(target) = &letter.target {
        fields.text("target", target);
        fields.text("caller", detail.caller.as_deref().unwrap_or("(from outside)"));
    }
    fields.maybe("place", letter.place.as_ref());
    fields.add("attempts", Cell::count(letter.attempts));
    fields.add("reason", Cell::toned(&letter.reason, Tone::Bad));
    if let Some(request) = show::bytes(detail.request.as_deref()) {
        fields.text(
            "request",
            format!("{} (write it out with --request)", show::size(request.len())),
        );
    }
    let mut text = fields.render(style);
    if let Some(message) = &detail.message {
        let title = Cell::new(format!("message of type {}", message.typename));
        text += &format!("\n{}\n{}", title.paint(Tone::Head, style), show::block(message));
    }
    if let Some(record) = &detail.record {
        text += &format!("\n{}\n{}", style.paint(Tone::Head, "record"), show::block(record));
    }
    if !detail.states.is_empty() {
        let states = show::states(&detail.states, style);
        text += &show::section("state that was sent with it", &states, style);
    }
    text
}
