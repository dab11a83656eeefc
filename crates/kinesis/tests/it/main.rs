//! The ingress and the egress against a service in memory, and against moto, an independent one.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod credentials;
mod egress;
mod engine;
mod http;
mod ingress;
mod moto;
mod service;

use std::time::Duration;

use statera_config::{
    AwsCredentials, AwsRegion, BadRecords, KinesisEgress, KinesisIngress, KinesisStartup,
    StreamRoute,
};
use statera_kinesis::Environment;
use statera_model::Name;

const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for what must come soon.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(DEADLINE, future).await;
    done.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn custom(endpoint: &str) -> AwsRegion {
    AwsRegion::Custom { endpoint: endpoint.into(), region: "us-east-1".into() }
}

fn key() -> AwsCredentials {
    AwsCredentials::Basic { access_key_id: "A".into(), secret_access_key: "s".into() }
}

/// An ingress for the stream `in`, which does not wait for long.
fn ingress_spec(endpoint: &str, startup: KinesisStartup) -> KinesisIngress {
    let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    KinesisIngress {
        id: name("example/in"),
        region: custom(endpoint),
        credentials: key(),
        startup,
        streams: vec![StreamRoute {
            name: "in".into(),
            value_type: name("example/Value"),
            targets: vec![name("example/f")],
            envelope: false,
        }],
        properties: [
            property("flink.shard.getrecords.intervalmillis", "10"),
            property("flink.shard.discovery.intervalmillis", "20"),
        ]
        .into(),
        bad_records: BadRecords::DeadLetter,
    }
}

fn egress_spec(endpoint: &str) -> KinesisEgress {
    KinesisEgress {
        id: name("example/out"),
        region: custom(endpoint),
        credentials: key(),
        outstanding_max: 1000,
        properties: [].into(),
    }
}

fn nothing() -> Environment {
    Environment::new(|_| None)
}
