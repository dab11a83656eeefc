//! The records that the Kafka and Kinesis egresses take, and the name of those of the playground's.
//!
//! Their typenames are compared as a whole; `has_value` does not matter.
//!
//! | message | field | number | type |
//! |---|---|---|---|
//! | `KafkaProducerRecord` | `key` | 1 | string |
//! | | `value_bytes` | 2 | bytes |
//! | | `topic` | 3 | string |
//! | `KinesisEgressRecord` | `partition_key` | 1 | string |
//! | | `value_bytes` | 2 | bytes |
//! | | `stream` | 3 | string |
//! | | `explicit_hash_key` | 4 | string |

use statera_model::TypedValue;

use crate::error::{At, DecodeError};
use crate::message::typed_value;
use crate::types::{ValueError, check_type};
use crate::wire::{Fields, bytes_len, put_bytes};

/// The typename of a [`KafkaRecord`].
pub const KAFKA_RECORD: &str = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord";

/// The typename of a [`KinesisRecord`].
pub const KINESIS_RECORD: &str = "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord";

/// The typename of a record for the playground's egress. Its value is the JSON text
/// `{"topic": "…", "payload": "…"}`.
pub const PLAYGROUND_RECORD: &str = "io.statefun.playground/EgressRecord";

/// A record for a Kafka egress.
///
/// ```
/// use statera_protocol::egress::KafkaRecord;
///
/// let record = KafkaRecord { topic: "greetings", key: "Bob", value: b"hello" };
/// assert_eq!(KafkaRecord::decode(&record.encode())?, record);
/// # Ok::<(), statera_protocol::types::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KafkaRecord<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The key; empty means that the record has none.
    pub key: &'a str,
    /// The value. An empty one is a value, too, and no tombstone.
    pub value: &'a [u8],
}

impl<'a> KafkaRecord<'a> {
    /// Wraps the record.
    #[must_use]
    pub fn encode(&self) -> TypedValue {
        let fields = [(1, self.key.as_bytes()), (2, self.value), (3, self.topic.as_bytes())];
        wrap(KAFKA_RECORD, &fields)
    }

    /// Unwraps a record.
    ///
    /// # Errors
    /// If the value is of another type, or malformed.
    pub fn decode(value: &'a TypedValue) -> Result<KafkaRecord<'a>, ValueError> {
        check_type(value, KAFKA_RECORD)?;
        KafkaRecord::read(value.value())
            .at("KafkaProducerRecord")
            .map_err(|source| ValueError::Malformed { typename: KAFKA_RECORD, source })
    }

    fn read(message: &'a [u8]) -> Result<KafkaRecord<'a>, DecodeError> {
        let mut record = KafkaRecord::default();
        for field in Fields::of(message) {
            match field? {
                (1, field) => record.key = field.text().at("key")?,
                (2, field) => record.value = field.bytes().at("value_bytes")?,
                (3, field) => record.topic = field.text().at("topic")?,
                _ => {}
            }
        }
        Ok(record)
    }
}

/// A record for a Kinesis egress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KinesisRecord<'a> {
    /// The stream.
    pub stream: &'a str,
    /// The partition key.
    pub partition_key: &'a str,
    /// The hash key to use instead of the partition key's; empty means none.
    pub explicit_hash_key: &'a str,
    /// The value.
    pub value: &'a [u8],
}

impl<'a> KinesisRecord<'a> {
    /// Wraps the record.
    #[must_use]
    pub fn encode(&self) -> TypedValue {
        let fields = [
            (1, self.partition_key.as_bytes()),
            (2, self.value),
            (3, self.stream.as_bytes()),
            (4, self.explicit_hash_key.as_bytes()),
        ];
        wrap(KINESIS_RECORD, &fields)
    }

    /// Unwraps a record.
    ///
    /// # Errors
    /// If the value is of another type, or malformed.
    pub fn decode(value: &'a TypedValue) -> Result<KinesisRecord<'a>, ValueError> {
        check_type(value, KINESIS_RECORD)?;
        KinesisRecord::read(value.value())
            .at("KinesisEgressRecord")
            .map_err(|source| ValueError::Malformed { typename: KINESIS_RECORD, source })
    }

    fn read(message: &'a [u8]) -> Result<KinesisRecord<'a>, DecodeError> {
        let mut record = KinesisRecord::default();
        for field in Fields::of(message) {
            match field? {
                (1, field) => record.partition_key = field.text().at("partition_key")?,
                (2, field) => record.value = field.bytes().at("value_bytes")?,
                (3, field) => record.stream = field.text().at("stream")?,
                (4, field) => record.explicit_hash_key = field.text().at("explicit_hash_key")?,
                _ => {}
            }
        }
        Ok(record)
    }
}

fn wrap(typename: &str, fields: &[(u32, &[u8])]) -> TypedValue {
    let length = fields.iter().map(|(number, bytes)| bytes_len(*number, bytes)).sum();
    typed_value(typename, length, |out| {
        for (number, bytes) in fields {
            put_bytes(out, *number, bytes);
        }
    })
}
