//! The commands against a server that answers what it is told to.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use clap::{CommandFactory, Parser};
use expect_test::{Expect, expect};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use super::terminal::Terminal;
use super::{ClientCommand, Usage};

#[derive(Parser)]
#[command(name = "statera")]
struct Arguments {
    #[command(subcommand)]
    command: ClientCommand,
}

/// Answers to `<method> <path and query>`: a status, a content type and a body.
type Answers = Vec<(&'static str, u16, &'static str, String)>;

struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<(String, String)>>>,
}

impl Server {
    async fn start(answers: Answers) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answers, seen) = (Arc::new(answers), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
                let service =
                    service_fn(move |request| answer(request, answers.clone(), seen.clone()));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Server { address, requests }
    }
}

async fn answer(
    request: Request<Incoming>,
    answers: Arc<Answers>,
    seen: Arc<Mutex<Vec<(String, String)>>>,
) -> hyper::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let line = format!("{} {}", head.method, head.uri);
    let body = String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned();
    let found = answers.iter().find(|(wanted, ..)| *wanted == line);
    seen.lock().unwrap().push((line, body));
    let (status, content_type, body) = match found {
        Some((_, status, content_type, body)) => (*status, *content_type, body.clone()),
        None => (500, "text/plain", "not foreseen".to_owned()),
    };
    let response = Response::builder().status(status).header("content-type", content_type);
    Ok(response.body(Full::new(body.into())).unwrap())
}

/// Runs a command, its arguments between spaces (`␣` is one within); shows what it writes, where to, and how it ends.
async fn run(arguments: &str, server: SocketAddr) -> String {
    run_on(arguments, server, |_| {}).await
}

/// The same on another terminal.
async fn run_on(
    arguments: &str,
    server: SocketAddr,
    change: impl FnOnce(&mut Terminal<'_>),
) -> String {
    let arguments = format!("statera {arguments}").replace("SERVER", &format!("http://{server}"));
    let arguments = arguments.split(' ').map(|argument| argument.replace('␣', " "));
    let command = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments.command,
        Err(error) => return error.to_string(),
    };
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let mut terminal = Terminal::plain(&mut out, &mut notes);
    change(&mut terminal);
    let end = match command.run(&mut terminal).await {
        Ok(code) if code == ExitCode::SUCCESS => String::new(),
        Ok(code) => format!("{code:?}\n"),
        Err(error) if error.is::<Usage>() => format!("usage error: {error}\n"),
        Err(error) => format!("error: {}\n", crate::chain(&error)),
    };
    let notes = String::from_utf8(notes).unwrap();
    let notes: String = notes.lines().map(|line| format!("note: {line}\n")).collect();
    let text = format!("{}{notes}{end}", String::from_utf8_lossy(&out));
    text.replace(&server.to_string(), "<server>")
}

async fn check(arguments: &str, answers: Answers, expected: Expect) {
    let server = Server::start(answers).await;
    expected.assert_eq(&run(arguments, server.address).await);
}

fn ok(line: &'static str, body: impl ToString) -> (&'static str, u16, &'static str, String) {
    (line, 200, "application/json", body.to_string())
}

fn letter(id: &str, kind: &str) -> serde_json::Value {
    json!({
        "id": id,
        "at": "2026-01-21T12:53:19.123Z",
        "kind": kind,
        "target": "example/cart/Bob",
        "attempts": 12,
        "reason": "the function answered with status 500\nand a \u{1b}[31mred page",
    })
}

#[test]
fn the_commands_are_well_formed() {
    Arguments::command().debug_assert();
}

