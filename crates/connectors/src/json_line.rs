//! A value as a line of JSON, as the file and stdout egresses write it:
//!
//! ```json
//! {"typename":"example/Greeting","value":"eyJuIjoxfQ==","text":"{\"n\":1}","json":{"n":1}}
//! ```
//!
//! * `typename`: the name of its type.
//! * `value`: its bytes in base64; missing if the value has none.
//! * `text`: its bytes as text, if they are UTF-8.
//! * `json`: its bytes as they are, if they are JSON.
//!
//! The built-in types `io.statefun.types/{bool,int,long,float,double,string}` are protobuf messages; of these `json` is
//! what they stand for, and there is no `text`. Infinite numbers and NaN, which JSON lacks, have neither.
//!
//! The same value always becomes the same bytes: the file egress relies on it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use statera_model::TypedValue;

/// Appends a value and a line end.
pub(crate) fn push(line: &mut Vec<u8>, value: &TypedValue) {
    line.extend_from_slice(b"{\"typename\":");
    push_json(line, value.typename());
    if value.has_value() {
        line.extend_from_slice(b",\"value\":\"");
        push_base64(line, value.value());
        line.push(b'"');
        push_readable(line, value);
    }
    line.extend_from_slice(b"}\n");
}

fn push_base64(line: &mut Vec<u8>, bytes: &[u8]) {
    let start = line.len();
    line.resize(start + bytes.len().div_ceil(3) * 4, 0);
    STANDARD
        .encode_slice(bytes, &mut line[start..])
        .expect("there is room for 4 characters for each 3 bytes");
}

fn push_readable(line: &mut Vec<u8>, value: &TypedValue) {
    if let Some(json) = built_in(value.typename(), value.value()) {
        // Neither infinite numbers nor NaN have a form in JSON.
        if !json.is_null() {
            line.extend_from_slice(b",\"json\":");
            push_json(line, &json);
        }
    } else if let Ok(text) = std::str::from_utf8(value.value()) {
        line.extend_from_slice(b",\"text\":");
        push_json(line, text);
        // Copied rather than written anew, so that numbers keep their digits. Within JSON a line end is only ever space
        // between tokens.
        if serde_json::from_str::<Value>(text).is_ok() {
            line.extend_from_slice(b",\"json\":");
            line.extend(text.trim_ascii().bytes().map(|byte| match byte {
                b'\n' | b'\r' => b' ',
                byte => byte,
            }));
        }
    }
}

fn push_json<T: serde::Serialize + ?Sized>(line: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(line, value)
        .expect("memory takes everything, and these types have a form in JSON");
}

/// What a value of a built-in type stands for, if it is encoded as these types are. No bytes are zero, false, or "".
fn built_in(typename: &str, bytes: &[u8]) -> Option<Value> {
    let name = typename.strip_prefix("io.statefun.types/")?;
    Some(match name {
        "bool" => match bytes {
            [] | [0x08, 0] => false.into(),
            [0x08, 1] => true.into(),
            _ => return None,
        },
        "int" => i32::from_le_bytes(fixed(0x0d, bytes)?).into(),
        "long" => i64::from_le_bytes(fixed(0x09, bytes)?).into(),
        // By way of its shortest digits: 1.1 is to be 1.1, not the 1.100000023841858 which it is as a double.
        "float" => f32::from_le_bytes(fixed(0x0d, bytes)?).to_string().parse::<f64>().ok()?.into(),
        "double" => f64::from_le_bytes(fixed(0x09, bytes)?).into(),
        "string" => string(bytes)?.into(),
        _ => return None,
    })
}

fn fixed<const N: usize>(tag: u8, bytes: &[u8]) -> Option<[u8; N]> {
    match bytes {
        [] => Some([0; N]),
        [first, rest @ ..] if *first == tag => rest.try_into().ok(),
        _ => None,
    }
}

