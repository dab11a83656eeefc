use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use statera_config as config;
use statera_config::Delivery;
use statera_model::{Epoch, TypedValue};
use statera_ports::{Egress, Sink, SinkBatch, SinkPosition};
use statera_protocol::egress::KafkaRecord;
use statera_protocol::kafka::{Header, ProducerRecord};
use statera_test_kafka::{Reader, Record};

use crate::world::{Broker, broker, data, name, soon};

pub(crate) const EXACTLY_ONCE: Delivery =
    Delivery::ExactlyOnce { transaction_timeout: Duration::from_secs(60) };

const LIMIT: Duration = Duration::from_secs(10);

pub(crate) fn egress(bootstrap: &str, delivery: Delivery, more: &[(&str, &str)]) -> Egress {
    let mut properties: BTreeMap<_, _> =
        more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    properties.insert("bootstrap.servers".to_owned(), bootstrap.to_owned());
    let spec = config::KafkaEgress { id: name("test/out"), properties, delivery };
    statera_kafka::egress(&spec).unwrap()
}

pub(crate) fn batch(epoch: u64, topic: &str, values: &[&str]) -> SinkBatch {
    let record = |value: &&str| KafkaRecord { topic, key: "k", value: value.as_bytes() }.encode();
    SinkBatch {
        epoch: Epoch(epoch),
        records: values.iter().map(record).collect(),
        traces: Vec::new(),
    }
}

pub(crate) fn values(records: &[Record]) -> Vec<String> {
    let value = |record: &Record| {
        String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned()
    };
    records.iter().map(value).collect()
}

/// All committed records of a topic, read by Kafka's own consumer.
async fn read(broker: &Broker, topic: &str, expected: usize) -> Vec<Record> {
    let reader = Reader::start(&broker.cluster.lock().unwrap(), topic).unwrap();
    tokio::task::spawn_blocking(move || {
        reader.wait_for(expected).unwrap();
        // What is too much would come at once.
        std::thread::sleep(Duration::from_millis(500));
        reader.records()
    })
    .await
    .unwrap()
}

fn position(epoch: u64) -> SinkPosition {
    SinkPosition { epoch: Epoch(epoch), position: bytes::Bytes::from_static(&[1]) }
}

/// Another producer with the transactional id of a sink, as its process before a crash.
fn process_before(broker: &Broker, data: &str, turn: usize) -> (BaseProducer, String) {
    let name = format!("statera.{data}.test/out");
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &broker.bootstrap);
    config.set("transactional.id", format!("{name}.{turn}"));
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(LIMIT).unwrap();
    producer.begin_transaction().unwrap();
    (producer, name)
}

/// As the engine does it: again and again.
pub(crate) async fn recover(sink: &mut Box<dyn Sink>, id: &str) -> Option<u64> {
    soon("recovery", async {
        loop {
            if let Ok(further) = sink.recover(data(id), None).await {
                return further.map(|further| further.epoch.0);
            }
        }
    })
    .await
}

fn send(producer: &BaseProducer, topic: &str, value: &str) {
    producer
        .send(BaseRecord::to(topic).key("k").payload(value))
        .map_err(|(error, _)| error)
        .unwrap();
    producer.flush(LIMIT).unwrap();
}

fn mark(broker: &Broker, producer: &BaseProducer, name: &str, topic: &str, epoch: i64) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &broker.bootstrap).set("group.id", name);
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(epoch)).unwrap();
    let group = consumer.group_metadata().unwrap();
    producer.send_offsets_to_transaction(&list, &group, LIMIT).unwrap();
}

#[tokio::test]
async fn records_arrive_as_they_were_emitted() {
    let Some(broker) = broker("records_arrive_as_they_were_emitted") else { return };
    broker.create_topic("arrive", 2).await;
    let full = ProducerRecord {
        topic: "arrive",
        key: Some(b""),
        value: Some(b""),
        partition: Some(1),
        timestamp_ms: Some(1234),
        headers: vec![Header { key: "a", value: Some(b"1") }, Header { key: "a", value: None }],
    };
    let tombstone =
        ProducerRecord { key: Some(b"\xff"), value: None, headers: vec![], ..full.clone() };
    let plain = KafkaRecord { topic: "arrive", key: "", value: b"x" }.encode();
    let records = vec![full.encode(), tombstone.encode(), plain];
    let deliveries = [Delivery::AtLeastOnce, Delivery::None, EXACTLY_ONCE];
    for (number, delivery) in (1..).zip(deliveries) {
        let mut egress = egress(&broker.bootstrap, delivery, &[]);
        assert_eq!(
            records.iter().map(|it| (egress.accepts)(it)).collect::<Vec<_>>(),
            [Ok(()), Ok(()), Ok(())]
        );
        recover(&mut egress.sink, "arrive").await;
        let batch =
            SinkBatch { epoch: Epoch(number), records: records.clone(), traces: Vec::new() };
        soon("a write", egress.sink.write(batch)).await.unwrap();
    }
    let all = read(&broker, "arrive", 9).await;
    let with_time = all.iter().filter(|record| record.timestamp_ms == 1234).collect::<Vec<_>>();
    assert_eq!((all.len(), with_time.len()), (9, 6));
    for pair in with_time.chunks(2) {
        let [full, tombstone] = pair else { panic!("{with_time:?}") };
        assert_eq!((&full.key, &full.value), (&Some(vec![]), &Some(vec![])));
        assert_eq!(full.headers, [("a".to_owned(), Some(b"1".to_vec())), ("a".to_owned(), None)]);
        assert_eq!((full.partition, tombstone.partition), (1, 1));
        assert_eq!((&tombstone.key, &tombstone.value), (&Some(vec![0xff]), &None));
    }
    let plain = all.iter().find(|record| record.value == Some(b"x".to_vec())).unwrap();
    assert_eq!(plain.key, None);
}

