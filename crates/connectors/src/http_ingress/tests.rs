use std::net::SocketAddr;

use bytes::Bytes;
use expect_test::{Expect, expect};
use hyper::Request as HttpRequest;
use statera_model::Address;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::testing::{FakeEngine, any_port, name, request, soon};

struct World {
    engine: Arc<FakeEngine>,
    address: SocketAddr,
    running: JoinHandle<Result<(), Error>>,
}

fn world(change: impl FnOnce(&mut Limits)) -> World {
    let spec = config::HttpIngress {
        id: name("test/http"),
        address: any_port(),
        body_max_bytes: 1024,
        requests_max: 2,
        call_timeout: Duration::from_secs(10),
    };
    let mut limits =
        Limits { body_bytes: spec.body_max_bytes, requests: spec.requests_max, ..Limits::DEFAULT };
    change(&mut limits);
    let (engine, _) = FakeEngine::new();
    let ingress = HttpIngress::with_limits(&spec, limits, engine.clone()).unwrap();
    let address = ingress.server.local_addr();
    let running = tokio::spawn(ingress.run(engine.stopping()));
    World { engine, address, running }
}

fn post(path: &str) -> hyper::http::request::Builder {
    HttpRequest::post(path).header("content-type", "application/vnd.example/Order; charset=utf-8")
}

/// The status, the headers that matter, and the body.
fn show(response: &hyper::Response<Bytes>) -> String {
    let mut text = format!("{}\n", response.status());
    for (name, value) in response.headers() {
        if !["date", "content-length"].contains(&name.as_str()) {
            text += &format!("{name}: {}\n", value.to_str().unwrap());
        }
    }
    text + &String::from_utf8_lossy(response.body())
}

async fn check(builder: hyper::http::request::Builder, expected: Expect) {
    let world = world(|_| ());
    expected.assert_eq(&show(&request(world.address, builder, "{}").await));
}

async fn check_path(path: &str, expected: Expect) {
    check(post(path), expected).await;
}

