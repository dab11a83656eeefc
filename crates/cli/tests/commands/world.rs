//! A running engine, the functions it calls, and commands given to it: all as processes of their own, but the functions.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use statera_model::{
    Address, Delayed, Expiration, Mutation, Name, Outcome, Outgoing, Reply, StateChange, StateSpec,
};
use statera_protocol::{OwnedRequest, decode_request, encode_reply, types};

/// How long anything may take on a machine that is busy with something else.
const DEADLINE: Duration = Duration::from_secs(60);

/// Tries until something is there.
pub(crate) fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        std::thread::yield_now();
    }
}

/// An engine that is killed at the end of its test.
pub(crate) struct World {
    child: Child,
    pub(crate) admin: SocketAddr,
    pub(crate) folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl World {
    pub(crate) fn start() -> World {
        World::start_with(&[], &[])
    }

    /// With further arguments of `statera run`, and variables for the commands.
    pub(crate) fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> World {
        let folder = tempfile::tempdir().unwrap();
        let functions = serve(functions);
        let module = MODULE.replace("FUNCTIONS", &functions.to_string());
        std::fs::write(folder.path().join("module.yaml"), module).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_statera"))
            .current_dir(folder.path())
            .args(["run", "--admin", "127.0.0.1:0", "--log-format", "json", "--log", "info"])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (mut admin, mut ingress, mut said) = (None, None, Vec::new());
        loop {
            let Some(Ok(line)) = lines.next() else { panic!("not ready: {said:#?}") };
            let entry: Json = serde_json::from_str(&line).unwrap_or_default();
            let message = entry["message"].as_str().unwrap_or_default().to_owned();
            let address = message.split("://").nth(1).and_then(|text| text.parse().ok());
            match entry["id"].as_str() {
                Some("admin") => admin = address,
                Some("example/in") => ingress = address,
                _ => {}
            }
            said.push(line);
            if message == "ready" {
                break;
            }
        }
        // It must be able to go on logging.
        std::thread::spawn(move || lines.for_each(drop));
        let (admin, ingress) = (admin.expect("an admin address"), ingress.expect("an ingress"));
        let mut variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let default = [
            ("STATERA_ADMIN_URL", format!("http://{admin}")),
            ("STATERA_INGRESS_URL", format!("http://{ingress}")),
        ];
        for (name, value) in default {
            if variables.iter().all(|(given, _)| given != name) {
                variables.push((name.to_owned(), value));
            }
        }
        World { child, admin, folder, variables }
    }

    /// A command, its arguments between blanks.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = statera(&arguments.split(' ').collect::<Vec<_>>());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn run(&self, arguments: &str) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// What a command writes for programs.
    pub(crate) fn json(&self, arguments: &str) -> Json {
        let ran = self.run(&format!("{arguments} --json"));
        assert_eq!(ran.code, 0, "{arguments}: {ran:?}");
        serde_json::from_str(&ran.out).unwrap()
    }

    /// What the API itself answers.
    pub(crate) fn get(&self, path: &str) -> Json {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// Sends a JSON message, and waits until it was processed, or given up.
    pub(crate) fn send(&self, address: &str, json: &str) {
        let ran = self.run(&format!("send {address} --type example/Item --json {json}"));
        assert_eq!(ran.code, 0, "{ran:?}");
        eventually(address, || {
            let instance = self.json(&format!("instances {address}"));
            let ended = ["idle", "paused"].contains(&instance["phase"].as_str().unwrap());
            ended.then_some(())
        });
    }

    /// The dead letters, once there are so many.
    pub(crate) fn letters(&self, count: usize) -> Vec<Json> {
        eventually("dead letters", || {
            let letters = self.json("deadletter list")["deadLetters"].as_array().unwrap().clone();
            (letters.len() == count).then_some(letters)
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, with nothing in its environment that changes what it writes.
pub(crate) fn statera(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_statera"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let is_ours = name.to_str().is_some_and(|name| name.starts_with("STATERA_"));
        if is_ours || ["VISUAL", "EDITOR", "NO_COLOR"].iter().any(|other| name == *other) {
            command.env_remove(name);
        }
    }
    command
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) notes: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let code = output.status.code().expect("it was not killed");
        Ran { code, out: text(output.stdout), notes: text(output.stderr) }
    }

    /// For snapshots: what it wrote, and how it ended, without what differs from run to run.
    pub(crate) fn shown(&self) -> String {
        let notes: String = self.notes.lines().map(|line| format!("note: {line}\n")).collect();
        let end = if self.code == 0 { String::new() } else { format!("exit {}\n", self.code) };
        masked(&format!("{}{notes}{end}", self.out))
    }
}

/// Words with one blank between them, and stand-ins for times, ids, ports, durations and sizes.
fn masked(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let mut words: Vec<String> = line.split_whitespace().map(masked_word).collect();
        for index in (1..words.len()).rev() {
            let unit = words[index].trim_end_matches([',', ')']).to_owned();
            let is_number = words[index - 1].trim_start_matches('(').parse::<f64>().is_ok();
            if is_number && ["ms", "s", "B", "KiB", "MiB"].contains(&unit.as_str()) {
                let rest = words.remove(index)[unit.len()..].to_owned();
                let open = if words[index - 1].starts_with('(') { "(" } else { "" };
                words[index - 1] = format!("{open}<some {unit}>{rest}");
            }
        }
        out += &" ".repeat(indent);
        out += &words.join(" ");
        out.push('\n');
    }
    out
}

fn masked_word(word: &str) -> String {
    let bare = word.trim_end_matches([':', ',', ';', ')', '`']).trim_start_matches(['(', '`']);
    let is_time = bare.len() == 24 && bare.ends_with('Z') && bare.as_bytes()[10] == b'T';
    let is_letter = bare.split_once('-').is_some_and(|(group, number)| {
        group.parse::<u16>().is_ok() && number.len() == 13 && number.parse::<u64>().is_ok()
    });
    if is_time {
        return word.replace(bare, "<time>");
    }
    if is_letter {
        return word.replace(bare, "<letter>");
    }
    let Some((before, after)) = word.split_once("127.0.0.1:") else { return word.to_owned() };
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}127.0.0.1:<port>{rest}")
}

/// A file in a folder.
pub(crate) fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

const MODULE: &str = "
kind: io.statefun.endpoints.v2/http
spec:
  functions: example/*
  urlPathTemplate: http://FUNCTIONS/{function.name}
---
kind: io.statera.v1/http-ingress
spec:
  id: example/in
  address: 127.0.0.1:0
---
kind: io.statera.v1/stdout-egress
spec:
  id: example/out
---
kind: io.statera.v1/engine
spec:
  shards: 2
  durability: none
";

/// What a function server answers: a status and a body.
pub(crate) type Answer = (u16, Vec<u8>);

/// Serves functions until the test ends, one request on a connection.
pub(crate) fn serve(answer: impl Fn(OwnedRequest) -> Answer + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A connection that breaks is the engine's business.
            let _ = exchange(stream, &answer);
        }
    });
    address
}

fn exchange(stream: TcpStream, answer: &impl Fn(OwnedRequest) -> Answer) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let (status, body) = answer(decode_request(body.into()).unwrap());
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/octet-stream\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.get_mut().write_all(head.as_bytes())?;
    stream.get_mut().write_all(&body)
}

/// The functions of the engine: `cart` counts items and refuses those that are `{"bad":…}`; `relay` sends on, now and
/// later, and emits; `echo` answers.
pub(crate) fn functions(request: OwnedRequest) -> Answer {
    let is_bad =
        request.invocations.iter().any(|message| message.argument.value().starts_with(b"{\"bad\""));
    let outcome = match request.target.function.name() {
        "cart" if is_bad => return (422, b"this item can't be sold".to_vec()),
        "cart" => count(&request),
        "relay" => relay(&request),
        _ => echo(&request),
    };
    (200, encode_reply(&outcome))
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(crate) fn count(request: &OwnedRequest) -> Outcome {
    let Some(seen) = request.states.iter().find(|state| &*state.name == "seen") else {
        let spec = StateSpec {
            name: "seen".into(),
            typename: types::INT.into(),
            expiration: Expiration::Never,
        };
        return Outcome::Incomplete(vec![spec]);
    };
    let seen = seen.value.as_ref().map_or(0, |value| types::decode::<i32>(value).unwrap());
    let change = StateChange::Modify(types::encode(seen + request.invocations.len() as i32));
    let mutations = vec![Mutation { state: "seen".into(), change }];
    Outcome::Complete(Reply { mutations, ..Reply::default() })
}

pub(crate) fn relay(request: &OwnedRequest) -> Outcome {
    let mut reply = Reply::default();
    for message in &request.invocations {
        let target = Address::new(name("example/cart"), request.target.id.clone());
        let message = Outgoing { target, argument: message.argument.clone() };
        let argument = message.argument.clone();
        reply.delayed.push(Delayed::Send {
            delay_ms: 3_600_000,
            message: message.clone(),
            token: Some("later".into()),
        });
        reply.egress.push(statera_model::Egress { egress: name("example/out"), argument });
        reply.messages.push(message);
    }
    Outcome::Complete(reply)
}

fn echo(request: &OwnedRequest) -> Outcome {
    let answers = request.invocations.iter().filter_map(|message| {
        let target = message.caller.clone()?;
        Some(Outgoing { target, argument: message.argument.clone() })
    });
    Outcome::Complete(Reply { messages: answers.collect(), ..Reply::default() })
}
