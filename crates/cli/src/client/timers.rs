//! `statera timers`.

use std::process::ExitCode;

use clap::Args;
use statera_admin::api;

use super::admin::AdminOptions;
use super::paging::{List, PageOptions, Query};
use super::show;
use super::table::{Cell, Column};
use super::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Timers {
    /// Only those whose sender's address begins so
    #[arg(long, value_name = "TEXT")]
    sender: Option<String>,
    /// Only those whose target's address begins so
    #[arg(long, value_name = "TEXT")]
    target: Option<String>,
    #[command(flatten)]
    pages: PageOptions,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Timers {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let list = List {
            path: "/v1/timers",
            query: Query::default().with("sender", self.sender).with("target", self.target),
            field: "timers",
            things: "messages for later",
            columns: columns(),
            row: |timer| row(&timer),
        };
        let mut admin = self.admin.open()?;
        list.show(&self.pages, &mut admin, self.admin.json, terminal).await?;
        Ok(ExitCode::SUCCESS)
    }
}

pub(crate) fn columns() -> Vec<Column> {
    vec![
        Column::left("DUE"),
        Column::left("FROM").spare(),
        Column::left("TO"),
        Column::left("TOKEN").spare(),
        Column::left("TYPE").spare(),
        Column::long("VALUE"),
    ]
}

pub(crate) fn row(timer: &api::Timer) -> Vec<Cell> {
    vec![
        Cell::new(&timer.due),
        Cell::new(&timer.sender),
        Cell::new(&timer.target),
        Cell::or_dash(timer.token.as_deref()),
        Cell::new(&timer.value.typename),
        Cell::new(show::value(&timer.value)),
    ]
}
