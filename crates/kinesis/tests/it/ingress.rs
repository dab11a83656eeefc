//! The ingress against the service in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use statera_config::{BadRecords, KinesisStartup};
use statera_kinesis::Error;
use statera_ports::SourceId;

use crate::engine::{Message, Positions, Reading};
use crate::service::Service;
use crate::{ingress_spec, name};

const EARLIEST: KinesisStartup = KinesisStartup::Earliest;
const HOUR_MS: i64 = 3_600_000;

fn start(service: &Service, startup: KinesisStartup) -> Reading {
    Reading::start(&ingress_spec(&service.url(), startup), Positions::new())
}

fn again(service: &Service, startup: KinesisStartup, before: &Reading) -> Reading {
    Reading::start(&ingress_spec(&service.url(), startup), before.positions())
}

/// The values of each id in their order.
fn by_id(messages: impl IntoIterator<Item = Message>) -> BTreeMap<String, Vec<String>> {
    let mut ids: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, value) in messages {
        ids.entry(id).or_default().push(value);
    }
    ids
}

/// Several records in one, as the Kinesis Producer Library makes them, all for one key.
fn aggregate(key: &str, values: &[String]) -> Vec<u8> {
    use md5::{Digest, Md5};
    fn put(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
        out.push(number << 3 | 2);
        let mut length = bytes.len();
        while length > 0x7f {
            out.push(length as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend(bytes);
    }
    let mut message = Vec::new();
    put(&mut message, 1, key.as_bytes());
    for value in values {
        let mut record = vec![8, 0];
        put(&mut record, 3, value.as_bytes());
        put(&mut message, 3, &record);
    }
    [&[0xf3, 0x89, 0x9a, 0xc2][..], &message, &Md5::digest(&message)[..]].concat()
}

#[tokio::test]
async fn records_of_all_shards_arrive_in_order() {
    let service = Service::start(5).await;
    for n in 0..3000 {
        service.put(&format!("k{}", n % 17), n.to_string());
    }
    let mut reading = start(&service, EARLIEST);
    let ids = by_id(reading.take(3000).await);
    assert_eq!(ids.len(), 17);
    for (id, values) in ids {
        let expected: Vec<_> = (0..3000).filter(|n| format!("k{}", n % 17) == id).collect();
        assert_eq!(values, expected.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
}

/// Splits and merges while records come, and shards with several records in one.
fn eventful(service: &Service) -> usize {
    let mut count = 0;
    for round in 0..4 {
        for n in 0..40 {
            service.put(&format!("k{}", n % 8), format!("{round}-{n}"));
        }
        let many: Vec<_> = (0..1500).map(|n| format!("{round}-many-{n}")).collect();
        service.put("many", aggregate("many", &many));
        count += 40 + many.len();
        let mut state = service.state();
        match round {
            0 => state.split(0),
            1 => state.merge(1, 2),
            2 => state.split(3),
            _ => {}
        }
    }
    count
}

#[tokio::test]
async fn children_are_read_after_their_parents() {
    let service = Service::start(1).await;
    let count = eventful(&service);
    let mut reading = start(&service, EARLIEST);
    for (id, values) in by_id(reading.take(count).await) {
        let rounds: Vec<_> = values.iter().map(|value| value.as_bytes()[0]).collect();
        assert!(rounds.is_sorted(), "{id}: {values:?}");
    }
}

#[tokio::test]
async fn a_crash_anywhere_loses_and_doubles_nothing() {
    let service = Service::start(1).await;
    let count = eventful(&service);
    let mut whole = start(&service, EARLIEST);
    let mut batches = Vec::new();
    let mut seen = 0;
    while seen < count {
        let batch = whole.batch().await;
        seen += batch.records.len();
        batches.push(batch.records.len());
    }
    assert!(batches.contains(&1024), "a batch ends within an aggregated record: {batches:?}");
    let mut before = 0;
    for (records, positions) in batches.iter().zip(whole.history.clone()) {
        let mut reading = Reading::start(&ingress_spec(&service.url(), EARLIEST), positions);
        reading.take(count - before).await;
        before += records;
    }
}

#[tokio::test]
async fn latest_is_the_time_of_the_first_start() {
    let service = Service::start(2).await;
    service.put("a", "before");
    service.state().now += 1000;
    let mut reading = start(&service, KinesisStartup::Latest);
    // The plan; nothing of a shard yet.
    assert!(reading.batch().await.records.is_empty());
    let positions = reading.positions();
    drop(reading);
    service.state().now += 1000;
    service.put("a", "while it was down");
    let spec = ingress_spec(&service.url(), KinesisStartup::Latest);
    let mut reading = Reading::start(&spec, positions);
    assert_eq!(reading.take(1).await, [("a".to_owned(), "while it was down".to_owned())]);
    service.put("a", "later");
    assert_eq!(reading.take(1).await[0].1, "later");
}

#[tokio::test]
async fn latest_skips_what_is_there() {
    let service = Service::start(2).await;
    service.put("a", "before");
    service.state().split(0);
    let mut reading = start(&service, KinesisStartup::Latest);
    // The plan, and from each open shard the mark that it is read so far... which the plan has said.
    reading.batch().await;
    let asked =
        || service.state().calls.iter().filter(|(action, _)| action == "GetRecords").count();
    crate::soon("requests for records", async {
        while asked() < 6 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    service.put("a", "after");
    assert_eq!(reading.take(1).await[0].1, "after");
}

#[tokio::test]
async fn a_date_is_a_place_in_every_shard() {
    let service = Service::start(3).await;
    for key in ["a", "b", "c", "d"] {
        service.put(key, "before");
    }
    service.state().now += 5000;
    for key in ["a", "b", "c", "d"] {
        service.put(key, "after");
    }
    let date = service.state().now;
    let mut reading = start(&service, KinesisStartup::Date(date));
    assert!(reading.take(4).await.iter().all(|(_, value)| value == "after"));
}

#[tokio::test]
async fn the_ingress_tells_how_far_it_is_behind() {
    let service = Service::start(1).await;
    // More than one request takes.
    for number in 0..3 {
        service.put("a", number.to_string());
        service.state().now += 1000;
    }
    let now = service.state().now as u64;
    let mut spec = ingress_spec(&service.url(), EARLIEST);
    spec.properties.insert("flink.shard.getrecords.maxrecordcount".to_owned(), "2".to_owned());
    let mut reading = Reading::start(&spec, Positions::new());
    let status = reading.status().await;
    assert_eq!((status.lag(), status.end), (Some(1000), Some(now)));
    assert_eq!(reading.status().await.lag(), Some(0));
}

#[tokio::test]
async fn failures_of_the_service_pass() {
    let service = Service::start(1).await;
    service.put("a", "1");
    service.state().failures = [
        ("ListShards", "LimitExceededException"),
        ("ListShards", "AccessDeniedException"),
        ("GetShardIterator", "ProvisionedThroughputExceededException"),
        ("GetRecords", "InternalFailure"),
        ("GetRecords", "ExpiredIteratorException"),
    ]
    .into();
    let mut reading = start(&service, EARLIEST);
    assert_eq!(reading.take(1).await[0].1, "1");
    {
        let mut state = service.state();
        state.iterators_from = usize::MAX;
        state.put("a", 0, b"2");
    }
    let iterators = || {
        let state = service.state();
        state.calls.iter().filter(|(action, _)| action == "GetShardIterator").count()
    };
    let before = iterators();
    crate::soon("another iterator", async {
        while iterators() < before + 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    service.state().iterators_from = 0;
    assert_eq!(reading.take(1).await[0].1, "2");
}

#[tokio::test]
async fn records_that_were_deleted_unread_stop_the_ingress() {
    let service = Service::start(1).await;
    service.put("a", "1");
    let mut reading = start(&service, EARLIEST);
    reading.take(1).await;
    let stopped = |reading: &Reading| again(&service, EARLIEST, reading);
    // Down for two days, in which the record that was read last was deleted, and another one, too.
    service.state().now += 48 * HOUR_MS;
    service.state().shards[0].records.clear();
    service.put("a", "3");
    let error = stopped(&reading).error().await;
    assert!(matches!(error, Error::RecordsGone { .. }), "{error:?}");
}

#[tokio::test]
async fn records_that_are_still_there_are_read_however_late() {
    let service = Service::start(1).await;
    service.put("a", "1");
    let mut reading = start(&service, EARLIEST);
    reading.take(1).await;
    // The stream keeps them for longer than it says.
    service.state().now += 48 * HOUR_MS;
    service.put("a", "2");
    assert_eq!(again(&service, EARLIEST, &reading).take(1).await[0].1, "2");
}

#[tokio::test]
async fn a_shard_without_records_may_be_quiet_for_long() {
    let service = Service::start(1).await;
    service.put("a", "1");
    let mut reading = start(&service, EARLIEST);
    reading.take(1).await;
    for _ in 0..3 {
        service.state().now += 20 * HOUR_MS;
        service.state().shards[0].records.clear();
        // It becomes durable now and then that there was nothing.
        assert!(reading.batch().await.records.is_empty());
    }
    service.state().now += 20 * HOUR_MS;
    service.put("a", "2");
    drop(reading.take(1).await);
    assert_eq!(again(&service, EARLIEST, &reading).positions().len(), 2);
}

#[tokio::test]
async fn nothing_is_known_of_a_shard_that_nobody_read_for_too_long() {
    let service = Service::start(1).await;
    let mut reading = start(&service, KinesisStartup::Latest);
    reading.batch().await;
    service.state().now += 48 * HOUR_MS;
    service.put("a", "1");
    let error = again(&service, KinesisStartup::Latest, &reading).error().await;
    assert!(matches!(error, Error::RecordsGone { .. }), "{error:?}");
}

#[tokio::test]
async fn half_of_a_record_that_is_gone_stops_the_ingress() {
    let service = Service::start(1).await;
    let many: Vec<_> = (0..1500).map(|n| n.to_string()).collect();
    service.put("many", aggregate("many", &many));
    let mut reading = start(&service, EARLIEST);
    while reading.batch().await.records.is_empty() {}
    service.state().shards[0].records.clear();
    service.put("a", "1");
    let positions = reading.positions();
    let spec = ingress_spec(&service.url(), EARLIEST);
    let error = Reading::start(&spec, positions).error().await;
    assert!(matches!(error, Error::RecordsGone { .. }), "{error:?}");
}

#[tokio::test]
async fn a_shard_that_went_unread_stops_the_ingress() {
    let service = Service::start(1).await;
    service.put("a", "1");
    let mut reading = start(&service, EARLIEST);
    reading.take(1).await;
    let positions = reading.positions();
    drop(reading);
    service.state().split(0);
    service.state().shards.remove(0);
    let spec = ingress_spec(&service.url(), EARLIEST);
    let error = Reading::start(&spec, positions).error().await;
    assert!(matches!(error, Error::ShardGone { .. }), "{error:?}");
}

#[tokio::test]
async fn a_stream_may_come_later_but_not_go() {
    let service = Service::start(1).await;
    service.state().exists = false;
    let mut reading = start(&service, EARLIEST);
    crate::soon("a second question", async {
        while service.state().calls.len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    service.state().exists = true;
    service.put("a", "1");
    assert_eq!(reading.take(1).await[0].1, "1");
    service.state().exists = false;
    assert!(matches!(reading.error().await, Error::StreamGone { .. }));
}

#[tokio::test]
async fn a_position_of_something_else_is_refused() {
    let service = Service::start(1).await;
    let id = name("example/in");
    for partition in ["in", "in/shardId-000000000000"] {
        let mut reading = start(&service, EARLIEST);
        reading.batch().await;
        let mut positions = reading.positions();
        let source = SourceId { ingress: id.clone(), partition: partition.into() };
        positions.insert(source, Bytes::from_static(b"something else"));
        let spec = ingress_spec(&service.url(), EARLIEST);
        let error = Reading::start(&spec, positions).error().await;
        assert!(matches!(error, Error::ForeignPosition { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn aggregated_records_that_cannot_be_read_follow_the_policy() {
    let service = Service::start(1).await;
    let mut broken = aggregate("a", &[]);
    broken.truncate(4);
    broken.extend([0xff, 0, 0x90, 0x76, 0xf7]);
    let broken = {
        use md5::{Digest, Md5};
        let digest = Md5::digest([0xff]);
        [&broken[..4], &[0xff], &digest[..]].concat()
    };
    service.put("a", broken);
    service.put("a", "fine");
    let read = |policy| {
        let mut spec = ingress_spec(&service.url(), EARLIEST);
        spec.bad_records = policy;
        Reading::start(&spec, Positions::new())
    };
    let letters = read(BadRecords::DeadLetter).take(2).await;
    assert_eq!(letters[0].0, "in/shardId-000000000000 sequence number 1");
    assert_eq!(letters[1].1, "fine");
    assert_eq!(read(BadRecords::Skip).take(1).await[0].1, "fine");
    let error = read(BadRecords::Fail).error().await;
    assert!(matches!(error, Error::BadRecord { .. }), "{error:?}");
}

#[tokio::test]
async fn sub_records_of_other_shards_are_left_out() {
    let service = Service::start(2).await;
    // As its producer thought, before the shard was split.
    let values = ["1".to_owned()];
    service.state().put("a", 0, &aggregate("b", &values));
    service.state().put("a", u128::MAX, &aggregate("b", &values));
    service.put("b", "2");
    let mut values: Vec<_> = start(&service, EARLIEST).take(2).await;
    values.sort();
    assert_eq!(values.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["1", "2"]);
}
