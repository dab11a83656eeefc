//! `cargo xtask kafka`: brokers on this machine to try things with, until they are told to stop.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use statera_test_kafka::{Artifacts, Cluster, Options};

use crate::options::{Brokers, Kafka};
use crate::process::{output_of, run as run_command};
use crate::test::{component, target};

/// Files that tell what runs, in the folder of the brokers.
const PIDS: &str = "pids";
const BOOTSTRAP: &str = "bootstrap";

/// Carries out a command.
pub(crate) fn run(command: &Kafka) -> anyhow::Result<ExitCode> {
    let folder = target()?.join("kafka");
    match command {
        Kafka::Up(brokers) => up(&folder, brokers)?,
        Kafka::Down => down(&folder)?,
        Kafka::Send { topic } => {
            run_command(&mut artifacts()?.send_command(&bootstrap(&folder)?, topic))?;
        }
        Kafka::Read { topic, max } => {
            run_command(&mut artifacts()?.read_command(&bootstrap(&folder)?, topic, *max))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts brokers with empty data, makes topics, and prints where they are.
fn up(folder: &Path, options: &Brokers) -> anyhow::Result<()> {
    if !running(folder).is_empty() {
        bail!("Kafka runs already; hint: `cargo xtask kafka down` stops it");
    }
    let artifacts = artifacts()?;
    clear(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let (nodes, port) = (options.nodes, options.port);
    let cluster =
        Cluster::start(&artifacts, folder, &Options { nodes, port, ..Options::default() })?;
    let topics: Vec<(&str, u32)> =
        options.topics.iter().map(|(name, partitions)| (&**name, *partitions)).collect();
    cluster.create_topics(&topics)?;
    let bootstrap = cluster.bootstrap();
    let pids: Vec<String> = cluster.leave_running().iter().map(u32::to_string).collect();
    for (name, text) in [(PIDS, pids.join("\n")), (BOOTSTRAP, bootstrap.clone())] {
        fs::write(folder.join(name), text)
            .with_context(|| format!("cannot write to `{}`; stop {pids:?}", folder.display()))?;
    }
    println!("{bootstrap}");
    Ok(())
}

/// Stops them and removes their data.
fn down(folder: &Path) -> anyhow::Result<()> {
    // What they hold is removed, so there is nothing to hand over or to write.
    for pid in running(folder) {
        let killed = Command::new("kill").args(["-9", &pid]).status();
        anyhow::ensure!(killed.is_ok_and(|status| status.success()), "cannot stop process {pid}");
    }
    clear(folder)
}

/// Those of the brokers that were started which still run.
fn running(folder: &Path) -> Vec<String> {
    let pids = fs::read_to_string(folder.join(PIDS)).unwrap_or_default();
    let folder = folder.display().to_string();
    let mut running = Vec::new();
    for pid in pids.lines() {
        // Its number may belong to another process by now.
        let command = output_of(Command::new("ps").args(["-p", pid, "-o", "args="]));
        if command.is_ok_and(|command| command.contains("kafka.Kafka") && command.contains(&folder))
        {
            running.push(pid.to_owned());
        }
    }
    running
}

/// Where the brokers are.
fn bootstrap(folder: &Path) -> anyhow::Result<String> {
    let bootstrap = fs::read_to_string(folder.join(BOOTSTRAP));
    bootstrap.context("Kafka does not run; hint: `cargo xtask kafka up` starts it")
}

fn artifacts() -> anyhow::Result<Artifacts> {
    component("kafka").map(Artifacts::new)
}

fn clear(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{}`", folder.display()))
        }
        _ => Ok(()),
    }
}
