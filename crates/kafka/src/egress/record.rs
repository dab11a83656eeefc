//! From a typed value to a record.

use rdkafka::message::{Header as ClientHeader, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use statera_model::TypedValue;
use statera_protocol::egress::{KAFKA_RECORD, KafkaRecord};
use statera_protocol::kafka::{Header, PRODUCER_RECORD, ProducerRecord};

use crate::TRACEPARENT;

/// The longest name of a topic, in bytes. Kafka's limit.
const TOPIC_BYTES_MAX: usize = 249;

/// Unwraps a record, and sees that no broker can refuse it for what it is. What else can be wrong with a record is known
/// by the brokers only.
pub(super) fn read(value: &TypedValue, bytes_max: usize) -> Result<ProducerRecord<'_>, String> {
    let record = if value.is(KAFKA_RECORD) {
        let record = KafkaRecord::decode(value).map_err(|error| chain(&error))?;
        ProducerRecord {
            topic: record.topic,
            key: (!record.key.is_empty()).then_some(record.key.as_bytes()),
            value: Some(record.value),
            ..ProducerRecord::default()
        }
    } else if value.is(PRODUCER_RECORD) {
        ProducerRecord::decode(value).map_err(|error| chain(&error))?
    } else {
        return Err(format!(
            "a Kafka egress does not take values of type `{}`; \
             hint: send `{KAFKA_RECORD}`, which the SDKs build, or `{PRODUCER_RECORD}`",
            value.typename()
        ));
    };
    check(&record, bytes_max)?;
    Ok(record)
}

fn check(record: &ProducerRecord<'_>, bytes_max: usize) -> Result<(), String> {
    let topic = record.topic;
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if topic.is_empty() {
        return Err("the record names no topic; hint: set `topic`".to_owned());
    }
    if topic.len() > TOPIC_BYTES_MAX || !topic.bytes().all(is_usual) || [".", ".."].contains(&topic)
    {
        return Err(format!(
            "`{topic}` cannot be the name of a topic; \
             hint: use at most {TOPIC_BYTES_MAX} of the letters a-z, A-Z, 0-9, `.`, `_` and `-`"
        ));
    }
    if let Some(partition @ ..0) = record.partition {
        return Err(format!("`{partition}` is no partition; hint: leave `partition` out"));
    }
    if let Some(time @ ..0) = record.timestamp_ms {
        return Err(format!(
            "`{time}` is no time of a record; hint: set `timestamp_ms` to milliseconds since 1970, or leave it out"
        ));
    }
    let bytes = size(record);
    if bytes > bytes_max {
        return Err(format!(
            "a record of {bytes} bytes is too large for the egress, which takes {bytes_max}; \
             hint: raise `max.request.size` in its properties, and `max.message.bytes` of the topic"
        ));
    }
    Ok(())
}

fn size(record: &ProducerRecord<'_>) -> usize {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let headers = record.headers.iter().map(|it| it.key.len() + length(it.value));
    length(record.key) + length(record.value) + headers.sum::<usize>()
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", chain(source)),
    }
}

