//! The value of a message, as it is given on the command line.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::Args;
use serde_json::Value as Json;
use statera_model::TypedValue;
use statera_protocol::types::{self, BOOL, DOUBLE, FLOAT, INT, LONG, STRING};

use crate::client::Usage;

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ValueOptions {
    /// JSON. For a built-in type (`io.statefun.types/*`) it is encoded as such, otherwise it is sent as it is
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    json: Option<String>,
    /// Text. For `io.statefun.types/string` it is encoded as such, otherwise it is sent as it is
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    text: Option<String>,
    /// The bytes of a file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Bytes in base64
    #[arg(long, value_name = "BASE64")]
    value_base64: Option<String>,
}

impl ValueOptions {
    /// The bytes of the value.
    pub(crate) fn encode(&self, typename: &str) -> anyhow::Result<Bytes> {
        if let Some(json) = &self.json {
            return Ok(from_json(typename, json)?);
        }
        if let Some(text) = &self.text {
            return Ok(from_text(typename, text)?);
        }
        if let Some(path) = &self.file {
            let bytes = read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
            return Ok(bytes.into());
        }
        Ok(from_base64(self.value_base64.as_deref().unwrap_or_default())?)
    }
}

pub(crate) fn from_base64(base64: &str) -> Result<Bytes, Usage> {
    let bytes = STANDARD.decode(base64.trim());
    Ok(bytes.map_err(|error| Usage(format!("the value is not base64: {error}")))?.into())
}

pub(crate) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    if path.as_os_str() != "-" {
        return std::fs::read(path);
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(crate) fn from_text(typename: &str, text: &str) -> Result<Bytes, Usage> {
    match typename {
        STRING => Ok(bytes(&types::encode(text))),
        BOOL | INT | LONG | FLOAT | DOUBLE => Err(Usage(format!(
            "a value of type `{typename}` can't be given as text; hint: give it with `--json`"
        ))),
        _ => Ok(Bytes::copy_from_slice(text.as_bytes())),
    }
}

pub(crate) fn from_json(typename: &str, text: &str) -> Result<Bytes, Usage> {
    let json: Json = serde_json::from_str(text).map_err(|error| {
        Usage(format!(
            "`{text}` is not JSON: {error}; hint: quote it for the shell: '{{\"name\": \"Bob\"}}'"
        ))
    })?;
    let (value, wanted) = match typename {
        BOOL => (json.as_bool().map(types::encode), "`true` or `false`"),
        INT => {
            let number = json.as_i64().and_then(|number| i32::try_from(number).ok());
            (number.map(types::encode), "an integer of 32 bits")
        }
        LONG => (json.as_i64().map(types::encode), "an integer of 64 bits"),
        FLOAT => {
            // Parsed from its text, so that it is rounded once.
            let number = json.as_number().and_then(|number| number.to_string().parse::<f32>().ok());
            (number.filter(|number| number.is_finite()).map(types::encode), "a number")
        }
        DOUBLE => (json.as_f64().map(types::encode), "a number"),
        STRING => (json.as_str().map(types::encode), "a string in quotes"),
        _ => return Ok(Bytes::copy_from_slice(text.as_bytes())),
    };
    let value = value.ok_or_else(|| {
        Usage(format!("`{text}` is not a value of type `{typename}`; hint: write {wanted}"))
    })?;
    Ok(bytes(&value))
}

fn bytes(value: &TypedValue) -> Bytes {
    Bytes::copy_from_slice(value.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typename: &str, json: &str, expected: Result<&[u8], &str>) {
        let found = from_json(typename, json).map_err(|error| error.to_string());
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{typename} {json}");
    }

    #[test]
    fn json_becomes_a_value_of_a_built_in_type() {
        check(INT, "5", Ok(b"\x0d\x05\0\0\0"));
        check(INT, "-1", Ok(b"\x0d\xff\xff\xff\xff"));
        check(LONG, "0", Ok(b""));
        check(BOOL, "true", Ok(b"\x08\x01"));
        check(FLOAT, "1", Ok(b"\x0d\0\0\x80\x3f"));
        check(DOUBLE, "1e0", Ok(b"\x09\0\0\0\0\0\0\xf0\x3f"));
        check(STRING, r#""ab""#, Ok(b"\x0a\x02ab"));
    }

    #[test]
    fn other_json_is_sent_as_it_is_written() {
        check("example/Order", r#"{ "a" : 1.0 }"#, Ok(br#"{ "a" : 1.0 }"#));
    }

    #[test]
    fn what_does_not_fit_is_explained() {
        check(
            INT,
            "3000000000",
            Err(
                "`3000000000` is not a value of type `io.statefun.types/int`; hint: write an integer of 32 bits",
            ),
        );
        check(
            INT,
            "1.5",
            Err(
                "`1.5` is not a value of type `io.statefun.types/int`; hint: write an integer of 32 bits",
            ),
        );
        check(
            FLOAT,
            "1e300",
            Err("`1e300` is not a value of type `io.statefun.types/float`; hint: write a number"),
        );
        check(
            STRING,
            "5",
            Err(
                "`5` is not a value of type `io.statefun.types/string`; hint: write a string in quotes",
            ),
        );
        let error = from_json("a/b", "{name: 1}").unwrap_err().to_string();
        assert!(error.starts_with("`{name: 1}` is not JSON: "), "{error}");
    }

    #[test]
    fn text_is_a_string_or_itself() {
        assert_eq!(from_text(STRING, "ab").unwrap(), &b"\x0a\x02ab"[..]);
        assert_eq!(from_text("a/b", "ab").unwrap(), &b"ab"[..]);
        assert!(from_text(INT, "5").is_err());
    }
}
