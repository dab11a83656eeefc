//! The runtime of a test: a clock, states, timers, and what was sent.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use statera_model::{
    Address, Delayed, Failure, FailureKind, FunctionType, Mutation, Name, Outgoing, Reply,
    StateChange, StateSpec, TypedValue,
};

use super::batch::TestBatch;
use super::states::States;
use super::timers::Timers;
use super::wait::wait;
use crate::app::App;
use crate::cell::Cell;
use crate::function::{Function, Functions};
use crate::message::Message;
use crate::target::To;
use crate::value::{Argument, IntoValue, Value};

/// The most messages that are delivered by one call: functions that send to each other for ever end here.
const DELIVERIES_MAX: usize = 10_000;

/// Functions and all that a runtime would do for them. Deterministic: time stands still but for [`Harness::advance`], and
/// messages are delivered in the order in which they were sent.
#[derive(Debug)]
pub struct Harness {
    functions: Functions,
    routing: bool,
    now_ms: u64,
    states: States,
    timers: Timers,
    sent: Vec<Sent>,
    egress: Vec<Emitted>,
    failures: Option<Vec<Failure>>,
    calls: u64,
    transcript: String,
}

/// A message that a function has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Who sent it.
    pub from: Address,
    /// Whom it is for.
    pub to: Address,
    /// What it carries.
    pub message: Message,
}

/// A delayed message that is not due yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Who sent it.
    pub from: Address,
    /// Whom it is for.
    pub to: Address,
    /// What it carries.
    pub message: Message,
    /// How far off it is.
    pub due_in: Duration,
    /// The token by which it can be cancelled.
    pub token: Option<Arc<str>>,
}

/// A record that a function has handed to an egress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// Which function.
    pub from: Address,
    /// Which egress.
    pub egress: Name,
    /// The record.
    pub record: Message,
}

/// Setting up.
impl Harness {
    /// Takes the functions of an app. Messages are delivered only where a test says so: what a function sends is kept, to
    /// be looked at with [`Harness::sent`].
    ///
    /// # Panics
    /// If a registration is wrong.
    #[must_use]
    pub fn new(app: App) -> Harness {
        Harness {
            functions: app.build().unwrap_or_else(|error| panic!("{error}")),
            routing: false,
            now_ms: 0,
            states: States::default(),
            timers: Timers::default(),
            sent: Vec::new(),
            egress: Vec::new(),
            failures: None,
            calls: 0,
            transcript: String::new(),
        }
    }

    /// Messages between the functions of the app are delivered by themselves; those for others are kept.
    #[must_use]
    pub fn routing(mut self) -> Harness {
        self.routing = true;
        self
    }

    /// Functions may fail: their messages are given up, as if they went to the dead letters, and
    /// [`Harness::failures`] says why. Without this a failure is a panic.
    #[must_use]
    pub fn keeping_failures(mut self) -> Harness {
        self.failures = Some(Vec::new());
        self
    }

    /// Sets a state, as if the function had done so now.
    ///
    /// # Panics
    /// If the function is not there, or did not declare the cell.
    pub fn set_state<T: Value>(&mut self, of: impl To, cell: Cell<T>, value: T) {
        let of = address(of);
        let state = self.spec(&of, cell).name.clone();
        let change = StateChange::Modify(encoded(value));
        self.states.change(&of, state, change, self.now_ms);
    }
}

/// Driving.
impl Harness {
    /// Delivers a message without a caller, as from an ingress.
    ///
    /// # Panics
    /// If the function is not there or fails.
    pub fn send(&mut self, to: impl To, message: impl IntoValue) {
        let result = self.deliver(None, address(to), vec![encoded(message)]);
        self.check(result);
        self.route();
    }

    /// Delivers a message that another function has sent.
    ///
    /// # Panics
    /// If the function is not there or fails.
    pub fn send_from(&mut self, caller: impl To, to: impl To, message: impl IntoValue) {
        let result = self.deliver(Some(address(caller)), address(to), vec![encoded(message)]);
        self.check(result);
        self.route();
    }

    /// Delivers several messages in one batch, as a runtime does for messages that had to wait.
    ///
    /// # Panics
    /// If the function is not there or fails.
    pub fn send_batch<M: IntoValue>(&mut self, to: impl To, messages: impl IntoIterator<Item = M>) {
        let messages = messages.into_iter().map(encoded).collect();
        let result = self.deliver(None, address(to), messages);
        self.check(result);
        self.route();
    }

    /// As [`Harness::send`], for a function that is expected to fail.
    ///
    /// # Errors
    /// If the function fails on this message. Failures further down the line are panics, or
    /// [kept](Harness::keeping_failures).
    pub fn try_send(&mut self, to: impl To, message: impl IntoValue) -> Result<(), Failure> {
        self.deliver(None, address(to), vec![encoded(message)])?;
        self.route();
        Ok(())
    }