/// As the client wants it. With `trace` it says which span it follows from, unless the function has said that itself.
pub(super) fn to_send<'a>(
    record: &'a ProducerRecord<'a>,
    trace: Option<&str>,
) -> BaseRecord<'a, [u8], [u8], usize> {
    let header = |headers: OwnedHeaders, header: &Header<'_>| {
        headers.insert(ClientHeader { key: header.key, value: header.value })
    };
    let trace = trace.filter(|_| record.headers.iter().all(|it| it.key != TRACEPARENT));
    let trace = trace.map(|trace| Header { key: TRACEPARENT, value: Some(trace.as_bytes()) });
    let headers = (!record.headers.is_empty() || trace.is_some()).then(|| {
        let empty = OwnedHeaders::new_with_capacity(record.headers.len() + 1);
        record.headers.iter().chain(&trace).fold(empty, header)
    });
    BaseRecord {
        topic: record.topic,
        partition: record.partition,
        payload: record.value,
        key: record.key,
        timestamp: record.timestamp_ms,
        headers,
        delivery_opaque: size(record),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const BYTES_MAX: usize = 100;

    fn refused(value: &TypedValue, expected: Expect) {
        expected.assert_eq(&read(value, BYTES_MAX).unwrap_err());
    }

    #[test]
    fn a_record_of_the_sdks_has_a_value_and_a_key_unless_it_is_empty() {
        let wrapped = KafkaRecord { topic: "out", key: "ada", value: b"" }.encode();
        let record = read(&wrapped, BYTES_MAX).unwrap();
        assert_eq!(
            (record.topic, record.key, record.value),
            ("out", Some(&b"ada"[..]), Some(&b""[..]))
        );
        let wrapped = KafkaRecord { topic: "out", key: "", value: b"x" }.encode();
        assert_eq!(read(&wrapped, BYTES_MAX).unwrap().key, None);
    }

    #[test]
    fn a_record_of_ours_is_taken_as_it_is() {
        let headers = vec![Header { key: "a", value: None }, Header { key: "a", value: Some(b"") }];
        let record = ProducerRecord {
            topic: "out",
            key: Some(b""),
            value: None,
            partition: Some(0),
            timestamp_ms: Some(7),
            headers,
        };
        let wrapped = record.encode();
        assert_eq!(read(&wrapped, BYTES_MAX), Ok(record));
    }

    #[test]
    fn what_no_broker_would_take_is_refused_with_the_remedy() {
        let ours = |record: ProducerRecord<'_>| record.encode();
        refused(
            &TypedValue::new("shop/Order", b"x"),
            expect![
                "a Kafka egress does not take values of type `shop/Order`; hint: send `type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord`, which the SDKs build, or `io.statera.kafka/ProducerRecord`"
            ],
        );
        refused(
            &TypedValue::new(KAFKA_RECORD, b"\x0a"),
            expect![
                "the bytes are not a value of type `type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord`: cannot decode `KafkaProducerRecord`: the bytes end in the middle of a field; hint: the bytes must be one encoded protobuf message `KafkaProducerRecord`"
            ],
        );
        refused(
            &TypedValue::new(PRODUCER_RECORD, b"\x32\x01\x0f"),
            expect![
                "the bytes are not a value of type `io.statera.kafka/ProducerRecord`: cannot decode `ProducerRecord.headers[0]`: `7` is not a wire type of proto3; hint: the bytes must be one encoded protobuf message `ProducerRecord`"
            ],
        );
        refused(
            &KafkaRecord { topic: "", key: "a", value: b"x" }.encode(),
            expect!["the record names no topic; hint: set `topic`"],
        );
        refused(
            &KafkaRecord { topic: "a/b", key: "a", value: b"x" }.encode(),
            expect![
                "`a/b` cannot be the name of a topic; hint: use at most 249 of the letters a-z, A-Z, 0-9, `.`, `_` and `-`"
            ],
        );
        refused(
            &ours(ProducerRecord { topic: "..", ..Default::default() }),
            expect![
                "`..` cannot be the name of a topic; hint: use at most 249 of the letters a-z, A-Z, 0-9, `.`, `_` and `-`"
            ],
        );
        refused(
            &ours(ProducerRecord { topic: "a", partition: Some(-1), ..Default::default() }),
            expect!["`-1` is no partition; hint: leave `partition` out"],
        );
        refused(
            &ours(ProducerRecord { topic: "a", timestamp_ms: Some(-1), ..Default::default() }),
            expect![
                "`-1` is no time of a record; hint: set `timestamp_ms` to milliseconds since 1970, or leave it out"
            ],
        );
        refused(
            &KafkaRecord { topic: "a", key: "1", value: &[0; 100] }.encode(),
            expect![
                "a record of 101 bytes is too large for the egress, which takes 100; hint: raise `max.request.size` in its properties, and `max.message.bytes` of the topic"
            ],
        );
    }
}
