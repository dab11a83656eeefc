//! The admin API of a real engine, over HTTP.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod live;
mod operations;
mod world;

use expect_test::{Expect, expect};
use hyper::{Method, Request, StatusCode};
use serde_json::json;
use statera_admin::{AdminServer, api};
use statera_model::TypedValue;
use statera_protocol::types;

use world::{World, soon, world};

fn message(text: &str) -> TypedValue {
    TypedValue::new("example/message", text.as_bytes())
}

async fn check(world: &World, path: &str, expected: Expect) {
    let (status, answer) = world.get(path).await;
    expected.assert_eq(&format!("{status}\n{}", world.show(&answer)));
}

#[tokio::test]
async fn state_is_shown_in_every_form_it_has() {
    let world = world().await;
    world.send("example/cart", "a/b", message(r#"{"name": "x"}"#)).await;
    world.until("/v1/state/example/cart/a%2Fb", |answer| answer["states"] != json!([])).await;
    check(
        &world,
        "/v1/state/example/cart/a%2Fb",
        expect![[r#"
        200 OK
        {
          "address": "example/cart/a/b",
          "states": [
            {
              "name": "last",
              "typename": "example/message",
              "value": "eyJuYW1lIjogIngifQ==",
              "text": "{\"name\": \"x\"}",
              "json": {
                "name": "x"
              },
              "lastAccess": "<lastAccess>"
            },
            {
              "name": "seen",
              "typename": "io.statefun.types/int",
              "value": "DQEAAAA=",
              "text": "1",
              "json": 1
            }
          ]
        }
    "#]],
    )
    .await;
    check(
        &world,
        "/v1/state/example/cart/",
        expect![[r#"
        200 OK
        {
          "address": "example/cart/",
          "states": []
        }
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_dead_letter_is_listed_and_shown() {
    let world = world().await;
    world.send("example/cart", "poison", types::encode("hello")).await;
    world.dead_letters(1).await;
    check(
        &world,
        "/v1/deadletters",
        expect![[r#"
        200 OK
        {
          "deadLetters": [
            {
              "id": "<id>",
              "at": "<at>",
              "kind": "invocation",
              "target": "example/cart/poison",
              "attempts": 1,
              "reason": "`http://<functions>/cart` answered 400 Bad Request"
            }
          ]
        }
    "#]],
    )
    .await;
    let id = world.dead_letters(1).await[0]["id"].as_str().unwrap().to_owned();
    check(&world, &format!("/v1/deadletters/{id}"), expect![[r#"
        200 OK
        {
          "id": "<id>",
          "at": "<at>",
          "kind": "invocation",
          "target": "example/cart/poison",
          "attempts": 1,
          "reason": "`http://<functions>/cart` answered 400 Bad Request",
          "message": {
            "typename": "io.statefun.types/string",
            "value": "CgVoZWxsbw==",
            "text": "hello",
            "json": "hello"
          },
          "states": [],
          "request": "ogZCChcKB2V4YW1wbGUSBGNhcnQaBnBvaXNvbhonEiUKGGlvLnN0YXRlZnVuLnR5cGVzL3N0cmluZxABGgcKBWhlbGxv"
        }
    "#]]).await;
    let (_, detail) = world.get(&format!("/v1/deadletters/{id}")).await;
    let detail: api::DeadLetterDetail = serde_json::from_value(detail).unwrap();
    assert_eq!(detail.letter.kind, api::Kind::Invocation);
}

#[tokio::test]
async fn a_dead_letter_is_redriven_once() {
    let world = world().await;
    world.send("example/cart", "poison", message("late")).await;
    let id = world.dead_letters(1).await[0]["id"].as_str().unwrap().to_owned();
    world.heal();
    let path = format!("/v1/deadletters/{id}/redrive");
    assert_eq!(world.request(Method::POST, &path).await, (StatusCode::OK, json!({ "done": id })));
    assert_eq!(world.request(Method::POST, &path).await.0, StatusCode::NOT_FOUND);
    world.dead_letters(0).await;
    let has_come = |answer: &serde_json::Value| answer["states"][0]["text"] == "late";
    world.until("/v1/state/example/cart/poison", has_come).await;
}

#[tokio::test]
async fn a_dead_letter_is_dropped_once() {
    let world = world().await;
    world.send("example/cart", "poison", message("")).await;
    let id = world.dead_letters(1).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/deadletters/{id}");
    assert_eq!(world.request(Method::DELETE, &path).await, (StatusCode::OK, json!({ "done": id })));
    assert_eq!(world.request(Method::DELETE, &path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.get(&path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pages_hold_each_dead_letter_once() {
    let world = world().await;
    for number in 0..120 {
        world.send("example/cart", &format!("poison{number}"), message("")).await;
    }
    // The status counts what is not durable yet, too; the list does not.
    let all_listed = |page: &serde_json::Value| {
        page["deadLetters"].as_array().is_some_and(|all| all.len() == 120)
    };
    world.until("/v1/deadletters?limit=120", all_listed).await;
    let mut found = Vec::new();
    let mut path = "/v1/deadletters?limit=55".to_owned();
    let mut pages = 0;
    loop {
        let (_, page) = world.get(&path).await;
        let page: api::DeadLetters = serde_json::from_value(page).unwrap();
        found.extend(page.dead_letters.into_iter().map(|letter| letter.target.unwrap()));
        pages += 1;
        let Some(next) = page.next else { break };
        path = format!("/v1/deadletters?limit=55&after={next}");
    }
    found.sort();
    found.dedup();
    assert_eq!((found.len(), pages), (120, 3));
    let (_, page) = world.get("/v1/deadletters?limit=120").await;
    assert_eq!(page.get("next"), None);
}

#[tokio::test]
async fn a_paused_address_is_resumed() {
    let world = world().await;
    world.send("example/pausing", "poison", message("waits")).await;
    world.until("/v1/status", |status| status["total"]["paused"] == 1).await;
    world.heal();
    let path = "/v1/addresses/example/pausing/poison/resume";
    let resumed = world.request(Method::POST, path).await;
    assert_eq!(resumed, (StatusCode::OK, json!({ "done": "example/pausing/poison" })));
    let has_come = |answer: &serde_json::Value| answer["states"][0]["text"] == "waits";
    world.until("/v1/state/example/pausing/poison", has_come).await;
    let (status, answer) = world.request(Method::POST, path).await;
    assert_eq!(status, StatusCode::CONFLICT);
    expect![[r#"
        {
          "title": "Conflict",
          "status": 409,
          "code": "not-paused",
          "detail": "`example/pausing/poison` is not paused",
          "hint": "check the address; those with the failure policy `pause` are paused when they fail"
        }
    "#]].assert_eq(&world.show(&answer));
}

#[tokio::test]
async fn the_status_names_what_runs() {
    let world = world().await;
    let (_, mut answer) = world.get("/v1/status").await;
    let status: api::Status = serde_json::from_value(answer.clone()).unwrap();
    assert_eq!(status.shards.len(), 2);
    for name in ["version", "uptimeSeconds", "total", "shards"] {
        answer.as_object_mut().unwrap().shift_remove(name);
    }
    expect![[r#"
        {
          "stopping": false,
          "endpoints": [
            {
              "functions": "example/*",
              "url": "http://<functions>/{function.name}"
            }
          ],
          "ingresses": [
            {
              "id": "example/in",
              "kind": "http",
              "place": "127.0.0.1:8080"
            }
          ],
          "egresses": [
            {
              "id": "example/out",
              "kind": "stdout"
            }
          ]
        }
    "#]]
    .assert_eq(&world.show(&answer));
}

#[tokio::test]
async fn what_cannot_be_served_is_explained() {
    let world = world().await;
    for (path, expected) in [
        (
            "/v2",
            expect![[r#"
                404 Not Found
                {
                  "title": "Not Found",
                  "status": 404,
                  "code": "no-such-path",
                  "detail": "there is nothing at `/v2`",
                  "hint": "start at /v1/status; in an id, a slash is written as %2F"
                }
            "#]],
        ),
        (
            "/v1/deadletters/abc",
            expect![[r#"
                400 Bad Request
                {
                  "title": "Bad Request",
                  "status": 400,
                  "code": "invalid-path",
                  "detail": "`abc` is not the id of a dead letter, such as `7-1768999999123`",
                  "hint": "/v1/deadletters lists the ids"
                }
            "#]],
        ),
        (
            "/v1/deadletters/1-2",
            expect![[r#"
                404 Not Found
                {
                  "title": "Not Found",
                  "status": 404,
                  "code": "not-found",
                  "detail": "there is no dead letter `1-2`",
                  "hint": "it may have been redriven or dropped; /v1/deadletters lists those that are there"
                }
            "#]],
        ),
        (
            "/v1/deadletters/65535-2",
            expect![[r#"
                404 Not Found
                {
                  "title": "Not Found",
                  "status": 404,
                  "code": "not-found",
                  "detail": "there is no dead letter `65535-2`",
                  "hint": "it may have been redriven or dropped; /v1/deadletters lists those that are there"
                }
            "#]],
        ),
        (
            "/v1/deadletters?limit=0",
            expect![[r#"
                400 Bad Request
                {
                  "title": "Bad Request",
                  "status": 400,
                  "code": "invalid-query",
                  "detail": "`0` is not a limit",
                  "hint": "write a number from 1 to 1000"
                }
            "#]],
        ),
        (
            "/v1/deadletters?page=2",
            expect![[r#"
                400 Bad Request
                {
                  "title": "Bad Request",
                  "status": 400,
                  "code": "invalid-query",
                  "detail": "the query parameter `page` is unknown",
                  "hint": "known here: target, limit, after"
                }
            "#]],
        ),
        (
            "/v1/status?verbose",
            expect![[r#"
                400 Bad Request
                {
                  "title": "Bad Request",
                  "status": 400,
                  "code": "invalid-query",
                  "detail": "the query parameter `verbose` is unknown",
                  "hint": "known here: none"
                }
            "#]],
        ),
        (
            "/v1/state//cart/x",
            expect![[r#"
                400 Bad Request
                {
                  "title": "Bad Request",
                  "status": 400,
                  "code": "invalid-path",
                  "detail": "the namespace in the path is empty",
                  "hint": "an address is <namespace>/<type>/<id>"
                }
            "#]],
        ),
        (
            "/v1/state/example/cart/%zz",
            expect![[r#"
                400 Bad Request
                {
                  "title": "Bad Request",
                  "status": 400,
                  "code": "invalid-path",
                  "detail": "`%zz` is not percent-encoded correctly",
                  "hint": "after each % there are two hexadecimal digits; write a percent sign as %25"
                }
            "#]],
        ),
    ] {
        check(&world, path, expected).await;
    }
}

#[tokio::test]
async fn other_methods_are_told_which_are_allowed() {
    let world = world().await;
    let request = Request::put("/v1/deadletters/1-2").header("host", "localhost");
    let response = world.exchange(request).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "GET, HEAD, DELETE");
    let head = Request::head("/v1/status").header("host", "localhost");
    let response = world.exchange(head).await;
    assert_eq!((response.status(), response.body().len()), (StatusCode::OK, 0));
}

#[tokio::test]
async fn pages_of_other_origins_and_large_heads_are_refused() {
    let world = world().await;
    for (header, value, expected) in [
        ("origin", "http://evil.example".to_owned(), StatusCode::FORBIDDEN),
        ("x-large", "x".repeat(40 * 1024), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        ("content-length", "100000".to_owned(), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let request = Request::get("/v1/status").header("host", "localhost").header(header, value);
        assert_eq!(world.exchange(request).await.status(), expected, "{header}");
    }
}

#[tokio::test]
async fn an_engine_that_stops_is_alive_but_not_ready() {
    let world = world().await;
    assert_eq!(world.get("/ready").await, (StatusCode::OK, json!({ "status": "ok" })));
    world.worker.begin_stop();
    assert_eq!(world.get("/health").await, (StatusCode::OK, json!({ "status": "ok" })));
    let ready = world.exchange(Request::get("/ready").header("host", "localhost")).await;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.headers()["retry-after"], "1");
    world.stop.send_replace(true);
    soon("the end of the server", world.running).await.unwrap().unwrap();
    soon("the end of the engine", world.worker.stop()).await.unwrap();
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let world = world().await;
    let error = AdminServer::bind(world.admin, world.engine.clone()).unwrap_err().to_string();
    expect!["cannot listen on `<address>` for the admin API: the address is in use; hint: stop the program that uses it, or choose another with `--admin`"].assert_eq(&error.replace(&world.admin.to_string(), "<address>"));
}
