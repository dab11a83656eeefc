//! What a client of the HTTP ingress can rely on: statuses, limits, and idempotency keys through crashes.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use statera_e2e::{
    App, Client, FunctionServer, Functions, Reaction, Response, Statera, Target, eventually,
};

const TYPE: &str = "e2e/Json";

/// Holds invocations back while it is closed.
#[derive(Default)]
struct Gate {
    closed: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn set_closed(&self, closed: bool) {
        *self.closed.lock().unwrap() = closed;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let closed = self.closed.lock().unwrap();
        drop(self.changed.wait_while(closed, |closed| *closed).unwrap());
    }
}

struct World {
    gate: Arc<Gate>,
    functions: FunctionServer,
    app: App,
    statera: Statera,
}

impl World {
    fn start(engine: &str) -> World {
        let gate = Arc::new(Gate::default());
        let all = functions();
        let functions = FunctionServer::start({
            let gate = gate.clone();
            move |body| {
                gate.pass();
                let broken = body.windows(6).any(|bytes| bytes == b"broken");
                if broken { Reaction::Status(500, "broken".to_owned()) } else { all.react(body) }
            }
        });
        let app = App::new(&module(&functions.url(), engine));
        let statera = app.start();
        World { gate, functions, app, statera }
    }

    fn client(&self) -> Client {
        self.statera.client("http/in")
    }

    fn crash(&mut self) {
        self.statera.kill();
        self.statera = self.app.start();
    }

    fn post(&self, verb: &str, id: &str, key: Option<&str>, message: &Value) -> Response {
        post(&mut self.client(), verb, id, key, message)
    }

    fn count(&self, id: &str) -> Value {
        self.post("call", id, None, &json!({})).expect(200).json()
    }

    /// Waits until the function server got so many requests.
    fn wait_for_requests(&self, count: u64) {
        eventually(format!("{count} requests"), || {
            (self.functions.requests() >= count).then_some(())
        });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.gate.set_closed(false);
    }
}

fn post(client: &mut Client, verb: &str, id: &str, key: Option<&str>, message: &Value) -> Response {
    let (target, body) = (Target { function: "http/counter", id }, message.to_string());
    let response = match verb {
        "send" => client.send(target, TYPE, key, body.as_bytes()),
        _ => client.call(target, TYPE, key, body.as_bytes()),
    };
    response.expect("the ingress answers")
}

fn functions() -> Functions {
    Functions::default().with("http/counter", &["count"], |context, message| {
        if let Some(amount) = message["add"].as_i64() {
            context.add("count", amount);
        }
        if message["silent"].is_null() {
            context.answer(context.number("count"));
        }
    })
}

