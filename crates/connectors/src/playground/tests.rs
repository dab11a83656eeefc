use std::net::SocketAddr;
use std::sync::Arc;

use expect_test::{Expect, expect};
use hyper::{Method, Request as HttpRequest, StatusCode};
use statera_config as config;
use statera_model::{Address, Epoch, TypedValue};
use statera_ports::{Egress, SinkBatch};

use crate::testing::{FakeEngine, any_port, data, name, request, start};

async fn ingress() -> (Arc<FakeEngine>, SocketAddr) {
    let (engine, _) = FakeEngine::new();
    let spec = config::Ingress::Playground(config::PlaygroundIngress { address: any_port() });
    let bound = crate::ingress(&spec, engine.clone()).unwrap();
    assert_eq!(bound.id(), &spec.id());
    let address = bound.local_addr().unwrap();
    start(bound, &engine);
    (engine, address)
}

fn assert_status(response: &hyper::Response<bytes::Bytes>, status: u16) {
    assert_eq!(response.status().as_u16(), status);
    assert_eq!(response.headers()["status"], *status.to_string());
}

#[tokio::test]
async fn any_method_sends_a_message() {
    let (engine, address) = ingress().await;
    for method in [Method::PUT, Method::POST, Method::GET, Method::DELETE] {
        let builder = HttpRequest::builder()
            .method(method)
            .uri("/example/person/Bob")
            .header("content-type", "application/vnd.example/GreetRequest");
        let response = request(address, builder, r#"{"name": "Bob"}"#).await;
        assert_status(&response, 200);
        assert!(response.body().is_empty());
        let sent = engine.requests.lock().unwrap().pop().unwrap();
        assert_eq!(sent.target, Address::new(name("example/person"), "Bob"));
        assert_eq!(sent.argument, TypedValue::new("example/GreetRequest", br#"{"name": "Bob"}"#));
    }
}

#[tokio::test]
async fn other_content_types_are_raw_strings() {
    let (engine, address) = ingress().await;
    let plain = HttpRequest::put("/example/person/Bob").header("content-type", "text/plain");
    for builder in [plain, HttpRequest::put("/example/person/Bob")] {
        assert_status(&request(address, builder, "hello").await, 200);
        let sent = engine.requests.lock().unwrap().pop().unwrap();
        assert_eq!(sent.argument, TypedValue::new("io.statefun.types/string", b"hello"));
    }
}

#[tokio::test]
async fn wrong_paths_and_refusals_are_explained() {
    let (_, address) = ingress().await;
    let check = async |path: &str, status: u16, expected: Expect| {
        let response = request(address, HttpRequest::put(path), "x").await;
        assert_status(&response, status);
        expected.assert_eq(std::str::from_utf8(response.body()).unwrap());
    };
    check("/example/person", 400, expect![[r#"
        {"error":"`example/person` has 2 parts instead of 3","hint":"the path ends with <namespace>/<type>/<id>"}
    "#]]).await;
    check("/example/person/Bob/x", 400, expect![[r#"
        {"error":"`example/person/Bob/x` has 4 parts instead of 3","hint":"the path ends with <namespace>/<type>/<id>; write a slash within the id as %2F"}
    "#]]).await;
    check("/other/person/Bob", 404, expect![[r#"
        {"error":"no endpoint serves functions of type `other/person`","hint":"check the address, and the `functions` of the endpoints in the configuration"}
    "#]]).await;
    check(
        "/example/person/full",
        503,
        expect![[r#"
        {"error":"mailboxMessages is reached","hint":"nothing was accepted; try again in a moment"}
    "#]],
    )
    .await;
}

async fn egress() -> (Egress, SocketAddr, Arc<FakeEngine>) {
    let (engine, _) = FakeEngine::new();
    let spec = config::Egress::Playground(config::PlaygroundEgress {
        address: any_port(),
        topics: vec!["greetings".to_owned(), "alerts".to_owned()],
    });
    let open = crate::egress(&spec).unwrap();
    let server = open.server.unwrap();
    assert_eq!((&open.egress.id, server.id()), (&spec.id(), &spec.id()));
    let address = server.local_addr().unwrap();
    start(server, &engine);
    (open.egress, address, engine)
}

fn record(json: &str) -> TypedValue {
    TypedValue::new("io.statefun.playground/EgressRecord", json.as_bytes())
}

fn batch(records: Vec<TypedValue>) -> SinkBatch {
    SinkBatch { epoch: Epoch(1), records, traces: Vec::new() }
}

#[tokio::test]
async fn records_are_taken_one_by_one_in_order() {
    let (mut egress, address, _engine) = egress().await;
    egress.sink.recover(data(), None).await.unwrap();
    let records = ["one", "two"]
        .map(|text| record(&format!(r#"{{"topic":"greetings","payload":"{text}"}}"#)));
    egress.sink.write(batch(records.to_vec())).await.unwrap();
    for expected in ["one", "two"] {
        let response = request(address, HttpRequest::get("/greetings"), "").await;
        assert_status(&response, 200);
        assert_eq!(response.body(), expected);
    }
    for topic in ["/greetings", "/alerts"] {
        let response = request(address, HttpRequest::get(topic), "").await;
        assert_status(&response, StatusCode::NOT_FOUND.as_u16());
        assert!(response.body().is_empty());
    }
    let response = request(address, HttpRequest::get("/unknown"), "").await;
    assert_status(&response, StatusCode::METHOD_NOT_ALLOWED.as_u16());
    expect![[r#"
        {"error":"there is no topic `unknown`","hint":"the topics of this egress are `alerts`, `greetings`"}
    "#]].assert_eq(std::str::from_utf8(response.body()).unwrap());
}

#[tokio::test]
async fn what_is_no_record_of_a_known_topic_is_not_accepted() {
    let (egress, ..) = egress().await;
    let check = |value: TypedValue, expected: Expect| {
        let accepted = (egress.accepts)(&value);
        expected.assert_eq(&accepted.err().unwrap_or_default());
    };
    check(record(r#"{"topic":"alerts","payload":""}"#), expect![[""]]);
    check(
        TypedValue::new("example/Other", b"{}"),
        expect![
            "the playground's egress takes values of type `io.statefun.playground/EgressRecord`, not `example/Other`"
        ],
    );
    check(
        record("hello"),
        expect![[
            r#"a `io.statefun.playground/EgressRecord` is a JSON object {"topic": "...", "payload": "..."}: expected value at line 1 column 1"#
        ]],
    );
    check(
        record("[]"),
        expect![[
            r#"a `io.statefun.playground/EgressRecord` is a JSON object {"topic": "...", "payload": "..."}: it is not an object"#
        ]],
    );
    check(
        record(r#"{"topic":"alerts"}"#),
        expect![[
            r#"a `io.statefun.playground/EgressRecord` is a JSON object {"topic": "...", "payload": "..."}: `payload` is missing"#
        ]],
    );
    check(
        record(r#"{"topic":"alerts","payload":1}"#),
        expect![[
            r#"a `io.statefun.playground/EgressRecord` is a JSON object {"topic": "...", "payload": "..."}: `payload` is not a string"#
        ]],
    );
    check(
        record(r#"{"topic":"alerts","payload":"","key":""}"#),
        expect![[
            r#"a `io.statefun.playground/EgressRecord` is a JSON object {"topic": "...", "payload": "..."}: `key` is unknown"#
        ]],
    );
    check(
        record(r#"{"topic":"other","payload":""}"#),
        expect![
            "the playground's egress has no topic `other`; its topics are `alerts`, `greetings`"
        ],
    );
}
