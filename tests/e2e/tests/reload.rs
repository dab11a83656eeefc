//! The configuration changes while messages flow: nothing is lost, nothing doubled, and what is refused changes nothing.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fs::OpenOptions, sync::Arc};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use statera_e2e::{
    App, Client, FunctionServer, Functions, Page, Response, Statera, Target, egress_lines,
    eventually, within,
};

const TYPE: &str = "e2e/Json";

/// Addresses that the messages are for.
const ADDRESSES: u64 = 64;

/// Messages that are written every 10 ms: 10,000 a second.
const AT_ONCE: u64 = 100;

/// How long messages flow before and after each change.
const BETWEEN: Duration = Duration::from_secs(1);

fn counter() -> Functions {
    Functions::default().with("flow/counter", &["count"], |context, message| {
        if message["get"] == json!(true) {
            let count = context.number("count");
            return context.answer(count);
        }
        context.add("count", 1);
        context.emit("flow/out", &message["n"]);
        if message["audit"] == json!(true) {
            let id = context.id();
            context.send("audit/log", &id, message);
        }
    })
}

fn audit() -> Functions {
    Functions::default().with("audit/log", &["count"], |context, message| {
        context.add("count", 1);
        context.emit("audit/out", &message["n"]);
    })
}

fn module(counter: &FunctionServer) -> String {
    format!(
        "kind: io.statefun.endpoints.v2/http
spec:
  functions: flow/*
  urlPathTemplate: {}
---
kind: io.statera.v1/http-ingress
spec:
  id: flow/http
  address: 127.0.0.1:0
---
kind: io.statera.v1/file-ingress
spec:
  id: flow/in
  path: $DIR/in.jsonl
  follow: true
  records:
    - valueType: {TYPE}
      key: /key
      targets: [flow/counter]
---
kind: io.statera.v1/file-egress
spec:
  id: flow/out
  path: $DIR/out.jsonl
",
        counter.url()
    )
}

fn with_audit(module: &str, audit: &FunctionServer) -> String {
    format!(
        "{module}---
kind: io.statefun.endpoints.v2/http
spec:
  functions: audit/*
  urlPathTemplate: {}
---
kind: io.statera.v1/file-egress
spec:
  id: audit/out
  path: $DIR/audit.jsonl
",
        audit.url()
    )
}

/// Writes messages at a steady rate until it is told to stop.
struct Flow {
    audited_from: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Flow {
    fn start(path: &Path) -> Flow {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        let audited_from = Arc::new(AtomicU64::new(u64::MAX));
        let (written, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let shared = (audited_from.clone(), written.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let (audited_from, written, stop) = shared;
            let (start, mut next) = (Instant::now(), 0);
            for tick in 1.. {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let mut lines = String::new();
                let audited = audited_from.load(Ordering::SeqCst) <= next;
                for n in next..next + AT_ONCE {
                    let line =
                        json!({ "key": format!("k{}", n % ADDRESSES), "n": n, "audit": audited });
                    lines += &format!("{line}\n");
                }
                next += AT_ONCE;
                file.write_all(lines.as_bytes()).unwrap();
                written.store(next, Ordering::SeqCst);
                let due = start + Duration::from_millis(10) * tick;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            next
        });
        Flow { audited_from, written, stop, thread }
    }

    /// Lets messages flow for a while.
    fn goes_on(&self, out: &Path) {
        let (start, before) = (Instant::now(), self.written.load(Ordering::SeqCst));
        let (lines, most) = (lines(out), BETWEEN.as_secs() * 100 * AT_ONCE);
        within(Duration::from_secs(60), "messages to flow", || {
            let flown = self.written.load(Ordering::SeqCst) - before >= most;
            (flown && start.elapsed() >= BETWEEN && self::lines(out) > lines).then_some(())
        });
    }

    /// From a message on that is not written yet, and which is returned, all are audited.
    fn audit(&self) -> u64 {
        let from = self.written.load(Ordering::SeqCst) + 10 * AT_ONCE;
        self.audited_from.store(from, Ordering::SeqCst);
        from
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

fn reload(statera: &Statera) -> Response {
    let mut admin = Client::new(statera.admin().unwrap());
    admin.request("POST", "/v1/reload", &[], b"").unwrap()
}

/// Reloads as people do.
fn reload_by_command(statera: &Statera, flags: &[&str]) -> Output {
    let admin = format!("http://{}", statera.admin().unwrap());
    let mut command = Command::new(Statera::binary());
    command.arg("reload").args(flags).env("STATERA_ADMIN_URL", admin).output().unwrap()
}

/// Texts without regard to the width of columns.
fn squeezed<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn lines(path: &Path) -> usize {
    std::fs::read(path).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count()
}

/// The numbers in the output: each once.
fn numbers(path: &Path) -> BTreeSet<u64> {
    let lines = egress_lines(path);
    let numbers: BTreeSet<u64> = lines.iter().map(number).collect();
    assert_eq!(numbers.len(), lines.len(), "none is there twice");
    numbers
}

fn number(line: &Value) -> u64 {
    line["json"].as_u64().unwrap_or_else(|| panic!("no number: {line}"))
}

fn count(statera: &Statera, id: &str) -> u64 {
    let target = Target { function: "flow/counter", id };
    let mut client = statera.client("flow/http");
    let answer = client.call(target, TYPE, None, br#"{"get":true}"#).unwrap().expect(200);
    answer.json().as_u64().unwrap()
}

fn serve(functions: Functions) -> FunctionServer {
    FunctionServer::start(move |body| functions.react(body))
}

#[test]
fn nothing_is_lost_or_doubled_while_the_configuration_changes() {
    let (first, second, auditor) = (serve(counter()), serve(counter()), serve(audit()));
    let app = App::new(&module(&first));
    let (out, audited) = (app.path("out.jsonl"), app.path("audit.jsonl"));
    let mut statera = app.start();
    let flow = Flow::start(&app.path("in.jsonl"));
    let start = Instant::now();
    flow.goes_on(&out);

    // What is wrong is told all at once, and changes nothing.
    let wrong = module(&first).replace("follow: true", "follow: perhaps");
    app.write_module(&wrong.replace("127.0.0.1:0", "nowhere"));
    let refused = reload(&statera).expect(422).json();
    let detail = refused["detail"].as_str().unwrap();
    for named in ["perhaps", "nowhere", "module.yaml"] {
        assert!(detail.contains(named), "{detail}");
    }
    let output = reload_by_command(&statera, &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{said}");
    for named in ["perhaps", "nowhere", "module.yaml:"] {
        assert!(said.contains(named), "{said}");
    }
    let shards = "---\nkind: io.statera.v1/engine\nspec:\n  shards: 7\n";
    app.write_module(&(module(&first) + shards));
    let refused = reload(&statera).expect(422).json();
    assert!(refused["detail"].as_str().unwrap().contains("`shards`"), "{refused}");
    flow.goes_on(&out);

    // An endpoint, a function and an egress come.
    app.write_module(&with_audit(&module(&first), &auditor));
    let guide = Page::read("docs/guides/reload.md");
    assert_eq!(guide.lines("sh").collect::<Vec<_>>(), ["statera reload"]);
    let output = reload_by_command(&statera, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(squeezed(said.lines()), squeezed(guide.lines("text")));
    let audited_from = flow.audit();
    flow.goes_on(&out);

    // The functions move.
    app.write_module(&with_audit(&module(&second), &auditor));
    let output = reload_by_command(&statera, &["--json"]);
    let reloaded: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(reloaded["endpoints"]["changed"], json!(["flow/*"]));
    assert_eq!(reload(&statera).expect(200).json()["endpoints"]["changed"], json!([]));
    let asked = first.requests();
    flow.goes_on(&out);
    assert!(second.requests() > 0);
    // Those that were in flight ended where they were.
    assert!(first.requests() <= asked + ADDRESSES, "{} after {asked}", first.requests());

    // An ingress begins anew where it stopped.
    let module = with_audit(&module(&second), &auditor);
    let module = module.replace("follow: true", "follow: true\n  lineMaxBytes: 65536");
    app.write_module(&module);
    let reloaded = reload(&statera).expect(200).json();
    assert_eq!(reloaded["ingresses"]["changed"], json!(["flow/in"]), "{reloaded}");
    flow.goes_on(&out);

    let (sent, wrote) = (flow.end(), start.elapsed());
    let all = |path: &Path, expected: u64| {
        within(Duration::from_secs(120), "the last records", || {
            (lines(path) as u64 >= expected).then_some(())
        });
    };
    all(&out, sent);
    println!(
        "{sent} messages written in {:.1} s ({:.0}/s), all out {:.1} s after the start",
        wrote.as_secs_f64(),
        sent as f64 / wrote.as_secs_f64(),
        start.elapsed().as_secs_f64()
    );
    assert_eq!(numbers(&out), (0..sent).collect());
    let audited_from = audited_from.div_ceil(AT_ONCE) * AT_ONCE;
    all(&audited, sent - audited_from);
    assert_eq!(numbers(&audited), (audited_from..sent).collect());
    let counted: u64 = (0..ADDRESSES).map(|id| count(&statera, &format!("k{id}"))).sum();
    assert_eq!(counted, sent);

    // What is not needed any more goes, and what has no sink is refused by the functions' callers.
    app.write_module(&self::module(&second));
    kill_process(Pid::from_raw(statera.pid() as i32).unwrap(), Signal::HUP).unwrap();
    let mut admin = Client::new(statera.admin().unwrap());
    eventually("the endpoint to go", || {
        let status = admin.request("GET", "/v1/endpoints", &[], b"").unwrap().json();
        (status["endpoints"].as_array().unwrap().len() == 1).then_some(())
    });
    let target = Target { function: "audit/log", id: "a" };
    statera.client("flow/http").send(target, TYPE, None, b"{}").unwrap().expect(404);
    assert_eq!(statera.stop(), Some(0));

    // All that it has learned is on disk, too.
    let mut statera = app.start();
    let counted: u64 = (0..ADDRESSES).map(|id| count(&statera, &format!("k{id}"))).sum();
    assert_eq!(counted, sent);
    assert_eq!(numbers(&out).len() as u64, sent);
    assert_eq!(statera.stop(), Some(0));
}
