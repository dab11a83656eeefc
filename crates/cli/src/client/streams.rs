//! `statera ingress` and `statera egress`.

use std::process::ExitCode;

use clap::Args;
use statera_admin::api;

use super::admin::{AdminOptions, known};
use super::show;
use super::style::{Style, Tone};
use super::table::{Cell, Column, Table};
use super::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Ingress {
    /// Show each stream that is read, such as a partition, and where it stands
    #[arg(long)]
    sources: bool,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Ingress {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let answer = self.admin.open()?.get("/v1/ingresses").await?;
        if self.admin.json {
            terminal.print_json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        let found: api::Ingresses = known(answer)?;
        if found.ingresses.is_empty() {
            terminal.note("there are no ingresses")?;
            return Ok(ExitCode::SUCCESS);
        }
        let text = match self.sources {
            true => sources(&found.ingresses, &terminal.style),
            false => ingresses(&found.ingresses, &terminal.style),
        };
        terminal.print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn ingresses(ingresses: &[api::Ingress], style: &Style) -> String {
    let mut table = Table::new([
        Column::left("INGRESS"),
        Column::left("KIND"),
        Column::left("STATE"),
        Column::right("MESSAGES"),
        Column::right("A SECOND").spare(),
        Column::right("LAG"),
        Column::long("PLACE"),
    ]);
    for ingress in ingresses {
        let state = match &ingress.paused {
            Some(_) => Cell::toned("paused", Tone::Warn),
            None => Cell::toned("open", Tone::Good),
        };
        table.row([
            Cell::new(&ingress.id),
            Cell::new(&ingress.kind),
            state,
            Cell::count(ingress.messages),
            show::rate(ingress.rate),
            Cell::or_dash(lag(&ingress.sources)),
            Cell::new(ingress.place.as_deref().unwrap_or_default()),
        ]);
    }
    table.render(style)
}

/// What all sources together have not taken, as far as they tell: records, or else bytes, or else how long ago the oldest
/// of it came.
fn lag(sources: &[api::Source]) -> Option<String> {
    let sum =
        |lag: fn(&api::Source) -> Option<u64>| sources.iter().filter_map(lag).reduce(|a, b| a + b);
    let records = sum(|source| source.lag_records).map(|records| records.to_string());
    let bytes = || sum(|source| source.lag_bytes).map(|bytes| show::size(bytes as usize));
    let age = || sources.iter().filter_map(|source| source.lag_ms).max();
    records.or_else(bytes).or_else(|| age().map(|ms| show::milliseconds(ms as f64)))
}

fn sources(ingresses: &[api::Ingress], style: &Style) -> String {
    let mut table = Table::new([
        Column::left("INGRESS"),
        Column::left("PARTITION"),
        Column::right("LAG"),
        Column::left("TAKEN AT").spare(),
        Column::long("POSITION"),
    ]);
    for ingress in ingresses {
        for source in &ingress.sources {
            table.row([
                Cell::new(&ingress.id),
                Cell::or_dash(Some(&source.partition).filter(|name| !name.is_empty())),
                Cell::or_dash(lag(std::slice::from_ref(source))),
                Cell::or_dash(source.taken_at.as_deref()),
                Cell::new(show::value(&source.position)),
            ]);
        }
    }
    table.render(style)
}

#[derive(Args)]
pub(crate) struct Egress {
    #[command(flatten)]
    admin: AdminOptions,
}

impl Egress {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let answer = self.admin.open()?.get("/v1/egresses").await?;
        if self.admin.json {
            terminal.print_json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        let found: api::Egresses = known(answer)?;
        if found.egresses.is_empty() {
            terminal.note("there are no egresses")?;
            return Ok(ExitCode::SUCCESS);
        }
        let text = egresses(&found.egresses, &terminal.style);
        terminal.print(&text)?;
        for egress in found.egresses.iter().filter(|egress| egress.failing) {
            if let Some(failure) = &egress.last_failure {
                terminal.note(&format!(
                    "`{}` fails: {} (at {})",
                    egress.id, failure.reason, failure.at
                ))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn egresses(egresses: &[api::Egress], style: &Style) -> String {
    let mut table = Table::new([
        Column::left("EGRESS"),
        Column::left("KIND"),
        Column::left("STATE"),
        Column::right("RECORDS"),
        Column::right("A SECOND").spare(),
        Column::right("BACKLOG"),
        Column::right("SIZE").spare(),
        Column::right("EPOCH").spare(),
        Column::right("FAILURES").spare(),
        Column::long("PLACE"),
    ]);
    for egress in egresses {
        let state = match egress.failing {
            true => Cell::toned("failing", Tone::Bad),
            false => Cell::toned("open", Tone::Good),
        };
        table.row([
            Cell::new(&egress.id),
            Cell::new(&egress.kind),
            state,
            Cell::count(egress.records),
            show::rate(egress.rate),
            Cell::count(egress.backlog_records),
            Cell::new(show::size(egress.backlog_bytes)),
            Cell::or_dash(egress.released_epoch.map(|epoch| epoch.to_string())),
            Cell::alarm(egress.failures, Tone::Warn),
            Cell::new(egress.place.as_deref().unwrap_or_default()),
        ]);
    }
    table.render(style)
}
