//! Everything is read and written as another implementation of protobuf does it.

mod common;

use bytes::Bytes;
use common as wire;
use common::{FromFunctionResponse, ToFunctionRequest};
use proptest::prelude::*;
use prost::Message;
use statera_model::{
    Address, Delayed, Expiration, Outcome, Outgoing, StateChange, StateSpec, TypedValue,
    UNSET_TYPENAME,
};
use statera_protocol::egress::{KafkaRecord, KinesisRecord};
use statera_protocol::{
    DecodeError, OwnedRequest, Problem, decode_reply, decode_request, encode_reply, types,
};

// From our words to the other implementation's.

fn address(address: &Address) -> wire::Address {
    wire::Address {
        namespace: address.function.namespace().to_owned(),
        r#type: address.function.name().to_owned(),
        id: address.id.to_string(),
    }
}

fn typed_value(value: &TypedValue) -> wire::TypedValue {
    let read = wire::TypedValue::decode(value.encoded()).expect("we took it");
    let ours = (value.typename(), value.has_value(), value.value());
    assert_eq!((&*read.typename, read.has_value, &*read.value), ours);
    read
}

fn to_function(request: &OwnedRequest) -> wire::ToFunction {
    let state = |state: &statera_protocol::PersistedValue| wire::PersistedValue {
        state_name: state.name.to_string(),
        state_value: state.value.as_ref().map(typed_value),
    };
    let invocation = |message: &statera_protocol::Invocation| wire::ToFunctionInvocation {
        caller: message.caller.as_ref().map(address),
        argument: Some(typed_value(&message.argument)),
    };
    let batch = wire::InvocationBatchRequest {
        target: Some(address(&request.target)),
        state: request.states.iter().map(state).collect(),
        invocations: request.invocations.iter().map(invocation).collect(),
    };
    wire::ToFunction { request: Some(ToFunctionRequest::Invocation(batch)) }
}

fn from_function(outcome: &Outcome) -> wire::FromFunction {
    let response = match outcome {
        Outcome::Incomplete(missing) => {
            let missing_values = missing.iter().map(spec).collect();
            FromFunctionResponse::IncompleteInvocationContext(wire::IncompleteInvocationContext {
                missing_values,
            })
        }
        Outcome::Complete(reply) => {
            FromFunctionResponse::InvocationResult(wire::InvocationResponse {
                state_mutations: reply.mutations.iter().map(mutation).collect(),
                outgoing_messages: reply.messages.iter().map(outgoing).collect(),
                delayed_invocations: reply.delayed.iter().map(delayed).collect(),
                outgoing_egresses: reply.egress.iter().map(egress).collect(),
            })
        }
    };
    wire::FromFunction { response: Some(response) }
}

fn mutation(mutation: &statera_model::Mutation) -> wire::PersistedValueMutation {
    let (mutation_type, state_value) = match &mutation.change {
        StateChange::Delete => (0, None),
        StateChange::Modify(value) => (1, Some(typed_value(value))),
    };
    let state_name = mutation.state.to_string();
    wire::PersistedValueMutation { mutation_type, state_name, state_value }
}

fn outgoing(message: &Outgoing) -> wire::Invocation {
    let Outgoing { target, argument } = message;
    wire::Invocation { target: Some(address(target)), argument: Some(typed_value(argument)) }
}

fn delayed(delayed: &Delayed) -> wire::DelayedInvocation {
    match delayed {
        Delayed::Cancel { token } => wire::DelayedInvocation {
            is_cancellation_request: true,
            cancellation_token: token.to_string(),
            ..Default::default()
        },
        Delayed::Send { delay_ms, message, token } => wire::DelayedInvocation {
            delay_in_ms: *delay_ms,
            target: Some(address(&message.target)),
            argument: Some(typed_value(&message.argument)),
            is_cancellation_request: false,
            cancellation_token: token.as_deref().unwrap_or_default().to_owned(),
        },
    }
}

fn egress(record: &statera_model::Egress) -> wire::EgressMessage {
    wire::EgressMessage {
        egress_namespace: record.egress.namespace().to_owned(),
        egress_type: record.egress.name().to_owned(),
        argument: Some(typed_value(&record.argument)),
    }
}

fn spec(spec: &StateSpec) -> wire::PersistedValueSpec {
    let expiration = match spec.expiration {
        Expiration::Never => None,
        Expiration::AfterWrite { ttl_ms } => Some((1, ttl_ms)),
        Expiration::AfterInvoke { ttl_ms } => Some((2, ttl_ms)),
    };
    wire::PersistedValueSpec {
        state_name: spec.name.to_string(),
        expiration_spec: expiration
            .map(|(mode, expire_after_millis)| wire::ExpirationSpec { mode, expire_after_millis }),
        type_typename: spec.typename.to_string(),
    }
}

// Different messages that mean the same, made equal.

