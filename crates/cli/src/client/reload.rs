//! `statera reload`.

use std::process::ExitCode;

use clap::Args;
use hyper::Method;
use statera_admin::api::{Changed, Reloaded};

use super::admin::{AdminOptions, known};
use super::exit::Exit;
use super::style::Tone;
use super::table::{Cell, Column, Table};
use super::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Reload {
    #[command(flatten)]
    admin: AdminOptions,
}

impl Reload {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let answer = self.admin.open()?.ask(Method::POST, "/v1/reload", None).await?;
        let reloaded: Reloaded = known(answer.clone())?;
        if self.admin.json {
            terminal.print_json(&answer)?;
        } else {
            let mut table = table(&reloaded);
            match table.is_empty() {
                true => terminal.note("nothing has changed")?,
                false => terminal.print_table(&mut table)?,
            }
            for warning in &reloaded.warnings {
                terminal.note(&format!("{warning}\n"))?;
            }
            for failed in &reloaded.failed {
                terminal.note(&format!("error: {failed}"))?;
            }
        }
        let done = reloaded.failed.is_empty();
        Ok(if done { ExitCode::SUCCESS } else { ExitCode::from(Exit::Failed as u8) })
    }
}

fn table(reloaded: &Reloaded) -> Table {
    let mut table =
        Table::new([Column::left("CHANGE"), Column::left("WHAT"), Column::long("NAME")]);
    let kinds = [
        ("endpoint", &reloaded.endpoints),
        ("ingress", &reloaded.ingresses),
        ("egress", &reloaded.egresses),
    ];
    for (kind, Changed { added, changed, removed }) in kinds {
        let changes = [
            ("added", Tone::Good, added),
            ("changed", Tone::Plain, changed),
            ("removed", Tone::Warn, removed),
        ];
        for (change, tone, names) in changes {
            for name in names {
                table.row([Cell::toned(change, tone), Cell::new(kind), Cell::new(name)]);
            }
        }
    }
    for name in &reloaded.settings {
        table.row([Cell::new("changed"), Cell::new("setting"), Cell::new(name)]);
    }
    table
}
