//! The function servers on the published SDKs.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::http::Client;

/// One of the published SDKs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// Python
    Python,
    /// JavaScript
    Js,
}

/// The folder of the repository.
///
/// # Panics
/// Never.
#[must_use]
pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).expect("the package lies in `tests/e2e`").to_owned()
}

/// The Python that has the SDK.
///
/// # Errors
/// Why it is not there.
pub fn python() -> Result<PathBuf, String> {
    installed("STATERA_PYTHON")
}

/// The `node_modules` that hold the SDK.
///
/// # Errors
/// Why they are not there.
pub fn node_modules() -> Result<PathBuf, String> {
    installed("STATERA_NODE_MODULES")
}

fn installed(variable: &str) -> Result<PathBuf, String> {
    let missing = || format!("`{variable}` is not set; `cargo xtask components` installs it");
    std::env::var_os(variable).map(PathBuf::from).ok_or_else(missing)
}

/// A function server. Killed when it is dropped.
#[derive(Debug)]
pub struct SdkServer {
    child: Child,
    address: SocketAddr,
    _stdout: BufReader<ChildStdout>,
}

impl SdkServer {
    /// Starts the server of an SDK with further arguments, and waits until it listens.
    ///
    /// # Errors
    /// Why the SDK is not there.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn start(sdk: Sdk, arguments: &[&str]) -> Result<SdkServer, String> {
        let servers = repository().join("tests/sdk");
        let mut command;
        match sdk {
            Sdk::Python => {
                command = Command::new(python()?);
                command.arg(servers.join("python/server.py"));
            }
            Sdk::Js => {
                command = Command::new("node");
                command.env("STATERA_NODE_MODULES", node_modules()?);
                command.arg(servers.join("js/server.js"));
            }
        }
        command.arg("0").arg("--until-stdin-closes").args(arguments);
        Ok(SdkServer::listening(command))
    }

    /// Starts a program that says where it listens and goes on until its standard input ends.
    pub(crate) fn listening(mut command: Command) -> SdkServer {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it says where it listens");
        let port = line.trim().strip_prefix("listening on ").and_then(|port| port.parse().ok());
        let port: u16 = port.unwrap_or_else(|| panic!("`{line}` instead of `listening on <port>`"));
        SdkServer { child, address: ([127, 0, 0, 1], port).into(), _stdout: stdout }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The value of `urlPathTemplate`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/statefun", self.address)
    }

    /// Changes settings of a function.
    ///
    /// # Panics
    /// If the server refuses it.
    pub fn set(&self, function: &str, settings: &Value) {
        let mut body = json!({ "function": function });
        for (name, value) in settings.as_object().expect("settings have names") {
            body[name] = value.clone();
        }
        drop(self.control("POST", "/control/set", &body));
    }

    /// Sets or clears a flag for `fail_while`.
    ///
    /// # Panics
    /// If the server refuses it.
    pub fn flag(&self, name: &str, on: bool) {
        drop(self.control("POST", "/control/flag", &json!({ "name": name, "on": on })));
    }

    /// The counters of a function.
    ///
    /// # Panics
    /// If the server does not answer.
    #[must_use]
    pub fn stats(&self, function: &str) -> Value {
        self.control("GET", "/control/stats", &Value::Null)[function].take()
    }

    /// Waits until a counter of a function is at least so high.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn wait(&self, function: &str, counter: &str, at_least: u64) {
        let path = format!(
            "/control/wait?function={function}&counter={counter}&at_least={at_least}&timeout_ms=30000"
        );
        drop(self.control("GET", &path, &Value::Null));
    }

    fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let headers = [("Content-Type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let response = Client::new(self.address).request(method, path, &headers, body.as_bytes());
        response.expect("the function server answers").expect(200).json()
    }
}

impl Drop for SdkServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
