//! `statera epochs`.

use std::process::ExitCode;

use clap::Args;
use statera_admin::api::{self, StallReason};

use super::admin::{AdminOptions, known};
use super::paging::{PAGE_MAX, Query};
use super::show;
use super::style::Tone;
use super::table::{Cell, Column, Table};
use super::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Epochs {
    /// Show so many at most, the newest first
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=PAGE_MAX as u64))]
    limit: u64,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Epochs {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let path = Query::default().with("limit", Some(self.limit)).at("/v1/epochs");
        let answer = self.admin.open()?.get(&path).await?;
        if self.admin.json {
            terminal.print_json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        let found: api::Epochs = known(answer)?;
        if found.epochs.is_empty() {
            terminal.note(&format!(
                "there was no epoch since the start; the last one before was {}",
                found.last
            ))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new([
            Column::right("EPOCH"),
            Column::left("AT"),
            Column::right("TOOK"),
            Column::right("CUT").spare(),
            Column::right("LOG").spare(),
            Column::right("STORE").spare(),
            Column::right("SIZE"),
            Column::right("KEYS").spare(),
            Column::left("WAITED FOR"),
        ]);
        found.epochs.iter().for_each(|epoch| table.row(row(epoch)));
        terminal.print_table(&mut table)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn row(epoch: &api::Epoch) -> Vec<Cell> {
    let time = |ms| Cell::new(show::milliseconds(ms));
    let stall = epoch.stall.as_ref().map(|stall| match (stall.reason, stall.shard) {
        (StallReason::Shard, Some(shard)) => format!("shard {shard}"),
        (StallReason::Shard, None) => "a shard".to_owned(),
        (StallReason::Log, _) => "the log".to_owned(),
        (StallReason::Store, _) => "the store".to_owned(),
    });
    vec![
        Cell::count(epoch.number),
        Cell::new(&epoch.at),
        time(epoch.duration_ms),
        time(epoch.cut_ms),
        time(epoch.log_ms),
        time(epoch.store_ms),
        Cell::new(show::size(epoch.bytes)),
        Cell::or_dash(epoch.keys.map(|keys| keys.to_string())),
        stall.map_or_else(|| Cell::or_dash(None::<&str>), |stall| Cell::toned(stall, Tone::Warn)),
    ]
}
