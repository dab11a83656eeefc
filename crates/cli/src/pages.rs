//! What is made of the command line itself: completions for shells, man pages, and a page of the documentation.

#[cfg(test)]
mod reference;

use std::fs;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use clap_complete::Shell;

#[derive(Args)]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn execute(self, mut command: clap::Command) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "statera", &mut script);
        stdout().write_all(&script).context("cannot write the completions")?;
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
pub(crate) struct Man {
    /// The folder to write to, one file for each command; it is made if it is not there
    directory: PathBuf,
}

impl Man {
    pub(crate) fn execute(self, command: clap::Command) -> anyhow::Result<ExitCode> {
        let context = || format!("cannot write man pages to `{}`", self.directory.display());
        fs::create_dir_all(&self.directory).with_context(context)?;
        clap_mangen::generate_to(command, &self.directory).with_context(context)?;
        eprintln!("hint: read them with `man -l {}`", self.directory.join("statera.1").display());
        Ok(ExitCode::SUCCESS)
    }
}
