//! `statera endpoints`.

use std::process::ExitCode;

use clap::Args;
use statera_admin::api;

use super::admin::{AdminOptions, known};
use super::show;
use super::style::Tone;
use super::table::{Cell, Column, Table};
use super::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Endpoints {
    #[command(flatten)]
    admin: AdminOptions,
}

impl Endpoints {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let answer = self.admin.open()?.get("/v1/endpoints").await?;
        if self.admin.json {
            terminal.print_json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        let found: api::Endpoints = known(answer)?;
        if found.endpoints.is_empty() {
            terminal.note("there are no endpoints: all functions are linked into the program")?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new([
            Column::left("FUNCTIONS"),
            Column::left("HEALTH"),
            Column::right("IN FLIGHT"),
            Column::right("FAILING"),
            Column::right("ATTEMPTS").spare(),
            Column::right("FAILURES").spare(),
            Column::right("P50").spare(),
            Column::right("P99"),
            Column::left("LAST SUCCESS").spare(),
            Column::long("URL"),
        ]);
        found.endpoints.iter().for_each(|endpoint| table.row(row(endpoint)));
        terminal.print_table(&mut table)?;
        for endpoint in &found.endpoints {
            if let Some(pause) = &endpoint.paused {
                terminal.note(&format!(
                    "`{}` is paused {}",
                    endpoint.functions,
                    show::pause(pause)
                ))?;
            }
            if let Some(at) = &endpoint.next_probe {
                let functions = &endpoint.functions;
                terminal.note(&format!(
                    "nobody answers for `{functions}`; it is tried again at {at}"
                ))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(endpoint: &api::EndpointStatus) -> Vec<Cell> {
    let [p50, p99] = show::latency(endpoint.latency);
    let count = |number: Option<u64>| Cell::or_dash(number.map(|number| number.to_string()));
    vec![
        Cell::new(&endpoint.functions),
        show::health(endpoint.health, endpoint.paused.as_ref()),
        Cell::count(endpoint.in_flight),
        Cell::alarm(endpoint.failing, Tone::Bad),
        count(endpoint.attempts),
        count(endpoint.failures),
        p50,
        p99,
        Cell::or_dash(endpoint.last_success.as_deref()),
        Cell::new(&endpoint.url),
    ]
}