#[tokio::test]
async fn an_abandoned_transaction_is_aborted_and_its_batch_written_once() {
    let Some(broker) = broker("an_abandoned_transaction_is_aborted_and_its_batch_written_once")
    else {
        return;
    };
    broker.create_topic("abandoned", 1).await;
    let (crashed, name) = process_before(&broker, "abandoned", 1);
    send(&crashed, "abandoned", "a");
    mark(&broker, &crashed, &name, "abandoned", 6);

    let mut sink = egress(&broker.bootstrap, EXACTLY_ONCE, &[]).sink;
    let further =
        soon("recovery", sink.recover(data("abandoned"), Some(position(5)))).await.unwrap();
    assert_eq!(further, None);
    sink.write(batch(6, "abandoned", &["a", "b"])).await.unwrap();
    sink.write(batch(9, "abandoned", &["c"])).await.unwrap();
    assert_eq!(values(&read(&broker, "abandoned", 3).await), ["a", "b", "c"]);
    drop(crashed);
}

#[tokio::test]
async fn the_destination_tells_how_far_it_is() {
    let Some(broker) = broker("the_destination_tells_how_far_it_is") else { return };
    broker.create_topic("marked-a", 1).await;
    broker.create_topic("marked-b", 1).await;
    let mut sink = egress(&broker.bootstrap, EXACTLY_ONCE, &[]).sink;
    assert_eq!(recover(&mut sink, "marked").await, None);
    sink.write(batch(3, "marked-a", &["a"])).await.unwrap();
    sink.write(batch(8, "marked-b", &["b"])).await.unwrap();
    drop(sink);

    for (last, expected) in [(None, Some(8)), (Some(7), Some(8)), (Some(8), None), (Some(9), None)]
    {
        let mut sink = egress(&broker.bootstrap, EXACTLY_ONCE, &[]).sink;
        let further = sink.recover(data("marked"), last.map(position)).await.unwrap();
        assert_eq!(further.map(|further| further.epoch.0), expected, "{last:?}");
    }
    // Another data directory counts its own epochs.
    let mut sink = egress(&broker.bootstrap, EXACTLY_ONCE, &[]).sink;
    assert_eq!(recover(&mut sink, "other").await, None);
}

