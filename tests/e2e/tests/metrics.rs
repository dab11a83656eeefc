//! What `/metrics` tells adds up to what was sent, on two shards.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use statera_e2e::{
    App, Client, FunctionServer, Functions, Reaction, Response, Statera, Target, egress_lines,
    eventually,
};

const TYPE: &str = "e2e/Json";
const RECORDS: usize = 200;
const SENDS: usize = 50;
const CALLS: usize = 30;
const IDS: usize = 17;

/// `first` sends what it gets to `second` twice: to the same id, and to another. `second` hands each to the egress, and `first`
/// answers who calls. What is `broken` is refused.
fn functions() -> Functions {
    Functions::default()
        .with("metrics/first", &["count"], |context, message| {
            context.add("count", 1);
            let id = context.id();
            context.send("metrics/second", &id, message);
            context.send("metrics/second", &format!("{id}-other"), message);
            context.answer(1);
        })
        .with("metrics/second", &[], |context, message| context.emit("metrics/out", message))
}

fn module(url: &str) -> String {
    format!(
        "
kind: io.statefun.endpoints.v2/http
spec:
  functions: metrics/*
  urlPathTemplate: {url}
  transport: {{ type: io.statefun.transports.v1/async, timeouts: {{ call: 300ms }} }}
---
kind: io.statera.v1/http-ingress
spec: {{ id: metrics/in, address: 127.0.0.1:0 }}
---
kind: io.statera.v1/file-ingress
spec:
  id: metrics/records
  path: $DIR/records.jsonl
  records:
    - valueType: {TYPE}
      key: /id
      targets: [metrics/first]
---
kind: io.statera.v1/file-egress
spec: {{ id: metrics/out, path: $DIR/out.jsonl }}
---
kind: io.statera.v1/engine
spec:
  shards: 2
  failures: {{ backoffMin: 1ms, backoffMax: 20ms }}
"
    )
}

/// Series and their values.
struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    fn scrape(statera: &Statera) -> Metrics {
        let response = get(statera, "text/plain").expect(200);
        let text = response.text();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        });
        Metrics(samples.collect())
    }

    fn of(&self, series: &str) -> f64 {
        *self.0.get(series).unwrap_or_else(|| panic!("{series} in {:#?}", self.0))
    }

    /// Of a function type.
    fn function(&self, metric: &str, name: &str) -> f64 {
        self.of(&format!("statera_function_{metric}{{namespace=\"metrics\",name=\"{name}\"}}"))
    }

    /// Of all series of a metric.
    fn sum(&self, metric: &str) -> f64 {
        let of = |series: &str| series.split('{').next() == Some(metric);
        self.0.iter().filter(|(series, _)| of(series)).map(|(_, value)| value).sum()
    }
}

fn get(statera: &Statera, accept: &str) -> Response {
    let mut client = Client::new(statera.admin().unwrap());
    client.request("GET", "/metrics", &[("Accept", accept)], b"").unwrap()
}

fn post(client: &mut Client, call: bool, id: &str, message: &Value) -> Response {
    let (target, body) = (Target { function: "metrics/first", id }, message.to_string());
    let response = match call {
        true => client.call(target, TYPE, None, body.as_bytes()),
        false => client.send(target, TYPE, None, body.as_bytes()),
    };
    response.unwrap()
}

fn message(id: &str, nth: usize) -> Value {
    json!({ "id": id, "nth": nth })
}

#[test]
fn what_is_counted_adds_up_to_what_was_sent() {
    let all = functions();
    let server = FunctionServer::start(move |body| {
        let broken = body.windows(6).any(|bytes| bytes == b"broken");
        if broken { Reaction::Status(500, "broken".to_owned()) } else { all.react(body) }
    });
    let app = App::new(&module(&server.url()));
    let lines = (0..RECORDS).map(|nth| format!("{}\n", message(&(nth % IDS).to_string(), nth)));
    std::fs::write(app.path("records.jsonl"), lines.collect::<String>() + "nonsense\n").unwrap();
    let mut statera = app.start();
    let mut client = statera.client("metrics/in");
    for nth in 0..SENDS {
        let id = (nth % IDS).to_string();
        post(&mut client, false, &id, &message(&id, nth)).expect(202);
    }
    for nth in 0..CALLS {
        let id = (nth % IDS).to_string();
        post(&mut client, true, &id, &message(&id, nth)).expect(200);
    }
    post(&mut client, true, "poison", &json!("broken")).expect(502);
    let sent = (RECORDS + SENDS + CALLS) as f64;
    eventually("all records", || {
        let there = egress_lines(&app.path("out.jsonl")).len() as f64;
        (there == 2.0 * sent).then_some(())
    });
    let metrics = eventually("the confirmation of all records", || {
        let metrics = Metrics::scrape(&statera);
        (metrics.of("statera_egress_records_total{egress=\"metrics/out\"}") == 2.0 * sent)
            .then_some(metrics)
    });

    let first = |metric| metrics.function(metric, "first");
    let second = |metric| metrics.function(metric, "second");
    assert_eq!(first("in_total"), sent + 1.0);
    assert_eq!(second("in_total"), 2.0 * sent);
    // Each call has an answer, of whoever sent it, beside the two messages.
    let (local, remote) = (first("out_local_total"), first("out_remote_total"));
    assert_eq!(local + remote, 2.0 * sent + CALLS as f64);
    assert!(local > 0.0 && remote > 0.0, "there are two shards: {local} {remote}");
    assert_eq!(second("out_egress_total"), 2.0 * sent);
    for name in ["first", "second"] {
        for metric in ["backlog_messages", "backlog_bytes", "inflight_invocations", "outage_shards"]
        {
            assert_eq!(metrics.function(metric, name), 0.0, "{name} {metric}");
        }
        let latency = metrics.function("invocation_seconds_count", name);
        assert_eq!(latency, metrics.function("invocations_total", name), "{name}");
    }
    assert_eq!(first("dead_letters_total"), 1.0);
    let failed = metrics.sum("statera_function_invocation_failures_total");
    assert!(failed > 1.0);
    assert_eq!(first("retries_total"), failed - 1.0);
    assert_eq!(metrics.sum("statera_endpoint_request_failures_total"), failed);
    let invocations = metrics.sum("statera_function_invocations_total");
    assert_eq!(metrics.sum("statera_endpoint_requests_total"), invocations);
    assert_eq!(metrics.sum("statera_endpoint_request_seconds_count"), invocations);
    assert!(metrics.sum("statera_endpoint_connections_open") >= 1.0);

    assert_eq!(metrics.of("statera_requests_total{kind=\"send\"}"), SENDS as f64);
    assert_eq!(metrics.of("statera_requests_total{kind=\"call\"}"), CALLS as f64 + 1.0);
    assert_eq!(metrics.of("statera_release_seconds_count{kind=\"send\"}"), SENDS as f64);
    assert_eq!(metrics.of("statera_release_seconds_count{kind=\"call\"}"), CALLS as f64 + 1.0);
    let records = RECORDS as f64 + 1.0;
    assert_eq!(metrics.of("statera_release_seconds_count{kind=\"record\"}"), records);
    let source = |metric| {
        metrics
            .of(&format!("statera_ingress_{metric}{{ingress=\"metrics/records\",partition=\"\"}}"))
    };
    assert_eq!(source("records_total"), records);
    assert_eq!(source("messages_total"), RECORDS as f64);
    assert_eq!(source("malformed_records_total"), 1.0);
    assert_eq!(source("lag_bytes"), 0.0);
    let length = std::fs::metadata(app.path("records.jsonl")).unwrap().len();
    assert_eq!(source("position"), length as f64);
    assert_eq!(metrics.sum("statera_dead_letters"), 2.0);
    let accepted = |id| metrics.of(&format!("statera_ingress_accepted_total{{ingress=\"{id}\"}}"));
    assert_eq!(accepted("metrics/in"), (SENDS + CALLS) as f64 + 1.0);
    assert_eq!(accepted("metrics/records"), RECORDS as f64);

    let epochs = metrics.of("statera_epochs_total");
    assert!(epochs >= 1.0);
    assert!(metrics.of("statera_epoch") >= epochs);
    assert_eq!(metrics.of("statera_epoch_durable_seconds_count"), epochs);
    assert_eq!(metrics.of("statera_log_sync_seconds_count"), epochs);
    assert!(metrics.of("statera_epoch_changes_total") > sent);
    assert!(
        metrics.of("statera_log_appended_bytes_total") > metrics.of("statera_epoch_bytes_total")
    );
    assert!(metrics.of("statera_log_file_bytes") > 0.0);
    assert_eq!(metrics.sum("statera_egress_backlog_records"), 0.0);
    assert!(metrics.of("process_resident_memory_bytes") > 1e6);

    let open = get(&statera, "application/openmetrics-text; version=1.0.0").expect(200);
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.header("content-type"), Some(content_type));
    assert!(open.text().ends_with("# EOF\n"));
    assert_eq!(statera.stop(), Some(0));
}

/// A scrape tells of each instance's type, not of instances.
#[test]
fn the_size_of_an_answer_does_not_go_with_the_number_of_instances() {
    let all = functions();
    let server = FunctionServer::start(move |body| all.react(body));
    let app = App::new(&module(&server.url()));
    std::fs::write(app.path("records.jsonl"), "").unwrap();
    let mut statera = app.start();
    let mut client = statera.client("metrics/in");
    let mut lines = |ids: std::ops::Range<usize>| {
        for id in ids {
            post(&mut client, true, &id.to_string(), &message("", id)).expect(200);
        }
        get(&statera, "*/*").expect(200).text().lines().count()
    };
    assert_eq!(lines(0..10), lines(10..300));
    assert_eq!(statera.stop(), Some(0));
}
