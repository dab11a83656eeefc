//! Against moto, which others have written. Where it is not installed (`cargo xtask components`) these tests say so
//! and pass. It differs from the service: closed shards never say that they end and go on taking records, and requests
//! that cross lose records, so there is one at a time here.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use statera_config::KinesisStartup;

use crate::egress::{batch, prepared, record, record_for};
use crate::engine::{Positions, Reading};
use crate::{ingress_spec, soon};

const VARIABLE: &str = "STATERA_MOTO";

/// The server. Killed when it is dropped.
struct Moto {
    child: Child,
    url: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    /// `None`, and a word about it, where it is not installed.
    fn start() -> Option<Moto> {
        let Some(program) = std::env::var_os(VARIABLE) else {
            assert!(std::env::var_os("STATERA_CI").is_none(), "moto can't be left out in CI");
            println!(
                "SKIPPED: moto: `{VARIABLE}` is not set; `cargo xtask components` installs it"
            );
            return None;
        };
        let mut child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let url = lines.find_map(|line| {
            let start = line.find("http://127.0.0.1:")?;
            Some(line[start..].trim().to_owned())
        });
        // It goes on writing, a line for each request.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Moto { child, url: url.expect("it says where it listens") })
    }

    /// An operation that Statera does not need itself.
    async fn act(&self, action: &str, body: &Value) {
        let address = self.url.trim_start_matches("http://").to_owned();
        let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, String>(io).await.unwrap();
        let connection = tokio::spawn(connection);
        let credential = "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/kinesis/aws4_request";
        let request = hyper::Request::post("/")
            .header("host", address)
            .header("authorization", credential)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("Kinesis_20131202.{action}"))
            .body(body.to_string())
            .unwrap();
        let response = soon("an answer", sender.send_request(request)).await.unwrap();
        assert_eq!(response.status(), 200, "{action}");
        connection.abort();
    }

    async fn create(&self, stream: &str, shards: u32) {
        self.act("CreateStream", &json!({ "StreamName": stream, "ShardCount": shards })).await;
    }
}

#[tokio::test]
async fn what_the_egress_writes_the_ingress_reads() {
    let Some(moto) = Moto::start() else { return };
    moto.create("in", 3).await;
    moto.create("other", 1).await;
    let mut egress = prepared(&moto.url, 500).await;
    let records = (0..2000).map(|n| {
        let stream = if n % 10 == 0 { "other" } else { "in" };
        record_for(stream, &format!("k{}", n % 13), &n.to_string())
    });
    soon("a write", egress.sink.write(batch(1, records))).await.unwrap();
    let mut spec = ingress_spec(&moto.url, KinesisStartup::Earliest);
    let mut other = spec.streams[0].clone();
    other.name = "other".into();
    spec.streams.push(other);
    let mut reading = Reading::start(&spec, Positions::new());
    let mut values: Vec<u32> =
        reading.take(2000).await.iter().map(|(_, value)| value.parse().unwrap()).collect();
    values.sort_unstable();
    assert!(values.iter().copied().eq(0..2000));
}

#[tokio::test]
async fn reading_goes_on_at_the_position() {
    let Some(moto) = Moto::start() else { return };
    moto.create("in", 2).await;
    let mut egress = prepared(&moto.url, 500).await;
    let spec = ingress_spec(&moto.url, KinesisStartup::Latest);
    let mut reading = Reading::start(&spec, Positions::new());
    reading.batch().await;
    let mut seen = Vec::new();
    for epoch in 1..4_u64 {
        let positions = reading.positions();
        drop(reading);
        let records = (0..100).map(|n| record(&format!("k{}", n % 7), &format!("{epoch}-{n}")));
        soon("a write", egress.sink.write(batch(epoch, records))).await.unwrap();
        reading = Reading::start(&spec, positions);
        seen.extend(reading.take(100).await);
    }
    let values: std::collections::BTreeSet<_> = seen.into_iter().map(|(_, value)| value).collect();
    assert_eq!(values.len(), 300);
}

#[tokio::test]
async fn shards_are_split_and_merged() {
    let Some(moto) = Moto::start() else { return };
    moto.create("in", 1).await;
    let mut egress = prepared(&moto.url, 500).await;
    let records = (0..100).map(|n| record(&format!("k{n}"), &n.to_string()));
    soon("a write", egress.sink.write(batch(1, records))).await.unwrap();
    let spec = ingress_spec(&moto.url, KinesisStartup::Earliest);
    let mut reading = Reading::start(&spec, Positions::new());
    reading.take(100).await;
    let split = json!({
        "StreamName": "in",
        "ShardToSplit": "shardId-000000000000",
        "NewStartingHashKey": (1_u128 << 127).to_string(),
    });
    moto.act("SplitShard", &split).await;
    assert_eq!(reading.until_ended("in/shardId-000000000000").await, []);
    let merge = json!({
        "StreamName": "in",
        "ShardToMerge": "shardId-000000000001",
        "AdjacentShardToMerge": "shardId-000000000002",
    });
    moto.act("MergeShards", &merge).await;
    let ended = |reading: &Reading| {
        reading.positions().into_values().filter(|position| position[1] == 2).count()
    };
    while ended(&reading) < 3 {
        assert!(reading.batch().await.records.is_empty());
    }
}
