//! Functions on the published SDKs behave as their users expect, with Statera behind them. All cases run against each SDK.
#![allow(clippy::unwrap_used, reason = "tests")]

mod sdk_world;

use std::time::{Duration, Instant};

use sdk_world::{Options, World, same};
use serde_json::{Value, json};
use statera_e2e::{Sdk, eventually};

/// Each case as a test for each SDK.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        mod python {
            $(#[test] fn $case() { super::$case(super::Sdk::Python); })*
        }
        mod js {
            $(#[test] fn $case() { super::$case(super::Sdk::Js); })*
        }
    };
}

cases!(
    values_of_all_types_are_kept_apart_from_none,
    state_expires_after_write_and_after_invoke,
    delayed_messages_survive_a_kill,
    a_cancelled_message_does_not_fire,
    a_rescheduled_message_fires_once,
    a_backlog_becomes_one_batch_in_order,
    batches_are_limited_in_number,
    callers_are_who_sent,
    egress_records_become_json_lines,
    empty_values_are_values,
    a_failure_is_tried_again,
    a_message_that_keeps_failing_is_given_up_alone,
    a_lost_answer_has_its_effects_once,
    unusable_replies_end_as_dead_letters,
    compressed_replies_are_read,
    a_batch_too_large_is_split,
    large_values_are_kept_and_sent,
    functions_nobody_knows_are_refused_or_given_up,
    rings_and_fans_across_shards_arrive,
);

fn values_of_all_types_are_kept_apart_from_none(sdk: Sdk) {
    let Some(mut world) = World::start(sdk, Options::default()) else { return };
    let mut full = json!({
        "bool": true, "int": -7, "float": 0.5, "string": "a\u{fc}\u{1f600}", "json": {"a": [1, null]},
        "bytes": "00ff10",
    });
    let mut defaults = json!({
        "bool": false, "int": 0, "float": 0.0, "string": "", "json": {}, "bytes": "",
    });
    if sdk == Sdk::Python {
        full["long"] = json!(-(1_i64 << 40));
        full["double"] = json!(1e300);
        defaults["long"] = json!(0);
        defaults["double"] = json!(0.0);
    }
    let none: Value =
        full.as_object().unwrap().keys().map(|name| (name.clone(), Value::Null)).collect();
    let values = |world: &mut World, id: &str| {
        world.call("types", id, &json!({"do": "get"}))["values"].take()
    };

    same(&values(&mut world, "full"), &none);
    for (id, set) in [("full", &full), ("defaults", &defaults), ("deleted", &full)] {
        let report = world.call("types", id, &json!({"do": "set", "values": set}));
        same(&report["values"], set);
    }
    let names: Vec<&String> = full.as_object().unwrap().keys().collect();
    same(
        &world.call("types", "deleted", &json!({"do": "delete", "names": names}))["values"],
        &none,
    );
    for _ in 0..2 {
        for (id, set) in [("full", &full), ("defaults", &defaults), ("deleted", &none)] {
            same(&values(&mut world, id), set);
        }
        world.crash();
    }
}

fn state_expires_after_write_and_after_invoke(sdk: Sdk) {
    let ttl = Duration::from_millis(1500);
    let options = Options { sdk: &["--ttl-ms", "1500"], ..Options::default() };
    let Some(mut world) = World::start(sdk, options) else { return };
    // Before the call: the value ages from when it is written, which may be long before the answer is here.
    let set_at = Instant::now();
    drop(world.call("ttl", "a", &json!({"do": "set", "value": 0})));
    // Each look refreshes what expires after invoke, unless the machine was asleep between two of them.
    let (mut seen_at, mut longest) = (Instant::now(), Duration::ZERO);
    let last = eventually("the expiry after write", || {
        let start = seen_at;
        let report = world.call("ttl", "a", &json!({"do": "get"}));
        longest = longest.max(start.elapsed());
        seen_at = Instant::now();
        report["written"].is_null().then_some(report)
    });
    // The engine counts whole milliseconds.
    let age = set_at.elapsed() + Duration::from_millis(1);
    assert!(age >= ttl, "expired after {age:?}");
    assert_eq!(last["kept"], 0);
    if longest < ttl {
        assert_eq!(last["invoked"], 0, "refreshed every {longest:?} at the most");
    }

    // Looking keeps it alive, so the looks become rarer.
    let mut pause = ttl;
    let last = eventually("the expiry after invoke", || {
        std::thread::sleep(pause);
        pause *= 2;
        let report = world.call("ttl", "a", &json!({"do": "get"}));
        report["invoked"].is_null().then_some(report)
    });
    assert_eq!(last["kept"], 0);
    let again = world.call("ttl", "a", &json!({"do": "set", "value": 3, "names": ["written"]}));
    assert_eq!(again["written"], 3);
    assert_eq!(again["invoked"], Value::Null);
}

