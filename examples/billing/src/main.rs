//! Statera and the functions in one program. Its command line is that of `statera`, so the length of a month comes from
//! the environment.

use std::process::ExitCode;

use billing_example::{Terms, app};

fn main() -> ExitCode {
    match Terms::from_environment() {
        Ok(terms) => app(terms).run(),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
