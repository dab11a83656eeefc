//! The shard: a state machine that owns a range of key groups and decides everything about them.
//!
//! [`Shard::apply`] takes an [`Input`] and the time and appends [`Effect`]s; [`Input::Cut`] is the only way out to
//! durability: it yields a [`Part`], the shard's share of an epoch. Nothing here does IO, reads a clock, starts a
//! thread, draws a random number, or is `async`: the shell around a shard does that, and decides nothing.
//!
//! The three types to know are [`Shard`], [`Input`] and [`Effect`]; the key space of the deltas is in [`keys`].
//!
//! ```
//! use std::sync::Arc;
//! use statera_core::{Config, Cut, Effect, Input, Limits, OnFailure, Policy, RequestKind, Shard, Ticket};
//! use statera_model::{Address, Epoch, FunctionType, Millis, Outcome, Reply, TypedValue};
//! use statera_ports::Request;
//!
//! let policy = Policy {
//!     inline: false, batch_messages: 1000, in_flight: 100, budget_ms: 60_000, backoff_min_ms: 4, backoff_max_ms: 5_000,
//!     on_failure: OnFailure::DeadLetter,
//! };
//! let mut shard = Shard::new(Config::alone(Limits::default(), Arc::new(move |_| Some(policy))));
//! let (now, mut effects) = (Millis(1), Vec::new());
//!
//! // A message comes in; its function is to be invoked.
//! let target = Address::new(FunctionType::parse("demo/counter")?, "a");
//! let request = Request { target, argument: TypedValue::new("demo/Add", b""), idempotency_key: None, trace: None };
//! shard.apply(Input::Request { ticket: Ticket(7), request, kind: RequestKind::Send }, now, &mut effects);
//! let Some(Effect::Invoke(invocation)) = effects.pop() else { panic!() };
//!
//! // The function answers, without effects. The cut carries both, and the ticket that may now be answered.
//! let outcome = Outcome::Complete(Reply::default());
//! let request = Default::default();
//! shard.apply(Input::Completed { invocation, outcome, request }, now, &mut effects);
//! let cut = Arc::new(Cut { epoch: Epoch(1), confirmed: Vec::new() });
//! shard.apply(Input::Cut(cut), now, &mut effects);
//! let Some(Effect::Part(part)) = effects.pop() else { panic!() };
//! assert_eq!(part.releases.accepted, [Ticket(7)]);
//! # Ok::<(), statera_model::InvalidName>(())
//! ```
#![warn(missing_docs)]

mod arena;
mod calls;
mod delays;
pub mod delta;
mod figures;
mod functions;
mod graph;
mod index;
mod input;
mod instance;
pub mod keys;
mod mailbox;
mod outbox;
mod pending;
mod shard;
mod traces;
pub mod values;

pub use figures::{Failures, FunctionFigures};
pub use graph::{Edge, End};
pub use input::{
    ADDRESS_BYTES_MAX, CALL_FUNCTION, Config, Cut, Directory, Effect, EgressRecord, Halted, Input,
    InvocationId, Limits, NAME_BYTES_MAX, OnFailure, Part, PeerItem, PeerMessage, Policy, Releases,
    Reload, RequestKind, Ticket, Wants,
};
pub use shard::{
    Activity, Answers, Attempted, Buried, BuriedWhat, FailedInvocation, Failing, Figures, Follows,
    Inspected, Inspection, Invocation, News, Presence, RestoreError, Shard, TimerPage, TimerPlace,
    TimerQuery,
};
