//! Values that are given with a request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use statera_model::TypedValue;
use statera_protocol::types::{self, BOOL, DOUBLE, FLOAT, INT, LONG, STRING};

use crate::api::NewValue;
use crate::problem::{Code, Problem};

/// The longest name of a type.
const TYPENAME_BYTES_MAX: usize = 1024;

/// The value that is meant. `typename` is its type if none is named.
pub(crate) fn value(given: &NewValue, typename: &str) -> Result<TypedValue, Problem> {
    let typename = given.typename.as_deref().unwrap_or(typename);
    if typename.len() > TYPENAME_BYTES_MAX {
        return Err(wrong(
            format!("the name of a type is longer than {TYPENAME_BYTES_MAX} bytes"),
            "name it `<namespace>/<type>`",
        ));
    }
    match (&given.json, &given.value) {
        (Some(json), None) => encode(typename, json),
        (None, Some(base64)) => match STANDARD.decode(base64) {
            Ok(bytes) => Ok(TypedValue::new(typename, &bytes)),
            Err(error) => Err(wrong(
                format!("`value` is not base64: {error}"),
                "encode the bytes with the standard alphabet and padding",
            )),
        },
        _ => Err(wrong(
            "a value is either `json` or `value`".to_owned(),
            "give `json` for a built-in type or JSON, and `value` in base64 for all others",
        )),
    }
}

fn wrong(error: String, hint: &str) -> Problem {
    Problem::new(Code::InvalidValue, error, hint)
}

fn encode(typename: &str, json: &Json) -> Result<TypedValue, Problem> {
    let encoded = match typename {
        BOOL => json.as_bool().map(types::encode),
        INT => number::<i32>(json).map(types::encode),
        LONG => number::<i64>(json).map(types::encode),
        FLOAT => number::<f32>(json).map(types::encode),
        DOUBLE => number::<f64>(json).map(types::encode),
        STRING => json.as_str().map(types::encode),
        _ => Some(TypedValue::new(typename, json.to_string().as_bytes())),
    };
    encoded.ok_or_else(|| {
        let shown: String = json.to_string().chars().take(60).collect();
        wrong(
            format!("`{shown}` is not a value of type `{typename}`"),
            "check the value, or name another `typename`",
        )
    })
}

/// A number, or the text of one.
fn number<T: std::str::FromStr>(json: &Json) -> Option<T> {
    match json {
        Json::Number(number) => number.to_string().parse().ok(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(given: Json, expected: Option<TypedValue>) {
        let form: NewValue = serde_json::from_value(given.clone()).unwrap();
        assert_eq!(value(&form, "a/b").ok(), expected, "{given}");
    }

    #[test]
    fn values_are_encoded_as_their_type_says() {
        for (typename, json, expected) in [
            (BOOL, json!(true), types::encode(true)),
            (INT, json!(-7), types::encode(-7)),
            (LONG, json!(i64::MAX), types::encode(i64::MAX)),
            (LONG, json!("9007199254740993"), types::encode(9_007_199_254_740_993_i64)),
            (FLOAT, json!(0.1), types::encode(0.1_f32)),
            (DOUBLE, json!(1), types::encode(1.0_f64)),
            (STRING, json!("x"), types::encode("x")),
            ("c/d", json!({ "a": [1] }), TypedValue::new("c/d", br#"{"a":[1]}"#)),
            ("c/d", json!(null), TypedValue::new("c/d", b"null")),
        ] {
            check(json!({ "typename": typename, "json": json }), Some(expected));
        }
        check(json!({ "json": 1 }), Some(TypedValue::new("a/b", b"1")));
        check(json!({ "value": "AAE=" }), Some(TypedValue::new("a/b", &[0, 1])));
        let nan =
            NewValue { typename: Some(DOUBLE.to_owned()), json: Some(json!("NaN")), value: None };
        assert!(types::decode::<f64>(&value(&nan, "").unwrap()).unwrap().is_nan());
    }

    #[test]
    fn what_is_not_a_value_of_the_type_is_refused() {
        for (typename, json) in [
            (BOOL, json!(1)),
            (INT, json!(1_i64 << 40)),
            (INT, json!(1.5)),
            (LONG, json!("x")),
            (STRING, json!(1)),
            (DOUBLE, json!(null)),
        ] {
            check(json!({ "typename": typename, "json": json }), None);
        }
        check(json!({}), None);
        check(json!({ "json": 1, "value": "AAE=" }), None);
        check(json!({ "value": "A" }), None);
    }
}