fn module(url: &str, engine: &str) -> String {
    format!(
        "kind: io.statefun.endpoints.v2/http
spec:
  functions: http/*
  urlPathTemplate: {url}
  transport:
    type: io.statefun.transports.v1/async
    call: 500ms
---
kind: io.statera.v1/http-ingress
spec:
  id: http/in
  address: 127.0.0.1:0
  bodyMaxBytes: 1000
---
kind: io.statera.v1/engine
spec:
  shards: 2
{engine}
"
    )
}

fn add(amount: i64) -> Value {
    json!({ "add": amount })
}

#[test]
fn a_send_is_accepted_and_a_call_answered() {
    let world = World::start("");
    let sent = world.post("send", "a", None, &add(2)).expect(202);
    assert!(sent.body.is_empty());
    let called = world.post("call", "a", None, &add(3)).expect(200);
    assert_eq!(called.header("content-type"), Some("application/vnd.e2e/Json"));
    assert_eq!(called.json(), 5);
}

#[test]
fn an_answer_that_comes_too_late_is_dropped() {
    let world = World::start("");
    world.gate.set_closed(true);
    let mut client = world.client();
    let path = "/v1/call/http/counter/a?timeout=200ms&typename=e2e/Json";
    let late = client.request("POST", path, &[("Idempotency-Key", "k")], b"{\"add\": 1}").unwrap();
    assert!(late.text().contains("no answer within"), "{}", late.text());
    assert_eq!(late.status, 504);
    world.gate.set_closed(false);
    // The connection goes on with the next answer, and with a key the late one can still be had.
    assert_eq!(post(&mut client, "call", "a", None, &add(10)).expect(200).json(), 11);
    assert_eq!(post(&mut client, "call", "a", Some("k"), &add(1)).expect(200).json(), 1);
    assert_eq!(world.count("a"), 11);
}

#[test]
fn a_call_that_is_given_up_says_why() {
    let world = World::start("");
    let problem = world.post("call", "a", None, &json!("broken")).expect(502).json();
    assert!(problem["error"].as_str().unwrap().contains("500"), "{problem}");
    assert!(problem["deadLetter"].as_str().unwrap().contains('-'), "{problem}");
    // So does the answer to its repetition, through a crash.
    let mut world = world;
    let first = world.post("call", "b", Some("k"), &json!("broken")).expect(502).json();
    world.crash();
    let again = world.post("call", "b", Some("k"), &json!("broken")).expect(502).json();
    assert_eq!(first, again);
}

#[test]
fn what_can_not_be_served_is_refused() {
    let world = World::start("");
    let body: &[u8] = b"{}";
    let long = "k".repeat(257);
    let large = vec![b' '; 1001];
    let typed = [("Content-Type", "application/vnd.e2e/Json")];
    let keyed = [("Content-Type", "application/vnd.e2e/Json"), ("Idempotency-Key", long.as_str())];
    let id = "i".repeat(9000);
    let long_path = format!("/v1/send/http/counter/{id}");
    type Case<'a> = (u16, &'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8]);
    let cases: &[Case<'_>] = &[
        (404, "POST", "/v1/send/elsewhere/counter/a", &typed, body),
        (404, "POST", "/v2/send/http/counter/a", &typed, body),
        (400, "POST", "/v1/send/http/counter", &typed, body),
        (400, "POST", "/v1/send/http/counter/a/b", &typed, body),
        (400, "POST", "/v1/send/http/counter/%zz", &typed, body),
        (400, "POST", "/v1/send/http/counter/a", &[], body),
        (400, "POST", "/v1/call/http/counter/a?timeout=never", &typed, body),
        (400, "POST", "/v1/send/http/counter/a", &keyed, body),
        (400, "POST", &long_path, &typed, body),
        (405, "GET", "/v1/send/http/counter/a", &typed, body),
        (413, "POST", "/v1/send/http/counter/a", &typed, &large),
    ];
    for (status, method, path, headers, body) in cases {
        let response = world.client().request(method, path, headers, body).unwrap();
        assert_eq!(response.status, *status, "{method} {path}: {}", response.text());
        let problem = response.json();
        assert!(problem["error"].is_string() && problem["hint"].is_string(), "{problem}");
    }
    assert_eq!(world.functions.requests(), 0);
}

#[test]
fn nonsense_does_not_disturb_the_others() {
    let world = World::start("");
    for nonsense in ["\r\n\r\n", "GET\r\n\r\n", "\u{0}\u{1}\u{2}", "POST / HTTP/9.9\r\n\r\n"] {
        let mut stream = TcpStream::connect(world.client().address()).unwrap();
        stream.write_all(nonsense.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // Whether there is an answer or a reset is all the same.
        let _ = stream.read_to_end(&mut answer);
    }
    assert_eq!(world.post("call", "a", None, &add(1)).expect(200).json(), 1);
}

#[test]
fn a_full_mailbox_refuses_until_there_is_room() {
    let mut world = World::start("  limits:\n    mailboxMessages: 3");
    world.gate.set_closed(true);
    let mut accepted = 0;
    let refused = loop {
        let response = world.post("send", "a", None, &add(1));
        if response.status != 202 {
            break response;
        }
        accepted += 1;
        assert!(accepted <= 3);
    };
    let refused = refused.expect(503);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert!(refused.text().contains("mailboxMessages"), "{}", refused.text());
    assert_eq!(accepted, 3);
    // Other addresses have room of their own.
    world.post("send", "b", None, &add(1)).expect(202);
    world.crash();
    world.post("send", "a", None, &add(1)).expect(503);
    world.gate.set_closed(false);
    eventually("room", || (world.post("send", "a", None, &add(1)).status == 202).then_some(()));
    assert_eq!((world.count("a"), world.count("b")), (json!(4), json!(1)));
}

#[test]
fn full_mailboxes_in_sum_refuse_until_there_is_room() {
    let world = World::start("  memory:\n    mailboxBytes: 16KiB");
    world.gate.set_closed(true);
    let pad = "x".repeat(500);
    let message = json!({ "add": 1, "pad": pad });
    let mut accepted = 0_i64;
    let refused = loop {
        let response = world.post("send", &format!("id{accepted}"), None, &message);
        if response.status != 202 {
            break response.expect(503);
        }
        accepted += 1;
        assert!(accepted < 100, "16 KiB hold no 100 messages");
    };
    assert!(refused.text().contains("mailboxBytes"), "{}", refused.text());
    world.gate.set_closed(false);
    for id in 0..accepted {
        let count = eventually("room for a question", || {
            let response = world.post("call", &format!("id{id}"), None, &json!({}));
            (response.status == 200).then(|| response.json())
        });
        assert_eq!(count, 1, "id{id}");
    }
}

#[test]
fn requests_with_one_key_at_the_same_time_count_once() {
    let world = World::start("");
    world.gate.set_closed(true);
    std::thread::scope(|scope| {
        let call = || world.post("call", "a", Some("k"), &add(1)).expect(200).json();
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(call)).collect();
        for _ in 0..3 {
            world.post("send", "b", Some("k"), &add(1)).expect(202);
        }
        world.wait_for_requests(1);
        world.gate.set_closed(false);
        for call in calls {
            assert_eq!(call.join().unwrap(), 1);
        }
    });
    assert_eq!(world.post("call", "a", Some("k"), &add(1)).expect(200).json(), 1);
    assert_eq!((world.count("a"), world.count("b")), (json!(1), json!(1)));
    // A key belongs to its target.
    assert_eq!(world.post("call", "c", Some("k"), &add(1)).expect(200).json(), 1);
}

#[test]
fn keys_survive_a_kill() {
    let mut world = World::start("");
    assert_eq!(world.post("call", "a", Some("answered"), &add(1)).expect(200).json(), 1);
    world.post("send", "a", Some("sent"), &add(1)).expect(202);
    world.crash();
    world.post("send", "a", Some("sent"), &add(1)).expect(202);
    assert_eq!(world.post("call", "a", Some("answered"), &add(1)).expect(200).json(), 1);
    assert_eq!(world.count("a"), 2);
}

#[test]
fn a_call_in_flight_at_a_kill_is_found_again_by_its_key() {
    let mut world = World::start("");
    world.gate.set_closed(true);
    std::thread::scope(|scope| {
        let mut client = world.client();
        let lost = scope.spawn(move || {
            let target = Target { function: "http/counter", id: "a" };
            client.call(target, TYPE, Some("k"), b"{\"add\": 1}").map(|response| response.status)
        });
        world.wait_for_requests(1);
        // Whatever is accepted later is in the same epoch or a later one.
        world.post("send", "a", None, &add(10)).expect(202);
        world.statera.kill();
        assert!(lost.join().unwrap().is_err(), "nobody answered");
    });
    world.statera = world.app.start();
    world.gate.set_closed(false);
    assert_eq!(world.post("call", "a", Some("k"), &add(1)).expect(200).json(), 1);
    assert_eq!(world.count("a"), 11);
}

#[test]
fn a_key_is_for_sends_or_for_calls() {
    let mut world = World::start("");
    world.post("send", "a", Some("sent"), &add(1)).expect(202);
    world.post("call", "a", Some("called"), &add(1)).expect(200);
    for _ in 0..2 {
        let problem = world.post("call", "a", Some("sent"), &add(1)).expect(409).json();
        assert!(problem["error"].as_str().unwrap().contains("send"), "{problem}");
        world.post("send", "a", Some("called"), &add(1)).expect(409);
        world.crash();
    }
    assert_eq!(world.count("a"), 2);
}

#[test]
fn keys_are_forgotten_after_their_time() {
    let world = World::start("  idempotencyRetention: 300ms");
    let start = Instant::now();
    world.post("send", "a", Some("k"), &add(1)).expect(202);
    eventually("the key being forgotten", || {
        world.post("send", "a", Some("k"), &add(1)).expect(202);
        (world.count("a") == 2).then_some(())
    });
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn keys_are_limited_in_number() {
    let world = World::start("  limits:\n    idempotencyKeys: 8");
    let mut statuses = Vec::new();
    for number in 0..40 {
        statuses.push(world.post("send", "a", Some(&format!("k{number}")), &add(1)).status);
    }
    assert!(statuses.contains(&503), "{statuses:?}");
    let accepted = statuses.iter().filter(|status| **status == 202).count();
    assert!((1..=8).contains(&accepted), "{statuses:?}");
    // Without a key there is still room, and known keys go on being known.
    world.post("send", "a", Some("k0"), &add(1)).expect(202);
    world.post("send", "a", None, &add(1)).expect(202);
    assert_eq!(world.count("a"), accepted + 1);
}
