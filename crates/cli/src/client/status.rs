//! `statera status`.

use std::process::ExitCode;

use clap::Args;
use statera_admin::api;

use super::admin::{AdminOptions, known};
use super::table::{Column, Table};
use super::terminal::Terminal;
use super::{duration, show};

#[derive(Args)]
pub(crate) struct Status {
    #[command(flatten)]
    admin: AdminOptions,
}

impl Status {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let answer = self.admin.open().get("/v1/status".to_owned()).await?;
        if self.admin.json {
            terminal.print_json(&answer)?;
        } else {
            terminal.print(&render(&known(answer)?))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

pub(crate) fn render(status: &api::Status) -> String {
    let mut text = format!(
        "statera {}, {} {}\n\n",
        status.version,
        if status.stopping { "stopping, up" } else { "up" },
        duration::rough(status.uptime_seconds),
    );
    text += &parts(status);
    text.push('\n');
    text += &figures(status);
    text
}

fn parts(status: &api::Status) -> String {
    let mut table = Table::new([Column::Left("PART"), Column::Left("NAME"), Column::Left("PLACE")]);
    for endpoint in &status.endpoints {
        table.row(["endpoint", &endpoint.functions, &endpoint.url]);
    }
    for (part, connectors) in [("ingress", &status.ingresses), ("egress", &status.egresses)] {
        for connector in connectors {
            let place = connector.place.as_deref().unwrap_or("");
            table.row([part, &connector.id, format!("{} {place}", connector.kind).trim_end()]);
        }
    }
    table.render()
}

fn figures(status: &api::Status) -> String {
    let mut table = Table::new([
        Column::Left("SHARD"),
        Column::Right("INSTANCES"),
        Column::Right("STATE"),
        Column::Right("MAIL"),
        Column::Right("MAIL SIZE"),
        Column::Right("IN FLIGHT"),
        Column::Right("DELAYED"),
        Column::Right("OUTBOX"),
        Column::Right("CALLS"),
        Column::Right("KEYS"),
        Column::Right("PAUSED"),
        Column::Right("DEAD LETTERS"),
    ]);
    let names = (0..status.shards.len()).map(|index| index.to_string());
    for (name, shard) in names.zip(&status.shards).chain([("total".to_owned(), &status.total)]) {
        let count = |number: usize| number.to_string();
        table.row([
            &name,
            &count(shard.instances),
            &show::size(shard.state_bytes),
            &count(shard.mail),
            &show::size(shard.mail_bytes),
            &count(shard.in_flight),
            &count(shard.delayed),
            &count(shard.outbox),
            &count(shard.calls),
            &count(shard.idempotency_keys),
            &count(shard.paused),
            &count(shard.dead_letters),
        ]);
    }
    table.render()
}
