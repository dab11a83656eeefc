//! `statera state` and `statera resume`.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::Value as Json;
use statera_admin::api;

use super::address::Target;
use super::admin::{AdminOptions, known};
use super::show;
use super::terminal::Terminal;

#[derive(Subcommand)]
pub(crate) enum StateCommand {
    /// Show the state of an address as of the last durable epoch
    Get(Get),
}

#[derive(Args)]
pub(crate) struct Get {
    /// Whose state, as NAMESPACE/TYPE/ID
    address: Target,
    /// Write out only the value of this name
    name: Option<String>,
    #[command(flatten)]
    admin: AdminOptions,
}

impl StateCommand {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        match self {
            StateCommand::Get(get) => get.run(terminal).await,
        }
    }
}

impl Get {
    async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let path = format!("/v1/state/{}", self.address.path());
        let answer = self.admin.open().get(path).await?;
        match &self.name {
            Some(name) => self.one(name, answer, terminal)?,
            None if self.admin.json => terminal.print_json(&answer)?,
            None => {
                let found: api::States = known(answer)?;
                if found.states.is_empty() {
                    terminal.note(&format!("`{}` has no state", self.address.0))?;
                } else {
                    terminal.print(&show::states(&found.states))?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn one(&self, name: &str, answer: Json, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
        let states = answer["states"].as_array().into_iter().flatten();
        let found = states.into_iter().find(|state| state["name"] == name).ok_or_else(|| {
            let address = &self.address.0;
            anyhow!(
                "`{address}` has no state `{name}`; hint: see what it has with `statera state get {address}`"
            )
        })?;
        if self.admin.json {
            return Ok(terminal.print_json(found)?);
        }
        let state: api::State = known(found.clone())?;
        Ok(terminal.print_foreign(&show::value(&state.value))?)
    }
}

#[derive(Args)]
pub(crate) struct Resume {
    /// Who is paused, as NAMESPACE/TYPE/ID
    address: Target,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Resume {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let path = format!("/v1/addresses/{}/resume", self.address.path());
        let answer = self.admin.open().ask(Method::POST, path).await?;
        if self.admin.json {
            terminal.print_json(&answer)?;
        } else {
            terminal.note(&format!("`{}` goes on", self.address.0))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
