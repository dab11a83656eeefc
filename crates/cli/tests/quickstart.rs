//! The quickstart as its first user meets it: started, killed, started again.
#![expect(clippy::unwrap_used, reason = "all of it is tests")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long anything may take on a machine that is busy with something else.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running quickstart. Killed when dropped.
struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    fn start(data: &Path, arguments: &[&str]) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_statera"))
            .args(["quickstart", "--ingress", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--rate", "200", "--every", "200ms", "--data"])
            .arg(data)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        Running { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that holds a text.
    fn line_with(&mut self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no `{text}` in {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    let mut errors = String::new();
                    let _ = self.child.stderr.take().unwrap().read_to_string(&mut errors);
                    panic!("ended without `{text}`: {:#?}\n{errors}", self.seen);
                }
            }
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number in front of or behind a word: `1,234` as 1234.
fn number(text: &str) -> u64 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number in `{text}`"))
}

/// Visits that were answered, as the quickstart wrote them down.
fn answered(data: &Path) -> u64 {
    let book = std::fs::read_to_string(data.join("answered")).unwrap();
    book.lines().map(number).sum()
}

#[test]
fn what_was_answered_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut before = 0;
    for _ in 0..2 {
        let mut running = Running::start(&data, &[]);
        running.line_with("Pull the plug");
        running.line_with("calls answered");
        running.line_with("calls answered");
        running.kill();
        let now = answered(&data);
        assert!(now > before, "{now} visits after {before}");
        before = now;
    }

    let mut running = Running::start(&data, &["--for", "1s"]);
    let line = running.line_with("recovered");
    let recovered = number(line.split("visits").next().unwrap());
    assert!(recovered >= before, "{before} visits were answered: {line}");
    assert!(recovered <= before + 1, "{before} visits were answered, one was under way: {line}");
    running.line_with("the accounts hold 8,000 together");
    running.line_with("Stopped.");
    assert!(running.child.wait().unwrap().success());
    assert!(running.seen.iter().all(|line| !line.contains('\x1b')), "{:#?}", running.seen);
}

#[test]
fn a_taken_port_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let directory = tempfile::tempdir().unwrap();
    let ingress = format!("127.0.0.1:{port}");
    let output = Command::new(env!("CARGO_BIN_EXE_statera"))
        .args(["quickstart", "--admin", "127.0.0.1:0", "--for", "200ms", "--ingress", &ingress])
        .arg("--data")
        .arg(directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains(&format!("(port {port} is taken)")), "{text}");
}
