//! Functions over HTTP: the protocol byte for byte, statuses, limits, and the server's orderly end.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use statera_protocol::{Invocation, OwnedRequest, PersistedValue, decode_reply};
use statera_sdk::http::{HttpReply, Limits, Server};
use statera_sdk::{
    Address, App, Batch, Cell, Error, Function, Functions, IntoValue, Message, Result, TypedValue,
};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};

const SEEN: Cell<i32> = Cell::new("seen");
const NOTE: Cell<String> = Cell::new("note").expires_after_write(Duration::from_secs(60));

/// The longest that anything may take here.
const PATIENCE: Duration = Duration::from_secs(30);

fn app() -> App {
    App::new()
        .function("demo/counter", SEEN, |ctx, _: Message| ctx.update(SEEN, |seen| seen + 1))
        .function("demo/many", (SEEN, NOTE), everything)
        .function("demo/fails", (), |_, how: String| -> Result {
            match how.as_str() {
                "dead letter" => Err(Error::dead_letter("it is broken")),
                "unavailable" => Err(Error::unavailable("it is down")),
                "panic" => panic!("oh"),
                _ => Err(Error::retry("it did not work")),
            }
        })
}

/// Something of everything, as the number says.
fn everything(ctx: &mut statera_sdk::Context<'_>, n: i32) -> Result<Option<i64>> {
    if n % 7 == 0 {
        return Err(Error::dead_letter("sevens are bad"));
    }
    match n % 6 {
        0 => drop(ctx.update(SEEN, |seen| seen.wrapping_add(n))?),
        1 => ctx.remove(SEEN),
        2 => ctx.send(("demo/other", n.to_string()), n),
        3 => ctx.send_after(Duration::from_secs(60), ctx.this(), n).token(n.to_string()),
        4 => ctx.egress("demo/out", ctx.get(NOTE)?.unwrap_or_default()),
        _ => ctx.set(NOTE, n.to_string()),
    }
    ctx.cancel("always");
    Ok((n % 2 == 0).then_some(i64::from(n)))
}

fn value(value: impl IntoValue) -> TypedValue {
    value.into_value().unwrap()
}

fn address(text: &str) -> Address {
    statera_sdk::To::to(text).unwrap()
}

fn invocation(message: impl IntoValue) -> Invocation {
    Invocation { caller: None, argument: value(message) }
}

fn request(target: &str, message: impl IntoValue) -> OwnedRequest {
    OwnedRequest {
        target: address(target),
        states: Vec::new(),
        invocations: vec![invocation(message)],
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn handle(request: OwnedRequest) -> HttpReply {
    app().build().unwrap().handle(request.encode().into()).await
}

#[tokio::test]
async fn states_that_were_not_sent_are_asked_for() {
    let reply = handle(request("demo/counter/a", "x")).await;
    assert_eq!((reply.status, reply.content_type), (200, "application/octet-stream"));
    assert_eq!(
        hex(&reply.body),
        "aa061f0a1d0a047365656e1a15696f2e737461746566756e2e74797065732f696e74"
    );
}

#[tokio::test]
async fn a_changed_state_goes_back_as_other_sdks_send_it() {
    let mut request = request("demo/counter/a", "x");
    request.states.push(PersistedValue { name: "seen".into(), value: None });
    let reply = handle(request).await;
    assert_eq!(
        hex(&reply.body),
        "a2062c0a2a080112047365656e1a200a15696f2e737461746566756e2e74797065732f696e7410011a050d01000000"
    );
}

#[tokio::test]
async fn only_what_is_missing_is_asked_for() {
    let mut request = request("demo/many/a", 1);
    request.states.push(PersistedValue { name: "unknown".into(), value: None });
    request.states.push(PersistedValue { name: "seen".into(), value: None });
    let reply = handle(request).await;
    let asked = decode_reply(reply.body).unwrap();
    assert_eq!(asked, statera_model::Outcome::Incomplete(vec![NOTE.spec()]));
}

#[tokio::test]
async fn a_function_that_does_nothing_answers_as_other_sdks_do() {
    let functions = App::new().function("demo/idle", (), |_, _: Message| Ok(())).build().unwrap();
    let reply = functions.handle(request("demo/idle/a", "x").encode().into()).await;
    assert_eq!((reply.status, &*hex(&reply.body)), (200, "a20600"));
}

#[tokio::test]
async fn the_status_says_what_went_wrong() {
    let fails = |how: &'static str| async move {
        let reply = handle(request("demo/fails/a", how)).await;
        (reply.status, String::from_utf8(reply.body.into()).unwrap())
    };
    let text = |why| format!("`demo/fails/a` failed on `io.statefun.types/string`: {why}\n");
    assert_eq!(fails("dead letter").await, (422, text("it is broken")));
    assert_eq!(fails("unavailable").await, (503, text("it is down")));
    assert_eq!(fails("retry").await, (500, text("it did not work")));
    assert_eq!(fails("panic").await, (500, text("the function panicked: oh")));

    let unknown = handle(request("demo/nobody/a", 1)).await;
    assert_eq!(unknown.status, 500);
    assert!(unknown.body.starts_with(b"function `demo/nobody` is not here\n"));
    let functions = app().build().unwrap();
    assert_eq!(functions.handle(Bytes::new()).await.status, 400);
    assert_eq!(functions.handle("garbage".into()).await.status, 400);
    assert_eq!(functions.handle(b"\xa2\x06\x00"[..].into()).await.status, 500);
}

/// A request as a batch that is lent.
struct Lent<'a>(&'a OwnedRequest);

