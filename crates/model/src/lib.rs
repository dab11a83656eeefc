//! The words that every other crate speaks: who is addressed ([`Address`]), what is carried ([`TypedValue`]), what a
//! function answered ([`Reply`]), and when it counts ([`Epoch`]).
//!
//! This crate never does IO, reads a clock, or knows a configuration format. Start with [`Address`], [`TypedValue`]
//! and [`Reply`].
//!
//! ```
//! use statera_model::{Address, FunctionType, KeyGroup, TypedValue};
//!
//! let bob = Address::new(FunctionType::parse("example/person")?, "Bob");
//! assert_eq!(bob.to_string(), "example/person/Bob");
//! assert_eq!(KeyGroup::of("Bob", 128), KeyGroup(126));
//!
//! let greeting = TypedValue::new("example/Greeting", b"hello");
//! assert_eq!(greeting.typename(), "example/Greeting");
//! # Ok::<(), statera_model::InvalidName>(())
//! ```
#![warn(missing_docs)]

mod address;
mod chain;
pub mod codes;
mod epoch;
mod failure;
mod id;
mod key_group;
mod reply;
mod trace;
mod typed_value;

pub use address::{Address, FunctionType, InvalidName, Name};
pub use chain::Chain;
pub use epoch::{Epoch, Millis};
pub use failure::{Failure, FailureKind};
pub use id::Id;
pub use key_group::KeyGroup;
pub use reply::{
    Change, Delayed, Egress, EgressId, Expiration, LocalReply, Mutation, Outcome, Outgoing, Reply,
    StateChange, StateSpec,
};
pub use trace::TraceContext;
pub use typed_value::{FixedType, InvalidTypedValue, TypedValue, UNSET_TYPENAME};
