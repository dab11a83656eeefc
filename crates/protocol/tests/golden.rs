//! The bytes that the published SDKs answer, and others put together by hand from the schema.

use bytes::Bytes;
use statera_model::{
    Address, Delayed, Expiration, FunctionType, Mutation, Outcome, Outgoing, Reply, StateChange,
    StateSpec, TypedValue,
};
use statera_protocol::{
    Decoder, Problem, Request, decode_reply, decode_request, encode_reply, types,
};

const PYTHON_INCOMPLETE: &str =
    "aa06210a1f0a047365656e12001a15696f2e737461746566756e2e74797065732f696e74";
const JS_INCOMPLETE: &str = "aa061f0a1d0a047365656e1a15696f2e737461746566756e2e74797065732f696e74";
const MODIFY: &str = "a2062c0a2a080112047365656e1a200a15696f2e737461746566756e2e74797065732f696e74\
                      10011a050d01000000";

fn unhex(text: &str) -> Bytes {
    let digit = |index| u8::from_str_radix(&text[index..index + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(digit).collect()
}

fn seen_is_missing() -> Outcome {
    Outcome::Incomplete(vec![StateSpec {
        name: "seen".into(),
        typename: types::INT.into(),
        expiration: Expiration::Never,
    }])
}

fn seen_becomes_one() -> Outcome {
    let change = StateChange::Modify(types::encode(1));
    let mutations = vec![Mutation { state: "seen".into(), change }];
    Outcome::Complete(Reply { mutations, ..Reply::default() })
}

fn counter(id: &str) -> Address {
    Address::new(FunctionType::from_parts("demo", "counter"), id)
}

fn send(argument: TypedValue) -> Outcome {
    let messages = vec![Outgoing { target: counter("a"), argument }];
    Outcome::Complete(Reply { messages, ..Reply::default() })
}

#[test]
fn replies_of_the_sdks_are_read() {
    for (hex, outcome) in [
        (PYTHON_INCOMPLETE, seen_is_missing()),
        (JS_INCOMPLETE, seen_is_missing()),
        (MODIFY, seen_becomes_one()),
        ("", Outcome::Complete(Reply::default())),
        ("a20600", Outcome::Complete(Reply::default())),
        ("aa0600", Outcome::Incomplete(Vec::new())),
    ] {
        assert_eq!(decode_reply(unhex(hex)), Ok(outcome), "{hex}");
    }
}

#[test]
fn replies_are_written_as_the_sdks_write_them() {
    assert_eq!(encode_reply(&seen_is_missing()), unhex(JS_INCOMPLETE));
    assert_eq!(encode_reply(&seen_becomes_one()), unhex(MODIFY));
    assert_eq!(encode_reply(&Outcome::Complete(Reply::default())), unhex("a20600"));
}

#[test]
fn a_request_has_the_bytes_of_the_schema() {
    let (target, caller) = (counter("a"), counter("b"));
    let (seen, argument) = (types::encode(1), TypedValue::new("demo/Add", b"7"));
    let request = Request {
        target: &target,
        states: [("seen", Some(&seen)), ("last", None)],
        invocations: [(None, &argument), (Some(&caller), &argument)],
    };
    let address = |id: &str| format!("0a0464656d6f1207636f756e7465721a01{id}");
    let seen = "0a15696f2e737461746566756e2e74797065732f696e7410011a050d01000000";
    let argument = "0a0864656d6f2f41646410011a0137";
    let batch = [
        format!("0a12{}", address("61")),
        format!("12280a047365656e1220{seen}"),
        "12060a046c617374".to_owned(),
        format!("1a11120f{argument}"),
        format!("1a250a12{}120f{argument}", address("62")),
    ]
    .concat();
    let mut body = Vec::new();
    request.encode(&mut body);
    // 128 bytes: just long enough for a length of two bytes.
    assert_eq!(body, unhex(&format!("a2068001{batch}")));
    assert_eq!(body.len(), request.encoded_len());

    let read = decode_request(body.clone().into()).unwrap();
    assert_eq!(read.encode(), body);
    assert_eq!((read.target, read.invocations[1].caller.clone()), (target, Some(caller)));
    assert_eq!((&*read.states[1].name, &read.states[1].value), ("last", &None));
}

#[test]
fn large_arguments_are_slices_of_the_body() {
    let body = Bytes::from(encode_reply(&send(TypedValue::new("demo/Add", &[7; 100]))));
    let Ok(Outcome::Complete(reply)) = decode_reply(body.clone()) else { panic!("it is a reply") };
    let argument = reply.messages[0].argument.encoded();
    assert!(body.as_ptr_range().contains(&argument.as_ptr()));
}

#[test]
fn foreign_fields_of_an_argument_reach_its_target() {
    let foreign = b"\x0a\x08demo/Add\x10\x01\x1a\x017\x22\x04meta\xa5\x06\x01\x02\x03\x04";
    let argument = TypedValue::from_encoded(Bytes::from_static(foreign)).unwrap();
    let reply = decode_reply(encode_reply(&send(argument)).into());
    let Ok(Outcome::Complete(reply)) = reply else { panic!("it is a reply") };
    let Outgoing { target, argument } = &reply.messages[0];
    let mut body = Vec::new();
    Request { target, states: [], invocations: [(None, argument)] }.encode(&mut body);
    let request = decode_request(body.into()).unwrap();
    assert_eq!(request.invocations[0].argument.encoded(), &foreign[..]);
}

#[test]
fn a_cancellation_needs_no_more_than_its_token() {
    let cancel = Outcome::Complete(Reply {
        delayed: vec![Delayed::Cancel { token: "t".into() }],
        ..Reply::default()
    });
    assert_eq!(decode_reply(unhex("a206071a0550015a0174")), Ok(cancel.clone()));
    assert_eq!(encode_reply(&cancel), unhex("a206071a0550015a0174"));
}

#[test]
fn an_argument_given_in_two_parts_is_merged() {
    // outgoing_messages { argument { typename: "a/b" } argument { has_value: true value: "x" } }
    let reply =
        decode_reply(unhex("a20610120e12050a03612f6212 0510011a0178".replace(' ', "").as_str()));
    let Ok(Outcome::Complete(reply)) = reply else { panic!("it is a reply: {reply:?}") };
    assert_eq!(reply.messages[0].argument, TypedValue::new("a/b", b"x"));
}

#[test]
fn the_last_kind_of_answer_counts() {
    let both = format!("{MODIFY}{JS_INCOMPLETE}");
    assert_eq!(decode_reply(unhex(&both)), Ok(seen_is_missing()));
    let both = format!("{MODIFY}{JS_INCOMPLETE}{MODIFY}");
    assert_eq!(decode_reply(unhex(&both)), Ok(seen_becomes_one()));
}

#[test]
fn an_absent_message_is_an_empty_one() {
    let Ok(Outcome::Complete(reply)) = decode_reply(unhex("a206021200")) else { panic!() };
    assert_eq!(reply.messages[0].target.to_string(), "//");
    assert_eq!(reply.messages[0].argument.encoded().len(), 0);
    let Ok(Outcome::Complete(reply)) = decode_reply(unhex("a206040a020801")) else { panic!() };
    let empty = TypedValue::from_encoded(Bytes::new()).unwrap();
    assert_eq!(reply.mutations[0].change, StateChange::Modify(empty));
}

#[test]
fn errors_say_where_and_what() {
    let hint = "hint: the bytes must be one encoded protobuf message `FromFunction`";
    let cut = "the bytes end in the middle of a field";
    for (hex, message) in [
        (&MODIFY[..20], format!("cannot decode `FromFunction`: {cut}; {hint}")),
        // "<html>"
        (
            "3c68746d6c3e",
            format!("cannot decode `FromFunction`: `4` is not a wire type of proto3; {hint}"),
        ),
        (
            "a20606120012020a05",
            format!(
                "cannot decode `FromFunction.invocation_result.outgoing_messages[1]`: {cut}; {hint}"
            ),
        ),
        (
            "a206071205 0a031a01ff",
            "cannot decode `FromFunction.invocation_result.outgoing_messages[0].target.id`: \
             the text is not UTF-8"
                .to_owned(),
        ),
        (
            "a206040a020807",
            "cannot decode `FromFunction.invocation_result.state_mutations[0].mutation_type`: \
             `7` is not a kind of state change; hint: 0 deletes the value, 1 replaces it"
                .to_owned(),
        ),
        (
            "a206041a020a00",
            format!(
                "cannot decode `FromFunction.invocation_result.delayed_invocations[0].delay_in_ms`: \
                 a length-delimited field stands where a varint is expected; {hint}"
            ),
        ),
        (
            "a2060522031a010f",
            "cannot decode `FromFunction.invocation_result.outgoing_egresses[0].argument`: \
             malformed protobuf in a TypedValue"
                .to_owned(),
        ),
        (
            "aa06050a031a0161",
            "cannot decode `FromFunction.incomplete_invocation_context.missing_values[0].type_typename`: \
             `a` is not of the form `<namespace>/<name>`"
                .to_owned(),
        ),
    ] {
        let error = decode_reply(unhex(&hex.replace(' ', ""))).unwrap_err();
        assert_eq!(error.to_string(), message, "{hex}");
    }
}

#[test]
fn a_request_without_an_invocation_is_refused() {
    let error = decode_request(Bytes::new()).unwrap_err();
    assert_eq!((error.path(), error.problem()), ("ToFunction", &Problem::NoInvocation));
}

#[test]
fn a_decoder_shares_the_names_it_has_seen() {
    let mut decoder = Decoder::new();
    let mut read = || match decoder.reply(unhex(MODIFY)) {
        Ok(Outcome::Complete(mut reply)) => reply.mutations.remove(0).state,
        other => panic!("{other:?}"),
    };
    assert!(std::sync::Arc::ptr_eq(&read(), &read()));
}