fn delayed_messages_survive_a_kill(sdk: Sdk) {
    let Some(mut world) = World::start(sdk, Options::default()) else { return };
    let start = Instant::now();
    world.send(
        "timer",
        "a",
        &json!({"do": "send_after", "delay_ms": 1500, "tag": 1, "answer": "none"}),
    );
    world.send(
        "timer",
        "a",
        &json!({"do": "send_after", "delay_ms": 500, "tag": 2, "answer": "none"}),
    );
    world.crash();
    world.send(
        "timer",
        "b",
        &json!({"do": "send_after", "delay_ms": 0, "tag": 3, "answer": "none"}),
    );
    let fired = |world: &mut World, id: &str| {
        world.call("timer", id, &json!({"do": "get"}))["fired"].take()
    };
    eventually("a message without delay", || (fired(&mut world, "b") == json!([3])).then_some(()));
    eventually("both messages", || (fired(&mut world, "a") == json!([2, 1])).then_some(()));
    assert!(start.elapsed() >= Duration::from_millis(1500));
    world.crash();
    assert_eq!(fired(&mut world, "a"), json!([2, 1]));
}

fn a_cancelled_message_does_not_fire(sdk: Sdk) {
    let Some(mut world) = World::start(sdk, Options::default()) else { return };
    let steps = json!({"do": "steps", "answer": "none", "steps": [
        {"do": "send_after", "delay_ms": 600, "token": "one", "tag": "one"},
        {"do": "send_after", "delay_ms": 600, "token": "two", "tag": "two"},
        {"do": "send_after", "delay_ms": 600, "token": "three", "tag": "three"},
        {"do": "cancel", "token": "three"},
    ]});
    world.send("timer", "a", &steps);
    world.send("timer", "a", &json!({"do": "cancel", "token": "two", "answer": "none"}));
    world.send("timer", "a", &json!({"do": "cancel", "token": "unknown", "answer": "none"}));
    // The token is free again, and this comes last of all.
    world.send(
        "timer",
        "a",
        &json!({"do": "send_after", "delay_ms": 900, "token": "two", "tag": "last"}),
    );
    world.crash();
    let fired = eventually("the last message", || {
        let fired = world.call("timer", "a", &json!({"do": "get"}))["fired"].take();
        fired.as_array().unwrap().contains(&json!("last")).then_some(fired)
    });
    assert_eq!(fired, json!(["one", "last"]));
}

fn a_rescheduled_message_fires_once(sdk: Sdk) {
    let Some(mut world) = World::start(sdk, Options::default()) else { return };
    let first = json!({"do": "send_after", "delay_ms": 3_600_000, "token": "t", "tag": "first"});
    world.send("timer", "a", &first);
    let again = json!({"do": "steps", "steps": [
        {"do": "cancel", "token": "t"},
        {"do": "send_after", "delay_ms": 100, "token": "t", "tag": "second"},
    ]});
    world.send("timer", "a", &again);
    let fired = eventually("the second one", || {
        let fired = world.call("timer", "a", &json!({"do": "get"}))["fired"].take();
        (fired != json!([])).then_some(fired)
    });
    assert_eq!(fired, json!(["second"]));
}

/// Sends `add` with the numbers `1..=count` to `batch`, all but the first of which wait behind it.
fn backlog(world: &mut World, count: u64) {
    // Its states are known from now on: the first request of a type would come back for them.
    drop(world.call("batch", "a", &json!({"do": "get"})));
    world.sdk.set("batch", &json!({"hold": true}));
    let add = |seq: u64| json!({"do": "add", "seq": seq, "record": true, "answer": "none"});
    world.send("batch", "a", &add(1));
    world.sdk.wait("batch", "held", 1);
    for seq in 2..=count {
        world.send("batch", "a", &add(seq));
    }
    world.sdk.set("batch", &json!({"hold": false}));
    // A question that came earlier would join the last batch.
    world.sdk.wait("batch", "invocations", count + 1);
}

