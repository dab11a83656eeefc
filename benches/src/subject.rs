//! The program under test, as a child process.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process::{Owned, Usage};
use crate::{Common, functions};

const START_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(60);

/// `statera run`, ready. Killed when dropped.
pub(crate) struct Subject {
    child: Owned,
    pub(crate) ingress: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// From the start of the process until it was ready.
    pub(crate) start_up: Duration,
}

/// An application and its data directory.
pub(crate) struct Setup {
    directory: TempDir,
}

impl Setup {
    /// `endpoints` are namespaces and where their functions are.
    pub(crate) fn new(
        common: &Common,
        endpoints: &[(&str, &functions::Running)],
        durability: &str,
    ) -> anyhow::Result<Setup> {
        let directory = tempfile::tempdir_in(&common.dir)
            .with_context(|| format!("cannot make a directory in `{}`", common.dir.display()))?;
        let mut module = format!(
            "kind: io.statera.v1/http-ingress\nspec:\n  id: bench/ingress\n  address: 127.0.0.1:0\n  \
             callTimeout: 2min\n---\nkind: io.statera.v1/engine\nspec:\n  durability: {durability}\n"
        );
        for (namespace, functions) in endpoints {
            module.push_str(&format!(
                "---\nkind: io.statefun.endpoints.v2/http\nspec:\n  functions: {namespace}/*\n  \
                 urlPathTemplate: http://{}/\n  transport:\n    call: 5s\n    connect: 2s\n",
                functions.address
            ));
        }
        std::fs::write(directory.path().join("module.yaml"), module)?;
        Ok(Setup { directory })
    }

    /// Adds documents to the module.
    pub(crate) fn add(&self, documents: &str) -> anyhow::Result<()> {
        let path = self.directory.path().join("module.yaml");
        let module = std::fs::read_to_string(&path)?;
        Ok(std::fs::write(path, format!("{module}---\n{documents}"))?)
    }

    pub(crate) fn start(&self, program: &Path) -> anyhow::Result<Subject> {
        Subject::start(program, self.directory.path())
    }
}

impl Subject {
    fn start(program: &Path, directory: &Path) -> anyhow::Result<Subject> {
        // The port is free a moment later too, or the start fails and says so.
        let admin = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let started = Instant::now();
        let mut command = Command::new(program);
        command
            .args(["run", "--file", "module.yaml", "--data", "data", "--admin"])
            .arg(admin.to_string())
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let spawned = command.spawn();
        let spawned = spawned.with_context(|| format!("cannot start `{}`", program.display()))?;
        let mut child = Owned(spawned);
        let stderr = BufReader::new(child.0.stderr.take().expect("it is piped"));
        let (sender, ready) = channel();
        std::thread::spawn(move || {
            let (mut ingress, mut said) = (None, Vec::new());
            // It is read to its end, so that the program never waits for us.
            for line in stderr.lines().map_while(Result::ok) {
                if line.contains("bench/ingress") {
                    ingress = ingress.or_else(|| address(&line));
                }
                if line.trim_end().ends_with("ready") {
                    let _ = sender.send(Ok((ingress, Instant::now())));
                } else if line.contains("WARN") || line.contains("ERROR") {
                    eprintln!("{line}");
                }
                said.push(line);
                said.truncate(20);
            }
            let _ = sender.send(Err(anyhow!("the program under test ended: {}", said.join("\n"))));
        });
        let (ingress, at) = ready.recv_timeout(START_MAX).context("it does not get ready")??;
        let ingress = ingress.context("it did not say where the ingress is")?;
        Ok(Subject { child, ingress, admin, start_up: at - started })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.pid())
    }

    /// Stops it in order, and returns how long that took.
    pub(crate) fn stop(mut self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let pid = Pid::from_child(&self.child.0);
        kill_process(pid, Signal::TERM).context("cannot stop the program under test")?;
        while started.elapsed() < STOP_MAX {
            if let Some(status) = self.child.0.try_wait()? {
                anyhow::ensure!(status.success(), "the program under test ended with {status}");
                return Ok(started.elapsed());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(anyhow!("the program under test does not stop"))
    }
}

/// The address behind `http://` in a line of the log.
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'));
    rest[..end.unwrap_or(rest.len())].parse().ok()
}
