//! A program that is Statera and the functions in one (`src/linked.rs`), as its users meet it. How it crashes is in
//! `crash.rs`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use statera_e2e::{
    App, Client, DeadLetter, Page, Response, Statera, Target, dead_letters, egress_lines,
    eventually, within, words,
};
use statera_sdk::Value as _;

const LINKED: &str = env!("CARGO_BIN_EXE_statera-e2e-linked");
const LONG: &str = "io.statefun.types/long";
const TEXT: &str = "io.statefun.types/string";

const MODULE: &str = "
kind: io.statera.v1/http-ingress
spec:
  id: linked/in
  address: 127.0.0.1:0
---
kind: io.statera.v1/file-egress
spec:
  id: crash/out
  path: $DIR/out.jsonl
---
kind: io.statera.v1/engine
spec:
  shards: 2
  failures: { backoffMax: 100ms, budget: 2s }
";

fn app() -> App {
    App::with_program(LINKED, MODULE)
}

fn long(number: i64) -> Vec<u8> {
    number.to_typed_value().unwrap().value().to_vec()
}

fn call(client: &mut Client, function: &str, id: &str, number: i64) -> Response {
    client.call(Target { function, id }, LONG, None, &long(number)).unwrap()
}

/// The answer of a function that counts.
fn count(client: &mut Client, function: &str, id: &str, number: i64) -> i64 {
    let response = call(client, function, id, number).expect(200);
    let typename = format!("application/vnd.{LONG}");
    assert_eq!(response.header("content-type"), Some(typename.as_str()));
    i64::decode(&response.body).unwrap()
}

/// Runs the program in an empty folder until it ends.
fn run_in(folder: &App, variables: &[(&str, &str)], arguments: &[&str]) -> (Output, String) {
    let mut command = Command::new(LINKED);
    command.args(arguments).current_dir(folder.path("")).envs(variables.iter().copied());
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, errors)
}

#[test]
fn calls_are_answered_and_answers_are_kept() {
    let app = app();
    let mut statera = app.start();
    for (number, expected) in [(1, 1), (2, 3), (0, 3)] {
        assert_eq!(
            count(&mut statera.client("linked/in"), "linked/counter", "a", number),
            expected
        );
    }
    assert_eq!(count(&mut statera.client("linked/in"), "linked/counter", "b", 7), 7);
    statera.kill();
    let mut statera = app.start();
    assert_eq!(count(&mut statera.client("linked/in"), "linked/counter", "a", 1), 4);
    assert_eq!(statera.stop(), Some(0));
}

