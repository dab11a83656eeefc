//! Development tasks, run as `cargo xtask <task>`. The same on every machine and in CI: no shell scripts, nothing
//! outside the standard library, Cargo, and the tools that the tests themselves need.

mod components;
mod kafka;
mod options;
mod process;
mod results;
mod test;

use std::process::ExitCode;

use options::Task;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    match Task::parse(std::env::args().skip(1))? {
        Task::Help => {
            print!("{}", options::HELP);
            Ok(ExitCode::SUCCESS)
        }
        Task::Components => test::components(),
        Task::Test(options) => test::run(&options),
        Task::Kafka(command) => kafka::run(&command),
    }
}
