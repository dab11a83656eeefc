use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::{Header as SentHeader, OwnedHeaders};
use rdkafka::{Offset, TopicPartitionList};
use statera_config::{BadRecords, KafkaStartup};
use statera_kafka::Error;
use statera_ports::{SourceRecord, SourceStatus, SourceUnit};
use statera_protocol::kafka::{ConsumerRecord, Header};

use crate::world::{Broker, Running, Sent, broker, ingress, name, soon};

/// Five records in partition 0, at 1000, 2000, ... ms.
fn five<'a>() -> Vec<Sent<'a>> {
    let record = |(index, value): (i64, &'a str)| Sent {
        timestamp_ms: Some((index + 1) * 1000),
        ..Sent::new(0, "k", value)
    };
    (0..).zip(["0", "1", "2", "3", "4"]).map(record).collect()
}

fn group(broker: &Broker, group: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &broker.bootstrap).set("group.id", group);
    config.create().unwrap()
}

fn commit(broker: &Broker, topic: &str, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    group(broker, &format!("group-of-{topic}")).commit(&list, CommitMode::Sync).unwrap();
}

fn committed(broker: &Broker, topic: &str) -> Offset {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, 0);
    let group = group(broker, &format!("group-of-{topic}"));
    let list = group.committed_offsets(list, Duration::from_secs(10)).unwrap();
    list.elements()[0].offset()
}

/// What is read of five records in partition 0 and one that comes later.
async fn check_startup(broker: &Broker, topic: &str, startup: KafkaStartup, expected: &[&str]) {
    let spec = statera_config::KafkaIngress { startup, ..broker.ingress(topic) };
    let mut running = Running::start(&spec);
    running.wait_for_positions(1).await;
    broker.produce(topic, &[Sent::new(0, "k", "later")]);
    let texts = running.wait_for(expected.len()).await;
    assert_eq!(texts, expected.iter().map(|value| format!("k={value}")).collect::<Vec<_>>());
    running.stop().await;
}

#[tokio::test]
async fn reading_begins_where_the_configuration_says() {
    let Some(broker) = broker("reading_begins_where_the_configuration_says") else { return };
    let offsets = |offset| BTreeMap::from([(("offsets".to_owned(), 0), offset)]);
    let cases: [(&str, KafkaStartup, &[&str]); 7] = [
        ("earliest", KafkaStartup::Earliest, &["0", "1", "2", "3", "4", "later"]),
        ("latest", KafkaStartup::Latest, &["later"]),
        ("offsets", KafkaStartup::Offsets(offsets(3)), &["3", "4", "later"]),
        ("not-in-offsets", KafkaStartup::Offsets(offsets(3)), &["1", "2", "3", "4", "later"]),
        ("group", KafkaStartup::GroupOffsets, &["2", "3", "4", "later"]),
        ("date", KafkaStartup::Date(3500), &["3", "4", "later"]),
        ("date-to-come", KafkaStartup::Date(99_000), &["later"]),
    ];
    for (topic, startup, expected) in cases {
        broker.create_topic(topic, 1).await;
        broker.produce(topic, &five());
        match topic {
            "group" => commit(&broker, topic, 2),
            "not-in-offsets" => commit(&broker, topic, 1),
            _ => {}
        }
        check_startup(&broker, topic, startup, expected).await;
    }
}

#[tokio::test]
async fn a_group_without_offsets_begins_where_its_reset_says() {
    let Some(broker) = broker("a_group_without_offsets_begins_where_its_reset_says") else {
        return;
    };
    for (topic, reset, expected) in
        [("reset-earliest", "earliest", 6), ("reset-latest", "latest", 1)]
    {
        broker.create_topic(topic, 1).await;
        broker.produce(topic, &five());
        let mut spec = broker.ingress(topic);
        spec.startup = KafkaStartup::GroupOffsets;
        spec.properties.insert("auto.offset.reset".to_owned(), reset.to_owned());
        let mut running = Running::start(&spec);
        running.wait_for_positions(1).await;
        broker.produce(topic, &[Sent::new(0, "k", "later")]);
        assert_eq!(running.wait_for(expected).await.len(), expected);
        running.stop().await;
    }
    broker.create_topic("reset-none", 1).await;
    let mut spec = broker.ingress("reset-none");
    spec.startup = KafkaStartup::GroupOffsets;
    spec.properties.insert("auto.offset.reset".to_owned(), "none".to_owned());
    let error = Running::start(&spec).error().await;
    assert!(matches!(error, Error::NoGroupOffset { partition: 0, .. }), "{error}");
}

