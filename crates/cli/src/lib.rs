//! Statera as a program: the only place that names every adapter.
//!
//! The `statera` command is [`run`] without functions. A program that links functions of its own is the same command with
//! those functions in it; `statera_sdk::App::run` makes one.
#![warn(missing_docs)]

mod admin;
mod client;
mod configuration;
mod explain;
mod failure;
mod launch;
mod pages;
mod parts;
mod quickstart;
mod reload;
mod run;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use statera_ports::Embedded;

use crate::run::{Run, Validate};

/// The functions linked into this program.
type Functions = Vec<Arc<dyn Embedded>>;

/// Stateful serverless in one binary.
#[derive(Parser)]
#[command(name = "statera", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// See it work: an application with traffic, which needs nothing else.
    Quickstart(quickstart::Quickstart),
    /// Run an application.
    Run(Run),
    /// Check configuration files and say everything that is wrong with them.
    Validate(Validate),
    #[command(flatten)]
    Client(client::ClientCommand),
    /// See what a code of the log means, and what to do
    Explain(explain::Explain),
    /// Write what a shell needs to complete commands
    Completions(pages::Completions),
    /// Write man pages
    Man(pages::Man),
}

/// Does what the command line of this process says, with these functions in it. Without a command a program with
/// functions runs them.
#[must_use]
pub fn run(functions: Vec<Arc<dyn Embedded>>) -> ExitCode {
    let arguments = match arguments(&functions) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let result = match arguments.command {
        None => Run::default().execute(functions),
        Some(Command::Run(run)) => run.execute(functions),
        Some(Command::Validate(validate)) => validate.execute(&functions),
        Some(Command::Quickstart(quickstart)) => quickstart.execute(),
        Some(Command::Client(client)) => client.execute(),
        Some(Command::Explain(explain)) => explain.execute(),
        Some(Command::Completions(completions)) => completions.execute(Arguments::command()),
        Some(Command::Man(man)) => man.execute(Arguments::command()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            failure::tell(&error, admin::LogFormat::Human);
            ExitCode::FAILURE
        }
    }
}

/// A program with functions of its own runs them if nothing else is asked for.
fn arguments(functions: &Functions) -> Result<Arguments, clap::Error> {
    let mut command = Arguments::command().arg_required_else_help(functions.is_empty());
    if !functions.is_empty() {
        let names: Vec<String> =
            functions.iter().map(|function| format!("  {}", function.name())).collect();
        command = command
            .about("Functions, and the engine that runs them: Statera with functions linked in.")
            .after_help(format!(
                "Functions:\n{}\n\nWithout a command they are run.",
                names.join("\n")
            ))
            .mut_subcommand("quickstart", |quickstart| quickstart.hide(true));
    }
    Arguments::from_arg_matches(&command.try_get_matches()?)
}

/// An error with everything that caused it, on one line.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