/// Waits until `batch` has counted so many, and checks that they came in order and one batch at a time.
fn counted(world: &mut World, count: u64) {
    let report = eventually(format!("{count} messages"), || {
        let report = world.call("batch", "a", &json!({"do": "get"}));
        (report["count"].as_u64() >= Some(count)).then_some(report)
    });
    let order: Vec<u64> = (1..=count).collect();
    assert_eq!(
        (&report["count"], &report["violations"], &report["order"]),
        (&json!(count), &json!(0), &json!(order))
    );
    assert_eq!(world.sdk.stats("batch")["overlaps"], 0);
}

fn batch_sizes(world: &World) -> Vec<u64> {
    let sizes = world.sdk.stats("batch")["batch_sizes"].take();
    sizes.as_array().unwrap().iter().map(|size| size.as_u64().unwrap()).collect()
}

fn a_backlog_becomes_one_batch_in_order(sdk: Sdk) {
    let Some(mut world) = World::start(sdk, Options::default()) else { return };
    backlog(&mut world, 60);
    counted(&mut world, 60);
    assert_eq!(batch_sizes(&world)[1..3], [1, 59]);
}

fn batches_are_limited_in_number(sdk: Sdk) {
    let options = Options { endpoint: "  maxNumBatchRequests: 20", ..Options::default() };
    let Some(mut world) = World::start(sdk, options) else { return };
    backlog(&mut world, 50);
    counted(&mut world, 50);
    assert_eq!(batch_sizes(&world)[1..5], [1, 20, 20, 9]);
}

fn callers_are_who_sent(sdk: Sdk) {
    let Some(mut world) = World::start(sdk, Options::default()) else { return };
    let ask = |tag: &str| json!({"do": "who", "answer": "out", "tag": tag});
    let to = |id: &str| json!({"function": "conformance/caller", "id": id});
    world.send("caller", "a", &ask("outside"));
    world.send(
        "relay",
        "r",
        &json!({"do": "send", "to": to("a"), "message": ask("function"), "answer": "none"}),
    );
    let later = json!({"do": "send_after", "delay_ms": 20, "to": to("b"), "message": ask("delayed"), "answer": "none"});
    world.send("timer", "t", &later);
    let records = world.egress_at_least(3);
    let caller = |tag: &str| {
        let found = records.iter().find(|record| record["json"]["tag"] == tag);
        found.expect("one of each")["json"]["caller"].clone()
    };
    assert_eq!(caller("outside"), Value::Null);
    assert_eq!(caller("function"), json!({"function": "conformance/relay", "id": "r"}));
    assert_eq!(caller("delayed"), json!({"function": "conformance/timer", "id": "t"}));
    let answer = world.call("reply", "x", &json!({"do": "reply", "as": "int", "value": 0}));
    assert_eq!(answer, Value::Null, "an int of 0 takes no bytes");
}

fn egress_records_become_json_lines(sdk: Sdk) {
    let Some(mut world) = World::start(sdk, Options::default()) else { return };
    world.send("types", "a", &json!({"do": "get", "tag": 7}));
    let record = world.egress_at_least(1).remove(0);
    assert_eq!(record["typename"], "conformance/Report");
    assert_eq!((&record["json"]["function"], &record["json"]["tag"]), (&json!("types"), &json!(7)));
    let text = record["text"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), record["json"]);
    assert_eq!(sdk_world::decode(&record["value"]), text.as_bytes());

    world.send("big", "b", &json!({"do": "emit", "bytes": 300, "seed": 200}));
    let record = world.egress_at_least(2).remove(1);
    let made: Vec<u8> = (0..300_u32).map(|index| (index + 200) as u8).collect();
    assert_eq!(record["typename"], "conformance/Bytes");
    assert_eq!(sdk_world::decode(&record["value"]), made);
    assert!(record.get("text").is_none() && record.get("json").is_none(), "{record}");
}