fn normal_request(mut request: wire::ToFunction) -> wire::ToFunction {
    if let Some(ToFunctionRequest::Invocation(batch)) = &mut request.request {
        batch.target.get_or_insert_default();
        for message in &mut batch.invocations {
            message.argument.get_or_insert_default();
        }
    }
    request
}

fn normal_reply(reply: wire::FromFunction) -> wire::FromFunction {
    let mut response = (reply.response)
        .unwrap_or_else(|| FromFunctionResponse::InvocationResult(Default::default()));
    match &mut response {
        FromFunctionResponse::InvocationResult(result) => normal_result(result),
        FromFunctionResponse::IncompleteInvocationContext(context) => {
            for spec in &mut context.missing_values {
                spec.expiration_spec.take_if(|expiration| !matches!(expiration.mode, 1 | 2));
                spec.type_typename = match &*spec.type_typename {
                    "" => UNSET_TYPENAME.to_owned(),
                    typename => typename.trim_end_matches('/').to_owned(),
                };
            }
        }
    }
    wire::FromFunction { response: Some(response) }
}

fn normal_result(result: &mut wire::InvocationResponse) {
    for mutation in &mut result.state_mutations {
        match mutation.mutation_type {
            0 => mutation.state_value = None,
            _ => drop(mutation.state_value.get_or_insert_default()),
        }
    }
    for message in &mut result.outgoing_messages {
        message.target.get_or_insert_default();
        message.argument.get_or_insert_default();
    }
    for delayed in &mut result.delayed_invocations {
        if delayed.is_cancellation_request {
            (delayed.delay_in_ms, delayed.target, delayed.argument) = (0, None, None);
        } else {
            delayed.target.get_or_insert_default();
            delayed.argument.get_or_insert_default();
        }
    }
    for record in &mut result.outgoing_egresses {
        record.argument.get_or_insert_default();
    }
}

// Both read the same bytes.

/// What we refuse on purpose though another reader takes it.
fn is_stricter(error: &DecodeError) -> bool {
    let problem = error.problem();
    let group = matches!(problem, Problem::UnknownWireType(_) | Problem::TypedValue(_));
    group || matches!(problem, Problem::MutationType(_) | Problem::Typename(_))
}

fn both_read_request(bytes: &[u8]) {
    let ours = decode_request(Bytes::copy_from_slice(bytes));
    match (ours, wire::ToFunction::decode(bytes)) {
        (Ok(ours), Ok(theirs)) => assert_eq!(to_function(&ours), normal_request(theirs)),
        (Err(error), Ok(theirs)) => assert!(
            is_stricter(&error) || theirs.request.is_none(),
            "only we refuse it: {error}; {theirs:?}"
        ),
        (_, Err(_)) => {}
    }
}

fn both_read_reply(bytes: &[u8]) {
    let ours = decode_reply(Bytes::copy_from_slice(bytes));
    match (ours, wire::FromFunction::decode(bytes)) {
        (Ok(ours), Ok(theirs)) => assert_eq!(from_function(&ours), normal_reply(theirs)),
        (Err(error), Ok(theirs)) => {
            assert!(is_stricter(&error), "only we refuse it: {error}; {theirs:?}");
        }
        (_, Err(_)) => {}
    }
}

