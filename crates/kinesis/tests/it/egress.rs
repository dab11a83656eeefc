//! The egress against the service in memory.

use statera_kinesis::egress;
use statera_model::{Epoch, TypedValue};
use statera_ports::{DataId, Egress, SinkBatch};
use statera_protocol::egress::KinesisRecord;

use crate::service::Service;
use crate::{egress_spec, nothing, soon};

pub(crate) fn record(key: &str, value: &str) -> TypedValue {
    record_for("in", key, value)
}

pub(crate) fn record_for(stream: &str, key: &str, value: &str) -> TypedValue {
    let value = value.as_bytes();
    KinesisRecord { stream, partition_key: key, explicit_hash_key: "", value }.encode()
}

pub(crate) fn batch(epoch: u64, records: impl IntoIterator<Item = TypedValue>) -> SinkBatch {
    SinkBatch { epoch: Epoch(epoch), records: records.into_iter().collect(), traces: Vec::new() }
}

pub(crate) async fn prepared(url: &str, outstanding_max: usize) -> Egress {
    let mut spec = egress_spec(url);
    spec.outstanding_max = outstanding_max;
    let mut egress = egress(&spec, nothing());
    let data = DataId("0123456789abcdef0123456789abcdef".into());
    assert_eq!(egress.sink.recover(data, None).await.unwrap(), None);
    egress
}

#[tokio::test]
async fn records_are_written_in_few_requests() {
    let service = Service::start(3).await;
    let mut egress = prepared(&service.url(), 500).await;
    let records = (0..1200).map(|n| record(&format!("k{}", n % 5), &n.to_string()));
    soon("a write", egress.sink.write(batch(1, records))).await.unwrap();
    assert_eq!(service.state().calls.len(), 3);
    let mut values: Vec<u32> =
        service.state().values().iter().map(|value| value.parse().unwrap()).collect();
    assert_eq!(values.len(), 1200);
    values.sort_unstable();
    assert!(values.iter().copied().eq(0..1200));
}

#[tokio::test]
async fn what_was_refused_is_sent_again_alone_and_before_the_rest() {
    let service = Service::start(1).await;
    service.state().refusals = [vec![1, 3], vec![0]].into();
    service.state().failures = [("PutRecords", "InternalFailure")].into();
    let mut egress = prepared(&service.url(), 4).await;
    let records = (0..6).map(|n| record("k", &n.to_string()));
    soon("a write", egress.sink.write(batch(1, records))).await.unwrap();
    assert_eq!(service.state().values(), ["0", "2", "1", "3", "4", "5"]);
}

#[tokio::test]
async fn no_more_than_the_limit_is_on_the_way() {
    let service = Service::start(1).await;
    let mut egress = prepared(&service.url(), 7).await;
    let records = (0..50).map(|n| record(&format!("k{n}"), "v"));
    soon("a write", egress.sink.write(batch(1, records))).await.unwrap();
    let state = service.state();
    assert_eq!(state.calls.len(), 8);
    assert!(state.calls.iter().all(|(_, body)| body["Records"].as_array().unwrap().len() <= 7));
}

#[tokio::test]
async fn what_was_written_before_a_failure_is_not_written_again() {
    let service = Service::start(1).await;
    let mut egress = prepared(&service.url(), 2).await;
    let records: Vec<_> = (0..6).map(|n| record("k", &n.to_string())).collect();
    service.state().failures = [("PutRecords", "ResourceNotFoundException")].into();
    let error = egress.sink.write(batch(1, records.clone())).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot write to the Kinesis stream `in`");
    soon("a write", egress.sink.write(batch(1, records.clone()))).await.unwrap();
    assert_eq!(service.state().values(), ["0", "1", "2", "3", "4", "5"]);
    let count = service.state().calls.len();
    service.state().failures = [("PutRecords", "ValidationException")].into();
    egress.sink.write(batch(2, records[..3].to_vec())).await.unwrap_err();
    soon("a write", egress.sink.write(batch(2, records[..3].to_vec()))).await.unwrap();
    assert_eq!(service.state().calls.len(), count + 3);
}

#[tokio::test]
async fn only_records_for_kinesis_are_taken() {
    let egress = egress(&egress_spec("http://127.0.0.1:1"), nothing());
    assert!((egress.accepts)(&record("k", "v")).is_ok());
    let wrong = (egress.accepts)(&TypedValue::new("example/Other", b"")).unwrap_err();
    assert!(wrong.contains("example/Other"), "{wrong}");
}