fn empty_values_are_values(sdk: Sdk) {
    let Some(mut world) = World::start(sdk, Options::default()) else { return };
    let none = json!({"bool": null, "int": null, "string": null, "bytes": null, "json": null});
    let empty = json!({"bool": false, "int": 0, "string": "", "bytes": "", "json": {}});
    world.send("empty", "a", &json!({"do": "nothing"}));
    same(&world.call("empty", "a", &json!({"do": "look"}))["values"], &none);
    same(&world.call("empty", "a", &json!({"do": "store"}))["values"], &empty);
    world.crash();
    same(&world.call("empty", "a", &json!({"do": "look"}))["values"], &empty);
    same(&world.call("empty", "a", &json!({"do": "clear"}))["values"], &none);

    let to = json!({"function": "conformance/caller", "id": "c"});
    world.send("empty", "a", &json!({"do": "send", "to": to, "answer": "none"}));
    // Each is described to its sender, which passes the report on.
    let described = world.egress_at_least(5);
    for (record, typename) in described.iter().zip(["bool", "int", "string"]) {
        let argument = &record["json"]["received"]["argument"];
        assert_eq!(argument["typename"], format!("io.statefun.types/{typename}"), "{record}");
        assert_eq!(
            (&argument["has_value"], &argument["bytes"]),
            (&json!(true), &json!(0)),
            "{record}"
        );
    }
    assert_eq!(described[3]["json"]["received"]["argument"]["bytes"], 0);
    assert_eq!(described[4]["json"]["received"]["argument"]["bytes"], 2);

    world.send("empty", "a", &json!({"do": "emit", "answer": "none"}));
    let emitted = world.egress_at_least(10).split_off(5);
    assert_eq!(
        emitted,
        [
            json!({"typename": "io.statefun.types/bool", "value": "", "json": false}),
            json!({"typename": "io.statefun.types/int", "value": "", "json": 0}),
            json!({"typename": "io.statefun.types/string", "value": "", "json": ""}),
            json!({"typename": "conformance/Bytes", "value": "", "text": ""}),
            json!({"typename": "conformance/Json", "value": "e30=", "text": "{}", "json": {}}),
        ]
    );
}

fn a_failure_is_tried_again(sdk: Sdk) {
    let Some(mut world) = World::start(sdk, Options::default()) else { return };
    let report =
        world.call("fail", "a", &json!({"do": "fail_times", "key": "k", "times": 3, "tag": 1}));
    assert_eq!((&report["ok"], &report["attempts"]), (&json!(1), &json!(4)));
    let report = world.call("fail", "a", &json!({"do": "get"}));
    assert_eq!((&report["ok"], &report["seen"]), (&json!(1), &json!([1])));
}

fn a_message_that_keeps_failing_is_given_up_alone(sdk: Sdk) {
    let options = Options { call: "1500ms", ..Options::default() };
    let Some(mut world) = World::start(sdk, options) else { return };
    let poison = json!({"do": "fail", "tag": "poison"});
    let ok = |tag: u64| json!({"do": "ok", "tag": tag, "answer": "none"});
    world.sdk.set("fail", &json!({"hold": true}));
    world.send("fail", "a", &ok(1));
    world.sdk.wait("fail", "held", 1);
    for tag in [2, 3] {
        world.send("fail", "a", &ok(tag));
    }
    world.send("fail", "a", &poison);
    for tag in [4, 5, 6] {
        world.send("fail", "a", &ok(tag));
    }
    world.sdk.set("fail", &json!({"hold": false}));
    // Others don't wait for it.
    let start = Instant::now();
    assert_eq!(world.call("fail", "b", &json!({"do": "ok"}))["ok"], 1);
    let others = start.elapsed();
    let report = world.call("fail", "a", &json!({"do": "get"}));
    assert_eq!(report["seen"], json!([1, 2, 3, 4, 5, 6]));
    assert!(others < Duration::from_millis(1500), "another id waited {others:?}");

    let call = world.try_call("fail", "a", &poison).expect(502).json();
    assert!(call["error"].as_str().unwrap().contains("500"), "{call}");
    assert!(call["deadLetter"].is_string(), "{call}");
    assert_eq!(world.call("fail", "a", &json!({"do": "get"}))["ok"], 6);

    let letters = world.dead_letters(2);
    for letter in &letters {
        let request = letter.request();
        assert_eq!(request.target.to_string(), "conformance/fail/a");
        let [message] = &request.invocations[..] else { panic!("{request:?}") };
        assert_eq!(message.argument.typename(), "conformance/Command");
        assert_eq!(message.argument.value(), poison.to_string().as_bytes());
        assert_eq!(request.states.len(), 2);
        assert!(letter.reason().contains("500"), "{letter:?}");
    }
    // As the engine had sent it: byte for byte what its own encoder makes of it.
    assert_eq!(letters[0].request().encode(), letters[0].request_bytes());
    world.crash();
    assert_eq!(world.dead_letters(2).len(), 2);
}

