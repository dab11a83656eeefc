//! The `statera` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    statera::run(Vec::new())
}
