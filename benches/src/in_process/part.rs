//! One measurement is one process, so that its memory, its processor time and its death are its own.

use std::io::{BufRead, BufReader, Lines};
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;

use super::job::{Job, Outcome, Work};
use super::{chain, counter, fanout, recovery, spill, timers, transfer};
use crate::process::Owned;

/// Beyond its `--seconds`, the most that a process may take.
const OVERHEAD_MAX: Duration = Duration::from_secs(240);

pub(super) const COMMAND: &str = "in-process-part";

/// Runs one measurement.
#[derive(Args)]
pub(crate) struct Part {
    /// What to measure, as JSON
    job: String,
}

impl Part {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let job: Job = serde_json::from_str(&self.job).context("this is not a job")?;
        watch(Duration::from_secs(job.seconds) + OVERHEAD_MAX);
        let outcome = match job.work {
            Work::Chain => chain::run(&job).await?,
            Work::Counter => counter::run(&job).await?,
            Work::Transfer => transfer::run(&job).await?,
            Work::Fanout => fanout::run(&job).await?,
            Work::Timers => timers::run(&job).await?,
            Work::Spill => spill::run(&job).await?,
            Work::Recover => recovery::recover(&job).await?,
            Work::Store => {
                let (_host, outcome) = recovery::store(&job).await?;
                tell(&outcome)?;
                return std::future::pending().await;
            }
        };
        tell(&outcome)
    }
}

fn tell(outcome: &Outcome) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(outcome)?);
    Ok(())
}

/// Ends this process when whoever started it is gone, or when it takes too long.
fn watch(limit: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        eprintln!("error: this took longer than {limit:?}");
        std::process::exit(1);
    });
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(1);
    });
}

/// A measurement under way in its process.
pub(super) struct Running {
    started: Instant,
    child: Owned,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(super) fn start(job: &Job) -> anyhow::Result<Running> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command.args([COMMAND, &serde_json::to_string(job)?]);
        let started = Instant::now();
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = Owned(child.context("cannot start this program again")?);
        let output = child.0.stdout.take().expect("it is piped");
        Ok(Running { started, child, lines: BufReader::new(output).lines() })
    }

    /// The time from its start until it says that a call was answered.
    pub(super) fn replied(&mut self) -> anyhow::Result<Duration> {
        let line = self.line()?;
        let took = self.started.elapsed();
        ensure!(line == recovery::REPLIED, "`{line}` was said instead of `{}`", recovery::REPLIED);
        Ok(took)
    }

    pub(super) fn outcome(&mut self) -> anyhow::Result<Outcome> {
        serde_json::from_str(&self.line()?).context("this is not an outcome")
    }

    /// Kills it if it has not ended by itself.
    pub(super) fn kill(self) {
        drop(self.child);
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let line = self.lines.next().context("the measurement ended without a result")?;
        line.context("cannot read from the measurement")
    }
}

/// Measures, and waits until the process is gone.
pub(super) fn run(job: &Job) -> anyhow::Result<Outcome> {
    let mut running = Running::start(job)?;
    let outcome = running.outcome()?;
    running.kill();
    Ok(outcome)
}