    /// Delivers a message with a caller that waits for an answer, and returns the first one.
    ///
    /// # Panics
    /// If the function is not there or fails, if nobody answers, or answers something else.
    pub fn call<R: Argument>(&mut self, to: impl To, message: impl IntoValue) -> R {
        let to = address(to);
        self.calls += 1;
        let caller =
            Address::new(FunctionType::from_parts("test", "caller"), self.calls.to_string());
        self.send_from(&caller, &to, message);
        let answer = self.sent.iter().position(|sent| sent.to == caller);
        let answer = answer.unwrap_or_else(|| panic!("nobody answered the call of `{to}`"));
        let answer = self.sent.remove(answer).message;
        R::from_message(answer.typed_value())
            .unwrap_or_else(|error| panic!("`{to}` answered `{answer}`: {error}"))
    }

    /// Delivers what the functions of the app have sent to each other, until nothing is left. What is for others stays.
    ///
    /// # Panics
    /// If a function fails, or they do not come to an end.
    pub fn run_until_idle(&mut self) {
        for _ in 0..DELIVERIES_MAX {
            let functions = &self.functions;
            let here = |sent: &Sent| functions.get(&sent.to.function).is_some();
            let Some(next) = self.sent.iter().position(here) else { return };
            let Sent { from, to, message } = self.sent.remove(next);
            let result = self.deliver(Some(from), to, vec![message.into()]);
            self.check(result);
        }
        panic!("the functions are still busy after {DELIVERIES_MAX} messages");
    }

    /// Lets time pass. Delayed messages that become due meanwhile are delivered, each at its time; those for functions
    /// that are not here are kept as sent.
    ///
    /// # Panics
    /// If a function fails, or they do not come to an end.
    pub fn advance(&mut self, time: Duration) {
        let by_ms = self.now_ms + u64::try_from(time.as_millis()).expect("a time that can pass");
        let mut deliveries = 0;
        while let Some((due_ms, timer)) = self.timers.pop(by_ms) {
            deliveries += 1;
            assert!(deliveries <= DELIVERIES_MAX, "more than {DELIVERIES_MAX} delayed messages");
            self.now_ms = self.now_ms.max(due_ms);
            let Outgoing { target, argument } = timer.message;
            if self.functions.get(&target.function).is_some() {
                let result = self.deliver(Some(timer.from), target, vec![argument]);
                self.check(result);
            } else {
                let (from, message) = (timer.from, argument.into());
                self.sent.push(Sent { from, to: target, message });
            }
            self.route();
        }
        self.now_ms = by_ms;
    }

    fn route(&mut self) {
        if self.routing {
            self.run_until_idle();
        }
    }

    fn check(&mut self, result: Result<(), Failure>) {
        match (result, &mut self.failures) {
            (Ok(()), _) => {}
            (Err(failure), Some(failures)) => failures.push(failure),
            (Err(failure), None) => panic!("{failure}"),
        }
    }
}

/// Looking.
impl Harness {
    /// The value of a state; `None` if there is none, or it has expired.
    ///
    /// # Panics
    /// If the function is not there, did not declare the cell, or the value can't be decoded.
    #[must_use]
    pub fn state<T: Value>(&self, of: impl To, cell: Cell<T>) -> Option<T> {
        let of = address(of);
        let value = self.states.peek(&of, self.spec(&of, cell), self.now_ms)?;
        let decoded = T::from_typed_value(value);
        Some(decoded.unwrap_or_else(|error| panic!("cell `{}` of `{of}`: {error}", cell.name())))
    }

    /// The messages that were sent and not delivered, in order.
    #[must_use]
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// As [`Harness::sent`], and forgets them.
    pub fn take_sent(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    /// The delayed messages that are pending, soonest first.
    #[must_use]
    pub fn delayed(&self) -> Vec<Pending> {
        let pending = self.timers.iter().map(|(due_ms, timer)| Pending {
            from: timer.from.clone(),
            to: timer.message.target.clone(),
            message: timer.message.argument.clone().into(),
            due_in: Duration::from_millis(due_ms.saturating_sub(self.now_ms)),
            token: timer.token.clone(),
        });
        pending.collect()
    }

    /// The records that went to egresses, in order.
    #[must_use]
    pub fn egress(&self) -> &[Emitted] {
        &self.egress
    }

    /// As [`Harness::egress`], and forgets them.
    pub fn take_egress(&mut self) -> Vec<Emitted> {
        std::mem::take(&mut self.egress)
    }

    /// What failed, if failures are [kept](Harness::keeping_failures).
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        self.failures.as_deref().unwrap_or_default()
    }

