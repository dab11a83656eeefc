//! Records of Kafka with all they have: headers, time, place, and values that may be absent. Not StateFun's.
//!
//! A Kafka ingress whose topic has `envelope: true` delivers a [`ConsumerRecord`]; a Kafka egress takes a
//! [`ProducerRecord`] beside StateFun's [`KafkaRecord`](crate::egress::KafkaRecord). The schema for other languages is
//! `crates/kafka/proto/kafka.proto`. Fields marked `?` may be absent, which is not the same as empty.
//!
//! | message | field | number | type |
//! |---|---|---|---|
//! | `ConsumerRecord` | `topic` | 1 | string |
//! | | `partition` | 2 | int32 |
//! | | `offset` | 3 | int64 |
//! | | `timestamp_ms` | 4 | int64 ? |
//! | | `key` | 5 | bytes ? |
//! | | `value` | 6 | bytes ? |
//! | | `value_type` | 7 | string |
//! | | `headers` | 8 | repeated `Header` |
//! | `ProducerRecord` | `topic` | 1 | string |
//! | | `key` | 2 | bytes ? |
//! | | `value` | 3 | bytes ? |
//! | | `partition` | 4 | int32 ? |
//! | | `timestamp_ms` | 5 | int64 ? |
//! | | `headers` | 6 | repeated `Header` |
//! | `Header` | `key` | 1 | string |
//! | | `value` | 2 | bytes ? |

use statera_model::TypedValue;

use crate::error::{At, DecodeError};
use crate::message::typed_value;
use crate::types::{ValueError, check_type};
use crate::wire::{
    Field, Fields, bytes_len, message_len, number_len, present_number_len, put_bytes, put_message,
    put_message_head, put_number, put_present_number,
};

/// The typename of a [`ConsumerRecord`].
pub const CONSUMER_RECORD: &str = "io.statera.kafka/ConsumerRecord";

/// The typename of a [`ProducerRecord`].
pub const PRODUCER_RECORD: &str = "io.statera.kafka/ProducerRecord";

/// A record as it was read from a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerRecord<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// Its time in milliseconds since the Unix epoch, if it has one.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None`: it is a tombstone.
    pub value: Option<&'a [u8]>,
    /// What the configuration says that the value is.
    pub value_type: &'a str,
    /// Its headers, in order.
    pub headers: Vec<Header<'a>>,
}

/// A record on its way to a topic.
///
/// ```
/// use statera_protocol::kafka::{Header, ProducerRecord};
///
/// let headers = vec![Header { key: "trace", value: Some(b"4711") }];
/// let tombstone = ProducerRecord { topic: "users", key: Some(b"Bob"), headers, ..Default::default() };
/// assert_eq!(ProducerRecord::decode(&tombstone.encode())?, tombstone);
/// # Ok::<(), statera_protocol::types::ValueError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerRecord<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its key, if it shall have one. An empty one is a key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` makes it a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its partition, if the key shall not decide.
    pub partition: Option<i32>,
    /// Its time in milliseconds since the Unix epoch, if it is not the time of sending.
    pub timestamp_ms: Option<i64>,
    /// Its headers, in order.
    pub headers: Vec<Header<'a>>,
}

/// A header of a record. The same key may occur several times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name.
    pub key: &'a str,
    /// Its value.
    pub value: Option<&'a [u8]>,
}

impl<'a> ConsumerRecord<'a> {
    /// Wraps the record.
    #[must_use]
    pub fn encode(&self) -> TypedValue {
        let length = bytes_len(1, self.topic.as_bytes())
            + number_len(2, self.partition as u64)
            + number_len(3, self.offset as u64)
            + optional_number_len(4, self.timestamp_ms)
            + optional_len(5, self.key)
            + optional_len(6, self.value)
            + bytes_len(7, self.value_type.as_bytes())
            + headers_len(8, &self.headers);
        typed_value(CONSUMER_RECORD, length, |out| {
            put_bytes(out, 1, self.topic.as_bytes());
            put_number(out, 2, self.partition as u64);
            put_number(out, 3, self.offset as u64);
            put_optional_number(out, 4, self.timestamp_ms);
            put_optional(out, 5, self.key);
            put_optional(out, 6, self.value);
            put_bytes(out, 7, self.value_type.as_bytes());
            put_headers(out, 8, &self.headers);
        })
    }

