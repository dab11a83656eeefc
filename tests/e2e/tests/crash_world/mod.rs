//! The world of the crash test: functions, an engine that comes and goes, a load, and a book of what was acknowledged.

mod book;
mod load;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use book::Book;
pub(crate) use load::Load;
use statera_e2e::{App, Client, FunctionServer, Statera, Target, crash, dead_letters};

/// The typename of everything that is sent.
const TYPE: &str = "e2e/Json";

/// One of so many invocations is slow.
const SLOW_EVERY: u64 = 16;
const SLOW: Duration = Duration::from_millis(40);

/// What the threads of the load share.
pub(crate) struct Shared {
    /// Where the ingress listens, while it does.
    address: Mutex<Option<SocketAddr>>,
    /// The folder of the application.
    folder: std::path::PathBuf,
    /// Requests that were made again.
    pub(crate) repeats: AtomicU64,
}

/// Where the functions are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Host {
    Http,
    /// In the process that is killed.
    Linked,
}

pub(crate) struct World {
    /// Unless the functions are linked in.
    pub(crate) functions: Option<FunctionServer>,
    pub(crate) shared: Arc<Shared>,
    app: App,
    statera: Option<Statera>,
    /// How long each start took until it was ready.
    pub(crate) starts: Vec<Duration>,
}

impl World {
    pub(crate) fn start(host: Host) -> World {
        let functions = match host {
            Host::Http => Some(serve_functions()),
            Host::Linked => None,
        };
        let app = match &functions {
            Some(functions) => App::new(&format!("{}{MODULE}", endpoint(&functions.url()))),
            None => App::with_program(env!("CARGO_BIN_EXE_statera-e2e-linked"), MODULE),
        };
        std::fs::write(app.path("lines.jsonl"), "").unwrap();
        let shared = Arc::new(Shared {
            address: Mutex::new(None),
            folder: app.path(""),
            repeats: AtomicU64::new(0),
        });
        World { functions, shared, app, statera: None, starts: Vec::new() }
    }

    /// Starts the engine with so many shards, if it is not running.
    pub(crate) fn restart(&mut self, shards: u64) {
        if self.statera.is_none() {
            self.app.set_arguments(&["--set", &format!("shards={shards}")]);
            let (statera, took) = Statera::time_to_ready(|| self.app.spawn());
            self.starts.push(took);
            *self.shared.address.lock().unwrap() = Some(statera.address("crash/in"));
            self.statera = Some(statera);
        }
    }

    pub(crate) fn kill_while_starting(&mut self, shards: u64, life: Duration) {
        self.app.set_arguments(&["--set", &format!("shards={shards}")]);
        let mut statera = self.app.spawn();
        std::thread::sleep(life);
        statera.kill();
    }

    pub(crate) fn kill(&mut self) {
        *self.shared.address.lock().unwrap() = None;
        let mut statera = self.statera.take().expect("it was started");
        if !statera.is_running() {
            let (status, log) = statera.wait_for_end();
            panic!("it ended by itself with {status}: {log}");
        }
        statera.kill();
        no_panic(&statera);
    }

    /// Asks it to stop, and kills it if it takes longer than this.
    pub(crate) fn stop_or_kill(&mut self, patience: Duration) {
        *self.shared.address.lock().unwrap() = None;
        let mut statera = self.statera.take().expect("it was started");
        statera.terminate();
        std::thread::sleep(patience);
        if !statera.is_running() {
            let (status, log) = statera.wait_for_end();
            assert!(status.success(), "{status}: {log}");
        }
        statera.kill();
        no_panic(&statera);
    }

    /// Nothing was given up.
    pub(crate) fn check_dead_letters(&self) {
        let statera = self.statera.as_ref().expect("it was started");
        let letters = dead_letters(statera.admin().expect("the admin API listens"));
        assert!(letters.is_empty(), "{letters:?}");
    }

    /// Kills and starts again.
    pub(crate) fn crash(&mut self, shards: u64) {
        self.kill();
        self.restart(shards);
    }
}

fn serve_functions() -> FunctionServer {
    let (all, served) = (crash::functions(), AtomicU64::new(0));
    FunctionServer::start(move |body| {
        // So that messages pile up behind it, and a kill finds invocations in flight.
        if served.fetch_add(1, Ordering::Relaxed).is_multiple_of(SLOW_EVERY) {
            std::thread::sleep(SLOW);
        }
        all.react(body)
    })
}

fn no_panic(statera: &Statera) {
    let wrong = statera.log().into_iter().find(|line| line.contains("panicked"));
    assert_eq!(wrong, None);
}

impl Shared {
    /// A client of the engine as it runs now; `None` while it does not.
    fn client(&self) -> Option<Client> {
        self.address.lock().unwrap().map(Client::new)
    }

    /// Asks a function of the namespace for something until it answers.
    fn ask(&self, function: &str, id: &str, question: &serde_json::Value) -> serde_json::Value {
        let function = format!("crash/{function}");
        let target = Target { function: &function, id };
        let body = question.to_string();
        statera_e2e::eventually(format!("an answer of {function}/{id}"), || {
            let response = self.client()?.call(target, TYPE, None, body.as_bytes()).ok()?;
            (response.status == 200).then(|| response.json())
        })
    }
}

fn endpoint(url: &str) -> String {
    format!(
        "kind: io.statefun.endpoints.v2/http
spec:
  functions: crash/*
  urlPathTemplate: {url}
  transport:
    type: io.statefun.transports.v1/async
    pool_size: 16
---
"
    )
}

const MODULE: &str = "kind: io.statera.v1/http-ingress
spec:
  id: crash/in
  address: 127.0.0.1:0
---
kind: io.statera.v1/file-ingress
spec:
  id: crash/lines
  path: $DIR/lines.jsonl
  follow: true
  records:
    - valueType: e2e/Json
      key: /key
      targets: [crash/line]
---
kind: io.statera.v1/file-egress
spec:
  id: crash/out
  path: $DIR/out.jsonl
---
kind: io.statera.v1/engine
spec:
  failures:
    backoffMax: 100ms
  # Little, so that state is flushed, forgotten and read again, and the log cut.
  memory:
    stateBytes: 64KiB
    unflushedBytes: 256KiB
";
