//! The `statera` command: the only place that names every adapter.

mod client;
mod configuration;
mod launch;
mod quickstart;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Stateful serverless in one binary.
#[derive(Parser)]
#[command(name = "statera", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// See it work: an application with traffic, which needs nothing else.
    Quickstart(quickstart::Quickstart),
    /// Run an application.
    Run(run::Run),
    /// Check configuration files and say everything that is wrong with them.
    Validate(run::Validate),
    #[command(flatten)]
    Client(client::ClientCommand),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Quickstart(quickstart) => quickstart.execute(),
        Command::Run(run) => run.execute(),
        Command::Validate(validate) => validate.execute(),
        Command::Client(client) => client.execute(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with everything that caused it, on one line.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
