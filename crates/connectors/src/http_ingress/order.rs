//! What a request asks for, read from its head alone.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use statera_model::Address;

use crate::http::{Problem, address, check_origin, decode, vendor_type};

/// The longest time a call may ask to wait.
const CALL_TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// The longest idempotency key.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 256;

/// What a request asks for.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    pub(crate) target: Address,
    pub(crate) typename: Cow<'a, str>,
    pub(crate) idempotency_key: Option<Arc<str>>,
    pub(crate) wait: Wait,
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until the message is durable.
    Durable,
    /// For an answer, so long.
    Answer(Duration),
}

impl Order<'_> {
    pub(crate) fn parse(head: &Parts, call_timeout: Duration) -> Result<Order<'_>, Problem> {
        let path = head.uri.path();
        let (wait, path) = if let Some(path) = path.strip_prefix("/v1/send/") {
            (Wait::Durable, path)
        } else if let Some(path) = path.strip_prefix("/v1/call/") {
            (Wait::Answer(call_timeout), path)
        } else {
            return Err(unknown_path(path));
        };
        if head.method != Method::POST {
            return Err(Problem::method_not_allowed(&head.method, "POST"));
        }
        check_origin(&head.headers)?;
        let target = address(path)?;
        let query = Query::parse(head.uri.query(), wait)?;
        let typename = match query.typename {
            Some(typename) => typename,
            None => {
                Cow::Borrowed(vendor_type(&head.headers).ok_or_else(|| no_typename(&head.headers))?)
            }
        };
        Ok(Order {
            target,
            typename,
            idempotency_key: idempotency_key(&head.headers)?,
            wait: query.wait,
        })
    }
}

fn unknown_path(path: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("there is nothing at `{path}`"),
        "POST to /v1/send/<namespace>/<type>/<id>, or to /v1/call/<namespace>/<type>/<id> to wait for an answer",
    )
}

fn no_typename(headers: &HeaderMap) -> Problem {
    let error = match headers.get("content-type") {
        None => "the type of the value is not named: there is no `Content-Type`".to_owned(),
        Some(other) => {
            let other = String::from_utf8_lossy(other.as_bytes());
            format!("the type of the value is not named: `Content-Type` is `{other}`")
        }
    };
    Problem::bad_request(
        error,
        "set `Content-Type: application/vnd.<typename>`, or `?typename=<typename>`; \
         the typename is what the function declares, such as `example/Order`",
    )
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<Arc<str>>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        return Err(Problem::bad_request(
            format!(
                "the `Idempotency-Key` has {} bytes instead of 1 to {IDEMPOTENCY_KEY_BYTES_MAX}",
                key.len()
            ),
            "use a random key, such as a UUID, for each message",
        ));
    }
    match std::str::from_utf8(key.as_bytes()) {
        Ok(key) => Ok(Some(key.into())),
        Err(_) => Err(Problem::bad_request(
            "the `Idempotency-Key` is not UTF-8",
            "use letters and digits",
        )),
    }
}

/// The query parameters.
struct Query<'a> {
    typename: Option<Cow<'a, str>>,
    wait: Wait,
}

impl<'a> Query<'a> {
    fn parse(text: Option<&'a str>, wait: Wait) -> Result<Query<'a>, Problem> {
        let mut query = Query { typename: None, wait };
        for parameter in
            text.unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty())
        {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match (name, wait) {
                ("typename", _) => query.typename = Some(typename(value)?),
                ("timeout", Wait::Answer(_)) => {
                    query.wait = Wait::Answer(timeout(&decode(value)?)?)
                }
                _ => return Err(unknown_parameter(name, wait)),
            }
        }
        Ok(query)
    }
}

fn typename(value: &str) -> Result<Cow<'_, str>, Problem> {
    if value.is_empty() {
        return Err(Problem::bad_request(
            "the parameter `typename` is empty",
            "leave it out, or name the type",
        ));
    }
    decode(value)
}

fn unknown_parameter(name: &str, wait: Wait) -> Problem {
    let hint = match wait {
        Wait::Durable => "a send takes `typename`",
        Wait::Answer(_) => "a call takes `typename` and `timeout`",
    };
    Problem::bad_request(format!("the query parameter `{name}` is unknown"), hint)
}

/// `500ms`, `30s`, `1min`, `1h`.
fn timeout(text: &str) -> Result<Duration, Problem> {
    let parse = || {
        let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(unit_at);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "min" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        let timeout = Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(unit_ms)?);
        (!timeout.is_zero() && timeout <= CALL_TIMEOUT_MAX).then_some(timeout)
    };
    parse().ok_or_else(|| {
        Problem::bad_request(
            format!("`{text}` is not a timeout"),
            "write a number and a unit (ms, s, min, h), such as `30s`; the longest is `1h`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_a_number_and_a_unit() {
        for (text, ms) in [("500ms", 500), ("30s", 30_000), ("1min", 60_000), ("1h", 3_600_000)] {
            assert_eq!(timeout(text).unwrap(), Duration::from_millis(ms), "{text}");
        }
        for bad in
            ["", "30", "s", "0s", "-1s", "1.5s", "61min", "30 s", "1d", "99999999999999999999ms"]
        {
            assert!(timeout(bad).is_err(), "{bad}");
        }
    }
}
