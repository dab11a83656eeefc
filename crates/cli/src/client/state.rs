//! `statera state`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use hyper::StatusCode;
use serde_json::Value as Json;
use statera_admin::api;

use super::address::Target;
use super::admin::{AdminOptions, Refusal, known};
use super::show;
use super::terminal::Terminal;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct StateCommand {
    #[command(subcommand)]
    command: Option<Command>,
    /// Whose state, as NAMESPACE/TYPE/ID
    #[arg(required = true)]
    address: Option<Target>,
    /// Write out only the value of this name
    name: Option<String>,
    #[command(flatten)]
    admin: AdminOptions,
}

#[derive(Subcommand)]
enum Command {
    /// Show the state of an address as of the last durable epoch; the same as without `get`
    Get(Get),
}

#[derive(Args)]
struct Get {
    /// Whose state, as NAMESPACE/TYPE/ID
    address: Target,
    /// Write out only the value of this name
    name: Option<String>,
    #[command(flatten)]
    admin: AdminOptions,
}

impl StateCommand {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let get = match (self.command, self.address) {
            (Some(Command::Get(get)), _) => get,
            (None, Some(address)) => Get { address, name: self.name, admin: self.admin },
            (None, None) => unreachable!("clap demands one of them"),
        };
        get.run(terminal).await
    }
}

impl Get {
    async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let path = format!("/v1/state/{}", self.address.path());
        let answer = self.admin.open()?.get(&path).await?;
        match &self.name {
            Some(name) => self.one(name, answer, terminal)?,
            None if self.admin.json => terminal.print_json(&answer)?,
            None => {
                let found: api::States = known(answer)?;
                if found.states.is_empty() {
                    terminal.note(&format!("`{}` has no state", self.address.0))?;
                } else {
                    let text = show::states(&found.states, &terminal.style);
                    terminal.print(&text)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn one(&self, name: &str, answer: Json, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
        let states = answer["states"].as_array().into_iter().flatten();
        let found = states.into_iter().find(|state| state["name"] == name).ok_or_else(|| {
            let address = &self.address.0;
            Refusal {
                status: StatusCode::NOT_FOUND,
                error: format!("`{address}` has no state `{name}`"),
                hint: format!("see what it has with `statera state {address}`"),
            }
        })?;
        if self.admin.json {
            return Ok(terminal.print_json(found)?);
        }
        let state: api::State = known(found.clone())?;
        Ok(terminal.print_foreign(&show::value(&state.value))?)
    }
}