impl Batch for Lent<'_> {
    fn function(&self) -> &statera_sdk::Name {
        &self.0.target.function
    }

    fn id(&self) -> &statera_sdk::Id {
        &self.0.target.id
    }

    fn state(&self, index: usize, _: &str) -> Option<&TypedValue> {
        self.0.states[index].value.as_ref()
    }

    fn messages(&self) -> usize {
        self.0.invocations.len()
    }

    fn message(&self, index: usize) -> (Option<&Address>, &TypedValue) {
        let Invocation { caller, argument } = &self.0.invocations[index];
        (caller.as_ref(), argument)
    }
}

proptest! {
    #[test]
    fn http_and_direct_invocation_have_the_same_effects(
        messages in proptest::collection::vec((any::<i32>(), any::<bool>()), 0..6),
        seen: Option<i32>,
        note: Option<String>,
    ) {
        let caller = address("demo/caller/c");
        let invocations = messages.into_iter().map(|(n, called)| Invocation {
            caller: called.then(|| caller.clone()),
            argument: value(n),
        });
        let request = OwnedRequest {
            target: address("demo/many/a"),
            states: vec![
                PersistedValue { name: "seen".into(), value: seen.map(value) },
                PersistedValue { name: "note".into(), value: note.map(value) },
            ],
            invocations: invocations.collect(),
        };
        let functions = app().build().unwrap();
        let function = functions.get(&request.target.function).unwrap();
        let direct = function.invoke(&Lent(&request));

        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let reply = runtime.block_on(functions.handle(request.encode().into()));
        match direct {
            Ok(direct) => {
                prop_assert_eq!(reply.status, 200);
                let outcome = decode_reply(reply.body).unwrap();
                prop_assert_eq!(outcome, statera_model::Outcome::Complete(direct));
            }
            Err(failure) => {
                prop_assert_eq!(reply.status, 422);
                prop_assert_eq!(reply.body, format!("{failure}\n"));
            }
        }
    }

    #[test]
    fn no_body_makes_the_server_panic(body: Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let reply = runtime.block_on(app().build().unwrap().handle(body.into()));
        prop_assert_ne!(reply.status, 200);
    }
}

#[test]
fn functions_can_be_shared_between_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Functions>();
    check::<Function>();
    check::<Error>();
    fn check_send<T: Send>(_: T) {}
    check_send(app().build().unwrap().handle(Bytes::new()));
    check_send(Server::bind(app(), "127.0.0.1:0").unwrap().run(std::future::pending()));
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

fn start(app: App, limits: Limits) -> Running {
    let server = Server::bind(app, "127.0.0.1:0").unwrap().limits(limits);
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(async move {
        server.run(async { drop(stopped.await) }).await.unwrap();
    });
    Running { address, stop, ended }
}

impl Running {
    async fn connect(&self) -> SendRequest<Full<Bytes>> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (client, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        client
    }

    async fn status(&self, method: &str, content_type: Option<&str>, body: Bytes) -> (u16, String) {
        let mut request = Request::builder().method(method).uri("/any/path");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let request = request.body(Full::new(body)).unwrap();
        let response = self.connect().await.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }
}

fn post(body: Vec<u8>) -> Request<Full<Bytes>> {
    let request = Request::post("/").header("content-type", "application/octet-stream");
    request.body(Full::new(body.into())).unwrap()
}

