//! `statera status`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value as Json;
use statera_admin::api;

use super::admin::{Admin, AdminOptions, known};
use super::style::{Style, Tone};
use super::table::{Cell, Column, Table};
use super::terminal::Terminal;
use super::watch::{View, WatchOptions, show as show_view};
use super::{duration, show};

#[derive(Args)]
pub(crate) struct Status {
    #[command(flatten)]
    watch: WatchOptions,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Status {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        show_view(Look, &self.watch, &self.admin, terminal).await?;
        Ok(ExitCode::SUCCESS)
    }
}

struct Look;

impl View for Look {
    async fn ask(&self, admin: &mut Admin) -> anyhow::Result<Json> {
        admin.get("/v1/status").await
    }

    fn render(&self, answer: Json, style: &Style) -> anyhow::Result<String> {
        Ok(render(&known(answer)?, style))
    }
}

fn render(status: &api::Status, style: &Style) -> String {
    let up = if status.stopping {
        style.paint(Tone::Warn, "stopping, up")
    } else {
        style.paint(Tone::Good, "up")
    };
    let uptime = duration::rough(status.uptime_seconds);
    let head = format!("statera {}, {up} {uptime}\n\n", status.version);
    head + &parts(status, style) + "\n" + &figures(status, style)
}

fn parts(status: &api::Status, style: &Style) -> String {
    let mut table = Table::new([Column::left("PART"), Column::left("NAME"), Column::long("PLACE")]);
    for endpoint in &status.endpoints {
        let cells = ["endpoint", &endpoint.functions, &endpoint.url];
        table.row(cells.map(Cell::new));
    }
    for (part, connectors) in [("ingress", &status.ingresses), ("egress", &status.egresses)] {
        for connector in connectors {
            let place = connector.place.as_deref().unwrap_or("");
            let place = format!("{} {place}", connector.kind);
            table.row([part, &connector.id, place.trim_end()].map(Cell::new));
        }
    }
    table.render(style)
}

fn figures(status: &api::Status, style: &Style) -> String {
    let mut table = Table::new([
        Column::left("SHARD"),
        Column::right("INSTANCES"),
        Column::right("STATE").spare(),
        Column::right("MAIL"),
        Column::right("MAIL SIZE").spare(),
        Column::right("IN FLIGHT"),
        Column::right("DELAYED").spare(),
        Column::right("OUTBOX").spare(),
        Column::right("CALLS").spare(),
        Column::right("KEYS").spare(),
        Column::right("PAUSED"),
        Column::right("DEAD LETTERS"),
    ]);
    let names = (0..status.shards.len()).map(|index| index.to_string());
    for (name, shard) in names.zip(&status.shards).chain([("total".to_owned(), &status.total)]) {
        table.row([
            Cell::new(name),
            Cell::count(shard.instances),
            Cell::new(show::size(shard.state_bytes)),
            Cell::count(shard.mail),
            Cell::new(show::size(shard.mail_bytes)),
            Cell::count(shard.in_flight),
            Cell::count(shard.delayed),
            Cell::count(shard.outbox),
            Cell::count(shard.calls),
            Cell::count(shard.idempotency_keys),
            Cell::alarm(shard.paused, Tone::Warn),
            Cell::alarm(shard.dead_letters, Tone::Bad),
        ]);
    }
    table.render(style)
}
