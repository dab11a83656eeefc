//! Values in a form that people can read and programs can rely on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use statera_model::TypedValue;
use statera_protocol::types::{self, BOOL, DOUBLE, FLOAT, INT, LONG, STRING};

use crate::api;

impl From<&TypedValue> for api::Value {
    fn from(value: &TypedValue) -> api::Value {
        typed(value)
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A value with its type.
pub(crate) fn typed(value: &TypedValue) -> api::Value {
    let typename = value.typename();
    if !value.has_value() {
        return api::Value { typename: typename.to_owned(), value: None, text: None, json: None };
    }
    let Some((text, json)) = built_in(value) else { return raw(typename, value.value()) };
    api::Value { typename: typename.to_owned(), value: Some(base64(value.value())), text, json }
}

/// Bytes that mean nothing but themselves.
pub(crate) fn raw(typename: &str, bytes: &[u8]) -> api::Value {
    let text = std::str::from_utf8(bytes).ok().filter(|text| is_printable(text));
    api::Value {
        typename: typename.to_owned(),
        value: Some(base64(bytes)),
        text: text.map(str::to_owned),
        json: text.and_then(|text| serde_json::from_str(text).ok()),
    }
}

/// Encoded protobuf is often UTF-8 by accident, but hardly without control characters.
fn is_printable(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
}

/// The text and the JSON of a value of a built-in type. Numbers that JSON does not have, such as NaN, are only text.
fn built_in(value: &TypedValue) -> Option<(Option<String>, Option<Json>)> {
    let json = match value.typename() {
        BOOL => json!(types::decode::<bool>(value).ok()?),
        INT => json!(types::decode::<i32>(value).ok()?),
        LONG => json!(types::decode::<i64>(value).ok()?),
        // By way of its shortest text: 0.1, not 0.10000000149011612.
        FLOAT => return Some(decimal(types::decode::<f32>(value).ok()?.to_string())),
        DOUBLE => return Some(decimal(types::decode::<f64>(value).ok()?.to_string())),
        STRING => {
            let text = types::decode::<&str>(value).ok()?;
            return Some((Some(text.to_owned()), Some(json!(text))));
        }
        _ => return None,
    };
    Some((Some(json.to_string()), Some(json)))
}

fn decimal(text: String) -> (Option<String>, Option<Json>) {
    let number = text.parse().ok().and_then(serde_json::Number::from_f64);
    (Some(text), number.map(Json::Number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: TypedValue, text: Option<&str>, json: Option<Json>) {
        let form = typed(&value);
        assert_eq!((form.text.as_deref(), form.json), (text, json), "{value:?}");
        assert_eq!(form.value, value.has_value().then(|| base64(value.value())));
    }

    #[test]
    fn built_in_types_are_decoded() {
        check(types::encode(true), Some("true"), Some(json!(true)));
        check(types::encode(0), Some("0"), Some(json!(0)));
        check(types::encode(i64::MIN), Some("-9223372036854775808"), Some(json!(i64::MIN)));
        check(types::encode(0.1_f32), Some("0.1"), Some(json!(0.1)));
        check(types::encode(1.5_f64), Some("1.5"), Some(json!(1.5)));
        check(types::encode(f64::NAN), Some("NaN"), None);
        check(types::encode("a\u{1}ä"), Some("a\u{1}ä"), Some(json!("a\u{1}ä")));
    }

    #[test]
    fn other_types_are_shown_as_what_their_bytes_look_like() {
        let value = |bytes: &[u8]| TypedValue::new("a/b", bytes);
        check(value(br#"{"name": "x"}"#), Some(r#"{"name": "x"}"#), Some(json!({"name": "x"})));
        check(value(b"plain"), Some("plain"), None);
        check(value(b""), Some(""), None);
        check(value(b"\x08\x01"), None, None);
        check(value(b"\xff"), None, None);
    }

    #[test]
    fn what_does_not_decode_is_shown_as_bytes() {
        check(TypedValue::new(INT, b"x"), Some("x"), None);
        let none = TypedValue::from_encoded(bytes::Bytes::from_static(b"\x0a\x03a/b")).unwrap();
        check(none, None, None);
    }
}