fn a_lost_answer_has_its_effects_once(sdk: Sdk) {
    let Some(mut world) = World::start(sdk, Options::default()) else { return };
    drop(world.call("batch", "warm", &json!({"do": "get"})));
    let mut seq = 0;
    for fault in ["drop", "drop_before", "error"] {
        for _ in 0..2 {
            seq += 1;
            world.sdk.set("batch", &json!({"fault": fault, "times": 2}));
            let report =
                world.call("batch", "a", &json!({"do": "add", "seq": seq, "record": true}));
            assert_eq!(report["count"], seq, "{fault}");
        }
    }
    world.sdk.set("batch", &json!({"fault": null, "times": null}));
    counted(&mut world, seq);
    let stats = world.sdk.stats("batch");
    assert!(
        stats["invocations"].as_u64() >= Some(seq + 4),
        "it ran again after each drop: {stats}"
    );
}

fn unusable_replies_end_as_dead_letters(sdk: Sdk) {
    let options = Options { call: "500ms", ..Options::default() };
    let Some(mut world) = World::start(sdk, options) else { return };
    assert_eq!(world.call("fail", "a", &json!({"do": "ok"}))["ok"], 1);
    for (fault, reason) in [
        ("garbage", "read"),
        ("incomplete", "states"),
        ("content_type", "text/plain"),
        ("error", "500"),
        ("status", "404"),
    ] {
        world.sdk.set("fail", &json!({"fault": fault, "status": 404, "times": null}));
        let problem =
            world.try_call("fail", "a", &json!({"do": "ok", "tag": fault})).expect(502).json();
        assert!(problem["error"].as_str().unwrap().contains(reason), "{fault}: {problem}");
    }
    world.sdk.set("fail", &json!({"fault": null}));
    assert_eq!(world.call("fail", "a", &json!({"do": "get"}))["ok"], 1);
    assert_eq!(world.dead_letters(5).len(), 5);
    // An empty body is a success without effects.
    world.sdk.set("fail", &json!({"fault": "empty", "times": 1}));
    world.send("fail", "a", &json!({"do": "ok"}));
    assert_eq!(world.call("fail", "a", &json!({"do": "get"}))["ok"], 1);
}

fn compressed_replies_are_read(sdk: Sdk) {
    let Some(mut world) = World::start(sdk, Options::default()) else { return };
    for fault in ["gzip", "deflate"] {
        world.sdk.set("types", &json!({"fault": fault}));
        let report = world.call("types", fault, &json!({"do": "set", "values": {"int": 5}}));
        assert_eq!(report["values"]["int"], 5);
        let requests = world.sdk.stats("types");
        assert_eq!(requests["failed"], 0, "{requests}");
    }
}

fn a_batch_too_large_is_split(sdk: Sdk) {
    let Some(mut world) = World::start(sdk, Options::default()) else { return };
    drop(world.call("batch", "warm", &json!({"do": "get"})));
    world.sdk.set("batch", &json!({"hold": true, "max_body_bytes": 20_000}));
    let pad = "x".repeat(2000);
    let add =
        |seq: u64| json!({"do": "add", "seq": seq, "record": true, "answer": "none", "pad": pad});
    world.send("batch", "a", &add(1));
    world.sdk.wait("batch", "held", 1);
    for seq in 2..=40 {
        world.send("batch", "a", &add(seq));
    }
    world.sdk.set("batch", &json!({"hold": false}));
    counted(&mut world, 40);
    assert!(world.sdk.stats("batch")["failed"].as_u64() >= Some(1), "something was too large");

    let alone = json!({"do": "get", "pad": "x".repeat(30_000)});
    let start = Instant::now();
    let problem = world.try_call("batch", "a", &alone).expect(502).json();
    assert!(problem["error"].as_str().unwrap().contains("413"), "{problem}");
    assert!(start.elapsed() < Duration::from_secs(5), "given up at once");
    counted(&mut world, 40);
}

