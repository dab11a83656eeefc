//! `statera log`.

use std::process::ExitCode;

use clap::Args;
use hyper::Method;
use serde_json::json;
use statera_admin::api;

use super::admin::{AdminOptions, known};
use super::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Log {
    /// Log this from now on, until the engine stops: `info`, or `warn,statera_runtime=debug`
    filter: Option<String>,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Log {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let mut admin = self.admin.open()?;
        let answer = match self.filter {
            None => admin.get("/v1/log").await?,
            Some(filter) => {
                admin.ask(Method::PUT, "/v1/log", Some(&json!({ "filter": filter }))).await?
            }
        };
        if self.admin.json {
            terminal.print_json(&answer)?;
        } else {
            let log: api::LogFilter = known(answer)?;
            terminal.print_foreign(&log.filter)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
