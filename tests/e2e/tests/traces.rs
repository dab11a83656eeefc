//! Where a message goes, as a collector of traces sees it: through the real binary and a real broker. The collector reads spans
//! with the messages that OpenTelemetry publishes.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use statera_e2e::kafka::{Kafka, Reader};
use statera_e2e::{App, Client, Collector, FunctionServer, Functions, eventually, skipped};
use statera_protocol::egress::KafkaRecord;

/// From the client of the test.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENT: &str = "b7ad6b7169203331";

const TOPIC: &str = "receipts";

fn functions() -> Functions {
    let emit = |context: &mut statera_e2e::Context, key: &str| {
        let record = KafkaRecord { topic: TOPIC, key, value: b"{}" }.encode();
        context.emit_value("trace/out", record);
    };
    Functions::default()
        .with("trace/first", &["seen"], |context, message| {
            context.add("seen", 1);
            context.send("trace/second", "b", message);
        })
        .with("trace/second", &[], |context, message| context.send("trace/third", "c", message))
        .with("trace/third", &[], move |context, _| emit(context, "d"))
        .with("trace/fourth", &[], |_, _| {})
        .with("trace/poison", &[], |_, _| panic!("as the test wants it"))
}

fn module(url: &str, collector: &str, more: &str) -> String {
    format!(
        "kind: io.statefun.endpoints.v2/http
spec:
  functions: trace/*
  urlPathTemplate: {url}
---
kind: io.statera.v1/http-ingress
spec:
  id: trace/in
  address: 127.0.0.1:0
---
kind: io.statera.v1/engine
spec:
  traces:
    endpoint: {collector}
    sample: 0
    serviceName: shop
    headers: x-team=orders
{more}"
    )
}

fn kafka_module(address: &str) -> String {
    format!(
        "---
kind: io.statefun.kafka.v1/egress
spec:
  id: trace/out
  address: {address}
  deliverySemantic:
    type: exactly-once
    transactionTimeout: 1min
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: trace/back
  address: {address}
  consumerGroupId: traces
  startupPosition:
    type: earliest
  topics:
    - topic: {TOPIC}
      valueType: e2e/Json
      targets:
        - trace/fourth
"
    )
}

fn send(client: &mut Client, target: &str, traceparent: Option<&str>) {
    let mut headers = vec![("Content-Type", "application/vnd.e2e/Json")];
    headers.extend(traceparent.map(|value| ("traceparent", value)));
    let path = format!("/v1/send/{target}");
    client.request("POST", &path, &headers, b"{}").unwrap().expect(202);
}

#[test]
fn a_trace_shows_the_way_of_a_message_through_functions_and_kafka() {
    let started = Kafka::start(1).and_then(|kafka| Ok((kafka, Collector::start()?)));
    let (kafka, collector) = match started {
        Ok(started) => started,
        Err(why) => return skipped("traces", &why),
    };
    kafka.create_topics(&[(TOPIC, 1)]).unwrap();
    let functions = functions();
    let server = FunctionServer::start(move |body| functions.react(body));
    let app = App::new(&module(&server.url(), &collector.url(), &kafka_module(&kafka.bootstrap())));
    let statera = app.start();
    let mut client = statera.client("trace/in");
    let receipts = Reader::start(&kafka, TOPIC).unwrap();

    // Nobody asks for a trace of these.
    send(&mut client, "trace/first/x", None);
    send(&mut client, "trace/first/y", Some(&format!("00-{TRACE}-{CLIENT}-00")));
    receipts.wait_for(2).unwrap();
    send(&mut client, "trace/first/a", Some(&format!("00-{TRACE}-{CLIENT}-01")));

    let way = [
        ("ingress trace/in", "SERVER"),
        ("trace/first", "CLIENT"),
        ("trace/second", "CLIENT"),
        ("trace/third", "CLIENT"),
        ("egress trace/out", "PRODUCER"),
        ("ingress trace/back", "CONSUMER"),
        ("trace/fourth", "CLIENT"),
    ];
    let (mut parent, mut spans) = (CLIENT.to_owned(), Vec::new());
    for (name, kind) in way {
        let span = collector.child_of(&parent, name);
        assert_eq!((span.get("trace"), span.get("kind")), (TRACE, kind), "{name}");
        assert_eq!(span.0["failed"], false, "{name}");
        assert_eq!(span.0["resource"]["service.name"], "shop");
        assert_eq!(span.0["headers"]["x-team"], "orders");
        parent = span.get("span").to_owned();
        spans.push(span);
    }
    let times =
        |name: &str| spans.iter().map(|span| span.0[name].as_u64().unwrap()).collect::<Vec<_>>();
    let (starts, ends) = (times("start"), times("end"));
    assert!(starts.iter().zip(&ends).all(|(start, end)| start <= end));
    assert!(starts.is_sorted(), "each step begins after the one before: {starts:?}");
    assert_eq!(spans[2].0["attributes"]["statera.id"], "b");

    // The functions and whoever reads the topic can go on with it.
    let mut told = server.traceparents();
    told.dedup();
    let expected: Vec<_> = [1, 2, 3, 6].map(|place| spans[place].traceparent()).into();
    assert_eq!(told[told.len() - expected.len()..], expected);
    let records = receipts.wait_for(3).unwrap();
    let headers = |place: usize| {
        let headers = records[place].headers.iter();
        headers
            .map(|(name, value)| (name.clone(), String::from_utf8(value.clone().unwrap()).unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(headers(0), []);
    assert_eq!(headers(2), [("traceparent".to_owned(), spans[4].traceparent())]);

    let traces: BTreeSet<_> =
        collector.spans().iter().map(|span| span.get("trace").to_owned()).collect();
    assert_eq!(traces, [TRACE.to_owned()].into(), "of the others there is nothing");
}

#[test]
fn failures_are_seen_and_a_collector_that_is_away_holds_nothing_up() {
    let collector = match Collector::start() {
        Ok(collector) => collector,
        Err(why) => return skipped("traces", &why),
    };
    collector.set_status(503);
    let functions = functions();
    let server = FunctionServer::start(move |body| {
        // A function that panics would take a thread of the server with it.
        match statera_protocol::decode_request(body.clone()).unwrap().target.function.name() {
            "poison" => statera_e2e::Reaction::Status(500, "poison".to_owned()),
            _ => functions.react(body),
        }
    });
    let app = App::new(&module(&server.url(), &collector.url(), ""));
    let mut statera = app.start();
    let mut client = statera.client("trace/in");
    send(&mut client, "trace/poison/1", Some(&format!("00-{TRACE}-{CLIENT}-01")));
    eventually("a refusal", || (collector.refused() > 0).then_some(()));
    for _ in 0..100 {
        send(&mut client, "trace/fourth/1", None);
    }
    collector.set_status(200);
    let ingress = collector.child_of(CLIENT, "ingress trace/in");
    let attempt = collector.child_of(ingress.get("span"), "trace/poison");
    assert_eq!(attempt.0["failed"], true);
    assert!(attempt.get("message").contains("500"), "{attempt:?}");
    eventually("another attempt", || {
        let of_it = |span: &statera_e2e::Span| {
            span.get("name") == "trace/poison" && span.0["attributes"]["statera.attempt"] == "retry"
        };
        collector.spans().iter().any(of_it).then_some(())
    });
    assert_eq!(statera.stop(), Some(0));
}