#[test]
fn records_leave_in_order() {
    let app = app();
    let statera = app.start();
    let target = Target { function: "crash/emitter", id: "a" };
    let mut client = statera.client("linked/in");
    client.call(target, "e2e/Json", None, br#"{"emit": 3}"#).unwrap().expect(200);
    let records = eventually("three records", || {
        Some(egress_lines(&app.path("out.jsonl"))).filter(|lines| lines.len() == 3)
    });
    let sequence: Vec<_> = records.iter().map(|record| record["json"]["seq"].as_u64()).collect();
    assert_eq!(sequence, [Some(1), Some(2), Some(3)]);
}

#[test]
fn the_help_and_validate_name_the_functions() {
    let app = app();
    let (output, _) = run_in(&app, &[], &["--help"]);
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(help.contains("Usage: statera-e2e-linked [COMMAND]"), "{help}");
    assert!(help.contains("\n  linked/asker\n  linked/counter\n  linked/fragile\n"), "{help}");
    let (output, errors) = run_in(&app, &[], &["validate"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    assert!(said.starts_with("ok: 13 functions (crash/account, "), "{said}");
    assert!(said.ends_with("linked/strict), 0 endpoints, 1 ingress, 1 egress\n"), "{said}");
}

#[test]
fn without_a_module_and_a_command_calls_come_in_by_http() {
    let folder = app();
    std::fs::remove_file(folder.path("module.yaml")).unwrap();
    let mut statera = start_in(&folder.path(""), LINKED);
    assert_eq!(count(&mut statera.client("statera/http"), "linked/counter", "a", 1), 1);
    assert_eq!(statera.stop(), Some(0));
    let (output, errors) = run_in(&folder, &[], &["validate"]);
    assert!(output.status.success(), "{errors}");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("1 ingress, 0 egresses\n"));
    // A file that was asked for must be there.
    let (output, errors) = run_in(&folder, &[], &["run", "-f", "other.yaml"]);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("other.yaml"), "{errors}");
}

#[test]
fn the_first_program_of_the_sdk_does_what_its_readme_says() {
    let page = Page::read("crates/sdk/README.md");
    let program = page.blocks("statera-sdk", "rust,no_run").remove(0).lines;
    assert_eq!(program, include_str!("../src/counter.rs").lines().collect::<Vec<_>>());
    let shell = page.blocks("statera-sdk", "sh").remove(0).lines;
    let [start, curl] = &shell[..] else { panic!("{shell:#?}") };
    assert_eq!(start, "cargo run &");
    let curl = words(curl);
    let curl: Vec<&str> = curl.iter().map(String::as_str).collect();
    let ["curl", "-X", method, "-H", header, "-d", body, url] = &curl[..] else {
        panic!("{curl:?}")
    };
    let path = url.strip_prefix("http://127.0.0.1:8080").expect("the address that is built in");

    let folder = tempfile::tempdir().unwrap();
    let statera = start_in(folder.path(), env!("CARGO_BIN_EXE_statera-e2e-counter"));
    for seen in 1..=3 {
        let mut client = statera.client("statera/http");
        let header = header.split_once(": ").unwrap();
        let response = client.request(method, path, &[header], body.as_bytes()).unwrap();
        assert_eq!(i32::decode(&response.expect(200).body).unwrap(), seen);
    }
}

/// Runs a program as it is, in a folder; only ports are free ones.
fn start_in(folder: &Path, program: &str) -> Statera {
    let mut command = Command::new(program);
    command.current_dir(folder).env("STATERA_ADMIN", "127.0.0.1:0");
    command.env("STATERA_INGRESS", "127.0.0.1:0").env("STATERA_LOG_FORMAT", "json");
    let mut statera = Statera::from_command(command);
    statera.wait_until_ready();
    statera
}

#[test]
fn a_taken_port_without_a_module_is_explained() {
    let folder = app();
    std::fs::remove_file(folder.path("module.yaml")).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let variables = [("STATERA_INGRESS", address.as_str()), ("STATERA_ADMIN", "127.0.0.1:0")];
    let (output, errors) = run_in(&folder, &variables, &[]);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let told =
        format!("error[ST1005]: cannot listen on `{address}` for messages: the address is in use");
    assert!(errors.contains(&told), "{errors}");
    assert!(errors.contains("STATERA_INGRESS=") && errors.contains("`module.yaml`"), "{errors}");
}

#[test]
fn an_endpoint_for_a_linked_function_is_warned_of_and_not_asked() {
    let app = app();
    let endpoint = |functions: &str| {
        let url = "http://127.0.0.1:1/";
        let kind = "io.statefun.endpoints.v2/http";
        format!("---\nkind: {kind}\nspec: {{ functions: {functions}, urlPathTemplate: '{url}' }}\n")
    };
    app.write_module(&format!("{MODULE}{}{}", endpoint("linked/counter"), endpoint("crash/*")));
    let (output, errors) = run_in(&app, &[], &["validate"]);
    assert!(output.status.success(), "{errors}");
    let warned = |errors: &str| {
        let exact = "`linked/counter` is linked into this program, so the endpoint is never asked";
        errors.contains(&format!("warning: {exact}"))
            && errors
                .contains("are linked into this program, so the endpoint is asked for the others")
            && errors.contains("module.yaml:18:")
    };
    assert!(warned(&errors), "{errors}");
    let statera = app.start();
    let log = statera.log().join("\n");
    assert!(warned(&log), "{log}");
    assert_eq!(count(&mut statera.client("linked/in"), "linked/counter", "a", 1), 1);
}

#[test]
fn a_message_that_is_refused_becomes_a_dead_letter_at_once() {
    let mut app = app();
    let mut statera = app.start();
    let mut client = statera.client("linked/in");
    assert_eq!(count(&mut client, "linked/strict", "a", 5), 5);
    let refused = call(&mut client, "linked/strict", "a", -1).expect(502);
    assert!(refused.text().contains("-1 is too little"), "{}", refused.text());
    let letter = only_letter(&statera);
    check_letter(&letter, "linked/strict/a", 5, -1, "-1 is too little");
    assert_eq!(count(&mut client, "linked/strict", "a", 1), 6, "the others go on");
    repair(&mut app, &mut statera);
    redrive(&statera, &letter);
    counts_up_to(&statera, "linked/strict", "a", 5);
}

#[test]
fn a_panic_is_tried_again_and_becomes_a_dead_letter() {
    let mut app = app();
    let mut statera = app.start();
    let mut client = statera.client("linked/in");
    assert_eq!(count(&mut client, "linked/fragile", "a", 5), 5);
    let target = Target { function: "linked/fragile", id: "a" };
    client.send(target, LONG, None, &long(-2)).unwrap().expect(202);
    // Who comes behind it in the same mailbox has to wait, others don't.
    client.send(target, LONG, None, &long(10)).unwrap().expect(202);
    assert_eq!(count(&mut client, "linked/fragile", "b", 1), 1);
    let letter = within(Duration::from_secs(60), "a dead letter", || {
        dead_letters(statera.admin().unwrap()).pop()
    });
    check_letter(&letter, "linked/fragile/a", 5, -2, "the function panicked: -2 is unthinkable");
    let panics = statera.log().iter().filter(|line| line.contains("is unthinkable")).count();
    assert!(panics > 1, "it was tried {panics} times");
    counts_up_to(&statera, "linked/fragile", "a", 15);
    repair(&mut app, &mut statera);
    redrive(&statera, &letter);
    counts_up_to(&statera, "linked/fragile", "a", 13);
}

fn only_letter(statera: &Statera) -> DeadLetter {
    let mut letters = dead_letters(statera.admin().unwrap());
    assert_eq!(letters.len(), 1, "{letters:?}");
    letters.remove(0)
}

/// It holds the request as it would have been sent, with the state as it was.
fn check_letter(letter: &DeadLetter, target: &str, state: i64, argument: i64, reason: &str) {
    assert_eq!(letter.target(), target);
    assert!(letter.reason().contains(reason), "{}", letter.reason());
    let request = letter.request();
    assert_eq!(request.target.to_string(), target);
    let states: Vec<i64> = request
        .states
        .iter()
        .map(|state| i64::from_typed_value(state.value.as_ref().unwrap()).unwrap())
        .collect();
    assert_eq!(states, [state]);
    let arguments: Vec<i64> = request
        .invocations
        .iter()
        .map(|invocation| i64::from_typed_value(&invocation.argument).unwrap())
        .collect();
    assert_eq!(arguments, [argument]);
}

/// A later version of the program takes over.
fn repair(app: &mut App, statera: &mut Statera) {
    assert_eq!(statera.stop(), Some(0));
    app.set_variable("E2E_REPAIRED", "1");
    *statera = app.start();
}

fn redrive(statera: &Statera, letter: &DeadLetter) {
    let mut admin = Client::new(statera.admin().unwrap());
    let path = format!("/v1/deadletters/{}/redrive", letter.id());
    admin.request("POST", &path, &[], b"").unwrap().expect(200);
    assert_eq!(dead_letters(statera.admin().unwrap()).len(), 0);
}

fn counts_up_to(statera: &Statera, function: &str, id: &str, expected: i64) {
    let mut client = statera.client("linked/in");
    eventually(format!("{expected} of {function}/{id}"), || {
        (count(&mut client, function, id, 0) == expected).then_some(())
    });
}

#[test]
fn asynchronous_functions_wait_side_by_side() {
    const IDS: usize = 8;
    let app = app();
    let mut statera = app.start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let message = address.to_typed_value().unwrap();
    let ask = |statera: &Statera, id: &str| {
        let target = Target { function: "linked/asker", id };
        let mut client = statera.client("linked/in");
        let response = client.call(target, TEXT, None, message.value()).unwrap().expect(200);
        i64::decode(&response.body).unwrap()
    };
    std::thread::scope(|scope| {
        let (ask, running) = (&ask, &statera);
        let calls: Vec<_> =
            (0..IDS).map(|id| scope.spawn(move || ask(running, &id.to_string()))).collect();
        // All of them wait here before the first one is answered.
        let waiting: Vec<_> = (0..IDS).map(|_| asked(&listener)).collect();
        let names: BTreeSet<String> = waiting.iter().map(|(_, name)| name.clone()).collect();
        assert_eq!(names.len(), IDS, "{names:?}");
        for (mut stream, name) in waiting {
            write!(stream, "{name}").unwrap();
        }
        for (id, call) in calls.into_iter().enumerate() {
            assert_eq!(call.join().unwrap(), id as i64);
        }
    });
    // One that waits when the engine is killed is asked again.
    let target = Target { function: "linked/asker", id: "7" };
    let mut client = statera.client("linked/in");
    client.send(target, TEXT, None, message.value()).unwrap().expect(202);
    let lost = asked(&listener);
    statera.kill();
    drop(lost);
    let statera = app.start();
    let (mut again, name) = asked(&listener);
    assert_eq!(name, "7");
    write!(again, "100").unwrap();
    drop(again);
    std::thread::scope(|scope| {
        let last = scope.spawn(|| ask(&statera, "7"));
        write!(asked(&listener).0, "0").unwrap();
        assert_eq!(last.join().unwrap(), 107, "it counts once");
    });
}

/// The next one that asks, and its name.
fn asked(listener: &TcpListener) -> (TcpStream, String) {
    listener.set_nonblocking(true).unwrap();
    let (mut stream, _) = eventually("somebody who asks", || listener.accept().ok());
    stream.set_nonblocking(false).unwrap();
    let mut name = String::new();
    stream.read_to_string(&mut name).unwrap();
    (stream, name)
}
