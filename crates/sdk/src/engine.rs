//! A program that is Statera and the functions in one.

use std::process::ExitCode;
use std::sync::Arc;

use statera_ports::Embedded;

use crate::app::App;

/// Exit code for functions that can't be registered, as for a configuration that is wrong.
const WRONG_APP: u8 = 2;

impl App {
    /// Makes this program the `statera` command with the functions in it: `run` (also if no command is given) starts the
    /// engine, which invokes them on its own threads, without a network between. All other commands work too; `--help` names
    /// them. It is all that `main` needs to call.
    ///
    /// `module.yaml` says where messages come in and records leave, as for `statera run`; endpoints for further functions may
    /// be in it. One for a function that is linked in is warned of: it is never asked. If there is no such file, messages
    /// come in by HTTP on `127.0.0.1:8080`, or on the address in the environment variable `STATERA_INGRESS`.
    ///
    /// A synchronous function runs on the thread of its shard and holds up everything else there: it should compute and
    /// return. What waits for something is registered by [`App::function_async`].
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.build() {
            Ok(functions) => statera::run(
                functions
                    .iter()
                    .map(|function| Arc::new(function.clone()) as Arc<dyn Embedded>)
                    .collect(),
            ),
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::from(WRONG_APP)
            }
        }
    }
}
