//! Records of Kafka are read and written as another implementation of protobuf does it.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;
use statera_model::TypedValue;
use statera_protocol::kafka::{
    CONSUMER_RECORD, ConsumerRecord, Header, PRODUCER_RECORD, ProducerRecord,
};

/// As `crates/kafka/proto/kafka.proto` says.
mod theirs {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct ConsumerRecord {
        #[prost(string, tag = "1")]
        pub(crate) topic: String,
        #[prost(int32, tag = "2")]
        pub(crate) partition: i32,
        #[prost(int64, tag = "3")]
        pub(crate) offset: i64,
        #[prost(int64, optional, tag = "4")]
        pub(crate) timestamp_ms: Option<i64>,
        #[prost(bytes = "vec", optional, tag = "5")]
        pub(crate) key: Option<Vec<u8>>,
        #[prost(bytes = "vec", optional, tag = "6")]
        pub(crate) value: Option<Vec<u8>>,
        #[prost(string, tag = "7")]
        pub(crate) value_type: String,
        #[prost(message, repeated, tag = "8")]
        pub(crate) headers: Vec<Header>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct ProducerRecord {
        #[prost(string, tag = "1")]
        pub(crate) topic: String,
        #[prost(bytes = "vec", optional, tag = "2")]
        pub(crate) key: Option<Vec<u8>>,
        #[prost(bytes = "vec", optional, tag = "3")]
        pub(crate) value: Option<Vec<u8>>,
        #[prost(int32, optional, tag = "4")]
        pub(crate) partition: Option<i32>,
        #[prost(int64, optional, tag = "5")]
        pub(crate) timestamp_ms: Option<i64>,
        #[prost(message, repeated, tag = "6")]
        pub(crate) headers: Vec<Header>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Header {
        #[prost(string, tag = "1")]
        pub(crate) key: String,
        #[prost(bytes = "vec", optional, tag = "2")]
        pub(crate) value: Option<Vec<u8>>,
    }
}

fn headers() -> impl Strategy<Value = Vec<theirs::Header>> {
    let header = (".{0,5}", option::of(any::<Vec<u8>>()));
    vec(header.prop_map(|(key, value)| theirs::Header { key, value }), 0..4)
}

fn ours(headers: &[theirs::Header]) -> Vec<Header<'_>> {
    headers.iter().map(|it| Header { key: &it.key, value: it.value.as_deref() }).collect()
}

proptest! {
    #[test]
    fn consumer_records_are_the_same(
        (topic, value_type) in (".{0,20}", ".{0,20}"),
        (partition, offset, timestamp_ms) in any::<(i32, i64, Option<i64>)>(),
        (key, value) in any::<(Option<Vec<u8>>, Option<Vec<u8>>)>(),
        headers in headers(),
    ) {
        let theirs = theirs::ConsumerRecord {
            topic, partition, offset, timestamp_ms, key, value, value_type, headers,
        };
        let record = ConsumerRecord {
            topic: &theirs.topic,
            partition,
            offset,
            timestamp_ms,
            key: theirs.key.as_deref(),
            value: theirs.value.as_deref(),
            value_type: &theirs.value_type,
            headers: ours(&theirs.headers),
        };
        let wrapped = record.encode();
        prop_assert_eq!(&theirs::ConsumerRecord::decode(wrapped.value()).unwrap(), &theirs);
        prop_assert_eq!(wrapped.value(), &theirs.encode_to_vec()[..]);
        prop_assert_eq!(ConsumerRecord::decode(&wrapped), Ok(record));
    }

    #[test]
    fn producer_records_are_the_same(
        topic in ".{0,20}",
        (partition, timestamp_ms) in any::<(Option<i32>, Option<i64>)>(),
        (key, value) in any::<(Option<Vec<u8>>, Option<Vec<u8>>)>(),
        headers in headers(),
    ) {
        let theirs = theirs::ProducerRecord { topic, key, value, partition, timestamp_ms, headers };
        let record = ProducerRecord {
            topic: &theirs.topic,
            key: theirs.key.as_deref(),
            value: theirs.value.as_deref(),
            partition,
            timestamp_ms,
            headers: ours(&theirs.headers),
        };
        let wrapped = record.encode();
        prop_assert_eq!(wrapped.value(), &theirs.encode_to_vec()[..]);
        prop_assert_eq!(ProducerRecord::decode(&wrapped), Ok(record));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = ConsumerRecord::decode(&TypedValue::new(CONSUMER_RECORD, &bytes));
        let _ = ProducerRecord::decode(&TypedValue::new(PRODUCER_RECORD, &bytes));
    }
}
