//! A `statera` process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::http::Client;
use crate::wait::within;

const READY_TIMEOUT: Duration = Duration::from_secs(60);
const EXIT_TIMEOUT: Duration = Duration::from_secs(60);

/// A running `statera run`. Killed when it is dropped.
#[derive(Debug)]
pub struct Statera {
    child: Child,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
}

/// What the process has said so far.
#[derive(Debug, Default)]
struct Log {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Said {
    lines: Vec<String>,
    addresses: BTreeMap<String, SocketAddr>,
    ready: bool,
    ended: bool,
}

impl Statera {
    /// The binary under test.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    pub fn binary() -> PathBuf {
        let named = std::env::var_os("STATERA_BIN").map(PathBuf::from);
        built(named.unwrap_or_else(|| built_here().join("statera")), "statera")
    }

    /// The program of an example.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    pub fn example(package: &str, program: &str) -> PathBuf {
        let folder = std::env::var_os("STATERA_EXAMPLES").map(PathBuf::from);
        built(folder.unwrap_or_else(built_here).join(program), package)
    }

    /// Starts a command that behaves like `statera run`, without waiting for it.
    ///
    /// # Panics
    /// If it can't be started.
    #[must_use]
    pub fn from_command(mut command: Command) -> Statera {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let log = Arc::new(Log::default());
        let stderr = child.stderr.take().expect("it is piped");
        let reader = std::thread::spawn({
            let log = log.clone();
            move || log.read(BufReader::new(stderr))
        });
        Statera { child, log, reader: Some(reader) }
    }

    /// Waits until it says that it is ready.
    ///
    /// # Panics
    /// If it ends, or does not become ready within a minute.
    pub fn wait_until_ready(&mut self) {
        let said = self.log.said.lock().unwrap();
        let starting = |said: &mut Said| !said.ready && !said.ended;
        let waited = self.log.more.wait_timeout_while(said, READY_TIMEOUT, starting).unwrap();
        assert!(waited.0.ready, "not ready: {}", waited.0.lines.join("\n"));
    }

    /// Where an ingress or egress listens.
    ///
    /// # Panics
    /// If it said nothing about it.
    #[must_use]
    pub fn address(&self, id: &str) -> SocketAddr {
        let said = self.log.said.lock().unwrap();
        let address = said.addresses.get(id).copied();
        address.unwrap_or_else(|| panic!("`{id}` listens nowhere: {:?}", said.addresses))
    }

    /// Where the admin API listens, if there is one.
    #[must_use]
    pub fn admin(&self) -> Option<SocketAddr> {
        self.log.said.lock().unwrap().addresses.get("admin").copied()
    }

    /// A client of an ingress.
    #[must_use]
    pub fn client(&self, id: &str) -> Client {
        Client::new(self.address(id))
    }

    /// Everything it said, line by line.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.said.lock().unwrap().lines.clone()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a crash would (SIGKILL), and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop (SIGTERM).
    pub fn terminate(&self) {
        // It may have ended already.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
    }

    /// Waits for its end; returns how it ended and everything it said.
    ///
    /// # Panics
    /// If it does not end within a minute.
    pub fn wait_for_end(&mut self) -> (ExitStatus, String) {
        let status = within(EXIT_TIMEOUT, "the end of statera", || self.child.try_wait().unwrap());
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reading a log does not panic");
        }
        (status, self.log().join("\n"))
    }

    /// Asks it to stop and waits; returns the exit code.
    ///
    /// # Panics
    /// If it does not end within a minute.
    pub fn stop(&mut self) -> Option<i32> {
        self.terminate();
        self.wait_for_end().0.code()
    }

    /// Whether it has not ended yet.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Starts, waits until ready, and measures the time between.
    ///
    /// # Panics
    /// As [`Statera::wait_until_ready`].
    #[must_use]
    pub fn time_to_ready(spawn: impl FnOnce() -> Statera) -> (Statera, Duration) {
        let start = Instant::now();
        let mut statera = spawn();
        statera.wait_until_ready();
        (statera, start.elapsed())
    }
}

/// Where Cargo puts programs that are built like this test, `<target>/debug/deps/<test>`.
fn built_here() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a file");
    test.ancestors().nth(2).expect("it lies in the target directory").to_owned()
}

fn built(program: PathBuf, package: &str) -> PathBuf {
    let there = program.is_file();
    assert!(there, "`{}` is missing; hint: cargo build -p {package}", program.display());
    program
}

impl Drop for Statera {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let last = log.len().saturating_sub(40);
            eprintln!("the end of statera's log:\n{}", log[last..].join("\n"));
        }
    }
}

impl Log {
    fn read(&self, lines: impl BufRead) {
        for line in lines.lines().map_while(Result::ok) {
            self.said.lock().unwrap().take(line);
            self.more.notify_all();
        }
        self.said.lock().unwrap().ended = true;
        self.more.notify_all();
    }
}

impl Said {
    fn take(&mut self, line: String) {
        if let Ok(entry) = serde_json::from_str::<Value>(&line) {
            let message = entry["message"].as_str().unwrap_or_default();
            if let (Some(id), Some(address)) =
                (entry["id"].as_str(), message.strip_prefix("listening on http://"))
                && let Ok(address) = address.parse()
            {
                self.addresses.insert(id.to_owned(), address);
            }
            self.ready |= message == "ready";
        }
        self.lines.push(line);
    }
}

/// A process of a test, such as a function server. It is killed when it is dropped.
pub struct Companion(pub Child);

impl Drop for Companion {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
