//! How records are written by the console consumer, as [`ARGUMENTS`] ask it to: one line each, fields behind tabs, bytes
//! that are not printable as `\x0A`.

use anyhow::{Context, bail};

use crate::reader::Record;

/// Stands for a key, value or header that is not there. The consumer treats it as it does bytes, so that it is only told
/// from them by being what no test writes.
const NULL: &str = "\u{1}null";
const NULL_WRITTEN: &str = "\\x01null";

/// Between headers. Header names are not escaped, but hold nothing like it in tests.
const BETWEEN_HEADERS: char = '\u{1}';

/// What makes the consumer write this format.
pub(crate) fn arguments() -> Vec<String> {
    let bytes = "org.apache.kafka.common.serialization.BytesDeserializer";
    let properties = [
        "print.timestamp=true".to_owned(),
        "print.partition=true".to_owned(),
        "print.offset=true".to_owned(),
        "print.headers=true".to_owned(),
        "print.key=true".to_owned(),
        "print.value=true".to_owned(),
        format!("headers.separator={BETWEEN_HEADERS}"),
        format!("null.literal={NULL}"),
        format!("key.deserializer={bytes}"),
        format!("value.deserializer={bytes}"),
        format!("headers.deserializer={bytes}"),
    ];
    properties.into_iter().flat_map(|it| ["--formatter-property".to_owned(), it]).collect()
}

/// Reads a line.
pub(crate) fn parse(line: &str) -> anyhow::Result<Record> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [time, partition, offset, headers, key, value] = fields[..] else {
        bail!("`{line}` has {} fields", fields.len());
    };
    Ok(Record {
        timestamp_ms: number(time)?,
        partition: i32::try_from(number(partition)?).context("a partition")?,
        offset: number(offset)?,
        headers: parse_headers(headers)?,
        key: bytes(key)?,
        value: bytes(value)?,
    })
}

/// The number behind a word: `CreateTime:1234`, `Partition:0`.
fn number(field: &str) -> anyhow::Result<i64> {
    let number = field.rsplit(':').next().unwrap_or_default();
    number.parse().with_context(|| format!("no number in `{field}`"))
}

fn parse_headers(field: &str) -> anyhow::Result<Vec<(String, Option<Vec<u8>>)>> {
    if field == "NO_HEADERS" {
        return Ok(Vec::new());
    }
    let header = |header: &str| {
        let (name, value) = header.split_once(':').with_context(|| format!("header `{header}`"))?;
        Ok((name.to_owned(), bytes(value)?))
    };
    field.split(BETWEEN_HEADERS).map(header).collect()
}

fn bytes(field: &str) -> anyhow::Result<Option<Vec<u8>>> {
    if field == NULL_WRITTEN {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut parts = field.split("\\x");
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let (digits, rest) =
            part.split_at_checked(2).with_context(|| format!("`{field}` ends early"))?;
        let byte = u8::from_str_radix(digits, 16);
        bytes.push(byte.with_context(|| format!("`\\x{digits}` in `{field}`"))?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_record_is_read_byte_for_byte() {
        let line = "CreateTime:1700000000123\tPartition:3\tOffset:42\ta:1\u{1}b:\\x01null\tk\\x09\t\\x5CN\\x00\\xFF";
        let wanted = Record {
            partition: 3,
            offset: 42,
            timestamp_ms: 1_700_000_000_123,
            headers: vec![("a".to_owned(), Some(b"1".to_vec())), ("b".to_owned(), None)],
            key: Some(b"k\t".to_vec()),
            value: Some(b"\\N\x00\xff".to_vec()),
        };
        assert_eq!(parse(line).unwrap(), wanted);
    }

    #[test]
    fn what_is_not_there_is_not_empty() {
        let record = parse("CreateTime:1\tPartition:0\tOffset:0\tNO_HEADERS\t\\x01null\t").unwrap();
        assert_eq!((record.key, record.value), (None, Some(Vec::new())));
        assert!(record.headers.is_empty());
    }

    #[test]
    fn anything_else_is_refused() {
        for line in ["", "a\tb", "CreateTime:x\tPartition:0\tOffset:0\tNO_HEADERS\t\t\\x0"] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