#[tokio::test]
async fn the_server_takes_what_a_runtime_sends_and_refuses_the_rest() {
    let server = start(app(), Limits::default());
    let invoke = || Bytes::from(request("demo/counter/a", 1).encode());
    let octets = Some("application/octet-stream");
    for (method, content_type, body, status) in [
        ("POST", octets, invoke(), 200),
        ("POST", Some("Application/Octet-Stream; x=y"), invoke(), 200),
        ("POST", None, invoke(), 200),
        ("POST", Some(""), invoke(), 200),
        ("POST", Some("application/json"), invoke(), 415),
        ("POST", octets, Bytes::new(), 400),
        ("POST", octets, "garbage".into(), 400),
        ("PUT", octets, invoke(), 405),
        ("HEAD", None, Bytes::new(), 200),
    ] {
        let (answered, text) = server.status(method, content_type, body).await;
        assert_eq!(answered, status, "{method} {content_type:?}: {text}");
    }
    let (_, text) = server.status("GET", None, Bytes::new()).await;
    expect_test::expect![[r#"
        Functions served here:

        demo/counter
          seen: io.statefun.types/int

        demo/fails

        demo/many
          seen: io.statefun.types/int
          note: io.statefun.types/string, 60000 ms after a write
    "#]]
    .assert_eq(&text);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let mut limits = Limits::default();
    limits.body_bytes_max = 1000;
    let server = start(app(), limits);
    let invoke = |length| request("demo/counter/a", "x".repeat(length)).encode().into();
    assert_eq!(server.status("POST", None, invoke(900)).await.0, 200);
    let (status, text) = server.status("POST", None, invoke(1000)).await;
    assert_eq!((status, &*text), (413, "the body is longer than 1000 bytes\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_at_once_are_all_answered() {
    let server = Arc::new(start(app(), Limits::default()));
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..20 {
        let server = server.clone();
        clients.spawn(async move {
            let mut connection = server.connect().await;
            for n in 0..20 {
                let seen = client * 100 + n;
                let mut request = request("demo/counter/a", 1);
                let stored = PersistedValue { name: "seen".into(), value: Some(value(seen)) };
                request.states.push(stored);
                let response = connection.send_request(post(request.encode())).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                let body = response.into_body().collect().await.unwrap().to_bytes();
                let Ok(statera_model::Outcome::Complete(reply)) = decode_reply(body) else {
                    panic!("it is complete");
                };
                let expected = statera_model::StateChange::Modify(value(seen + 1));
                assert_eq!(reply.mutations[0].change, expected);
            }
        });
    }
    tokio::time::timeout(PATIENCE, clients.join_all()).await.expect("all clients end");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let mut limits = Limits::default();
    limits.connections_max = 1;
    let server = Arc::new(start(app(), limits));
    let mut first = server.connect().await;
    let waiting = server.clone();
    let second = tokio::spawn(async move { waiting.status("GET", None, Bytes::new()).await });
    // While the server is busy with the first connection for as long as that takes, the second one gets nothing.
    for _ in 0..100 {
        let response = first.send_request(post(request("demo/idle/a", 1).encode())).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
    assert!(!second.is_finished());
    drop(first);
    let answer = tokio::time::timeout(PATIENCE, second).await.expect("it gets the place");
    assert_eq!(answer.unwrap().0, 200);
}

/// A function that waits until it is allowed to end, and says when it was called.
fn gated() -> (App, Arc<Semaphore>, Arc<Semaphore>) {
    let (called, allowed) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (calls, allows) = (called.clone(), allowed.clone());
    let app = App::new().function_async("demo/gate", (), move |_, _: Message| {
        let (calls, allows) = (calls.clone(), allows.clone());
        async move {
            calls.add_permits(1);
            allows.acquire().await?.forget();
            Ok(())
        }
    });
    (app, called, allowed)
}

#[tokio::test]
async fn asynchronous_functions_wait_at_the_same_time() {
    let (app, called, allowed) = gated();
    let server = start(app, Limits::default());
    let mut answers = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let mut client = server.connect().await;
        let answer = client.send_request(post(request("demo/gate/a", 1).encode()));
        // Dropping the client would end its connection.
        answers.spawn(async move { (answer.await, client) });
    }
    let all = tokio::time::timeout(PATIENCE, called.acquire_many(3)).await;
    all.expect("all three are called before any ends").unwrap().forget();
    allowed.add_permits(3);
    for (answer, _client) in answers.join_all().await {
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn requests_in_flight_end_before_the_server_does() {
    let (app, called, allowed) = gated();
    let server = start(app, Limits::default());
    let mut client = server.connect().await;
    let answer = tokio::spawn(client.send_request(post(request("demo/gate/a", 1).encode())));
    called.acquire().await.unwrap().forget();
    server.stop.send(()).unwrap();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!server.ended.is_finished());
    allowed.add_permits(1);
    let response = tokio::time::timeout(PATIENCE, answer).await.expect("an answer").unwrap();
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    tokio::time::timeout(PATIENCE, server.ended).await.expect("the server ends").unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_end_is_given_up_after_the_drain_time() {
    let (app, called, _allowed) = gated();
    let mut limits = Limits::default();
    limits.drain_time = Duration::from_millis(1);
    let server = start(app, limits);
    let mut client = server.connect().await;
    let answer = tokio::spawn(client.send_request(post(request("demo/gate/a", 1).encode())));
    called.acquire().await.unwrap().forget();
    server.stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, server.ended).await.expect("the server ends").unwrap();
    assert!(answer.await.unwrap().is_err());
}

#[tokio::test]
async fn what_keeps_functions_from_being_served_is_said() {
    let error = app().serve("127.0.0.1:0").unwrap_err();
    assert!(error.to_string().contains("hint: use `serve_with_shutdown`"), "{error}");
    let error = Server::bind(app().merge(app()), "127.0.0.1:0").unwrap_err();
    assert!(error.to_string().contains("is registered twice"), "{error}");
    let taken = Server::bind(app(), "127.0.0.1:0").unwrap();
    let error: Error = Server::bind(app(), taken.local_addr()).unwrap_err().into();
    assert!(error.to_string().starts_with("cannot listen on the given address: "), "{error}");
    app().serve_with_shutdown("127.0.0.1:0", std::future::ready(())).await.unwrap();
}
