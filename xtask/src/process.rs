//! Running other programs.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

/// Pauses before the second and the third attempt at something that needs the network.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

/// A Cargo command that sees the environment of the person who called us.
///
/// `cargo run` adds variables about our own package; some build scripts ask to be run again when these change, so that
/// `cargo build` and `cargo xtask` would take turns in rebuilding everything.
pub(crate) fn cargo(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(args);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command with our own input and output.
///
/// # Errors
/// If it cannot be started or does not succeed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("{} ended with {status}", named(command));
    }
    Ok(())
}

/// Runs a command that needs the network, several times if need be.
///
/// # Errors
/// That of the last attempt.
pub(crate) fn run_with_retries(command: &mut Command) -> anyhow::Result<()> {
    for pause in RETRY_PAUSES {
        match run(command) {
            Ok(()) => return Ok(()),
            Err(error) => eprintln!("xtask: {error:#}; trying again in {pause:?}"),
        }
        thread::sleep(pause);
    }
    run(command)
}

/// Whether a command can be started and succeeds, silently.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// What a command prints, without surrounding blanks.
///
/// # Errors
/// If it cannot be started or does not succeed.
pub(crate) fn output_of(command: &mut Command) -> anyhow::Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        bail!("{} ended with {}", named(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a command and hands over each line of its standard output as it comes.
///
/// # Errors
/// If it cannot be started, read, or does not succeed.
pub(crate) fn for_each_line(
    command: &mut Command,
    mut visit: impl FnMut(&str),
) -> anyhow::Result<()> {
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| cannot_start(command))?;
    let stdout = child.stdout.take().expect("piped two lines above");
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.with_context(|| format!("cannot read from {}", named(command)))?;
        visit(String::from_utf8_lossy(&line).trim_end_matches('\r'));
    }
    let status = child.wait().with_context(|| format!("cannot wait for {}", named(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", named(command));
    }
    Ok(())
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start {}", named(command))
}

/// The program and its first arguments, for messages.
fn named(command: &Command) -> String {
    let args = command.get_args().take(3).map(OsStr::to_string_lossy);
    let words = [command.get_program().to_string_lossy()].into_iter().chain(args);
    format!("`{}`", words.collect::<Vec<_>>().join(" "))
}
