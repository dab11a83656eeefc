//! `statera deadletter`.

mod bulk;
mod edit;
mod list;
mod replay;

use std::process::ExitCode;

use clap::Subcommand;
use statera_admin::api::{self, Kind};
use statera_ports::DeadLetterId;

use super::admin::{Admin, known};
use super::terminal::Terminal;

#[derive(Subcommand)]
pub(crate) enum DeadLetterCommand {
    /// List dead letters in the order of their ids
    List(list::List),
    /// Show a dead letter: the message, the state that was sent with it, and why it failed
    Show(list::Show),
    /// Send the request of a dead letter to a function server, and show what it answers. The engine takes no notice
    Replay(replay::Replay),
    /// Put a dead letter back into its mailbox, with another value; without one an editor is opened
    Edit(edit::Edit),
    /// Put dead letters back into their mailboxes
    Redrive(bulk::Redrive),
    /// Forget dead letters
    Drop(bulk::Drop),
}

impl DeadLetterCommand {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        match self {
            DeadLetterCommand::List(command) => command.run(terminal).await,
            DeadLetterCommand::Show(command) => command.run(terminal).await,
            DeadLetterCommand::Replay(command) => command.run(terminal).await,
            DeadLetterCommand::Edit(command) => command.run(terminal).await,
            DeadLetterCommand::Redrive(command) => command.run(terminal).await,
            DeadLetterCommand::Drop(command) => command.run(terminal).await,
        }
    }
}

fn path(id: DeadLetterId) -> String {
    format!("/v1/deadletters/{id}")
}

async fn detail(admin: &mut Admin, id: DeadLetterId) -> anyhow::Result<api::DeadLetterDetail> {
    known(admin.get(&path(id)).await?)
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Invocation => "invocation",
        Kind::Message => "message",
        Kind::Record => "record",
    }
}
