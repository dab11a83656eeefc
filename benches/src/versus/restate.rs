//! Restate: one server with its own defaults, and our service for it in a process of its own.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::peer::Peer;
use super::system::{System, Work};
use crate::Common;
use crate::load::Ask;
use crate::process::Owned;

const START_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(2);

/// After a restart some partitions answer later than others, and until then the query fails.
const CHECK_MAX: Duration = Duration::from_secs(30);
const CHECK_PAUSE: Duration = Duration::from_millis(200);

/// The largest answer of the admin API that is read.
const ANSWER_BYTES_MAX: usize = 256 << 20;

const COUNTS: &str = "SELECT service_key, value_utf8 FROM state WHERE service_name = 'Counter'";

pub(crate) struct Restate {
    // In this order they end: the data directory is removed when nobody writes to it any more.
    server: Option<Owned>,
    service: Owned,
    command: Command,
    ports: Ports,
    start_up: Duration,
    _directory: TempDir,
}

struct Ports {
    ingress: SocketAddr,
    admin: SocketAddr,
    /// Between the nodes of a cluster, and within one.
    node: SocketAddr,
}

impl Restate {
    /// `setting` is a line of its configuration, or empty.
    pub(crate) async fn start(
        peer: &Peer,
        common: &Common,
        setting: &str,
    ) -> anyhow::Result<Restate> {
        let directory = tempfile::tempdir_in(&common.dir)
            .with_context(|| format!("cannot make a directory in `{}`", common.dir.display()))?;
        let ports = Ports::free()?;
        let configuration = configuration(&ports, setting, &peer.settings);
        fs::write(directory.path().join("restate.toml"), configuration)?;
        let (service, address) = start_service(peer)?;
        let mut command = server_command(peer, &directory)?;

        let started = Instant::now();
        let server = spawn(&mut command)?;
        let mut restate = Restate {
            server: Some(server),
            service,
            command,
            ports,
            start_up: Duration::ZERO,
            _directory: directory,
        };
        restate.wait_until_ready(started).await?;
        restate.start_up = started.elapsed();
        let deployment = json!({ "uri": format!("http://{address}") });
        request(restate.ports.admin, Method::POST, "/deployments", &deployment)
            .await
            .context("cannot register the service")?;
        Ok(restate)
    }

    /// Both its APIs say that it is healthy.
    async fn wait_until_ready(&mut self, started: Instant) -> anyhow::Result<()> {
        for (address, path) in
            [(self.ports.admin, "/health"), (self.ports.ingress, "/restate/health")]
        {
            while let Err(error) = request(address, Method::GET, path, &Value::Null).await {
                let server = self.server.as_mut().expect("it was started");
                if let Some(status) = server.0.try_wait()? {
                    bail!("the Restate server ended with {status}: {}", self.last_words());
                }
                if started.elapsed() > START_MAX {
                    return Err(error.context("the Restate server does not get ready"));
                }
                sleep(POLL).await;
            }
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self._directory.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    async fn compare(&self, acknowledged: &[u32]) -> anyhow::Result<()> {
        let query = json!({ "query": COUNTS });
        let answer = request(self.ports.admin, Method::POST, "/query", &query).await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        let rows = answer["rows"].as_array().context("no rows")?;
        let count = |row: &Value| -> Option<(String, u32)> {
            let id = row["service_key"].as_str()?.to_owned();
            Some((id, row["value_utf8"].as_str()?.parse().ok()?))
        };
        let counts: HashMap<_, _> = rows.iter().filter_map(count).collect();
        for (id, expected) in acknowledged.iter().enumerate() {
            let found = counts.get(&format!("k{id}")).copied().unwrap_or_default();
            ensure!(found == *expected, "k{id} counts {found}, and {expected} were acknowledged");
        }
        Ok(())
    }
}

impl System for Restate {
    fn ask(work: Work) -> Ask {
        let object = match work {
            Work::Counter => "Counter",
            Work::Forward => "Forward",
        };
        Ask { before: format!("/{object}/"), after: "/add", subtype: "json".to_owned(), body: "1" }
    }

    fn ingress(&self) -> SocketAddr {
        self.ports.ingress
    }

    fn start_up(&self) -> Duration {
        self.start_up
    }

    fn server(&self) -> u32 {
        self.server.as_ref().expect("it is away only while it is being restarted").0.id()
    }

    fn functions(&self) -> Option<u32> {
        Some(self.service.0.id())
    }

    fn kill_and_start(&mut self) -> anyhow::Result<()> {
        // Dropping it kills it.
        self.server = None;
        self.server = Some(spawn(&mut self.command)?);
        Ok(())
    }

    async fn check(&self, acknowledged: &[u32]) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            match self.compare(acknowledged).await {
                Ok(()) => return Ok(()),
                Err(error) if started.elapsed() > CHECK_MAX => return Err(error),
                Err(_) => sleep(CHECK_PAUSE).await,
            }
        }
    }
}

impl Ports {
    fn free() -> anyhow::Result<Ports> {
        // They are free a moment later too, or the start fails and says so.
        let bind = || TcpListener::bind("127.0.0.1:0");
        let (ingress, admin, node) = (bind()?, bind()?, bind()?);
        Ok(Ports {
            ingress: ingress.local_addr()?,
            admin: admin.local_addr()?,
            node: node.local_addr()?,
        })
    }
}

/// Where it listens, and no telemetry; the rest are its defaults.
fn configuration(ports: &Ports, setting: &str, more: &[String]) -> String {
    let Ports { ingress, admin, node } = ports;
    format!(
        "node-name = \"bench\"\n\
         bind-address = \"{node}\"\n\
         advertised-address = \"http://{node}/\"\n\
         ingress.bind-address = \"{ingress}\"\n\
         admin.bind-address = \"{admin}\"\n\
         disable-telemetry = true\n\
         {setting}\n\
         {}\n",
        more.join("\n")
    )
}

fn server_command(peer: &Peer, directory: &TempDir) -> anyhow::Result<Command> {
    let server = fs::canonicalize(&peer.server)?;
    let mut command = Command::new(server);
    command
        .args(["--no-logo", "--config-file", "restate.toml", "--base-dir", "data"])
        .current_dir(directory.path())
        .env("DO_NOT_TRACK", "1");
    // They would count as settings.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RESTATE_") {
            command.env_remove(name);
        }
    }
    let log = File::create(directory.path().join("log"))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(command)
}

fn spawn(command: &mut Command) -> anyhow::Result<Owned> {
    Ok(Owned(command.spawn().context("cannot start the Restate server")?))
}

fn start_service(peer: &Peer) -> anyhow::Result<(Owned, SocketAddr)> {
    let mut command = Command::new(&peer.service);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = Owned(command.spawn().context("cannot start the service for Restate")?);
    let mut line = String::new();
    let stdout = child.0.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line)?;
    let address = line.trim().parse().context("the service did not say where it is")?;
    Ok((child, address))
}

/// One request on a connection of its own; answers may be chunked, which our own client does not read.
async fn request(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: &Value,
) -> anyhow::Result<Bytes> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, address.to_string())
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("{path}: {error}"))?.to_bytes();
    ensure!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&body).trim());
    Ok(body)
}
