//! The process itself: how it starts, idles and stops, and what it says about wrong configurations.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use statera_e2e::{App, FunctionServer, Reaction, Statera, Target, counting, eventually, within};

const TYPE: &str = "e2e/Json";

fn call(statera: &Statera, id: &str) -> serde_json::Value {
    let target = Target { function: "process/counter", id };
    statera.client("process/in").call(target, TYPE, None, b"{}").unwrap().expect(200).json()
}

#[test]
fn an_empty_directory_is_ready_at_once() {
    let app = App::new(&counting::module("http://127.0.0.1:1/"));
    let (mut statera, took) = Statera::time_to_ready(|| app.spawn());
    println!("ready on an empty directory after {} ms", took.as_millis());
    assert_eq!(statera.stop(), Some(0));
    let (_statera, took) = Statera::time_to_ready(|| app.spawn());
    println!("ready again after {} ms", took.as_millis());
}

#[test]
fn a_termination_lets_everybody_finish() {
    let slow = counting::functions();
    let functions = FunctionServer::start(move |body| {
        std::thread::sleep(Duration::from_millis(300));
        slow.react(body)
    });
    let app = App::new(&counting::module(&functions.url()));
    let mut statera = app.start();
    let address = statera.address("process/in");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| call(&statera, "a"));
        eventually("the invocation", || (functions.requests() > 0).then_some(()));
        statera.terminate();
        assert_eq!(waiting.join().unwrap(), 1, "the call is still answered");
    });
    let start = Instant::now();
    let (status, log) = statera.wait_for_end();
    assert_eq!(status.code(), Some(0), "{log}");
    println!("stopped {} ms after the last answer", start.elapsed().as_millis());
    assert!(std::net::TcpStream::connect(address).is_err());
    // What the function emitted has left before the end.
    assert_eq!(statera_e2e::egress_lines(&app.path("out.jsonl")).len(), 1);
    let mut statera = app.start();
    assert_eq!(call(&statera, "a"), 2);
    assert_eq!(statera.stop(), Some(0));
}

#[test]
fn a_termination_does_not_wait_for_functions_that_are_gone() {
    let functions = FunctionServer::start(|_| Reaction::Status(503, "gone".to_owned()));
    let app = App::new(&counting::module(&functions.url()));
    let mut statera = app.start();
    let target = Target { function: "process/counter", id: "a" };
    statera.client("process/in").send(target, TYPE, None, b"{}").unwrap().expect(202);
    eventually("an attempt", || (functions.requests() > 0).then_some(()));
    let start = Instant::now();
    assert_eq!(statera.stop(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    // It is not lost.
    let requests = functions.requests();
    let _statera = app.start();
    eventually("another attempt", || (functions.requests() > requests).then_some(()));
}

fn run(command: &str, app: &App) -> Output {
    let mut program = Command::new(Statera::binary());
    program.arg(command).arg("-f").arg(app.path("module.yaml"));
    if command == "run" {
        program.arg("--data").arg(app.data());
    }
    program.output().unwrap()
}

#[test]
fn all_errors_of_a_module_are_told_at_once() {
    let wrong = "kind: io.statefun.endpoints.v2/http
spec:
  functions: nonsense
  urlPathTemplate: http://127.0.0.1:1/
---
kind: io.statera.v1/http-ingress
spec:
  id: process/in
  adress: 127.0.0.1:0
---
kind: io.statera.v1/engine
spec:
  shards: many
";
    let app = App::new(wrong);
    for command in ["validate", "run"] {
        let output = run(command, &app);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        for (what, place) in [("nonsense", ":3:"), ("adress", ":9:"), ("many", ":13:")] {
            assert!(said.contains(what), "`{what}` in {said}");
            assert!(said.contains(&format!("module.yaml{place}")), "`{place}` in {said}");
        }
    }
    assert!(!app.data().exists(), "nothing was begun");
}

#[test]
fn a_right_module_is_valid() {
    let app = App::new(&counting::module("http://127.0.0.1:1/"));
    let output = run("validate", &app);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("ok"), "{said}");
    std::fs::remove_file(app.path("module.yaml")).unwrap();
    for command in ["validate", "run"] {
        let output = run(command, &app);
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("module.yaml"), "{said}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let app = App::new(&counting::module("http://127.0.0.1:1/").replace("127.0.0.1:0", &address));
    let (status, log) = app.spawn().wait_for_end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains(&address) && log.contains("in use"), "{log}");
}

/// How long nothing may happen.
const IDLE: Duration = Duration::from_secs(3);

#[test]
fn an_idle_engine_writes_nothing() {
    let all = counting::functions();
    let functions = FunctionServer::start(move |body| all.react(body));
    let app = App::new(&counting::module(&functions.url()));
    let statera = app.start();
    for id in 0..50 {
        assert_eq!(call(&statera, &format!("id{id}")), 1);
    }
    let start = Instant::now();
    let ticks = within(Duration::from_secs(60), "silence", || {
        let (written, ticks) = (bytes_written(&statera), cpu_ticks(&statera));
        std::thread::sleep(IDLE);
        (bytes_written(&statera) == written).then(|| cpu_ticks(&statera) - ticks)
    });
    println!(
        "idle: silent {} ms after the last call; {} CPU ms in {} s; {}",
        (start.elapsed() - IDLE).as_millis(),
        // USER_HZ is 100.
        ticks * 10,
        IDLE.as_secs(),
        resident(&statera)
    );
    assert!(ticks <= 10, "{ticks} ticks of 10 ms in {IDLE:?}");
}

fn proc(statera: &Statera, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{}/{file}", statera.pid())).unwrap()
}

fn bytes_written(statera: &Statera) -> u64 {
    let io = proc(statera, "io");
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap();
    line.parse().unwrap()
}

/// User and system time in units of 1/100 s.
fn cpu_ticks(statera: &Statera) -> u64 {
    let stat = proc(statera, "stat");
    // Behind the name in parentheses, which may hold anything.
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap()..].split(' ').collect();
    [12, 13].iter().map(|index| fields[*index].parse::<u64>().unwrap()).sum()
}

fn resident(statera: &Statera) -> String {
    let status = proc(statera, "status");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
