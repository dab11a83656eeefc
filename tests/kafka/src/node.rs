//! One process of a cluster.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::artifacts::Artifacts;
use crate::ports;

const START_TIMEOUT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How much of its log an error shows.
const SHOWN_LINES: usize = 30;

/// A broker that is also a controller. Killed when it is dropped.
#[derive(Debug)]
pub struct Node {
    id: u32,
    port: u16,
    folder: PathBuf,
    artifacts: Artifacts,
    /// Further options of Java.
    java: Vec<String>,
    child: Option<Child>,
}

impl Node {
    /// A node that is not started, with its settings written to `folder`.
    pub(crate) fn create(
        artifacts: &Artifacts,
        folder: PathBuf,
        id: u32,
        port: u16,
        (settings, java): (&str, Vec<String>),
    ) -> anyhow::Result<Node> {
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make `{}`", folder.display()))?;
        let node = Node { id, port, folder, artifacts: artifacts.clone(), java, child: None };
        let path = node.settings();
        let settings = settings.replace("$DATA", &node.folder.join("data").display().to_string());
        fs::write(&path, settings).with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(node)
    }

    /// Begins to prepare its data directory.
    pub(crate) fn format(&self, cluster: &str) -> anyhow::Result<Child> {
        let mut command = self.artifacts.java("kafka.tools.StorageTool");
        command.args(["format", "--cluster-id", cluster, "--config"]).arg(self.settings());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        command.spawn().context(NO_JAVA)
    }

    /// Its number in the cluster, from 1.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Where clients find it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id, if it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// The file that it logs to.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Starts it on its data without waiting; nothing if it was started.
    ///
    /// # Errors
    /// If there is no Java.
    pub fn spawn(&mut self) -> anyhow::Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let log = OpenOptions::new().create(true).append(true).open(self.log());
        let log = log.with_context(|| format!("cannot write `{}`", self.log().display()))?;
        let mut command = self.artifacts.java_with("warn", &self.java, "kafka.Kafka");
        command.arg(self.settings());
        detach(&mut command, log)?;
        self.child = Some(command.spawn().context(NO_JAVA)?);
        Ok(())
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// If it ends, or takes too long.
    pub fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !ports::answers(self.port) {
            let child = self.child.as_mut().context("it was not started")?;
            if let Some(status) = child.try_wait().context("cannot wait for the broker")? {
                self.child = None;
                bail!("the broker ended with {status}:\n{}", last_lines(&self.log()));
            }
            if Instant::now() > deadline {
                bail!("the broker does not answer:\n{}", last_lines(&self.log()));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Starts it on its data, and waits until it answers.
    ///
    /// # Errors
    /// As [`Node::spawn`] and [`Node::wait_until_ready`].
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.spawn()?;
        self.wait_until_ready()
    }

    /// Kills it as a crash would (SIGKILL), and waits for its end.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to stop (SIGTERM), and waits for its end. It hands over what it leads first.
    ///
    /// # Errors
    /// If it can't be asked.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let asked = Command::new("kill").arg(child.id().to_string()).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = child.kill();
            bail!("cannot ask the broker to stop");
        }
        child.wait().context("cannot wait for the broker")?;
        Ok(())
    }

    /// Lets it run when this value is dropped.
    pub(crate) fn leave_running(mut self) -> Option<u32> {
        self.child.take().map(|child| child.id())
    }

    fn settings(&self) -> PathBuf {
        self.folder.join("server.properties")
    }
}

const NO_JAVA: &str = "cannot start `java`; hint: install Java 17 or newer";

/// Without our terminal, which would stop it together with us.
fn detach(command: &mut Command, log: File) -> anyhow::Result<()> {
    let other = log.try_clone().context("cannot share a log file")?;
    command.stdin(Stdio::null()).stdout(log).stderr(other);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    Ok(())
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("the end of node {}'s log:\n{}", self.id, last_lines(&self.log()));
        }
    }
}
