//! From a record to a message.

use statera_config::StreamRoute;
use statera_model::{Address, TraceContext, TypedValue};
use statera_ports::SourceRecord;
use statera_protocol::kafka::{ConsumerRecord, Header};

/// A record as the client gives it.
#[derive(Clone, Debug, Default)]
pub(super) struct Record<'a> {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    /// The span that it follows from, if that matters and its headers say so.
    pub(super) trace: Option<TraceContext>,
}

/// Why a record cannot become a message.
pub(super) type Reason = String;

/// Makes the message. `headers` is asked only where they are needed; it fails if a name is not text.
pub(super) fn message<'a>(
    route: &StreamRoute,
    record: &Record<'a>,
    headers: impl FnOnce() -> Result<Vec<Header<'a>>, Reason>,
) -> Result<SourceRecord, Reason> {
    let Some(key) = record.key else {
        return Err("the record has no key, which is the id of the function instance; \
                    hint: have the producer set one"
            .to_owned());
    };
    let argument = if route.envelope {
        envelope(route, record, headers()?).encode()
    } else {
        let Some(value) = record.value else {
            let key = String::from_utf8_lossy(key);
            return Err(format!(
                "the record with the key `{key}` has no value (it is a tombstone); \
                 hint: set `envelope: true` to let functions see such records"
            ));
        };
        TypedValue::new(route.value_type.as_str(), value)
    };
    let id = String::from_utf8_lossy(key);
    let target = |function: &_| Address::new(Clone::clone(function), &*id);
    let targets = route.targets.iter().map(target).collect();
    Ok(SourceRecord::Message { targets, argument, trace: record.trace.map(Box::new) })
}

fn envelope<'a>(
    route: &'a StreamRoute,
    record: &Record<'a>,
    headers: Vec<Header<'a>>,
) -> ConsumerRecord<'a> {
    ConsumerRecord {
        topic: &route.name,
        partition: record.partition,
        offset: record.offset,
        timestamp_ms: record.timestamp_ms,
        key: record.key,
        value: record.value,
        value_type: route.value_type.as_str(),
        headers,
    }
}

#[cfg(test)]
mod tests {
    use statera_model::Name;

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn route(envelope: bool) -> StreamRoute {
        StreamRoute {
            name: "orders".to_owned(),
            value_type: name("shop/Order"),
            targets: vec![name("shop/cart"), name("shop/audit")],
            envelope,
        }
    }

    fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Record<'a> {
        Record { partition: 3, offset: 1234, timestamp_ms: Some(5), key, value, trace: None }
    }

    fn no_headers() -> Result<Vec<Header<'static>>, Reason> {
        Ok(Vec::new())
    }

    #[test]
    fn each_target_gets_the_value_under_the_key() {
        let record = record(Some(b"ada"), Some(b"\x00\xff"));
        let message = message(&route(false), &record, no_headers).unwrap();
        let SourceRecord::Message { targets, argument, .. } = message else {
            panic!("{message:?}")
        };
        let targets: Vec<_> = targets.iter().map(Address::to_string).collect();
        assert_eq!(targets, ["shop/cart/ada", "shop/audit/ada"]);
        assert_eq!(argument, TypedValue::new("shop/Order", b"\x00\xff"));
    }

    #[test]
    fn a_key_that_is_no_text_is_made_one() {
        let record = record(Some(b"a\xff"), Some(b""));
        let message = message(&route(false), &record, no_headers).unwrap();
        let SourceRecord::Message { targets, .. } = message else { panic!("{message:?}") };
        assert_eq!(&*targets[0].id, "a\u{fffd}");
    }

    #[test]
    fn without_a_key_or_a_value_there_is_no_message() {
        let reason = message(&route(false), &record(None, Some(b"x")), no_headers).unwrap_err();
        assert!(reason.starts_with("the record has no key"), "{reason}");
        let reason = message(&route(true), &record(None, Some(b"x")), no_headers).unwrap_err();
        assert!(reason.starts_with("the record has no key"), "{reason}");
        let reason = message(&route(false), &record(Some(b"ada"), None), no_headers).unwrap_err();
        assert!(reason.starts_with("the record with the key `ada` has no value"), "{reason}");
    }

    #[test]
    fn an_envelope_holds_all_there_is() {
        let headers = vec![Header { key: "trace", value: Some(b"7") }];
        let record = record(Some(b""), None);
        let given = headers.clone();
        let message = message(&route(true), &record, move || Ok(given)).unwrap();
        let SourceRecord::Message { argument, .. } = message else { panic!("{message:?}") };
        let expected = ConsumerRecord {
            topic: "orders",
            partition: 3,
            offset: 1234,
            timestamp_ms: Some(5),
            key: Some(b""),
            value: None,
            value_type: "shop/Order",
            headers,
        };
        assert_eq!(ConsumerRecord::decode(&argument), Ok(expected));
    }
}
