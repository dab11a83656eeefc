//! The protocol once more, for an independent codec to read and write it.
#![allow(dead_code, clippy::allow_attributes, reason = "each test program uses its part")]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Address {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(string, tag = "2")]
    pub(crate) r#type: String,
    #[prost(string, tag = "3")]
    pub(crate) id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TypedValue {
    #[prost(string, tag = "1")]
    pub(crate) typename: String,
    #[prost(bool, tag = "2")]
    pub(crate) has_value: bool,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ToFunction {
    #[prost(oneof = "ToFunctionRequest", tags = "100")]
    pub(crate) request: Option<ToFunctionRequest>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum ToFunctionRequest {
    #[prost(message, tag = "100")]
    Invocation(InvocationBatchRequest),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InvocationBatchRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) target: Option<Address>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) state: Vec<PersistedValue>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) invocations: Vec<ToFunctionInvocation>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PersistedValue {
    #[prost(string, tag = "1")]
    pub(crate) state_name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) state_value: Option<TypedValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ToFunctionInvocation {
    #[prost(message, optional, tag = "1")]
    pub(crate) caller: Option<Address>,
    #[prost(message, optional, tag = "2")]
    pub(crate) argument: Option<TypedValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FromFunction {
    #[prost(oneof = "FromFunctionResponse", tags = "100, 101")]
    pub(crate) response: Option<FromFunctionResponse>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum FromFunctionResponse {
    #[prost(message, tag = "100")]
    InvocationResult(InvocationResponse),
    #[prost(message, tag = "101")]
    IncompleteInvocationContext(IncompleteInvocationContext),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InvocationResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) state_mutations: Vec<PersistedValueMutation>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) outgoing_messages: Vec<Invocation>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) delayed_invocations: Vec<DelayedInvocation>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) outgoing_egresses: Vec<EgressMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PersistedValueMutation {
    #[prost(int32, tag = "1")]
    pub(crate) mutation_type: i32,
    #[prost(string, tag = "2")]
    pub(crate) state_name: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) state_value: Option<TypedValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Invocation {
    #[prost(message, optional, tag = "1")]
    pub(crate) target: Option<Address>,
    #[prost(message, optional, tag = "2")]
    pub(crate) argument: Option<TypedValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DelayedInvocation {
    #[prost(int64, tag = "1")]
    pub(crate) delay_in_ms: i64,
    #[prost(message, optional, tag = "2")]
    pub(crate) target: Option<Address>,
    #[prost(message, optional, tag = "3")]
    pub(crate) argument: Option<TypedValue>,
    #[prost(bool, tag = "10")]
    pub(crate) is_cancellation_request: bool,
    #[prost(string, tag = "11")]
    pub(crate) cancellation_token: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EgressMessage {
    #[prost(string, tag = "1")]
    pub(crate) egress_namespace: String,
    #[prost(string, tag = "2")]
    pub(crate) egress_type: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) argument: Option<TypedValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct IncompleteInvocationContext {
    #[prost(message, repeated, tag = "1")]
    pub(crate) missing_values: Vec<PersistedValueSpec>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PersistedValueSpec {
    #[prost(string, tag = "1")]
    pub(crate) state_name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) expiration_spec: Option<ExpirationSpec>,
    #[prost(string, tag = "3")]
    pub(crate) type_typename: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ExpirationSpec {
    #[prost(int32, tag = "1")]
    pub(crate) mode: i32,
    #[prost(int64, tag = "2")]
    pub(crate) expire_after_millis: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct KafkaProducerRecord {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value_bytes: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(crate) topic: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct KinesisEgressRecord {
    #[prost(string, tag = "1")]
    pub(crate) partition_key: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value_bytes: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(crate) stream: String,
    #[prost(string, tag = "4")]
    pub(crate) explicit_hash_key: String,
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-c/.]{0,5}", 1 => ".{0,8}", 1 => "x{120,300}"]
}

pub(crate) fn blob() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![5 => vec(any::<u8>(), 0..12), 1 => vec(any::<u8>(), 120..140)]
}

pub(crate) fn number() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), 1..200_i64, any::<i64>()]
}