#[tokio::test]
async fn a_batch_whose_commit_was_lost_is_recognised() {
    let Some(broker) = broker("a_batch_whose_commit_was_lost_is_recognised") else { return };
    broker.create_topic("lost-commit", 1).await;
    let mut sink = egress(&broker.bootstrap, EXACTLY_ONCE, &[]).sink;
    recover(&mut sink, "lost-commit").await;
    sink.write(batch(1, "lost-commit", &["a"])).await.unwrap();
    // The same producer in another place writes the next batch, and the sink does not hear of it.
    let (elsewhere, name) = process_before(&broker, "lost-commit", 1);
    send(&elsewhere, "lost-commit", "b");
    mark(&broker, &elsewhere, &name, "lost-commit", 2);
    elsewhere.commit_transaction(LIMIT).unwrap();

    let mut failures = 0;
    while sink.write(batch(2, "lost-commit", &["b"])).await.is_err() {
        failures += 1;
        assert!(failures < 5, "it does not recover");
    }
    assert!(failures > 0, "it was fenced");
    sink.write(batch(3, "lost-commit", &["c"])).await.unwrap();
    assert_eq!(values(&read(&broker, "lost-commit", 3).await), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_write_that_is_given_up_leaves_nothing_open() {
    let Some(broker) = broker("a_write_that_is_given_up_leaves_nothing_open") else { return };
    broker.create_topic("given-up", 1).await;
    let many: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut sink = egress(&broker.bootstrap, EXACTLY_ONCE, &[]).sink;
    recover(&mut sink, "given-up").await;
    for pause in [1, 5, 20, 50, 100] {
        let write = sink.write(batch(1, "given-up", &many));
        let _ = tokio::time::timeout(Duration::from_millis(pause), write).await;
    }
    soon("a write", async { while sink.write(batch(1, "given-up", &many)).await.is_err() {} })
        .await;
    sink.write(batch(2, "given-up", &["last"])).await.unwrap();
    let read = values(&read(&broker, "given-up", many.len() + 1).await);
    assert_eq!(read.len(), many.len() + 1);
    assert!(read.iter().zip(many.iter().chain(&["last"])).all(|(read, sent)| read == sent));
}

#[tokio::test]
async fn a_refused_record_names_its_topic_and_blocks_until_it_is_taken() {
    let Some(broker) = broker("a_refused_record_names_its_topic_and_blocks_until_it_is_taken")
    else {
        return;
    };
    broker.create_topic("small", 1).await;
    broker.set_topic("small", "max.message.bytes", "1000").await;
    let large = "x".repeat(5000);
    let halves = vec!["x".repeat(400); 10];
    let halves: Vec<&str> = halves.iter().map(String::as_str).collect();
    for delivery in [EXACTLY_ONCE, Delivery::AtLeastOnce] {
        let mut sink = egress(&broker.bootstrap, delivery, &[]).sink;
        recover(&mut sink, "small").await;
        let refused = soon("a refusal", sink.write(batch(1, "small", &[&large, "a"]))).await;
        let error = refused.unwrap_err().to_string();
        let expected = "topic `small` does not take a record of 5001 bytes; hint: ";
        assert!(error.starts_with(expected), "{error}");
        let missing = ProducerRecord { topic: "small", partition: Some(7), ..Default::default() };
        let missing =
            SinkBatch { epoch: Epoch(1), records: vec![missing.encode()], traces: Vec::new() };
        let error = soon("a refusal", sink.write(missing)).await.unwrap_err().to_string();
        assert!(error.starts_with("topic `small` does not have the partition"), "{error}");
        // Together they are too much, but each is small enough.
        soon("a write", sink.write(batch(1, "small", &halves))).await.unwrap();
    }
    broker.set_topic("small", "max.message.bytes", "10000").await;
    let mut sink = egress(&broker.bootstrap, EXACTLY_ONCE, &[]).sink;
    recover(&mut sink, "small").await;
    sink.write(batch(3, "small", &["b", &large])).await.unwrap();
    let read = values(&read(&broker, "small", 22).await);
    assert_eq!(read[read.len() - 2..], ["b".to_owned(), large]);
}

#[tokio::test]
async fn a_transaction_longer_than_the_brokers_allow_is_explained() {
    let Some(broker) = broker("a_transaction_longer_than_the_brokers_allow_is_explained") else {
        return;
    };
    let delivery = Delivery::ExactlyOnce { transaction_timeout: Duration::from_secs(3600) };
    let mut sink = egress(&broker.bootstrap, delivery, &[]).sink;
    let error = sink.recover(data("long"), None).await.unwrap_err().to_string();
    assert!(
        error.contains("hint: `deliverySemantic.transactionTimeout` is longer than"),
        "{error}"
    );
}

#[tokio::test]
async fn equal_keys_go_where_java_sends_them() {
    let Some(broker) = broker("equal_keys_go_where_java_sends_them") else { return };
    broker.create_topic("partitioned", 7).await;
    let keys: Vec<String> = (0..50).map(|number| format!("key-{number}")).collect();
    let java =
        || statera_test_kafka::Producer::start(&broker.cluster.lock().unwrap(), "partitioned");
    let mut producer = java().unwrap();
    for key in &keys {
        producer.send(Some(key), Some("java"), &[]).unwrap();
    }
    producer.finish().unwrap();
    let record = |key: &String| KafkaRecord { topic: "partitioned", key, value: b"ours" }.encode();
    let mut sink = egress(&broker.bootstrap, Delivery::AtLeastOnce, &[]).sink;
    let records: Vec<TypedValue> = keys.iter().map(record).collect();
    sink.write(SinkBatch { epoch: Epoch(1), records, traces: Vec::new() }).await.unwrap();
    let mut partitions: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for record in read(&broker, "partitioned", 100).await {
        partitions.entry(record.key).or_default().push(record.partition);
    }
    assert_eq!(partitions.len(), 50);
    assert!(
        partitions.values().all(|both| both.len() == 2 && both[0] == both[1]),
        "{partitions:?}"
    );
}