fn string(bytes: &[u8]) -> Option<&str> {
    let [0x0a, rest @ ..] = bytes else {
        return bytes.is_empty().then_some("");
    };
    let digits = rest.iter().position(|byte| *byte < 0x80)? + 1;
    let length = rest[..digits].iter().rev().try_fold(0_usize, |length, byte| {
        length.checked_mul(0x80)?.checked_add(usize::from(byte & 0x7f))
    })?;
    let text = &rest[digits..];
    (text.len() == length).then(|| std::str::from_utf8(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(typename: &str, value: &[u8], expected: Expect) {
        let mut line = Vec::new();
        push(&mut line, &TypedValue::new(typename, value));
        expected.assert_eq(std::str::from_utf8(&line).unwrap());
        let parsed: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(STANDARD.decode(parsed["value"].as_str().unwrap()).unwrap(), value);
    }

    #[test]
    fn json_is_kept_digit_by_digit() {
        check(
            "a/b",
            b"{\"n\": 12345678901234567890.0}",
            expect![[r#"
            {"typename":"a/b","value":"eyJuIjogMTIzNDU2Nzg5MDEyMzQ1Njc4OTAuMH0=","text":"{\"n\": 12345678901234567890.0}","json":{"n": 12345678901234567890.0}}
        "#]],
        );
        check(
            "a/b",
            b"{\n \"n\":\r\n1}\n",
            expect![[r#"
            {"typename":"a/b","value":"ewogIm4iOg0KMX0K","text":"{\n \"n\":\r\n1}\n","json":{  "n":  1}}
        "#]],
        );
    }

    #[test]
    fn text_and_bytes_are_readable_as_far_as_possible() {
        check(
            "a/b",
            "a \"quoted\" ä\n".as_bytes(),
            expect![[r#"
            {"typename":"a/b","value":"YSAicXVvdGVkIiDDpAo=","text":"a \"quoted\" ä\n"}
        "#]],
        );
        check(
            "a/b",
            b"\xff\x00",
            expect![[r#"
            {"typename":"a/b","value":"/wA="}
        "#]],
        );
        check(
            "",
            b"",
            expect![[r#"
            {"typename":"","value":"","text":""}
        "#]],
        );
    }

    #[test]
    fn built_in_types_are_decoded() {
        check(
            "io.statefun.types/bool",
            &[8, 1],
            expect![[r#"
            {"typename":"io.statefun.types/bool","value":"CAE=","json":true}
        "#]],
        );
        check(
            "io.statefun.types/int",
            &[0x0d, 0xfe, 0xff, 0xff, 0xff],
            expect![[r#"
            {"typename":"io.statefun.types/int","value":"Df7///8=","json":-2}
        "#]],
        );
        check(
            "io.statefun.types/long",
            &[9, 1, 0, 0, 0, 0, 0, 0, 0x80],
            expect![[r#"
            {"typename":"io.statefun.types/long","value":"CQEAAAAAAACA","json":-9223372036854775807}
        "#]],
        );
        check(
            "io.statefun.types/float",
            &[0x0d, 0xcd, 0xcc, 0x8c, 0x3f],
            expect![[r#"
            {"typename":"io.statefun.types/float","value":"Dc3MjD8=","json":1.1}
        "#]],
        );
        check(
            "io.statefun.types/double",
            &[9, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f],
            expect![[r#"
            {"typename":"io.statefun.types/double","value":"CQAAAAAAAPB/"}
        "#]],
        );
        check(
            "io.statefun.types/string",
            b"\x0a\x03abc",
            expect![[r#"
            {"typename":"io.statefun.types/string","value":"CgNhYmM=","json":"abc"}
        "#]],
        );
        check(
            "io.statefun.types/string",
            b"",
            expect![[r#"
            {"typename":"io.statefun.types/string","value":"","json":""}
        "#]],
        );
        check(
            "io.statefun.types/string",
            b"not wrapped",
            expect![[r#"
            {"typename":"io.statefun.types/string","value":"bm90IHdyYXBwZWQ=","text":"not wrapped"}
        "#]],
        );
    }

    #[test]
    fn long_strings_have_long_lengths() {
        let text = "x".repeat(300);
        let bytes = [b"\x0a\xac\x02", text.as_bytes()].concat();
        assert_eq!(string(&bytes), Some(text.as_str()));
        assert_eq!(string(&bytes[..bytes.len() - 1]), None);
        assert_eq!(string(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }

    #[test]
    fn a_value_without_bytes_has_no_value() {
        let mut line = Vec::new();
        push(
            &mut line,
            &TypedValue::from_encoded(bytes::Bytes::from_static(b"\x0a\x03a/b")).unwrap(),
        );
        assert_eq!(line, b"{\"typename\":\"a/b\"}\n");
    }
}
