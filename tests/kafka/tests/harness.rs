//! Brokers as the tests use them: they keep what they have taken, whatever is killed. Without this the tests that judge
//! Statera by them would prove nothing.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use statera_test_kafka::{Artifacts, Cluster, Options, Producer, Reader, Record};

const SILENCE: Duration = Duration::from_secs(3);

#[test]
fn a_broker_keeps_its_records_over_a_crash() {
    let artifacts = match Artifacts::from_environment() {
        Ok(artifacts) => artifacts,
        Err(why) => {
            assert!(std::env::var_os("STATERA_CI").is_none(), "it can't be left out in CI: {why}");
            return println!("SKIPPED: kafka: {why}");
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let mut kafka = Cluster::start(&artifacts, folder.path(), &Options::default()).unwrap();
    kafka.create_topics(&[("letters", 2)]).unwrap();
    let reader = Reader::start(&kafka, "letters").unwrap();
    let mut producer = Producer::start(&kafka, "letters").unwrap();
    producer.send(Some("a"), Some("{\"n\": 1}"), &[("kind", "first"), ("empty", "")]).unwrap();
    producer.send(Some("a"), Some("é\\N"), &[]).unwrap();
    producer.send(Some("a"), None, &[]).unwrap();
    producer.send(None, Some(""), &[]).unwrap();
    producer.flush().unwrap();
    reader.wait_for(4).unwrap();

    let bootstrap = kafka.bootstrap();
    kafka.node(1).kill();
    // It is sent once there is somebody to take it.
    producer.send(Some("a"), Some("after"), &[]).unwrap();
    kafka.node(1).start().unwrap();
    assert_eq!(kafka.bootstrap(), bootstrap);
    producer.finish().unwrap();
    let seen = reader.wait_for(5).unwrap();
    let read = Reader::read_all(&kafka, "letters", 5, SILENCE).unwrap();
    assert_eq!(sorted(&read), sorted(&seen), "two readers, one of them there all the time");

    let keyed: Vec<&Record> = read.iter().filter(|record| record.key.is_some()).collect();
    let values: Vec<Option<&[u8]>> = keyed.iter().map(|record| record.value.as_deref()).collect();
    let wanted: [Option<&[u8]>; 4] =
        [Some(b"{\"n\": 1}"), Some("é\\N".as_bytes()), None, Some(b"after")];
    assert_eq!(values, wanted);
    assert!(keyed.windows(2).all(|pair| pair[0].offset < pair[1].offset), "{keyed:#?}");
    assert!(keyed.windows(2).all(|pair| pair[0].partition == pair[1].partition), "{keyed:#?}");
    let headers =
        [("kind".to_owned(), Some(b"first".to_vec())), ("empty".to_owned(), Some(Vec::new()))];
    assert_eq!(keyed[0].headers, headers);
    let other = read.iter().find(|record| record.key.is_none()).unwrap();
    assert_eq!(other.value_text(), "");

    assert_eq!(kafka.leader("letters", 0).unwrap(), Some(1));
    assert!(kafka.transactions().unwrap().is_empty());
    assert!(kafka.hanging_transactions().unwrap().is_empty());
}

fn sorted(records: &[Record]) -> Vec<Record> {
    let mut records = records.to_vec();
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}
