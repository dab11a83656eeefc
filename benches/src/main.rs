//! `statera-bench`: measures the engine from outside, with functions behind HTTP in a process of their own.
//!
//! Three processes, all on the loopback interface: the `statera` program under test; the functions (this program again,
//! with a hidden command); and the load, which is this process. See `docs/benchmarks.md`. Only `in_process` has all in one,
//! and `application` has the engine and the functions in one.

mod application;
mod disk;
mod end_to_end;
mod functions;
mod http;
mod idle;
mod in_process;
mod isolation;
mod kafka;
mod load;
mod process;
mod subject;
mod table;
mod versus;
mod watched;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use tokio::task::LocalSet;

#[derive(Parser)]
#[command(name = "statera-bench", about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Calls and sends to a counter: throughput, latency, CPU, bytes written, memory.
    EndToEnd(end_to_end::EndToEnd),
    /// What the engine costs when nothing happens.
    Idle(idle::Idle),
    /// What one part that fails costs the others.
    Isolation(isolation::Isolation),
    /// From Kafka to Kafka: latency, throughput, requests to the broker.
    Kafka(kafka::Kafka),
    /// What it costs to be watched: metrics, and the admin API as the dashboard uses it.
    Watched(watched::Watched),
    /// The same work by Statera and by Restate, in turns.
    Versus(versus::Versus),
    #[command(flatten)]
    InProcess(in_process::Command),
    /// Serve the functions (started by the other commands).
    #[command(hide = true)]
    Functions(functions::Functions),
}

/// What every measurement needs.
#[derive(Args, Clone)]
struct Common {
    /// The program under test; `statera` beside this program if not given
    #[arg(long, env = "STATERA_BIN", value_name = "FILE")]
    statera: Option<PathBuf>,
    /// Where data directories are made; should be on the disk that is to be measured
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
}

impl Common {
    fn program(&self) -> anyhow::Result<PathBuf> {
        let program = match &self.statera {
            Some(program) => program.clone(),
            None => std::env::current_exe()
                .context("cannot find this program")?
                .with_file_name("statera"),
        };
        anyhow::ensure!(
            program.is_file(),
            "there is no `{}`; hint: cargo build --profile dist -p statera -p statera-bench",
            program.display()
        );
        // It is started in another directory.
        std::path::absolute(program).context("there is no current directory")
    }
}

fn main() -> ExitCode {
    // `statera_sdk` makes a program of the application that reads the command line by itself.
    if std::env::args_os().nth(1).is_some_and(|command| command == application::COMMAND) {
        return application::run();
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        match arguments.command {
            Command::EndToEnd(command) => command.run().await,
            Command::Idle(command) => command.run().await,
            Command::Isolation(command) => command.run().await,
            Command::Kafka(command) => command.run(),
            Command::Versus(command) => command.run().await,
            Command::Watched(command) => command.run().await,
            Command::InProcess(command) => command.run().await,
            Command::Functions(command) => command.run().await,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::{fs, iter};

    use super::*;

    /// All pages about benchmarks.
    fn pages() -> Vec<PathBuf> {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let folder = fs::read_dir(docs.join("benchmarks")).unwrap();
        let pages = folder.map(|entry| entry.unwrap().path());
        iter::once(docs.join("benchmarks.md")).chain(pages).collect()
    }

    #[test]
    fn every_documented_command_is_known() {
        let mut known = 0;
        for page in pages() {
            let text = fs::read_to_string(&page).unwrap();
            let lines = text.lines().filter_map(|line| line.strip_prefix("target/dist/"));
            for line in lines {
                let command = line.split(" #").next().unwrap_or_default();
                if let Err(error) = Arguments::try_parse_from(command.split_whitespace()) {
                    panic!("{}: `{line}`: {error}", page.display());
                }
                known += 1;
            }
        }
        assert!(known >= 5, "only {known} commands found: has the form of the pages changed?");
    }
}