    /// How much time has passed.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_millis(self.now_ms)
    }

    /// All that has happened so far, as text: a line for each message, and one for each of its effects. Made to be
    /// compared with a golden text.
    #[must_use]
    pub fn transcript(&self) -> &str {
        &self.transcript
    }
}

/// Delivering.
impl Harness {
    fn deliver(
        &mut self,
        caller: Option<Address>,
        to: Address,
        messages: Vec<TypedValue>,
    ) -> Result<(), Failure> {
        let function = self.function(&to).clone();
        let read = |spec: &StateSpec| (spec.name.clone(), self.states.read(&to, spec, self.now_ms));
        let states = function.specs().iter().map(read).collect();
        self.note_messages(&caller, &to, &messages);
        let messages = messages.into_iter().map(|message| (caller.clone(), message)).collect();
        let batch = TestBatch { target: to.clone(), states, messages };
        let result = wait(function.invoke_async(Arc::new(batch)));
        let result = result.and_then(|reply| self.apply(&to, reply));
        if let Err(failure) = &result {
            let what = match failure.kind {
                FailureKind::Fatal => "dead letter",
                FailureKind::Unavailable => "unavailable",
                FailureKind::Rejected | FailureKind::TooLarge => "failed",
            };
            self.note(format_args!("  {what}: {failure}"));
        }
        result
    }

    /// In the order of a runtime, all or nothing.
    fn apply(&mut self, from: &Address, reply: Reply) -> Result<(), Failure> {
        let Reply { messages, delayed, egress, mutations } = reply;
        let mut timers = self.timers.clone();
        timers.apply(from, delayed.clone(), self.now_ms)?;
        self.timers = timers;
        for Outgoing { target: to, argument } in messages {
            let message = Message::from(argument);
            self.note(format_args!("  -> {to}: {message}"));
            self.sent.push(Sent { from: from.clone(), to, message });
        }
        for entry in &delayed {
            self.note_delayed(entry);
        }
        for record in egress {
            let (egress, record) = (record.egress, Message::from(record.argument));
            self.note(format_args!("  => {egress}: {record}"));
            self.egress.push(Emitted { from: from.clone(), egress, record });
        }
        for Mutation { state, change } in mutations {
            match &change {
                StateChange::Delete => self.note(format_args!("  {state} removed")),
                StateChange::Modify(value) => {
                    self.note(format_args!("  {state} = {}", Message::from(value.clone())));
                }
            }
            self.states.change(from, state, change, self.now_ms);
        }
        Ok(())
    }

    fn function(&self, of: &Address) -> &Function {
        let function = self.functions.get(&of.function);
        function.unwrap_or_else(|| panic!("function `{}` is not here", of.function))
    }

    fn spec<T: Value>(&self, of: &Address, cell: Cell<T>) -> &StateSpec {
        let specs = self.function(of).specs();
        let spec = specs.iter().find(|spec| **spec == cell.spec());
        spec.unwrap_or_else(|| {
            panic!("cell `{}` is not declared so by function `{}`", cell.name(), of.function)
        })
    }

    fn note_messages(&mut self, caller: &Option<Address>, to: &Address, messages: &[TypedValue]) {
        let from = caller.as_ref().map(|caller| format!(" from {caller}")).unwrap_or_default();
        for message in messages {
            let message = Message::from(message.clone());
            let at = span(self.now_ms);
            self.note(format_args!("{at} {to}{from}: {message}"));
        }
    }

    fn note_delayed(&mut self, entry: &Delayed) {
        match entry {
            Delayed::Send { delay_ms, message: Outgoing { target, argument }, token } => {
                let delay = span(*delay_ms as u64);
                let message = Message::from(argument.clone());
                let token = token.as_ref().map(|token| format!(" `{token}`")).unwrap_or_default();
                self.note(format_args!("  -> {target} in {delay}{token}: {message}"));
            }
            Delayed::Cancel { token } => self.note(format_args!("  cancels `{token}`")),
        }
    }

    fn note(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.transcript, "{line}").expect("text can be written to text");
    }
}

#[track_caller]
pub(super) fn address(to: impl To) -> Address {
    to.to().unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
pub(super) fn encoded(value: impl IntoValue) -> TypedValue {
    value.into_value().unwrap_or_else(|error| panic!("{error}"))
}

/// A time for people: `0s`, `1min30s`, `30d`.
fn span(mut ms: u64) -> String {
    let mut text = String::new();
    for (unit, length_ms) in
        [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)]
    {
        if ms >= length_ms {
            text += &format!("{}{unit}", ms / length_ms);
            ms %= length_ms;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}
