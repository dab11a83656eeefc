//! What a script sees of a simulated world.

use std::sync::Arc;
use std::time::Duration;

use statera_ports::Answer;
use statera_sim::{Host, Violation};

use super::harness::{Emitted, Pending, address, encoded};
use super::simulation::Depth;
use crate::cell::Cell;
use crate::function::Functions;
use crate::message::Message;
use crate::target::{To, ToName};
use crate::value::{Argument, IntoValue, Value};

/// Lines of what happened last that are shown for a seed that failed.
const STORY_LINES: usize = 60;

/// People send within this time, so that those who send at once come in any order.
const SOON_MS: u64 = 1_000;

/// The world of one seed of a [`Simulation`](super::Simulation): the engine, the functions, and people who send.
///
/// Time passes, and crashes come, only in [`World::until_quiet`], [`World::advance`] and [`World::call`].
pub struct World {
    host: Host,
    functions: Functions,
    seed: u64,
    horizon: Duration,
}

/// Names what somebody has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request(usize);

/// A message that lies in the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Who did not process it.
    pub to: crate::Address,
    /// What it carries.
    pub message: Message,
    /// Why.
    pub reason: Arc<str>,
}

impl World {
    pub(super) fn new(host: Host, functions: Functions, seed: u64, horizon: Duration) -> World {
        World { host, functions, seed, horizon }
    }

    pub(super) fn finish(&mut self) -> statera_sim::Report {
        hold(self.host.finish())
    }

    pub(super) fn story(&self, depth: Depth) -> String {
        match depth {
            Depth::Story => self.host.story(STORY_LINES),
            Depth::Everything => self.host.trace_tail(),
        }
    }
}

/// Sending.
impl World {
    /// Somebody sends a message within the next second, with an idempotency key, and sends it again until they know that
    /// it is accepted. Who is sent something at the same time gets it in any order: to be sure of one,
    /// [let it come to rest](World::until_quiet) in between.
    #[track_caller]
    pub fn send(&mut self, to: impl To, message: impl IntoValue) -> Request {
        self.send_after(Duration::ZERO, to, message)
    }

    /// As [`World::send`], after some time.
    #[track_caller]
    pub fn send_after(&mut self, delay: Duration, to: impl To, message: impl IntoValue) -> Request {
        let after_ms = milliseconds(delay) + self.host.random_below(SOON_MS);
        Request(self.host.send(after_ms, address(to), &encoded(message), true))
    }

    /// Somebody sends a message within the next second, once and without an idempotency key. If the engine crashes before
    /// it says that the message is [accepted](World::is_accepted), the message may have got through or not.
    #[track_caller]
    pub fn send_once(&mut self, to: impl To, message: impl IntoValue) -> Request {
        let after_ms = self.host.random_below(SOON_MS);
        Request(self.host.send(after_ms, address(to), &encoded(message), false))
    }

    /// Whether the sender knows that the engine has accepted what they sent.
    #[must_use]
    pub fn is_accepted(&self, request: Request) -> bool {
        self.host.is_acknowledged(request.0)
    }

    /// Somebody sends a message, with an idempotency key, and waits for the answer. Meanwhile everything else goes on.
    ///
    /// # Panics
    /// If nobody answers before [the horizon](super::Simulation::horizon), or with something else; if the message is given
    /// up; if something is wrong with the world.
    #[track_caller]
    pub fn call<R: Argument>(&mut self, to: impl To, message: impl IntoValue) -> R {
        let to = address(to);
        let answer = self.host.call(to.clone(), &encoded(message), milliseconds(self.horizon));
        match hold(answer) {
            Answer::Value(value) => R::from_message(&value).unwrap_or_else(|error| {
                panic!("`{to}` answered `{}`: {error}", Message::from(value.clone()))
            }),
            Answer::DeadLettered { reason, .. } => panic!("the call of `{to}` failed: {reason}"),
        }
    }
}

/// Driving.
impl World {
    /// Lets everything happen that is going on, until all that was sent is accepted and processed, all records have
    /// arrived, and no delayed message is due before [the horizon](super::Simulation::horizon).
    ///
    /// # Panics
    /// If something is wrong.
    #[track_caller]
    pub fn until_quiet(&mut self) {
        hold(self.host.rest(milliseconds(self.horizon)));
    }

    /// Lets time pass, and what was going on by then come to its end.
    ///
    /// # Panics
    /// If something is wrong.
    #[track_caller]
    pub fn advance(&mut self, time: Duration) {
        hold(self.host.advance(milliseconds(time)));
    }

    /// The engine crashes now, besides the crashes that come by themselves.
    ///
    /// # Panics
    /// If something is wrong.
    #[track_caller]
    pub fn crash(&mut self) {
        hold(self.host.crash());
    }

    /// A number from 0 to `end`, `end` excluded, that depends on the seed: for scripts that are not always the same.
    pub fn random(&mut self, end: u64) -> u64 {
        self.host.random_below(end)
    }
}

/// Looking. What is seen is durable: after [`World::until_quiet`] or [`World::advance`] that is everything.
impl World {
    /// The value of a state; `None` if there is none, or it has expired.
    ///
    /// # Panics
    /// If the function is not there, did not declare the cell, or the value can't be decoded.
    #[must_use]
    #[track_caller]
    pub fn state<T: Value>(&self, of: impl To, cell: Cell<T>) -> Option<T> {
        let of = address(of);
        let Some(function) = self.functions.get(&of.function) else {
            panic!("function `{}` is not here", of.function);
        };
        let spec = cell.spec();
        assert!(
            function.specs().contains(&spec),
            "cell `{}` is not declared so by function `{}`",
            cell.name(),
            of.function
        );
        let decoded = T::from_typed_value(&self.host.state(&of, &spec)?);
        Some(decoded.unwrap_or_else(|error| panic!("cell `{}` of `{of}`: {error}", cell.name())))
    }

    /// The records that have arrived where an egress leads, in order.
    ///
    /// # Panics
    /// If the name is none.
    #[must_use]
    #[track_caller]
    pub fn egress(&self, egress: impl ToName) -> Vec<Emitted> {
        let egress = egress.to_name().unwrap_or_else(|error| panic!("{error}"));
        let arrived = self.host.arrived(&egress).into_iter();
        let emitted = |(from, record): (_, _)| Emitted {
            from,
            egress: egress.clone(),
            record: Message::from(record),
        };
        arrived.map(emitted).collect()
    }

    /// The delayed messages that are pending, soonest first.
    #[must_use]
    pub fn delayed(&self) -> Vec<Pending> {
        let now_ms = self.host.now_ms();
        let pending = self.host.waiting().into_iter().map(|waiting| Pending {
            from: waiting.sender,
            to: waiting.target,
            message: waiting.argument.into(),
            due_in: Duration::from_millis(waiting.due_ms.saturating_sub(now_ms)),
            token: waiting.token,
        });
        pending.collect()
    }

    /// The messages in the dead letters, if failures are [kept](super::Simulation::keeping_failures).
    #[must_use]
    pub fn failures(&self) -> Vec<GivenUp> {
        let given_up = self.host.given_up().into_iter().map(|given_up| GivenUp {
            to: given_up.target,
            message: given_up.argument.into(),
            reason: given_up.reason,
        });
        given_up.collect()
    }

    /// How much time has passed.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_millis(self.host.now_ms())
    }

    /// The seed of this world.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

#[track_caller]
fn hold<T>(result: Result<T, Violation>) -> T {
    result.unwrap_or_else(|violation| panic!("{violation}"))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a time that can pass")
}
