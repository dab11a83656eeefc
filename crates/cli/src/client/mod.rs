//! The commands that talk to a running engine: its admin API, and its HTTP ingress.

mod address;
mod admin;
mod deadletter;
mod duration;
mod http;
mod message;
mod show;
mod state;
mod status;
mod table;
mod terminal;
#[cfg(test)]
mod tests;

use std::io::{BufWriter, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;

use terminal::Terminal;

/// Exit code for wrong usage, as clap has it.
const WRONG_USAGE: u8 = 2;

#[derive(Subcommand)]
pub(crate) enum ClientCommand {
    /// Send a message to a function through the HTTP ingress; ends when it is durable
    Send(message::Send),
    /// Send a message to a function and write out its reply
    Call(message::Call),
    /// Look at the state of a function
    #[command(subcommand)]
    State(state::StateCommand),
    /// Look at, redrive and drop messages that were given up
    #[command(subcommand, name = "deadletter")]
    DeadLetter(deadletter::DeadLetterCommand),
    /// Let an address go on that was paused because it failed
    Resume(state::Resume),
    /// See what an engine runs, and how full it is
    Status(status::Status),
}

/// What was asked for can't be done as it is written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(String);

impl ClientCommand {
    pub(crate) fn execute(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("cannot start the IO runtime")?;
        let stdout = std::io::stdout();
        let escape = stdout.is_terminal();
        let mut out = BufWriter::new(stdout);
        let mut notes = std::io::stderr();
        let mut terminal = Terminal { out: &mut out, notes: &mut notes, escape };
        let result = runtime.block_on(self.run(&mut terminal));
        let result = result.and_then(|code| Ok(out.flush().map(|()| code)?));
        match result {
            // Whoever reads our output has seen enough.
            Err(error) if is_closed_pipe(&error) => Ok(ExitCode::SUCCESS),
            Err(error) if error.is::<Usage>() => {
                eprintln!("error: {error}");
                Ok(ExitCode::from(WRONG_USAGE))
            }
            other => other,
        }
    }

    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        match self {
            ClientCommand::Send(send) => send.run(terminal).await,
            ClientCommand::Call(call) => call.run(terminal).await,
            ClientCommand::State(state) => state.run(terminal).await,
            ClientCommand::DeadLetter(deadletter) => deadletter.run(terminal).await,
            ClientCommand::Resume(resume) => resume.run(terminal).await,
            ClientCommand::Status(status) => status.run(terminal).await,
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