fn large_values_are_kept_and_sent(sdk: Sdk) {
    const BYTES: u64 = 5 << 20;
    let Some(mut world) = World::start(sdk, Options::default()) else { return };
    let set = world.call("big", "a", &json!({"do": "set", "bytes": BYTES, "seed": 3}));
    assert_eq!(set["blob"]["bytes"], BYTES);
    let made: Vec<u8> = (0..BYTES).map(|index| (index + 3) as u8).collect();
    let fetched = world.try_call("big", "a", &json!({"do": "fetch"})).expect(200);
    assert!(fetched.body == made, "{} bytes came back", fetched.body.len());
    world.crash();
    assert_eq!(world.call("big", "a", &json!({"do": "get"}))["blob"], set["blob"]);

    let to = json!({"function": "conformance/caller", "id": "c"});
    world.send(
        "big",
        "b",
        &json!({"do": "send", "to": to, "bytes": BYTES, "seed": 3, "answer": "none"}),
    );
    let described = world.egress_at_least(1).remove(0)["json"]["received"]["argument"].take();
    assert_eq!((&described["bytes"], &described["crc32"]), (&json!(BYTES), &set["blob"]["crc32"]));
    let direct = world.post("call", "caller", "c", "conformance/Bytes", &made).expect(200).json();
    assert_eq!(direct["argument"]["crc32"], set["blob"]["crc32"]);
    world.send("big", "a", &json!({"do": "emit", "bytes": BYTES, "seed": 3}));
    assert!(sdk_world::decode(&world.egress_at_least(2)[1]["value"]) == made);
}

fn functions_nobody_knows_are_refused_or_given_up(sdk: Sdk) {
    let options = Options { call: "500ms", ..Options::default() };
    let Some(mut world) = World::start(sdk, options) else { return };
    let target = statera_e2e::Target { function: "elsewhere/x", id: "a" };
    world.client.send(target, "conformance/Command", None, b"{}").unwrap().expect(404);
    let problem = world.try_call("nope", "a", &json!({"do": "get"})).expect(502).json();
    assert!(problem["error"].as_str().unwrap().contains("500"), "{problem}");
    let to = json!({"function": "elsewhere/x", "id": "a"});
    let message = json!({"do": "send", "to": to, "message": {"do": "get"}});
    assert_eq!(world.call("relay", "r", &message)["sent"], 1);
    let letters = world.dead_letters(2);
    let uncovered = letters.iter().find(|letter| letter.target() == "elsewhere/x/a");
    let uncovered = uncovered.expect("the message to nobody");
    assert!(uncovered.reason().contains("no endpoint serves"), "{uncovered:?}");
}

fn rings_and_fans_across_shards_arrive(sdk: Sdk) {
    let Some(mut world) = World::start(sdk, Options::default()) else { return };
    let ring = json!({"do": "ring", "ids": ["a", "b", "c", "d", "e"], "hops": 23});
    assert_eq!(world.call("relay", "a", &ring)["ring"], "done");
    let passed: i64 = ["a", "b", "c", "d", "e"]
        .map(|id| world.call("relay", id, &json!({"do": "get"}))["passed"].as_i64().unwrap())
        .iter()
        .sum();
    assert_eq!(passed, 24);
    let to: Vec<Value> =
        (0..8).map(|id| json!({"function": "conformance/batch", "id": format!("t{id}")})).collect();
    let fan = json!({"do": "send", "to": to, "message": {"do": "add", "answer": "none"}, "times": 25, "first": 1});
    assert_eq!(world.call("relay", "fan", &fan)["sent"], 200);
    for id in 0..8 {
        let report = eventually("25 messages", || {
            let report = world.call("batch", &format!("t{id}"), &json!({"do": "get"}));
            (report["count"] == 25).then_some(report)
        });
        assert_eq!((&report["violations"], &report["last"]), (&json!(0), &json!({"fan": 25})));
    }
}