#[tokio::test]
async fn nothing_is_skipped_between_the_first_start_and_a_crash() {
    let Some(broker) = broker("nothing_is_skipped_between_the_first_start_and_a_crash") else {
        return;
    };
    broker.create_topic("first-start", 2).await;
    broker.produce("first-start", &five());
    let spec = statera_config::KafkaIngress {
        startup: KafkaStartup::Latest,
        ..broker.ingress("first-start")
    };
    let mut running = Running::start(&spec);
    running.wait_for_positions(2).await;
    assert!(running.records.is_empty());
    let positions = running.stop().await;
    broker.produce("first-start", &[Sent::new(0, "k", "a"), Sent::new(1, "k", "b")]);
    let mut running = Running::resume(&spec, positions);
    let mut texts = running.wait_for(2).await;
    texts.sort();
    assert_eq!(texts, ["k=a", "k=b"]);
    running.stop().await;
}

#[tokio::test]
async fn reading_goes_on_where_the_engine_stood() {
    let Some(broker) = broker("reading_goes_on_where_the_engine_stood") else { return };
    broker.create_topic("goes-on", 1).await;
    broker.produce("goes-on", &five());
    let mut running = Running::start(&broker.ingress("goes-on"));
    running.wait_for(5).await;
    let positions = running.stop().await;
    // Stopped in order, so the monitors see it at once.
    assert_eq!(committed(&broker, "goes-on"), Offset::Offset(5));
    broker.produce("goes-on", &[Sent::new(0, "k", "more")]);
    let mut running = Running::resume(&broker.ingress("goes-on"), positions);
    assert_eq!(running.wait_for(1).await, ["k=more"]);
    soon("a committed offset", async {
        while committed(&broker, "goes-on") != Offset::Offset(6) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn partitions_that_come_later_are_read_from_their_beginning() {
    let Some(broker) = broker("partitions_that_come_later_are_read_from_their_beginning") else {
        return;
    };
    broker.create_topic("grows", 1).await;
    let mut spec = broker.ingress("grows");
    spec.startup = KafkaStartup::Latest;
    spec.topics.push(crate::world::route("comes-later"));
    let mut running = Running::start(&spec);
    running.wait_for_positions(1).await;
    broker.grow_topic("grows", 2).await;
    broker.produce("grows", &[Sent::new(1, "k", "a"), Sent::new(1, "k", "b")]);
    assert_eq!(running.wait_for(2).await, ["k=a", "k=b"]);
    broker.create_topic("comes-later", 1).await;
    broker.produce("comes-later", &[Sent::new(0, "k", "c")]);
    assert_eq!(running.wait_for(3).await, ["k=a", "k=b", "k=c"]);
    let positions = running.stop().await;
    assert_eq!(positions.len(), 3);

    broker.grow_topic("grows", 3).await;
    broker.produce("grows", &[Sent::new(2, "k", "d")]);
    let mut running = Running::resume(&spec, positions);
    assert_eq!(running.wait_for(1).await, ["k=d"]);
    running.stop().await;
}

#[tokio::test]
async fn lost_records_stop_the_ingress() {
    let Some(broker) = broker("lost_records_stop_the_ingress") else { return };
    broker.create_topic("lost", 1).await;
    broker.produce("lost", &five()[..2]);
    let mut running = Running::start(&broker.ingress("lost"));
    running.wait_for(2).await;
    let positions = running.stop().await;
    broker.produce("lost", &five());
    broker.truncate("lost", 4).await;
    let error = Running::resume(&broker.ingress("lost"), positions).error().await;
    let Error::Lost { partition: 0, offset: 2, low: 4, high: 7, .. } = error else {
        panic!("{error}")
    };

    let offsets = BTreeMap::from([(("lost".to_owned(), 0), 100)]);
    let spec = statera_config::KafkaIngress {
        startup: KafkaStartup::Offsets(offsets),
        ..broker.ingress("lost")
    };
    let error = Running::start(&spec).error().await;
    let Error::Lost { offset: 100, low: 4, high: 7, .. } = error else { panic!("{error}") };
}

#[tokio::test]
async fn bad_records_are_treated_as_configured() {
    let Some(broker) = broker("bad_records_are_treated_as_configured") else { return };
    broker.create_topic("bad", 1).await;
    let keyless = Sent { value: Some(b"lonely"), ..Sent::default() };
    let tombstone = Sent { key: Some(b"bob"), ..Sent::default() };
    let records = [Sent::new(0, "ada", "1"), keyless, tombstone, Sent::new(0, "ada", "2")];
    broker.produce("bad", &records);
    let spec = |bad_records| statera_config::KafkaIngress { bad_records, ..broker.ingress("bad") };

    let mut running = Running::start(&spec(BadRecords::DeadLetter));
    let texts = running.wait_for(4).await;
    assert_eq!(
        texts,
        [
            "ada=1",
            "bad/0@1: the record has no key, which is the id of the function instance: lonely",
            "bad/0@2: the record with the key `bob` has no value (it is a tombstone): ",
            "ada=2"
        ]
    );
    running.stop().await;

    let mut running = Running::start(&spec(BadRecords::Skip));
    assert_eq!(running.wait_for(2).await, ["ada=1", "ada=2"]);
    running.stop().await;

    let mut running = Running::start(&spec(BadRecords::Fail));
    assert_eq!(running.wait_for(1).await, ["ada=1"]);
    let error = running.error().await;
    let Error::BadRecord { place, .. } = &error else { panic!("{error}") };
    assert_eq!(place, "bad/0@1");
}

#[tokio::test]
async fn an_envelope_brings_all_there_is() {
    let Some(broker) = broker("an_envelope_brings_all_there_is") else { return };
    broker.create_topic("envelope", 1).await;
    let headers = OwnedHeaders::new()
        .insert(SentHeader { key: "trace", value: Some("7") })
        .insert(SentHeader { key: "trace", value: None::<&str> });
    let record = Sent {
        key: Some(b"ada"),
        timestamp_ms: Some(1234),
        headers: Some(headers),
        ..Sent::default()
    };
    broker.produce("envelope", &[record]);
    let mut spec = broker.ingress("envelope");
    spec.topics[0].envelope = true;
    spec.topics[0].targets.push(name("test/two"));
    let mut running = Running::start(&spec);
    running.wait_for(1).await;
    let SourceRecord::Message { targets, argument, .. } = &running.records[0] else { panic!() };
    let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["test/one/ada", "test/two/ada"]);
    let expected = ConsumerRecord {
        topic: "envelope",
        partition: 0,
        offset: 0,
        timestamp_ms: Some(1234),
        key: Some(b"ada"),
        value: None,
        value_type: "test/Value",
        headers: vec![
            Header { key: "trace", value: Some(b"7") },
            Header { key: "trace", value: None },
        ],
    };
    assert_eq!(ConsumerRecord::decode(argument), Ok(expected));
    running.stop().await;
}

#[tokio::test]
async fn those_who_watch_are_told_how_far_it_has_come() {
    let Some(broker) = broker("those_who_watch_are_told_how_far_it_has_come") else { return };
    broker.create_topic("watched", 1).await;
    broker.produce("watched", &five());
    let mut running = Running::start(&broker.ingress("watched"));
    running.wait_for_positions(1).await;
    let expected = SourceStatus { position: 5, end: Some(5), unit: SourceUnit::Records };
    soon("a status", async {
        while !running.engine.statuses.lock().unwrap().values().any(|it| *it == expected) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    running.stop().await;
}

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test]
async fn what_a_full_engine_does_not_take_stays_at_the_broker() {
    let Some(broker) = broker("what_a_full_engine_does_not_take_stays_at_the_broker") else {
        return;
    };
    const PARTITIONS: i32 = 8;
    const RECORDS: usize = 2000;
    broker.create_topic("much", PARTITIONS).await;
    let value = "x".repeat(100_000);
    let record = |index: usize| Sent::new(index as i32 % PARTITIONS, "k", &value);
    for start in (0..RECORDS).step_by(200) {
        broker.produce("much", &(start..start + 200).map(record).collect::<Vec<_>>());
    }
    let before = resident_bytes();
    let mut running = Running::start(&broker.ingress("much"));
    running.wait_for_positions(PARTITIONS as usize).await;
    running.open_gate(false);
    let mut highest = 0;
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        highest = highest.max(resident_bytes().saturating_sub(before));
    }
    assert!(highest < 100 << 20, "{highest} bytes for a topic of 200 MB");
    running.open_gate(true);
    soon("all records", running.wait_for(RECORDS)).await;
    assert_eq!(running.records.len(), RECORDS);
    running.stop().await;
}

#[tokio::test]
async fn an_ingress_without_brokers_waits_and_stops_when_asked() {
    // Nothing listens there.
    let running = Running::start(&ingress("127.0.0.1:9", "anything"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!running.running.is_finished());
    running.stop().await;
}
