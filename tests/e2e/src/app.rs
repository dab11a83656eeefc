//! An application in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::Statera;

/// A folder with `module.yaml`, the data directory and what the egresses write. Removed when it is dropped.
#[derive(Debug)]
pub struct App {
    folder: TempDir,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl App {
    /// Writes the module, in which `$DIR` stands for the folder.
    #[must_use]
    pub fn new(module: &str) -> App {
        App::with_program(Statera::binary(), module)
    }

    /// As [`App::new`], for a program that has functions linked in.
    #[must_use]
    pub fn with_program(program: impl Into<PathBuf>, module: &str) -> App {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let (program, arguments, environment) = (program.into(), Vec::new(), Vec::new());
        let app = App { folder, program, arguments, environment };
        app.write_module(module);
        app
    }

    /// Another variable of the environment from now on.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Further arguments of `statera run` from now on, in place of the former ones.
    pub fn set_arguments(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    }

    /// Replaces the module, in which `$DIR` stands for the folder.
    pub fn write_module(&self, module: &str) {
        let text = module.replace("$DIR", &self.folder.path().display().to_string());
        std::fs::write(self.path("module.yaml"), text).expect("the folder can be written to");
    }

    /// The path of something in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// If it ends before.
    #[must_use]
    pub fn start(&self) -> Statera {
        let mut statera = self.spawn();
        statera.wait_until_ready();
        statera
    }

    /// Starts it without waiting.
    #[must_use]
    pub fn spawn(&self) -> Statera {
        self.spawn_in(&self.data())
    }

    /// Starts it on another data directory, without waiting.
    #[must_use]
    pub fn spawn_in(&self, data: &Path) -> Statera {
        let mut command = Command::new(&self.program);
        command.arg("run").arg("-f").arg(self.path("module.yaml")).arg("--data").arg(data);
        command.args(["--admin", "127.0.0.1:0", "--log-format", "json"]);
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        Statera::from_command(command)
    }
}
