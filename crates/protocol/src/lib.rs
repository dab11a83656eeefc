//! The StateFun request-reply protocol: what Statera sends to a function, and what a function answers, byte for byte.
//!
//! Both directions are here. The engine writes requests ([`Request`]) and reads replies ([`decode_reply`]); a function
//! written in Rust reads requests ([`decode_request`]) and writes replies ([`encode_reply`]). [`types`] holds the value
//! types that every SDK knows, [`egress`] the records for Kafka and Kinesis, [`kafka`] those with
//! all that a record of Kafka has.
//!
//! This crate never does IO and never judges a reply: a negative delay or an unknown egress is passed on as it came,
//! and refused where the reply is applied. It never takes a [`TypedValue`](statera_model::TypedValue) apart and puts it
//! together again, so that fields we do not know reach the function they are meant for. No input makes it panic.
//!
//! The types to know are [`Request`], [`Outcome`](statera_model::Outcome) and [`DecodeError`]; [`Decoder`] is for
//! whoever reads many messages.
//!
//! ```
//! use statera_model::{Address, FunctionType, Mutation, Outcome, Reply, StateChange};
//! use statera_protocol::{Request, decode_reply, decode_request, encode_reply, types};
//!
//! // The engine sends a message, with the state of its target.
//! let target = Address::new(FunctionType::parse("demo/counter")?, "a");
//! let seen = types::encode(41);
//! let message = types::encode("hello");
//! let mut body = Vec::new();
//! Request { target: &target, states: [("seen", Some(&seen))], invocations: [(None, &message)] }
//!     .encode(&mut body);
//!
//! // The function counts it.
//! let request = decode_request(body.into())?;
//! assert_eq!(types::decode::<&str>(&request.invocations[0].argument)?, "hello");
//! let seen: i32 = types::decode(request.states[0].value.as_ref().expect("it was sent"))?;
//! let change = StateChange::Modify(types::encode(seen + 1));
//! let mutations = vec![Mutation { state: "seen".into(), change }];
//! let body = encode_reply(&Outcome::Complete(Reply { mutations, ..Reply::default() }));
//!
//! // The engine takes over what changed.
//! let Outcome::Complete(reply) = decode_reply(body.into())? else { unreachable!() };
//! let StateChange::Modify(seen) = &reply.mutations[0].change else { unreachable!() };
//! assert_eq!(types::decode::<i32>(seen)?, 42);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How messages are read
//!
//! As protobuf demands: unknown fields are skipped, absent ones have their default, and a field that occurs several
//! times is merged (the last number or text counts, lists are joined, messages are merged field by field). Of the two
//! answers that a reply may hold, the last kind counts. Stricter than some readers: a known field with another wire type
//! is an error and not an unknown field, and so are groups, which proto3 does not have.
#![warn(missing_docs)]

mod decoder;
pub mod egress;
mod error;
pub mod kafka;
mod message;
mod reply;
mod request;
pub mod types;
mod wire;

pub use decoder::Decoder;
pub use error::{DecodeError, Problem};
pub use reply::{decode_reply, encode_reply};
pub use request::{Invocation, OwnedRequest, PersistedValue, Request, decode_request};