/// Changes some bytes, and cuts something out.
fn damaged(mut bytes: Vec<u8>, changes: Vec<(usize, u8)>, cut: (usize, usize)) -> Vec<u8> {
    for (place, byte) in changes {
        if let Some(length) = std::num::NonZero::new(bytes.len()) {
            bytes[place % length] = byte;
        }
    }
    let start = cut.0 % (bytes.len() + 1);
    let end = (start + cut.1).min(bytes.len());
    bytes.drain(start..end);
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(usize, u8)>> {
    let byte = prop_oneof![0..4_u8, 7..0x30_u8, any::<u8>()];
    proptest::collection::vec((any::<usize>(), byte), 0..4)
}

fn cut() -> impl Strategy<Value = (usize, usize)> {
    (any::<usize>(), prop_oneof![3 => Just(0), 1 => 1..9_usize])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn requests_are_the_same(theirs in wire::to_function()) {
        let ours = decode_request(theirs.encode_to_vec().into()).unwrap();
        let normal = normal_request(theirs);
        prop_assert_eq!(&to_function(&ours), &normal);
        prop_assert_eq!(ours.encode(), normal.encode_to_vec());
    }

    #[test]
    fn replies_are_the_same(theirs in wire::from_function()) {
        let ours = decode_reply(theirs.encode_to_vec().into()).unwrap();
        let normal = normal_reply(theirs);
        prop_assert_eq!(&from_function(&ours), &normal);
        prop_assert_eq!(encode_reply(&ours), normal.encode_to_vec());
        prop_assert_eq!(decode_reply(encode_reply(&ours).into()), Ok(ours));
    }

    #[test]
    fn two_messages_in_a_row_are_merged(a in wire::from_function(), b in wire::from_function()) {
        both_read_reply(&[a.encode_to_vec(), b.encode_to_vec()].concat());
    }

    #[test]
    fn two_requests_in_a_row_are_merged(a in wire::to_function(), b in wire::to_function()) {
        both_read_request(&[a.encode_to_vec(), b.encode_to_vec()].concat());
    }

    #[test]
    fn damaged_requests_mean_the_same(
        request in wire::to_function(), changes in changes(), cut in cut(),
    ) {
        both_read_request(&damaged(request.encode_to_vec(), changes, cut));
    }

    #[test]
    fn damaged_replies_mean_the_same(
        reply in wire::from_function(), changes in changes(), cut in cut(),
    ) {
        both_read_reply(&damaged(reply.encode_to_vec(), changes, cut));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        both_read_request(&bytes);
        both_read_reply(&bytes);
        // Behind these heads the bytes are looked at more closely.
        for head in [&b"\xa2\x06"[..], b"\xaa\x06"] {
            let body = [head, &[bytes.len().min(127) as u8], &bytes].concat();
            both_read_request(&body);
            both_read_reply(&body);
        }
        for typename in [types::BOOL, types::INT, types::LONG, types::STRING] {
            let value = TypedValue::new(typename, &bytes);
            let _ = (types::decode::<bool>(&value), types::decode::<i32>(&value));
            let _ = (types::decode::<i64>(&value), types::decode::<&str>(&value));
        }
        let _ = KafkaRecord::decode(&TypedValue::new(statera_protocol::egress::KAFKA_RECORD, &bytes));
    }

    #[test]
    fn kafka_records_are_the_same(key in wire::text(), value in wire::blob(), topic in wire::text()) {
        let record = KafkaRecord { key: &key, value: &value, topic: &topic };
        let wrapped = record.encode();
        prop_assert!(wrapped.has_value());
        prop_assert_eq!(KafkaRecord::decode(&wrapped), Ok(record));
        let theirs = wire::KafkaProducerRecord::decode(wrapped.value()).unwrap();
        prop_assert_eq!((&theirs.key, &theirs.value_bytes, &theirs.topic), (&key, &value, &topic));
        prop_assert_eq!(theirs.encode_to_vec(), wrapped.value());
    }

    #[test]
    fn kinesis_records_are_the_same(
        key in wire::text(), value in wire::blob(), stream in wire::text(), hash in wire::text(),
    ) {
        let record = KinesisRecord {
            partition_key: &key, value: &value, stream: &stream, explicit_hash_key: &hash,
        };
        let wrapped = record.encode();
        prop_assert_eq!(KinesisRecord::decode(&wrapped), Ok(record));
        let theirs = wire::KinesisEgressRecord::decode(wrapped.value()).unwrap();
        prop_assert_eq!((&theirs.partition_key, &theirs.stream), (&key, &stream));
        prop_assert_eq!((&theirs.value_bytes, &theirs.explicit_hash_key), (&value, &hash));
        prop_assert_eq!(theirs.encode_to_vec(), wrapped.value());
    }

    #[test]
    fn built_in_values_are_the_same(int: i32, long: i64, text in wire::text(), float: f32, double: f64) {
        // Each wrapper is what the other implementation writes for a lone value of that kind.
        let value = types::encode(&*text);
        prop_assert_eq!(String::decode(value.value()).unwrap(), text.clone());
        prop_assert_eq!(types::decode::<String>(&value), Ok(text));
        for (value, theirs) in [
            (types::encode(int), Fixed { int, ..Fixed::default() }),
            (types::encode(float), Fixed { float, ..Fixed::default() }),
            (types::encode(long), Fixed { long, ..Fixed::default() }),
            (types::encode(double), Fixed { double, ..Fixed::default() }),
        ] {
            // Wrappers have field 1; `Fixed` has one number per kind.
            let number = match value.typename() {
                types::INT => 1,
                types::FLOAT => 2,
                types::LONG => 3,
                _ => 4,
            };
            let mut bytes = value.value().to_vec();
            if let Some(key) = bytes.first_mut() {
                *key += (number - 1) << 3;
            }
            prop_assert_eq!(Fixed::decode(&*bytes).unwrap(), theirs);
        }
        prop_assert_eq!(types::decode::<i32>(&types::encode(int)), Ok(int));
        prop_assert_eq!(types::decode::<i64>(&types::encode(long)), Ok(long));
        let bits = types::decode::<f32>(&types::encode(float)).map(f32::to_bits);
        prop_assert_eq!(bits, Ok(float.to_bits()));
        let bits = types::decode::<f64>(&types::encode(double)).map(f64::to_bits);
        prop_assert_eq!(bits, Ok(double.to_bits()));
    }
}

#[derive(Clone, PartialEq, Message)]
struct Fixed {
    #[prost(sfixed32, tag = "1")]
    int: i32,
    #[prost(float, tag = "2")]
    float: f32,
    #[prost(sfixed64, tag = "3")]
    long: i64,
    #[prost(double, tag = "4")]
    double: f64,
}