#[tokio::test]
async fn state_is_a_table() {
    let states = json!({ "address": "example/cart/a/b", "states": [
        { "name": "last", "typename": "example/message", "value": "eyJhIjoxfQ==", "text": "{\"a\":1}",
          "json": { "a": 1 }, "lastAccess": "2026-01-21T12:53:19.123Z" },
        { "name": "seen", "typename": "io.statefun.types/int", "value": "DQEAAAA=", "text": "1", "json": 1 },
        { "name": "raw", "typename": "example/proto", "value": "CAE=" },
    ]});
    let answers = || vec![ok("GET /v1/state/example/cart/a%2Fb", &states)];
    check(
        "state get example/cart/a/b --admin SERVER",
        answers(),
        expect![[r#"
        NAME  TYPE                   LAST ACCESS               VALUE
        last  example/message        2026-01-21T12:53:19.123Z  {"a":1}
        seen  io.statefun.types/int  -                         1
        raw   example/proto          -                         base64:CAE=
    "#]],
    )
    .await;
    check(
        "state get example/cart/a/b last --admin SERVER",
        answers(),
        expect![[r#"
        {"a":1}
    "#]],
    )
    .await;
    check(
        "state get example/cart/a/b seen --json --admin SERVER",
        answers(),
        expect![[r#"
        {
          "name": "seen",
          "typename": "io.statefun.types/int",
          "value": "DQEAAAA=",
          "text": "1",
          "json": 1
        }
    "#]],
    )
    .await;
    check("state get example/cart/a/b other --admin SERVER", answers(), expect![[r#"
        error: `example/cart/a/b` has no state `other`; hint: see what it has with `statera state example/cart/a/b`
    "#]]).await;
    let none = json!({ "address": "example/cart/x", "states": [] });
    let none = vec![ok("GET /v1/state/example/cart/x", &none)];
    check(
        "state get example/cart/x --admin SERVER",
        none,
        expect![[r#"
        note: `example/cart/x` has no state
    "#]],
    )
    .await;
}

#[tokio::test]
async fn dead_letters_are_a_table() {
    let mut record = letter("127-1768999999123", "record");
    record.as_object_mut().unwrap().remove("target");
    record["place"] = "orders.jsonl line 17".into();
    let page = json!({ "deadLetters": [letter("7-1768999999123", "invocation"), record], "next": "127-1768999999123" });
    let answers = || vec![ok("GET /v1/deadletters?limit=2", &page)];
    check("deadletter list --limit 2 --admin SERVER", answers(), expect![[r#"
        ID                 AT                        KIND        ATTEMPTS  TARGET                REASON
        7-1768999999123    2026-01-21T12:53:19.123Z  invocation        12  example/cart/Bob      the function answered with status 500\nand a \u{1b}[31mred page
        127-1768999999123  2026-01-21T12:53:19.123Z  record            12  orders.jsonl line 17  the function answered with status 500\nand a \u{1b}[31mred page
        note: there are more; hint: `--all`, or go on with `--after 127-1768999999123`
    "#]]).await;
    let none = vec![ok("GET /v1/deadletters?limit=100&after=7-1", json!({ "deadLetters": [] }))];
    check(
        "deadletter list --after 7-1 --admin SERVER",
        none,
        expect![[r#"
        note: there are no dead letters
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_dead_letter_is_shown_with_all_that_is_known() {
    let mut detail = letter("7-1", "invocation");
    detail["caller"] = "example/shop/1".into();
    detail["message"] = json!({ "typename": "example/Order", "value": "e30=", "text": "{\"item\":\"socks\"}", "json": { "item": "socks" } });
    detail["states"] = json!([{ "name": "seen", "typename": "io.statefun.types/int", "value": "DQEAAAA=", "text": "1", "json": 1 }]);
    detail["request"] = "aGVsbG8=".into();
    let answers = || vec![ok("GET /v1/deadletters/7-1", &detail)];
    check(
        "deadletter show 7-1 --admin SERVER",
        answers(),
        expect![[r#"
        id        7-1
        at        2026-01-21T12:53:19.123Z
        kind      invocation
        target    example/cart/Bob
        caller    example/shop/1
        attempts  12
        reason    the function answered with status 500\nand a \u{1b}[31mred page
        request   5 B (write it out with --request)

        message of type example/Order
          {
            "item": "socks"
          }

        state that was sent with it
          NAME  TYPE                   VALUE
          seen  io.statefun.types/int  1
    "#]],
    )
    .await;
    check("deadletter show 7-1 --request --admin SERVER", answers(), expect!["hello"]).await;
    let mut record = letter("7-2", "record");
    record.as_object_mut().unwrap().remove("target");
    record["place"] = "orders.jsonl line 17".into();
    record["record"] = json!({ "typename": "", "value": "e30=", "text": "{\"item\":" });
    let answers = vec![ok("GET /v1/deadletters/7-2", &record)];
    check(
        "deadletter show 7-2 --admin SERVER",
        answers,
        expect![[r#"
        id        7-2
        at        2026-01-21T12:53:19.123Z
        kind      record
        place     orders.jsonl line 17
        attempts  12
        reason    the function answered with status 500\nand a \u{1b}[31mred page

        record
          {"item":
    "#]],
    )
    .await;
}

#[tokio::test]
async fn all_are_redriven_but_records() {
    let first = json!({ "deadLetters": [letter("7-1", "invocation"), letter("7-2", "record")], "next": "7-2" });
    let second = json!({ "deadLetters": [letter("8-1", "message")] });
    let answers = vec![
        ok("GET /v1/deadletters?limit=1000", first),
        ok("GET /v1/deadletters?limit=1000&after=7-2", second),
        ok("POST /v1/deadletters/redrive", json!({ "done": 1, "skipped": 1 })),
    ];
    let server = Server::start(answers).await;
    expect![[r#"
        note: left alone, as records can only be dropped: 1 dead letter
        note: redriven: 1 dead letter
        note: gone meanwhile: 1 dead letter
    "#]]
    .assert_eq(&run("deadletter redrive --all --admin SERVER", server.address).await);
    let body = json!({ "ids": ["7-1", "8-1"], "limit": 200 }).to_string();
    assert_eq!(
        server.requests.lock().unwrap().last(),
        Some(&("POST /v1/deadletters/redrive".to_owned(), body))
    );
}

#[tokio::test]
async fn an_engine_that_goes_away_ends_it() {
    let answers = vec![ok("POST /v1/deadletters/7-1/redrive", json!({ "done": "7-1" }))];
    check("deadletter redrive 7-1 7-2 7-3 --admin SERVER", answers, expect![[r#"
        7-1
        note: redriven: 1 dead letter
        error: what answers at `http://<server>` (500 Internal Server Error) is not the admin API of an engine; hint: name its address with `--admin`
    "#]]).await;
}

#[tokio::test]
async fn some_are_dropped() {
    let answers = || {
        vec![
            ok("DELETE /v1/deadletters/7-1", json!({ "done": "7-1" })),
            ok("DELETE /v1/deadletters/7-2", json!({ "done": "7-2" })),
        ]
    };
    check(
        "deadletter drop 7-1 7-2 --admin SERVER",
        answers(),
        expect![[r#"
        7-1
        7-2
        note: dropped: 2 dead letters
    "#]],
    )
    .await;
    check(
        "deadletter drop 7-1 --json --admin SERVER",
        answers(),
        expect![[r#"
        {
          "done": [
            "7-1"
          ],
          "failed": []
        }
    "#]],
    )
    .await;
}

#[tokio::test]
async fn the_status_is_readable() {
    let shard = json!({ "instances": 1200, "stateBytes": 3_500_000, "mail": 12, "mailBytes": 900, "inFlight": 3,
        "delayed": 0, "outbox": 0, "deadLetters": 1, "paused": 0, "calls": 2, "idempotencyKeys": 10 });
    let status = json!({
        "version": "0.1.0", "stopping": false, "uptimeSeconds": 4000, "total": shard, "shards": [shard, {}],
        "endpoints": [{ "functions": "example/*", "url": "http://127.0.0.1:8000/statefun" }],
        "ingresses": [{ "id": "example/in", "kind": "http", "place": "127.0.0.1:8080" }],
        "egresses": [{ "id": "example/out", "kind": "stdout" }],
        "unknown": "fields are for later versions",
    });
    check("status --admin SERVER", vec![ok("GET /v1/status", status)], expect![[r#"
        statera 0.1.0, up 1 h 6 min

        PART      NAME         PLACE
        endpoint  example/*    http://127.0.0.1:8000/statefun
        ingress   example/in   http 127.0.0.1:8080
        egress    example/out  stdout

        SHARD  INSTANCES    STATE  MAIL  MAIL SIZE  IN FLIGHT  DELAYED  OUTBOX  CALLS  KEYS  PAUSED  DEAD LETTERS
        0           1200  3.3 MiB    12      900 B          3        0       0      2    10       0             1
        1              0      0 B     0        0 B          0        0       0      0     0       0             0
        total       1200  3.3 MiB    12      900 B          3        0       0      2    10       0             1
    "#]]).await;
}

#[tokio::test]
async fn a_message_is_sent_as_it_is_given() {
    let line = "POST /v1/send/example/cart/Bob%20x?typename=io.statefun.types%2Fstring";
    let server = Server::start(vec![(line, 202, "text/plain", String::new())]).await;
    let command =
        "send example/cart/Bob␣x --type io.statefun.types/string --text hello --ingress SERVER";
    expect![[r#"
        note: accepted for `example/cart/Bob x`
    "#]]
    .assert_eq(&run(command, server.address).await);
    assert_eq!(
        server.requests.lock().unwrap().last(),
        Some(&(line.to_owned(), "\n\u{5}hello".to_owned()))
    );
}

#[tokio::test]
async fn the_reply_of_a_call_is_data() {
    let line = "POST /v1/call/example/cart/Bob?typename=example%2FOrder&timeout=1500ms";
    let reply = |content_type, body: &str| vec![(line, 200, content_type, body.to_owned())];
    let call =
        "call example/cart/Bob --type example/Order --json {} --timeout 1500ms --ingress SERVER";
    check(
        call,
        reply("application/vnd.example/Done", r#"{"ok":true}"#),
        expect![[r#"
            {"ok":true}
            note: reply of type example/Done:
        "#]],
    )
    .await;
    check(
        call,
        reply("application/vnd.io.statefun.types/int", "\x0d\x05\0\0\0"),
        expect![[r#"
            5
            note: reply of type io.statefun.types/int:
        "#]],
    )
    .await;
    check(
        call,
        reply("application/octet-stream", "\x01\x02"),
        expect![[r#"
            base64:AQI=
            note: reply without a type:
        "#]],
    )
    .await;
    let raw = format!("{call} --raw");
    check(&raw, reply("application/vnd.example/Done", "plain"), expect!["plain"]).await;
    let given_up = json!({ "error": "the function answered with status 500", "hint": "see `statera deadletter`", "deadLetter": "7-1" });
    let given_up = vec![(line, 502, "application/json", given_up.to_string())];
    check(
        call,
        given_up,
        expect![[r#"
        error: the function answered with status 500; hint: see `statera deadletter`
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_server_that_is_not_ours_is_told_apart() {
    let other = || vec![("GET /v1/status", 404, "text/html", "<html>".to_owned())];
    check("status --admin SERVER", other(), expect![[r#"
        error: what answers at `http://<server>` (404 Not Found) is not the admin API of an engine; hint: name its address with `--admin`
    "#]]).await;
    check("status --admin SERVER", vec![ok("GET /v1/status", "<html>")], expect![[r#"
        error: what answers at `http://<server>` (200 OK) is not the admin API of an engine; hint: name its address with `--admin`
    "#]]).await;
    check("status --admin SERVER", vec![ok("GET /v1/status", "{}")], expect![[r#"
        error: the engine's answer is not understood; hint: use a `statera` of the engine's version: missing field `version`
    "#]]).await;
    check("send a/b/c --type d/e --text x --ingress SERVER", other(), expect![[r#"
        error: what answers at `http://<server>` (500 Internal Server Error) is not an HTTP ingress of an engine; hint: name its address with `--ingress`
    "#]]).await;
}

#[tokio::test]
async fn an_engine_that_does_not_run_is_missed() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (arguments, expected) in [
        (
            "status --admin SERVER",
            expect![[r#"
            error: no engine answers at `http://<server>`; hint: start one with `statera run`, or name its admin address with `--admin`
        "#]],
        ),
        (
            "resume a/b/c --admin SERVER",
            expect![[r#"
            error: no engine answers at `http://<server>`; hint: start one with `statera run`, or name its admin address with `--admin`
        "#]],
        ),
        (
            "call a/b/c --type d/e --text x --ingress SERVER",
            expect![[r#"
            error: no ingress answers at `http://<server>`; hint: start an application that has an HTTP ingress with `statera run`, or name its address with `--ingress`
        "#]],
        ),
    ] {
        expected.assert_eq(&run(arguments, nobody).await);
    }
}

#[tokio::test]
async fn wrong_usage_is_explained() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    for (arguments, expected) in [
        (
            "state get example/cart",
            expect![[r#"
            error: invalid value 'example/cart' for '<ADDRESS>': an address is NAMESPACE/TYPE/ID, such as `example/greeter/Bob`

            For more information, try '--help'.
        "#]],
        ),
        (
            "deadletter show seven",
            expect![[r#"
            error: invalid value 'seven' for '<ID>': `seven` is not the id of a dead letter, such as `7-1768999999123`

            For more information, try '--help'.
        "#]],
        ),
        (
            "deadletter redrive",
            expect![[r#"
                error: the following required arguments were not provided:
                  <ID|--all|--target <TEXT>>

                Usage: statera deadletter redrive <ID|--all|--target <TEXT>>

                For more information, try '--help'.
            "#]],
        ),
        (
            "deadletter drop 7-1 --all",
            expect![[r#"
                error: the argument '[ID]...' cannot be used with '--all'

                Usage: statera deadletter drop <ID|--all|--target <TEXT>>

                For more information, try '--help'.
            "#]],
        ),
        (
            "status --admin ftp://example.com",
            expect![[r#"
                error: invalid value 'ftp://example.com' for '--admin <URL>': an address is http://HOST:PORT or https://HOST:PORT, such as `http://127.0.0.1:8181`

                For more information, try '--help'.
            "#]],
        ),
        (
            "send a/b/c --type d/e",
            expect![[r#"
            error: the following required arguments were not provided:
              <--json <JSON>|--text <TEXT>|--file <FILE>|--value-base64 <BASE64>>

            Usage: statera send --type <TYPENAME> <--json <JSON>|--text <TEXT>|--file <FILE>|--value-base64 <BASE64>> <ADDRESS>

            For more information, try '--help'.
        "#]],
        ),
        (
            "send a/b/c --type d/e --text x --json 1",
            expect![[r#"
            error: the argument '--text <TEXT>' cannot be used with '--json <JSON>'

            Usage: statera send --type <TYPENAME> <--json <JSON>|--text <TEXT>|--file <FILE>|--value-base64 <BASE64>> <ADDRESS>

            For more information, try '--help'.
        "#]],
        ),
        (
            "send a/b/c --type d/e --value-base64 ?",
            expect![[r#"
            usage error: the value is not base64: Invalid symbol 63, offset 0.
        "#]],
        ),
        (
            "call a/b/c --type io.statefun.types/int --json 1.5",
            expect![[r#"
            usage error: `1.5` is not a value of type `io.statefun.types/int`; hint: write an integer of 32 bits
        "#]],
        ),
        (
            "call a/b/c --type d/e --text x --timeout soon",
            expect![[r#"
            error: invalid value 'soon' for '--timeout <DURATION>': a duration is a number and a unit (ms, s, min, h), such as `30s`

            For more information, try '--help'.
        "#]],
        ),
    ] {
        expected.assert_eq(&run(arguments, nobody).await);
    }
}

#[tokio::test]
async fn people_see_how_far_long_work_is() {
    let page = json!({ "deadLetters": [letter("7-1", "invocation"), letter("8-1", "message")] });
    let answers = vec![
        ok("GET /v1/deadletters?target=example%2F&limit=1000", page),
        ok("POST /v1/deadletters/drop", json!({ "done": 2, "skipped": 0 })),
    ];
    let server = Server::start(answers).await;
    let command = "deadletter drop --target example/ --admin SERVER";
    let seen = run_on(command, server.address, |terminal| terminal.is_followed = true).await;
    let seen = seen.replace('\r', "<return>").replace("\x1b[K", "<clear>");
    expect![[r#"
        note: <return><clear><return>[##############################] dropped 2 of 2<clear><return><clear>dropped: 2 dead letters
    "#]].assert_eq(&seen);
}

#[tokio::test]
async fn a_screen_is_drawn_anew_and_not_beyond_its_end() {
    let status = json!({ "version": "0.1.0", "stopping": true, "uptimeSeconds": 4, "total": {}, "shards": [],
        "endpoints": [], "ingresses": [], "egresses": [] });
    let server = Server::start(vec![ok("GET /v1/status", status)]).await;
    let screen = |terminal: &mut Terminal<'_>| {
        terminal.is_screen = true;
        terminal.height = Some(4);
        terminal.style.colours = true;
        terminal.style.width = Some(40);
    };
    let command = "status --watch --count 1 --admin SERVER";
    let seen = run_on(command, server.address, screen).await.replace('\x1b', "<esc>");
    expect![[r#"
        <esc>[2J<esc>[Hstatera 0.1.0, <esc>[33mstopping, up<esc>[0m 4 s<esc>[K
        <esc>[K
        <esc>[1mPART<esc>[0m  <esc>[1mNAME<esc>[0m  <esc>[1mPLACE<esc>[0m<esc>[K
        <esc>[J"#]]
    .assert_eq(&seen);
}

#[tokio::test]
async fn figures_of_all_kinds_are_tables() {
    let latency = json!({ "p50Ms": 1.5, "p99Ms": 20.4, "count": 7 });
    let functions = json!({ "functions": [
        { "name": "example/cart", "endpoint": "example/*", "linked": false, "health": "down", "inFlight": 1, "queued": 2,
          "failing": 3, "mail": 4, "mailBytes": 5, "messagesIn": 6, "messagesOut": 7, "failures": 8, "rateIn": 9.25,
          "rateOut": 1234.5, "latency": latency, "states": [] },
        { "name": "example/linked", "linked": true, "health": "up", "paused": { "reason": "audit" }, "inFlight": 0,
          "queued": 0, "failing": 0, "mailBytes": 0, "messagesIn": 0, "messagesOut": 0, "states": [] },
    ]});
    let line = "GET /v1/functions?limit=100";
    check("functions --admin SERVER", vec![ok(line, &functions)], expect![[r#"
        FUNCTION        HEALTH  IN/S  OUT/S  MAIL  IN FLIGHT  QUEUED  FAILING  FAILURES     P50    P99  SERVED BY
        example/cart    down     9.2   1234     4          1       2        3         8  1.5 ms  20 ms  example/*
        example/linked  paused     -      -     -          0       0        0         -       -      -  (linked)
    "#]]).await;
    let epochs = json!({ "last": 9, "epochs": [
        { "number": 9, "at": "2026-01-21T12:53:19.123Z", "durationMs": 3.25, "cutMs": 0.5, "logMs": 2.0, "storeMs": 0.75,
          "bytes": 2000, "keys": 12, "stall": { "reason": "shard", "shard": 1 } },
        { "number": 8, "at": "2026-01-21T12:53:18.123Z", "durationMs": 12000.0, "cutMs": 0.5, "logMs": 2.0, "storeMs": 0.75,
          "bytes": 0 },
    ]});
    check(
        "epochs --admin SERVER",
        vec![ok("GET /v1/epochs?limit=20", epochs)],
        expect![[r#"
        EPOCH  AT                          TOOK     CUT     LOG   STORE     SIZE  KEYS  WAITED FOR
            9  2026-01-21T12:53:19.123Z  3.2 ms  0.5 ms  2.0 ms  0.8 ms  2.0 KiB    12  shard 1
            8  2026-01-21T12:53:18.123Z  12.0 s  0.5 ms  2.0 ms  0.8 ms      0 B     -  -
    "#]],
    )
    .await;
    let value = json!({ "typename": "", "value": "NQ==", "text": "5" });
    let ingresses = json!({ "ingresses": [{ "id": "example/in", "kind": "kafka", "messages": 10, "rate": 0.0, "sources": [
        { "partition": "orders/0", "position": value, "lagRecords": 5, "takenAt": "2026-01-21T12:53:19.123Z" },
        { "partition": "orders/1", "position": value, "lagRecords": 7 },
    ]}]});
    let answers = || vec![ok("GET /v1/ingresses", &ingresses)];
    check(
        "ingress --admin SERVER",
        answers(),
        expect![[r#"
        INGRESS     KIND   STATE  MESSAGES  A SECOND  LAG  PLACE
        example/in  kafka  open         10         0   12
    "#]],
    )
    .await;
    check(
        "ingress --sources --admin SERVER",
        answers(),
        expect![[r#"
        INGRESS     PARTITION  LAG  TAKEN AT                  POSITION
        example/in  orders/0     5  2026-01-21T12:53:19.123Z  5
        example/in  orders/1     7  -                         5
    "#]],
    )
    .await;
    let egresses = json!({ "egresses": [{ "id": "example/out", "kind": "kafka", "place": "broker:9092", "releasedEpoch": 8,
        "backlogRecords": 3, "backlogBytes": 2000, "records": 100, "failures": 2, "failing": true,
        "lastFailure": { "at": "2026-01-21T12:53:19.123Z", "reason": "the broker is away" } }]});
    check("egress --admin SERVER", vec![ok("GET /v1/egresses", egresses)], expect![[r#"
        EGRESS       KIND   STATE    RECORDS  A SECOND  BACKLOG     SIZE  EPOCH  FAILURES  PLACE
        example/out  kafka  failing      100         -        3  2.0 KiB      8         2  broker:9092
        note: `example/out` fails: the broker is away (at 2026-01-21T12:53:19.123Z)
    "#]]).await;
}