    /// Unwraps a record.
    ///
    /// # Errors
    /// If the value is of another type, or malformed.
    pub fn decode(value: &'a TypedValue) -> Result<ConsumerRecord<'a>, ValueError> {
        check_type(value, CONSUMER_RECORD)?;
        ConsumerRecord::read(value.value())
            .at("ConsumerRecord")
            .map_err(|source| ValueError::Malformed { typename: CONSUMER_RECORD, source })
    }

    fn read(message: &'a [u8]) -> Result<ConsumerRecord<'a>, DecodeError> {
        let mut record = ConsumerRecord::default();
        for field in Fields::of(message) {
            match field? {
                (1, field) => record.topic = field.text().at("topic")?,
                (2, field) => record.partition = field.number().at("partition")? as i32,
                (3, field) => record.offset = field.number().at("offset")? as i64,
                (4, field) => {
                    record.timestamp_ms = Some(field.number().at("timestamp_ms")? as i64);
                }
                (5, field) => record.key = Some(field.bytes().at("key")?),
                (6, field) => record.value = Some(field.bytes().at("value")?),
                (7, field) => record.value_type = field.text().at("value_type")?,
                (8, field) => push_header(&mut record.headers, field)?,
                _ => {}
            }
        }
        Ok(record)
    }
}

impl<'a> ProducerRecord<'a> {
    /// Wraps the record.
    #[must_use]
    pub fn encode(&self) -> TypedValue {
        let partition = self.partition.map(i64::from);
        let length = bytes_len(1, self.topic.as_bytes())
            + optional_len(2, self.key)
            + optional_len(3, self.value)
            + optional_number_len(4, partition)
            + optional_number_len(5, self.timestamp_ms)
            + headers_len(6, &self.headers);
        typed_value(PRODUCER_RECORD, length, |out| {
            put_bytes(out, 1, self.topic.as_bytes());
            put_optional(out, 2, self.key);
            put_optional(out, 3, self.value);
            put_optional_number(out, 4, partition);
            put_optional_number(out, 5, self.timestamp_ms);
            put_headers(out, 6, &self.headers);
        })
    }

    /// Unwraps a record.
    ///
    /// # Errors
    /// If the value is of another type, or malformed.
    pub fn decode(value: &'a TypedValue) -> Result<ProducerRecord<'a>, ValueError> {
        check_type(value, PRODUCER_RECORD)?;
        ProducerRecord::read(value.value())
            .at("ProducerRecord")
            .map_err(|source| ValueError::Malformed { typename: PRODUCER_RECORD, source })
    }

    fn read(message: &'a [u8]) -> Result<ProducerRecord<'a>, DecodeError> {
        let mut record = ProducerRecord::default();
        for field in Fields::of(message) {
            match field? {
                (1, field) => record.topic = field.text().at("topic")?,
                (2, field) => record.key = Some(field.bytes().at("key")?),
                (3, field) => record.value = Some(field.bytes().at("value")?),
                (4, field) => record.partition = Some(field.number().at("partition")? as i32),
                (5, field) => {
                    record.timestamp_ms = Some(field.number().at("timestamp_ms")? as i64);
                }
                (6, field) => push_header(&mut record.headers, field)?,
                _ => {}
            }
        }
        Ok(record)
    }
}

fn push_header<'a>(headers: &mut Vec<Header<'a>>, field: Field<'a>) -> Result<(), DecodeError> {
    let index = headers.len();
    headers.push(read_header(field).at_element("headers", index)?);
    Ok(())
}

fn read_header(field: Field<'_>) -> Result<Header<'_>, DecodeError> {
    let mut header = Header::default();
    for field in Fields::of(field.bytes()?) {
        match field? {
            (1, field) => header.key = field.text().at("key")?,
            (2, field) => header.value = Some(field.bytes().at("value")?),
            _ => {}
        }
    }
    Ok(header)
}

fn header_len(header: &Header<'_>) -> usize {
    bytes_len(1, header.key.as_bytes()) + optional_len(2, header.value)
}

fn headers_len(number: u32, headers: &[Header<'_>]) -> usize {
    headers.iter().map(|header| message_len(number, header_len(header))).sum()
}

fn put_headers(out: &mut Vec<u8>, number: u32, headers: &[Header<'_>]) {
    for header in headers {
        put_message_head(out, number, header_len(header));
        put_bytes(out, 1, header.key.as_bytes());
        put_optional(out, 2, header.value);
    }
}

fn optional_len(number: u32, bytes: Option<&[u8]>) -> usize {
    bytes.map_or(0, |bytes| message_len(number, bytes.len()))
}

fn put_optional(out: &mut Vec<u8>, number: u32, bytes: Option<&[u8]>) {
    if let Some(bytes) = bytes {
        put_message(out, number, bytes);
    }
}

fn optional_number_len(number: u32, value: Option<i64>) -> usize {
    value.map_or(0, |value| present_number_len(number, value as u64))
}

fn put_optional_number(out: &mut Vec<u8>, number: u32, value: Option<i64>) {
    if let Some(value) = value {
        put_present_number(out, number, value as u64);
    }
}
