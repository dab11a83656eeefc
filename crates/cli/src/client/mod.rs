//! The commands that talk to a running engine: its admin API, and its HTTP ingress.

mod address;
mod admin;
mod deadletter;
mod duration;
mod endpoints;
mod epochs;
mod exit;
mod functions;
mod graph;
mod http;
mod instances;
mod log;
mod message;
mod origin;
mod paging;
mod pause;
mod reload;
mod show;
mod state;
mod status;
mod streams;
mod style;
mod table;
mod tail;
mod terminal;
#[cfg(test)]
mod tests;
mod timers;
mod tls;
mod watch;

use std::io::{BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;

use exit::Exit;
use terminal::{Terminal, error_line};

#[derive(Subcommand)]
pub(crate) enum ClientCommand {
    /// See what an engine runs, and how full it is
    Status(status::Status),
    /// See types of functions: who serves them, how much they do, and what fails
    Functions(functions::Functions),
    /// See instances of functions: what each does, and its mail
    Instances(instances::Instances),
    /// Look at the state of a function
    State(state::StateCommand),
    /// Look at the messages that wait for an address
    Mailbox(instances::Mailbox),
    /// See messages that were sent for later
    Timers(timers::Timers),
    /// See who serves functions over HTTP, and whether they answer
    Endpoints(endpoints::Endpoints),
    /// See where messages come in: counts, positions, lag
    Ingress(streams::Ingress),
    /// See where records leave, and what waits for them
    Egress(streams::Egress),
    /// See the last epochs, and what they waited for
    Epochs(epochs::Epochs),
    /// See who has sent messages to whom
    Graph(graph::Graph),
    /// Look at, replay, repair, redrive and drop messages that were given up
    #[command(subcommand, name = "deadletter")]
    DeadLetter(deadletter::DeadLetterCommand),
    /// Let an address, a type of functions, an endpoint or an ingress wait until it is resumed
    Pause(pause::Pause),
    /// Let go on what was paused, by an operator or because it failed
    Resume(pause::Resume),
    /// Let an engine read its configuration again
    Reload(reload::Reload),
    /// See or change what the engine logs
    Log(log::Log),
    /// Follow live figures, a line each second
    Tail(tail::Tail),
    /// Send a message to a function through the HTTP ingress; ends when it is durable
    Send(message::Send),
    /// Send a message to a function and write out its reply
    Call(message::Call),
}

/// What was asked for can't be done as it is written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(String);

impl ClientCommand {
    pub(crate) fn execute(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("cannot start the IO runtime")?;
        let mut out = BufWriter::new(std::io::stdout());
        let mut notes = std::io::stderr();
        let mut terminal = Terminal::of_process(&mut out, &mut notes);
        let result = runtime.block_on(self.run(&mut terminal));
        let result = result.and_then(|code| Ok(out.flush().map(|()| code)?));
        Ok(result.unwrap_or_else(|error| {
            // Whoever reads our output has seen enough.
            if is_closed_pipe(&error) {
                return ExitCode::SUCCESS;
            }
            // What was written before is there before.
            let _ = out.flush();
            eprintln!("{}", error_line(&crate::chain(&error)));
            ExitCode::from(Exit::of(&error) as u8)
        }))
    }

    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        match self {
            ClientCommand::Status(command) => command.run(terminal).await,
            ClientCommand::Functions(command) => command.run(terminal).await,
            ClientCommand::Instances(command) => command.run(terminal).await,
            ClientCommand::State(command) => command.run(terminal).await,
            ClientCommand::Mailbox(command) => command.run(terminal).await,
            ClientCommand::Timers(command) => command.run(terminal).await,
            ClientCommand::Endpoints(command) => command.run(terminal).await,
            ClientCommand::Ingress(command) => command.run(terminal).await,
            ClientCommand::Egress(command) => command.run(terminal).await,
            ClientCommand::Epochs(command) => command.run(terminal).await,
            ClientCommand::Graph(command) => command.run(terminal).await,
            ClientCommand::DeadLetter(command) => command.run(terminal).await,
            ClientCommand::Pause(command) => command.run(terminal).await,
            ClientCommand::Resume(command) => command.run(terminal).await,
            ClientCommand::Reload(command) => command.run(terminal).await,
            ClientCommand::Log(command) => command.run(terminal).await,
            ClientCommand::Tail(command) => command.run(terminal).await,
            ClientCommand::Send(command) => command.run(terminal).await,
            ClientCommand::Call(command) => command.run(terminal).await,
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
