#![doc = include_str!("../README.md")]
//!
//! ## Where things are
//!
//! | to | see |
//! |---|---|
//! | register functions | [`App`] |
//! | write one | [`Context`], [`Cell`], [`Error`] |
//! | name types of values | [`Value`], [`json_value!`], [`protobuf_value!`], [`bytes_value!`] |
//! | take several types of messages | [`one_of!`], [`Message`] |
//! | test them | [`testing::Harness`], `testing::Simulation` |
//! | serve them | [`App::serve`], [`http::Server`], [`Functions::handle`] for other servers |
//! | host them in another way | [`Functions`], [`Function`], [`Batch`] |
//!
//! This crate keeps nothing between two invocations and never knows who calls it: what a function does to its state and
//! to the world is data, a [`Reply`], that the runtime applies all or none.
#![warn(missing_docs)]

mod app;
mod batch;
mod cell;
mod context;
#[cfg(feature = "engine")]
mod engine;
mod error;
mod function;
pub mod http;
mod message;
#[doc(hidden)]
pub mod private;
mod target;
pub mod testing;
mod value;

pub use app::{App, InvalidApp, Problem};
pub use cell::{Cell, Cells};
pub use context::{Context, Scheduled};
pub use error::{Error, ErrorKind, Result, ResultExt};
pub use function::{Function, Functions};
pub use message::Message;
pub use statera_model::{
    Address, Expiration, Failure, FailureKind, FunctionType, Id, InvalidName, Name, Reply,
    StateSpec, TypedValue,
};
pub use statera_ports::Batch;
/// Records for the egresses that want a certain type, and the typenames of them.
pub use statera_protocol::egress;
/// The typenames of the six built-in types.
pub use statera_protocol::types;
pub use target::{To, ToName};
pub use value::{Answer, Argument, BoxError, IntoValue, Value, ValueError};
