//! Making messages of a line.

use bytes::Bytes;
use serde_json::Value;
use statera_config::{FileIngress, FileRecord};
use statera_model::{Address, TypedValue};
use statera_ports::SourceRecord;

use super::lines::{Line, TOO_LONG_BYTES_KEPT};

/// Appends what a line becomes: a message for each entry of `records`, or what is wrong with it.
pub(super) fn read(
    spec: &FileIngress,
    line: Line<'_>,
    number: u64,
    records: &mut Vec<SourceRecord>,
) {
    let malformed = |reason: String, text: &[u8]| SourceRecord::Malformed {
        place: place(spec, number),
        reason,
        record: Bytes::copy_from_slice(text),
    };
    let text = match line {
        Line::Whole(text) => text,
        Line::TooLong(first) => {
            let reason = format!(
                "the line is longer than {} bytes; only its first {} are kept here",
                spec.line_max_bytes,
                first.len().min(TOO_LONG_BYTES_KEPT)
            );
            return records.push(malformed(reason, first));
        }
    };
    match parse(text) {
        Ok(json) => records.extend(spec.records.iter().map(|entry| {
            message(entry, &json, text).unwrap_or_else(|reason| malformed(reason, text))
        })),
        Err(reason) => records.push(malformed(reason, text)),
    }
}

fn place(spec: &FileIngress, number: u64) -> String {
    let file = spec.path.file_name().unwrap_or(spec.path.as_os_str());
    format!("{} line {number}", file.display())
}

fn parse(text: &[u8]) -> Result<Value, String> {
    let text =
        std::str::from_utf8(text).map_err(|error| format!("the line is not text: {error}"))?;
    serde_json::from_str(text).map_err(|error| format!("the line is not JSON: {error}"))
}

fn message(entry: &FileRecord, json: &Value, text: &[u8]) -> Result<SourceRecord, String> {
    let key = key(&entry.key, json)?;
    let targets =
        entry.targets.iter().map(|target| Address::new(target.clone(), key.as_str())).collect();
    Ok(SourceRecord::Message {
        targets,
        argument: TypedValue::new(entry.value_type.as_str(), text),
        trace: None,
    })
}

fn key(pointer: &str, json: &Value) -> Result<String, String> {
    let wrong = |what: &str| {
        Err(format!("the key at `{pointer}` must be a string or an integer, but {what}"))
    };
    match json.pointer(pointer) {
        Some(Value::String(key)) if key.is_empty() => wrong("it is empty"),
        Some(Value::String(key)) => Ok(key.clone()),
        Some(Value::Number(key)) if key.is_i64() || key.is_u64() => Ok(key.to_string()),
        Some(Value::Number(key)) => wrong(&format!("it is the number {key}")),
        Some(Value::Bool(_)) => wrong("it is a boolean"),
        Some(Value::Array(_)) => wrong("it is an array"),
        Some(Value::Object(_)) => wrong("it is an object"),
        Some(Value::Null) => wrong("it is null"),
        None => wrong("there is nothing"),
    }
}
