//! From Kinesis to Kinesis, with a kill in between.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use statera_e2e::{App, FunctionServer, Functions, Moto, Target, eventually, skipped};
use statera_protocol::egress::KinesisRecord;

const IDS: usize = 16;
const RECORDS_EACH: usize = 10;

/// Counts the records of each id, and says how many there were.
fn counter() -> Functions {
    Functions::default().with("example/counter", &["count"], |context, _| {
        let count = context.add("count", 1).to_string();
        let id = context.id();
        let record = KinesisRecord {
            stream: "counts",
            partition_key: &id,
            explicit_hash_key: "",
            value: count.as_bytes(),
        };
        context.emit_value("example/counts", record.encode());
    })
}

/// One request under way at a time: moto loses records of those that cross.
fn module(functions: &str, kinesis: &str, startup: &str) -> String {
    let service = format!(
        "awsRegion: {{ type: custom-endpoint, endpoint: '{kinesis}', id: us-east-1 }}
  awsCredentials: {{ type: basic, accessKeyId: A, secretAccessKey: s }}"
    );
    format!(
        "kind: io.statefun.endpoints.v2/http
spec:
  functions: example/*
  urlPathTemplate: {functions}
---
kind: io.statefun.kinesis.v1/ingress
spec:
  id: example/clicks
  {service}
  startupPosition: {{ type: {startup} }}
  streams:
    - stream: clicks
      valueType: e2e/Json
      targets: [example/counter]
  clientConfigProperties:
    - flink.shard.getrecords.intervalmillis: 20
---
kind: io.statefun.kinesis.v1/egress
spec:
  id: example/counts
  {service}
  maxOutstandingRecords: 100
---
kind: io.statera.v1/http-ingress
spec:
  id: example/http
  address: 127.0.0.1:0
"
    )
}

/// The counts of each id in the order in which they first came.
fn counts(moto: &Moto) -> BTreeMap<String, Vec<usize>> {
    let mut counts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, count) in moto.records("counts") {
        let of_id = counts.entry(id).or_default();
        let count = count.parse().unwrap();
        // After a crash the last ones may come again.
        if !of_id.contains(&count) {
            of_id.push(count);
        }
    }
    counts
}

#[test]
fn every_record_counts_once_though_statera_is_killed() {
    let moto = match Moto::start() {
        Ok(moto) => moto,
        Err(why) => return skipped("Kinesis", &why),
    };
    moto.create("clicks", 3);
    moto.create("counts", 2);
    let functions = counter();
    let functions = FunctionServer::start(move |body| functions.react(body));
    let app = App::new(&module(&functions.url(), &moto.url(), "earliest"));
    let ids: Vec<_> = (0..IDS).map(|n| format!("id-{n}")).collect();
    for round in 0..RECORDS_EACH {
        let mut statera = app.start();
        moto.put("clicks", ids.iter().map(|id| (id.as_str(), "{}")));
        if round % 5 != 0 {
            eventually("some counts of this round", || {
                counts(&moto).values().any(|counts| counts.len() > round).then_some(())
            });
        }
        statera.kill();
    }
    let _statera = app.start();
    let expected: BTreeMap<_, Vec<_>> =
        ids.into_iter().map(|id| (id, (1..=RECORDS_EACH).collect())).collect();
    eventually("all counts", || (counts(&moto) == expected).then_some(()));
}

#[test]
fn a_latest_start_survives_a_kill_before_the_first_record() {
    let moto = match Moto::start() {
        Ok(moto) => moto,
        Err(why) => return skipped("Kinesis", &why),
    };
    moto.create("clicks", 2);
    moto.create("counts", 1);
    moto.put("clicks", [("before", "{}")]);
    let functions = counter();
    let functions = FunctionServer::start(move |body| functions.react(body));
    let app = App::new(&module(&functions.url(), &moto.url(), "latest"));
    let mut statera = app.start();
    eventually("the ingress reads", || {
        statera.log().iter().any(|line| line.contains("reading a shard")).then_some(())
    });
    // When this is durable, so is what was before it.
    let target = Target { function: "example/counter", id: "http" };
    statera.client("example/http").send(target, "e2e/Json", None, b"{}").unwrap().expect(202);
    statera.kill();
    moto.put("clicks", [("meanwhile", "{}")]);
    let _statera = app.start();
    let meanwhile = || counts(&moto).contains_key("meanwhile").then_some(());
    eventually("the record that came while nobody read", meanwhile);
    assert!(!counts(&moto).contains_key("before"));
}
