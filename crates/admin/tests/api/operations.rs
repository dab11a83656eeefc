//! What the API shows of a running application, and what can be done to it.

use hyper::{Method, Request, StatusCode};
use serde_json::{Value as Json, json};
use statera_admin::{AdminError, AdminServer, Settings, Token, api};
use statera_model::TypedValue;
use statera_ports::Engine as _;
use statera_protocol::types;

use crate::world::{World, soon, world, world_with};

fn message(text: &str) -> TypedValue {
    TypedValue::new("example/message", text.as_bytes())
}

/// An answer as the form that it should have.
async fn form<T: serde::de::DeserializeOwned>(world: &World, path: &str) -> T {
    let (status, answer) = world.get(path).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    serde_json::from_value(answer).unwrap()
}

async fn refused(world: &World, method: Method, path: &str, body: Json) -> (u16, String) {
    let (status, answer) = world.order(method, path, &body).await;
    let problem: api::Problem = serde_json::from_value(answer).unwrap();
    assert_eq!(problem.status, status.as_u16());
    (problem.status, problem.code)
}

async fn done(world: &World, path: &str, body: Json) {
    let (status, answer) = world.order(Method::POST, path, &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

#[tokio::test]
async fn the_application_and_its_version_are_named() {
    let world = world().await;
    let version: api::Version = form(&world, "/v1/version").await;
    assert_eq!((&*version.name, &*version.api), ("statera", "v1"));
    let application: api::Application = form(&world, "/v1/application").await;
    assert_eq!((&*application.name, application.data_id.len()), ("test", 32));
    assert_eq!((application.endpoints, application.ingresses, application.egresses), (1, 1, 1));
    assert_eq!((application.settings.shards, &*application.settings.durability), (2, "none"));
    let (_, document) = world.get("/v1/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
}

#[tokio::test]
async fn function_types_are_listed_with_what_they_do() {
    let world = world().await;
    for id in ["1", "2", "3"] {
        world.send("example/relay", id, message("m")).await;
    }
    let all_came = |answer: &Json| {
        let functions = answer["functions"].as_array().unwrap();
        functions.len() == 2 && functions[0]["messagesIn"] == 3 && functions[1]["messagesOut"] == 3
    };
    let answer = world.until("/v1/functions", all_came).await;
    let functions: api::Functions = serde_json::from_value(answer).unwrap();
    let cart = &functions.functions[0];
    assert_eq!((&*cart.name, cart.endpoint.as_deref()), ("example/cart", Some("example/*")));
    assert_eq!((cart.health, cart.linked, cart.paused.clone()), (api::Health::Up, false, None));
    let relay: api::Function = form(&world, "/v1/functions/example/relay").await;
    assert_eq!((relay.messages_in, relay.messages_out), (3, 3));
    assert!(relay.latency.unwrap().count >= 3);
    let has_states = |answer: &Json| answer["states"].as_array().unwrap().len() == 2;
    let cart = world.until("/v1/functions/example/cart", has_states).await;
    assert_eq!(cart["states"][0]["typename"], types::INT);
    assert_eq!(cart["states"][1]["expires"], "afterWrite");
    assert_eq!(cart["states"][1]["ttlMs"], 3_600_000);

    let page: api::Functions = form(&world, "/v1/functions?limit=1").await;
    assert_eq!((page.functions.len(), page.next.as_deref()), (1, Some("example/cart")));
    let page: api::Functions = form(&world, "/v1/functions?limit=1&after=example/cart").await;
    assert_eq!((&*page.functions[0].name, page.next), ("example/relay", None));
    let page: api::Functions = form(&world, "/v1/functions?prefix=example/r").await;
    assert_eq!(page.functions.len(), 1);
    let nobody = refused(&world, Method::GET, "/v1/functions/example/nobody", json!(null)).await;
    assert_eq!(nobody, (404, "not-found".to_owned()));
}

#[tokio::test]
async fn endpoints_tell_whether_they_answer() {
    let world = world().await;
    let endpoints: api::Endpoints = form(&world, "/v1/endpoints").await;
    assert_eq!(endpoints.endpoints[0].health, api::Health::Unknown);
    world.send("example/cart", "1", message("m")).await;
    let is_up = |answer: &Json| answer["endpoints"][0]["health"] == "up";
    let answer = world.until("/v1/endpoints", is_up).await;
    let endpoint: api::EndpointStatus =
        serde_json::from_value(answer["endpoints"][0].clone()).unwrap();
    assert_eq!((&*endpoint.functions, &*endpoint.transport), ("example/*", "okhttp"));
    assert!(endpoint.attempts.unwrap() >= 1 && endpoint.last_success.is_some());
}

#[tokio::test]
async fn pages_hold_each_instance_once() {
    let world = world().await;
    for id in 0..60 {
        world.send("example/cart", &format!("{id:02}"), message("m")).await;
    }
    let all_there = |page: &Json| page["instances"].as_array().unwrap().len() == 60;
    world.until("/v1/instances?limit=100", all_there).await;
    let mut found = Vec::new();
    let mut path = "/v1/instances?limit=7&prefix=example/ca".to_owned();
    loop {
        let page: api::Instances = form(&world, &path).await;
        assert!(page.instances.len() <= 7);
        found.extend(page.instances.into_iter().map(|instance| instance.id));
        let Some(next) = page.next else { break };
        path = format!("/v1/instances?limit=7&prefix=example/ca&after={next}");
    }
    found.sort();
    assert_eq!(found, (0..60).map(|id| format!("{id:02}")).collect::<Vec<_>>());
    let page: api::Instances = form(&world, "/v1/instances?prefix=example/cart/1").await;
    assert_eq!(page.instances.len(), 10);
    let instance = &page.instances[0];
    assert_eq!((instance.phase, instance.mail), (api::Phase::Idle, 0));
    assert_eq!(instance.address, format!("example/cart/{}", instance.id));
    for after in ["!", "AAAA", "AAABAQ"] {
        let path = format!("/v1/instances?after={after}");
        let (status, _) = world.get(&path).await;
        assert!(status == StatusCode::BAD_REQUEST || status == StatusCode::OK, "{after}");
    }
}

#[tokio::test]
async fn an_instance_shows_its_state_its_mailbox_and_its_timers() {
    let world = world().await;
    world.send("example/relay", "a/b", message(r#"{"n": 1}"#)).await;
    let path = "/v1/instances/example/relay/a%2Fb";
    let has_sent = |answer: &Json| answer["timers"].as_array().unwrap().len() == 1;
    let answer = world.until(path, has_sent).await;
    let relay: api::InstanceDetail = serde_json::from_value(answer).unwrap();
    assert!(relay.in_memory && relay.timers_complete);
    let timer = &relay.timers[0];
    assert_eq!((&*timer.sender, &*timer.target), ("example/relay/a/b", "example/cart/a/b"));
    assert_eq!(
        (timer.token.as_deref(), timer.value.json.clone()),
        (Some("later"), Some(json!({ "n": 1 })))
    );

    world.send("example/pausing", "poison", message("first")).await;
    world.send("example/pausing", "poison", types::encode(7)).await;
    let path = "/v1/instances/example/pausing/poison";
    let is_paused = |answer: &Json| answer["paused"]["reason"] != json!(null);
    let answer = world.until(path, is_paused).await;
    let pausing: api::InstanceDetail = serde_json::from_value(answer).unwrap();
    assert_eq!((pausing.instance.phase, pausing.instance.mail), (api::Phase::Paused, 2));
    assert_eq!(pausing.mailbox[0].value.text.as_deref(), Some("first"));
    assert_eq!(pausing.mailbox[1].value.json, Some(json!(7)));
    let short: api::InstanceDetail = form(&world, &format!("{path}?mailbox=1")).await;
    assert_eq!((short.mailbox.len(), short.instance.mail), (1, 2));

    let nobody: api::InstanceDetail = form(&world, "/v1/instances/example/cart/nobody").await;
    assert_eq!((nobody.instance.phase, nobody.in_memory), (api::Phase::Idle, false));
    assert!(nobody.states.is_empty() && nobody.mailbox.is_empty() && nobody.timers.is_empty());
}

#[tokio::test]
async fn an_instance_shows_its_failures_and_once_looked_at_all_its_invocations() {
    let world = world().await;
    let path = "/v1/instances/example/cart/1";
    world.send("example/cart", "1", message("unseen")).await;
    let has_run = |answer: &Json| !answer["states"].as_array().unwrap().is_empty();
    world.until("/v1/state/example/cart/1", has_run).await;
    let first: api::InstanceDetail = form(&world, path).await;
    assert_eq!(first.recent, []);
    for text in ["one", "two"] {
        let before = form::<api::InstanceDetail>(&world, path).await.recent.len();
        world.send("example/cart", "1", message(text)).await;
        let more = |answer: &Json| answer["recent"].as_array().unwrap().len() > before;
        world.until(path, more).await;
    }
    let seen: api::InstanceDetail = form(&world, path).await;
    assert_eq!(seen.recent.len(), 2);
    for invocation in &seen.recent {
        assert_eq!((invocation.outcome, invocation.messages), (api::InvocationOutcome::Ok, 1));
        assert!(invocation.duration_ms.unwrap() > 0.0 && invocation.bytes.unwrap() > 0);
        assert_eq!((&invocation.reason, invocation.attempts), (&None, None));
    }
    assert!(seen.recent[0].at >= seen.recent[1].at, "the newest comes first");

    world.send("example/pausing", "poison", message("m")).await;
    let path = "/v1/instances/example/pausing/poison";
    let is_paused = |answer: &Json| answer["paused"]["reason"] != json!(null);
    world.until(path, is_paused).await;
    let pausing: api::InstanceDetail = form(&world, path).await;
    let last = &pausing.recent[0];
    assert_eq!((last.outcome, last.messages), (api::InvocationOutcome::Paused, 1));
    assert!(last.reason.as_ref().is_some_and(|reason| !reason.is_empty()));
    assert!(last.duration_ms.is_some() && last.bytes.is_some());
}

#[tokio::test]
async fn timers_come_soonest_first_page_by_page() {
    let world = world().await;
    for id in 0..12 {
        world.send("example/relay", &id.to_string(), message("m")).await;
    }
    let all_there = |answer: &Json| answer["total"] == 12;
    let answer = world.until("/v1/timers", all_there).await;
    let all: api::Timers = serde_json::from_value(answer).unwrap();
    assert!(all.timers.is_sorted_by(|a, b| a.due <= b.due) && all.next.is_none());
    let mut found = Vec::new();
    let mut path = "/v1/timers?limit=5".to_owned();
    loop {
        let page: api::Timers = form(&world, &path).await;
        found.extend(page.timers);
        let Some(next) = page.next else { break };
        path = format!("/v1/timers?limit=5&after={next}");
    }
    assert_eq!(found, all.timers);
    let page: api::Timers = form(&world, "/v1/timers?target=example/cart/1").await;
    assert_eq!(page.timers.len(), 3);
    let page: api::Timers = form(&world, "/v1/timers?sender=example/cart").await;
    assert_eq!((page.timers.len(), page.total), (0, 12));
}

#[tokio::test]
async fn an_egress_tells_what_it_cannot_do() {
    let world = world().await;
    world.send("example/relay", "1", message("m")).await;
    let failed = |answer: &Json| answer["egresses"][0]["failing"] == true;
    let answer = world.until("/v1/egresses", failed).await;
    let egresses: api::Egresses = serde_json::from_value(answer).unwrap();
    let egress = &egresses.egresses[0];
    assert_eq!(
        (&*egress.id, egress.backlog_records, egress.released_epoch),
        ("example/out", 1, None)
    );
    assert_eq!(egress.last_failure.as_ref().unwrap().reason, "cannot write: the disk is full");
    world.heal();
    let released = |answer: &Json| answer["egresses"][0]["backlogRecords"] == 0;
    let answer = world.until("/v1/egresses", released).await;
    let egresses: api::Egresses = serde_json::from_value(answer).unwrap();
    let egress = &egresses.egresses[0];
    assert_eq!((egress.records, egress.failing), (1, false));
    assert!(egress.released_epoch.is_some() && egress.released_at.is_some());
    assert!(egress.last_failure.is_some());
}

#[tokio::test]
async fn epochs_are_told_newest_first() {
    let world = world().await;
    for _ in 0..3 {
        world.send("example/cart", "1", message("m")).await;
    }
    let epochs: api::Epochs = form(&world, "/v1/epochs?limit=2").await;
    assert_eq!((epochs.epochs.len(), epochs.epochs[0].number), (2, epochs.last));
    assert!(epochs.epochs[0].number > epochs.epochs[1].number);
    let epochs: api::Epochs = form(&world, "/v1/epochs").await;
    assert!(epochs.epochs.iter().any(|epoch| epoch.bytes > 0 && epoch.keys.unwrap() > 0));
}

#[tokio::test]
async fn the_graph_is_drawn_from_messages() {
    let world = world().await;
    world.send("example/relay", "1", message("m")).await;
    world.send("example/relay", "2", message("m")).await;
    let all_sent = |answer: &Json| {
        answer["edges"]
            .as_array()
            .unwrap()
            .iter()
            .any(|edge| edge["to"]["name"] == "example/cart" && edge["messages"] == 2)
    };
    let answer = world.until("/v1/graph", all_sent).await;
    let graph: api::Graph = serde_json::from_value(answer).unwrap();
    let edge = |edge: &api::Edge| {
        format!(
            "{:?} {} -> {:?} {}: {}",
            edge.from.kind, edge.from.name, edge.to.kind, edge.to.name, edge.messages
        )
    };
    let edges: Vec<String> = graph.edges.iter().map(edge).collect();
    assert_eq!(
        edges,
        [
            "Ingress example/in -> Function example/relay: 2",
            "Function example/relay -> Function example/cart: 2",
            "Function example/relay -> Egress example/out: 2",
        ]
    );
    assert!(!graph.truncated);
}

#[tokio::test]
async fn what_is_paused_waits_until_it_is_resumed() {
    for part in ["endpoints/example/*", "functions/example/cart", "addresses/example/cart/1"] {
        let world = world().await;
        let pause = format!("/v1/{part}/pause");
        done(&world, &pause, json!({ "reason": "bad release" })).await;
        let again = refused(&world, Method::POST, &pause, json!({})).await;
        assert_eq!(again, (409, "already-paused".to_owned()), "{part}");
        world.send("example/cart", "1", message("m")).await;
        let has_mail = |answer: &Json| answer["mail"] == 1;
        world.until("/v1/instances/example/cart/1", has_mail).await;
        let state: api::States = form(&world, "/v1/state/example/cart/1").await;
        assert!(state.states.is_empty(), "{part}");
        let resume = format!("/v1/{part}/resume");
        done(&world, &resume, json!({})).await;
        let has_come = |answer: &Json| answer["states"][0]["text"] == "m";
        world.until("/v1/state/example/cart/1", has_come).await;
        let again = refused(&world, Method::POST, &resume, json!({})).await;
        assert_eq!(again, (409, "not-paused".to_owned()), "{part}");
    }
}

#[tokio::test]
async fn pauses_say_why() {
    let world = world().await;
    let reason = json!({ "reason": "bad release" });
    done(&world, "/v1/endpoints/example/*/pause", reason.clone()).await;
    done(&world, "/v1/functions/example/cart/pause", reason.clone()).await;
    done(&world, "/v1/ingresses/example/in/pause", reason.clone()).await;
    let endpoints: api::Endpoints = form(&world, "/v1/endpoints").await;
    let ingresses: api::Ingresses = form(&world, "/v1/ingresses").await;
    for paused in [&endpoints.endpoints[0].paused, &ingresses.ingresses[0].paused] {
        let paused = paused.as_ref().unwrap();
        assert_eq!((paused.reason.as_deref(), paused.since.is_some()), (Some("bad release"), true));
    }
    for path in [
        "/v1/endpoints/other/*/pause",
        "/v1/functions/other/x/pause",
        "/v1/ingresses/other/x/pause",
    ] {
        assert_eq!(refused(&world, Method::POST, path, json!({})).await.1, "not-found", "{path}");
    }
    let long = json!({ "reason": "x".repeat(5_000) });
    let refusal = refused(&world, Method::POST, "/v1/addresses/a/b/c/pause", long).await;
    assert_eq!(refusal, (400, "invalid-body".to_owned()));
}

#[tokio::test]
async fn a_paused_ingress_takes_nothing() {
    let world = world().await;
    done(&world, "/v1/ingresses/example/in/pause", json!({})).await;
    let ingress = world.engine.ingress(&statera_model::Name::parse("example/in").unwrap());
    let request = || statera_ports::Request {
        target: statera_model::Address::new(
            statera_model::Name::parse("example/cart").unwrap(),
            "1",
        ),
        argument: message("m"),
        idempotency_key: None,
        trace: None,
    };
    let refusal = soon("a refusal", ingress.send(request())).await;
    assert_eq!(refusal, Err(statera_ports::Refusal::Paused));
    done(&world, "/v1/ingresses/example/in/resume", json!({})).await;
    soon("a message", ingress.send(request())).await.unwrap();
    let ingresses: api::Ingresses = form(&world, "/v1/ingresses").await;
    let ingress = &ingresses.ingresses[0];
    assert_eq!((&*ingress.kind, ingress.messages, ingress.paused.clone()), ("http", 1, None));
}

#[tokio::test]
async fn a_dead_letter_goes_back_with_another_value() {
    let world = world().await;
    world.send("example/cart", "poison", message("bad")).await;
    let id = world.dead_letters(1).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/deadletters/{id}/redrive");
    for (body, code) in [
        (json!({ "message": {} }), "invalid-value"),
        (json!({ "message": { "typename": types::INT, "json": "x" } }), "invalid-value"),
        (json!({ "massage": {} }), "invalid-body"),
    ] {
        assert_eq!(refused(&world, Method::POST, &path, body).await, (400, code.to_owned()));
    }
    world.heal();
    done(&world, &path, json!({ "message": { "json": { "n": 1 } } })).await;
    let has_come = |answer: &Json| answer["states"][0]["json"] == json!({ "n": 1 });
    let state = world.until("/v1/state/example/cart/poison", has_come).await;
    assert_eq!(state["states"][0]["typename"], "example/message");
}

#[tokio::test]
async fn many_dead_letters_are_redriven_and_dropped() {
    let world = world().await;
    for id in 0..70 {
        world.send("example/cart", &format!("poison{:02}", id), message("m")).await;
    }
    let all_listed = |page: &Json| page["deadLetters"].as_array().unwrap().len() == 70;
    world.until("/v1/deadletters?limit=1000", all_listed).await;
    let page: api::DeadLetters = form(&world, "/v1/deadletters?target=example/cart/poison1").await;
    assert_eq!((page.dead_letters.len(), page.next), (10, None));
    let bulk = async |path: &str, body: Json| -> api::BulkDone {
        let (status, answer) = world.order(Method::POST, path, &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        serde_json::from_value(answer).unwrap()
    };
    let ids: Vec<String> = page.dead_letters.into_iter().map(|letter| letter.id).collect();
    let dropped = bulk("/v1/deadletters/drop", json!({ "ids": ids, "limit": 4 })).await;
    assert_eq!((dropped.done, dropped.skipped, dropped.next.is_some()), (4, 0, true));
    let after = json!({ "ids": ids, "after": dropped.next });
    assert_eq!(bulk("/v1/deadletters/drop", after).await.done, 6);
    assert_eq!(bulk("/v1/deadletters/drop", json!({ "ids": ids })).await.skipped, 10);
    world.heal();
    let (mut redriven, mut after) = (0, None);
    loop {
        let body = json!({ "target": "example/", "limit": 25, "after": after });
        let done = bulk("/v1/deadletters/redrive", body).await;
        redriven += done.done;
        after = done.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(redriven, 60);
    world.dead_letters(0).await;
    for body in [json!({}), json!({ "ids": ["x"] }), json!({ "target": "", "limit": 0 }), json!([])]
    {
        let refusal = refused(&world, Method::POST, "/v1/deadletters/drop", body).await;
        assert_eq!(refusal, (400, "invalid-body".to_owned()));
    }
}

#[tokio::test]
async fn what_is_logged_can_be_changed() {
    let world = world().await;
    let (_, answer) = world.order(Method::PUT, "/v1/log", &json!({ "filter": "warn" })).await;
    assert_eq!(answer, json!({ "filter": "warn" }));
    assert_eq!(world.get("/v1/log").await.1, json!({ "filter": "warn" }));
    let refusal = refused(&world, Method::PUT, "/v1/log", json!({ "filter": "!" })).await;
    assert_eq!(refusal, (400, "invalid-filter".to_owned()));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let world = world().await;
    let body = json!({ "filter": "x".repeat(2 << 20) });
    let refusal = refused(&world, Method::PUT, "/v1/log", body).await;
    assert_eq!(refusal, (413, "body-too-large".to_owned()));
}

const TOKEN: &str = "0123456789abcdef";

#[tokio::test]
async fn with_a_token_only_probes_are_open() {
    let with_token =
        |settings: Settings| Settings { token: Some(Token::new(TOKEN).unwrap()), ..settings };
    let world = world_with(with_token).await;
    assert_eq!(world.get("/health").await.0, StatusCode::OK);
    assert_eq!(world.get("/ready").await.0, StatusCode::OK);
    for path in ["/v1/status", "/metrics", "/v1/events", "/v1/openapi.json"] {
        let request = Request::get(path).header("host", "localhost");
        let response = world.exchange(request).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
    let request = Request::get("/v1/status").header("host", "localhost");
    let request = request.header("authorization", format!("Bearer {TOKEN}"));
    assert_eq!(world.exchange(request).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn without_a_token_only_loopback_is_served() {
    let world = world().await;
    let settings = Settings::at(([0, 0, 0, 0], 0).into());
    let refused = AdminServer::open(settings.clone(), world.engine.clone());
    assert!(matches!(refused, Err(AdminError::NoToken { .. })));
    let settings = Settings { token: Some(Token::new(TOKEN).unwrap()), ..settings };
    assert!(AdminServer::open(settings, world.engine.clone()).is_ok());
}