#[tokio::test]
async fn a_send_is_accepted_with_202() {
    let world = world(|_| ());
    let response = request(world.address, post("/v1/send/example/cart/a%2Fb%20%C3%A4"), "{}").await;
    assert_eq!((response.status(), response.body().len()), (StatusCode::ACCEPTED, 0));
    let expected = Request {
        target: Address::new(name("example/cart"), "a/b ä"),
        argument: TypedValue::new("example/Order", b"{}"),
        idempotency_key: None,
        trace: None,
    };
    assert_eq!(*world.engine.requests.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn the_query_names_the_type_first_and_the_key_is_passed_on() {
    let world = world(|_| ());
    let builder =
        post("/v1/send/example/cart/1?typename=example%2FOther").header("idempotency-key", "k-1");
    assert_eq!(request(world.address, builder, "").await.status(), StatusCode::ACCEPTED);
    let requests = world.engine.requests.lock().unwrap();
    assert_eq!(requests[0].argument, TypedValue::new("example/Other", b""));
    assert_eq!(requests[0].idempotency_key.as_deref(), Some("k-1"));
}

#[tokio::test]
async fn a_call_is_answered_with_the_value_and_its_type() {
    check_path(
        "/v1/call/example/cart/1?timeout=10s",
        expect![[r#"
        200 OK
        content-type: application/vnd.example/Order
        {}"#]],
    )
    .await;
    check(
        HttpRequest::post("/v1/call/example/cart/1?typename=%0Aodd"),
        expect![[r#"
        200 OK
        content-type: application/octet-stream
        {}"#]],
    )
    .await;
}

#[tokio::test]
async fn a_call_without_an_answer_ends_with_504() {
    check_path("/v1/call/example/cart/never?timeout=20ms", expect![[r#"
        504 Gateway Timeout
        content-type: application/json
        {"error":"no answer within 20ms","hint":"the message stays accepted and will be processed; to wait longer set `?timeout=`, and to wait again repeat the call with the same `Idempotency-Key`"}
    "#]]).await;
}

#[tokio::test]
async fn a_call_that_is_given_up_ends_with_502() {
    check_path("/v1/call/example/cart/poison", expect![[r#"
        502 Bad Gateway
        content-type: application/json
        {"error":"the function answered with status 500","hint":"the message was given up and lies in the dead letters as `7-1768999999123`; see `statera deadletter`, where it can be sent again","deadLetter":"7-1768999999123"}
    "#]]).await;
}

#[tokio::test]
async fn what_the_engine_refuses_is_explained() {
    check_path(
        "/v1/send/example/cart/full",
        expect![[r#"
        503 Service Unavailable
        content-type: application/json
        retry-after: 1
        {"error":"mailboxMessages is reached","hint":"nothing was accepted; try again in a moment"}
    "#]],
    )
    .await;
    check_path(
        "/v1/send/example/cart/stopping",
        expect![[r#"
        503 Service Unavailable
        content-type: application/json
        retry-after: 1
        {"error":"the engine is stopping","hint":"nothing was accepted; try again when it is back"}
    "#]],
    )
    .await;
    check_path("/v1/send/example/cart/reused", expect![[r#"
        409 Conflict
        content-type: application/json
        {"error":"the idempotency key was used before with `call`","hint":"use a key of its own for each message; repeat a message in the way it was sent first"}
    "#]]).await;
    check_path("/v1/send/example/cart/long", expect![[r#"
        400 Bad Request
        content-type: application/json
        {"error":"the address or the idempotency key is longer than 8192 bytes","hint":"use shorter ids and keys, such as a hash of the long one"}
    "#]]).await;
    check_path("/v1/send/elsewhere/cart/1", expect![[r#"
        404 Not Found
        content-type: application/json
        {"error":"no endpoint serves functions of type `elsewhere/cart`","hint":"check the address, and the `functions` of the endpoints in the configuration"}
    "#]]).await;
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_explained() {
    check_path("/", expect![[r#"
        404 Not Found
        content-type: application/json
        {"error":"there is nothing at `/`","hint":"POST to /v1/send/<namespace>/<type>/<id>, or to /v1/call/<namespace>/<type>/<id> to wait for an answer"}
    "#]]).await;
    check_path("/v1/send/example/cart", expect![[r#"
        400 Bad Request
        content-type: application/json
        {"error":"`example/cart` has 2 parts instead of 3","hint":"the path ends with <namespace>/<type>/<id>"}
    "#]]).await;
    check_path("/v1/send/example/cart/", expect![[r#"
        400 Bad Request
        content-type: application/json
        {"error":"the id in the path is empty","hint":"the path ends with <namespace>/<type>/<id>, none of them empty"}
    "#]]).await;
    check_path("/v1/send/example/cart/a/b", expect![[r#"
        400 Bad Request
        content-type: application/json
        {"error":"`example/cart/a/b` has 4 parts instead of 3","hint":"the path ends with <namespace>/<type>/<id>; write a slash within the id as %2F"}
    "#]]).await;
    check_path("/v1/send/exa%2Fmple/cart/a", expect![[r#"
        400 Bad Request
        content-type: application/json
        {"error":"`exa/mple/cart` is not a function type","hint":"namespace and type must not contain slashes, not even encoded ones"}
    "#]]).await;
    check_path("/v1/send/example/cart/100%", expect![[r#"
        400 Bad Request
        content-type: application/json
        {"error":"`100%` is not percent-encoded correctly","hint":"after each % there are two hexadecimal digits; write a percent sign as %25"}
    "#]]).await;
    check_path("/v1/send/example/cart/%FF", expect![[r#"
        400 Bad Request
        content-type: application/json
        {"error":"`%FF` does not decode to UTF-8","hint":"percent-encode the bytes of the UTF-8 text"}
    "#]]).await;
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    check(
        HttpRequest::put("/v1/send/example/cart/1"),
        expect![[r#"
        405 Method Not Allowed
        content-type: application/json
        allow: POST
        {"error":"the method `PUT` is not served here","hint":"use POST"}
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_value_needs_a_typename() {
    check(HttpRequest::post("/v1/send/example/cart/1"), expect![[r#"
        400 Bad Request
        content-type: application/json
        {"error":"the type of the value is not named: there is no `Content-Type`","hint":"set `Content-Type: application/vnd.<typename>`, or `?typename=<typename>`; the typename is what the function declares, such as `example/Order`"}
    "#]]).await;
    let json =
        HttpRequest::post("/v1/send/example/cart/1").header("content-type", "application/json");
    check(json, expect![[r#"
        400 Bad Request
        content-type: application/json
        {"error":"the type of the value is not named: `Content-Type` is `application/json`","hint":"set `Content-Type: application/vnd.<typename>`, or `?typename=<typename>`; the typename is what the function declares, such as `example/Order`"}
    "#]]).await;
}

#[tokio::test]
async fn parameters_and_keys_are_checked() {
    check_path("/v1/call/example/cart/1?timeout=soon", expect![[r#"
        400 Bad Request
        content-type: application/json
        {"error":"`soon` is not a timeout","hint":"write a number and a unit (ms, s, min, h), such as `30s`; the longest is `1h`"}
    "#]]).await;
    check_path(
        "/v1/send/example/cart/1?timeout=1s",
        expect![[r#"
        400 Bad Request
        content-type: application/json
        {"error":"the query parameter `timeout` is unknown","hint":"a send takes `typename`"}
    "#]],
    )
    .await;
    check_path(
        "/v1/call/example/cart/1?typename=",
        expect![[r#"
        400 Bad Request
        content-type: application/json
        {"error":"the parameter `typename` is empty","hint":"leave it out, or name the type"}
    "#]],
    )
    .await;
    let long = post("/v1/send/example/cart/1").header("idempotency-key", "k".repeat(257));
    check(long, expect![[r#"
        400 Bad Request
        content-type: application/json
        {"error":"the `Idempotency-Key` has 257 bytes instead of 1 to 256","hint":"use a random key, such as a UUID, for each message"}
    "#]]).await;
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let foreign = post("/v1/send/example/cart/1").header("origin", "https://elsewhere.example");
    check(foreign, expect![[r#"
        403 Forbidden
        content-type: application/json
        {"error":"a page of `https://elsewhere.example` may not send messages","hint":"send them from a server, or serve the page through a proxy from the same origin"}
    "#]]).await;
}

#[tokio::test]
async fn an_announced_body_that_is_too_large_is_refused_before_it_is_read() {
    let world = world(|_| ());
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = "POST /v1/send/example/cart/1?typename=a/b HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("the body is larger than 1024 bytes"), "{answer}");
}

#[tokio::test]
async fn a_body_that_turns_out_too_large_is_refused() {
    let world = world(|_| ());
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = "POST /v1/send/example/cart/1?typename=a/b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..5 {
        stream.write_all(format!("100\r\n{}\r\n", "x".repeat(256)).as_bytes()).await.unwrap();
    }
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(world.engine.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_body_in_pieces_is_joined() {
    let world = world(|_| ());
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let message = "POST /v1/call/example/cart/1?typename=a/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n3\r\ndef\r\n0\r\n\r\n";
    stream.write_all(message.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nabcdef"), "{answer}");
}

#[tokio::test]
async fn whoever_sends_too_slowly_is_cut_off() {
    let impatient = world(|limits| limits.head_time = Duration::from_millis(50));
    let mut slow_head = TcpStream::connect(impatient.address).await.unwrap();
    slow_head.write_all(b"POST /v1/send/example/ca").await.unwrap();
    let answer = read_to_end(&mut slow_head).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");

    let impatient = world(|limits| limits.body_time = Duration::from_millis(50));
    let mut slow_body = TcpStream::connect(impatient.address).await.unwrap();
    let head = "POST /v1/send/example/cart/1?typename=a/b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab";
    slow_body.write_all(head.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut slow_body).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused() {
    let world = world(|_| ());
    let builder = post("/v1/send/example/cart/1").header("x-large", "x".repeat(40 * 1024));
    let response = request(world.address, builder, "").await;
    assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn more_requests_than_allowed_are_told_to_come_again() {
    let world = world(|_| ());
    let address = world.address;
    let held = || tokio::spawn(request(address, post("/v1/call/example/cart/held"), ""));
    let waiting = [held(), held()];
    soon("two requests in the engine", async {
        while world.engine.requests.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let refused = request(address, post("/v1/send/example/cart/1"), "").await;
    expect![[r#"
        503 Service Unavailable
        content-type: application/json
        retry-after: 1
        {"error":"2 requests are already waiting","hint":"nothing was accepted; try again in a moment"}
    "#]].assert_eq(&show(&refused));
    world.engine.release();
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap().status(), StatusCode::OK);
    }
    let accepted = request(address, post("/v1/send/example/cart/1"), "").await;
    assert_eq!(accepted.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn bodies_are_limited_in_sum() {
    let world = world(|limits| limits.bodies_bytes = 0);
    // The largest body always finds room; a second one does not while the first is being read.
    let mut first = TcpStream::connect(world.address).await.unwrap();
    let head = "POST /v1/send/example/cart/1?typename=a/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Length: 1024\r\n\r\n";
    first.write_all(head.as_bytes()).await.unwrap();
    first.write_all(&[b'x'; 1023]).await.unwrap();
    soon("a refusal", async {
        while request(world.address, post("/v1/send/example/cart/1"), "abc").await.status()
            != StatusCode::SERVICE_UNAVAILABLE
        {}
    })
    .await;
    first.write_all(b"x").await.unwrap();
    assert!(read_to_end(&mut first).await.starts_with("HTTP/1.1 202"));
    let accepted = request(world.address, post("/v1/send/example/cart/1"), "abc").await;
    assert_eq!(accepted.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn requests_in_flight_end_before_the_server_does() {
    let world = world(|_| ());
    let mut idle = TcpStream::connect(world.address).await.unwrap();
    let waiting = tokio::spawn(request(world.address, post("/v1/call/example/cart/held"), "7"));
    in_flight(&world).await;
    world.engine.stop();
    assert_eq!(read_to_end(&mut idle).await, "");
    soon("the socket being closed", async {
        while TcpStream::connect(world.address).await.is_ok() {}
    })
    .await;
    assert!(!world.running.is_finished());
    world.engine.release();
    assert_eq!(waiting.await.unwrap().body(), "7");
    soon("the end of the server", world.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn calls_that_do_not_end_in_time_are_told_so() {
    let world = world(|limits| limits.drain_time = Duration::from_millis(20));
    let waiting = tokio::spawn(request(world.address, post("/v1/call/example/cart/never"), ""));
    in_flight(&world).await;
    world.engine.stop();
    expect![[r#"
        503 Service Unavailable
        content-type: application/json
        retry-after: 1
        connection: close
        {"error":"the engine stopped before an answer was there","hint":"the message may have been accepted; repeat the call with the same `Idempotency-Key` when it is back"}
    "#]].assert_eq(&show(&waiting.await.unwrap()));
    soon("the end of the server", world.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn sends_that_do_not_end_in_time_are_cut_off() {
    let world = world(|limits| limits.drain_time = Duration::from_millis(20));
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = "POST /v1/send/example/cart/never?typename=a/b HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    in_flight(&world).await;
    world.engine.stop();
    assert_eq!(read_to_end(&mut stream).await, "");
    soon("the end of the server", world.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn more_connections_than_allowed_wait() {
    let world = world(|limits| limits.connections = 1);
    let mut first = TcpStream::connect(world.address).await.unwrap();
    let message = b"POST /v1/send/example/cart/1?typename=a/b HTTP/1.1\r\nHost: x\r\n\r\n";
    first.write_all(message).await.unwrap();
    soon("the first answer", first.read_u8()).await.unwrap();
    let mut second = TcpStream::connect(world.address).await.unwrap();
    second.write_all(message).await.unwrap();
    // The first connection still has the only place.
    first.write_all(message).await.unwrap();
    in_flight_count(&world, 2).await;
    drop(first);
    soon("the second answer", second.read_u8()).await.unwrap();
    assert_eq!(world.engine.requests.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let world = world(|_| ());
    let spec = config::Ingress::Http(config::HttpIngress {
        id: name("test/second"),
        address: world.address,
        body_max_bytes: 1,
        requests_max: 1,
        call_timeout: Duration::from_secs(1),
    });
    let error = crate::ingress(&spec, world.engine.clone()).unwrap_err().to_string();
    expect!["cannot listen on `<address>` for `test/second`: the address is in use; hint: stop the program that uses it, or configure another port"].assert_eq(&error.replace(&world.address.to_string(), "<address>"));
}

async fn in_flight(world: &World) {
    in_flight_count(world, 1).await;
}

async fn in_flight_count(world: &World, count: usize) {
    soon("requests in the engine", async {
        while world.engine.requests.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    soon("the end of the connection", async {
        // A connection that is reset after its answer has still answered.
        while stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    String::from_utf8(bytes).unwrap()
}