pub(crate) fn address() -> impl Strategy<Value = Address> {
    (text(), text(), text()).prop_map(|(namespace, r#type, id)| Address { namespace, r#type, id })
}

pub(crate) fn typed_value() -> impl Strategy<Value = TypedValue> {
    (text(), any::<bool>(), blob()).prop_map(|(typename, has_value, value)| TypedValue {
        typename,
        has_value,
        value,
    })
}

pub(crate) fn to_function() -> impl Strategy<Value = ToFunction> {
    let state = (text(), option::of(typed_value()))
        .prop_map(|(state_name, state_value)| PersistedValue { state_name, state_value });
    let invocation = (option::of(address()), option::weighted(0.9, typed_value()))
        .prop_map(|(caller, argument)| ToFunctionInvocation { caller, argument });
    (option::weighted(0.9, address()), vec(state, 0..4), vec(invocation, 0..5)).prop_map(
        |(target, state, invocations)| {
            let batch = InvocationBatchRequest { target, state, invocations };
            ToFunction { request: Some(ToFunctionRequest::Invocation(batch)) }
        },
    )
}

/// Replies that are valid: no unknown kinds of state changes, no impossible typenames.
pub(crate) fn from_function() -> impl Strategy<Value = FromFunction> {
    let result = invocation_response().prop_map(FromFunctionResponse::InvocationResult);
    let missing = vec(spec(), 0..4).prop_map(|missing_values| {
        let context = IncompleteInvocationContext { missing_values };
        FromFunctionResponse::IncompleteInvocationContext(context)
    });
    option::weighted(0.95, prop_oneof![4 => result, 1 => missing])
        .prop_map(|response| FromFunction { response })
}

fn invocation_response() -> impl Strategy<Value = InvocationResponse> {
    let mutation = (0..=1, text(), option::weighted(0.8, typed_value())).prop_map(
        |(mutation_type, state_name, state_value)| PersistedValueMutation {
            mutation_type,
            state_name,
            state_value,
        },
    );
    let outgoing = (option::weighted(0.9, address()), option::weighted(0.9, typed_value()))
        .prop_map(|(target, argument)| Invocation { target, argument });
    let egress = (text(), text(), option::weighted(0.9, typed_value())).prop_map(
        |(egress_namespace, egress_type, argument)| EgressMessage {
            egress_namespace,
            egress_type,
            argument,
        },
    );
    (vec(mutation, 0..3), vec(outgoing, 0..4), vec(delayed(), 0..3), vec(egress, 0..3)).prop_map(
        |(state_mutations, outgoing_messages, delayed_invocations, outgoing_egresses)| {
            InvocationResponse {
                state_mutations,
                outgoing_messages,
                delayed_invocations,
                outgoing_egresses,
            }
        },
    )
}

fn delayed() -> impl Strategy<Value = DelayedInvocation> {
    let parts = (number(), option::of(address()), option::of(typed_value()), any::<bool>(), text());
    parts.prop_map(|(delay_in_ms, target, argument, is_cancellation_request, token)| {
        DelayedInvocation {
            delay_in_ms,
            target,
            argument,
            is_cancellation_request,
            cancellation_token: token,
        }
    })
}

fn spec() -> impl Strategy<Value = PersistedValueSpec> {
    let expiration = (prop_oneof![0..4, any::<i32>()], number())
        .prop_map(|(mode, expire_after_millis)| ExpirationSpec { mode, expire_after_millis });
    (text(), option::of(expiration), "([a-c]{0,3}/[a-c]{1,3}/{0,2})?").prop_map(
        |(state_name, expiration_spec, type_typename)| PersistedValueSpec {
            state_name,
            expiration_spec,
            type_typename,
        },
    )
}
