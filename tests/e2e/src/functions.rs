//! Functions as closures, with state: as much of an SDK as the tests need.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use statera_model::{
    Address, Delayed, Egress, Expiration, Mutation, Name, Outcome, Outgoing, Reply, StateChange,
    StateSpec, TypedValue,
};
use statera_protocol::{OwnedRequest, decode_request};

use crate::server::Reaction;

/// The typename of JSON messages and states.
const JSON: &str = "e2e/Json";

/// Who is the caller of a message that came as a call.
const CALL_FUNCTION: &str = "io.statera/call";

/// JSON as a value.
///
/// # Panics
/// Never: JSON values can be written.
#[must_use]
pub fn json(value: &Value) -> TypedValue {
    TypedValue::new(JSON, value.to_string().as_bytes())
}

/// A value as JSON.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn to_json(value: &TypedValue) -> Value {
    serde_json::from_slice(value.value()).expect("a message of JSON")
}

type Handler = dyn Fn(&mut Context, &Value) + Send + Sync;

pub(crate) struct Function {
    pub(crate) states: &'static [&'static str],
    handler: Box<Handler>,
}

/// A set of functions; what they get and keep is JSON.
#[derive(Default)]
pub struct Functions(pub(crate) BTreeMap<&'static str, Function>);

impl Functions {
    /// Adds a function with the names of its states.
    #[must_use]
    pub fn with(
        mut self,
        typename: &'static str,
        states: &'static [&'static str],
        handler: impl Fn(&mut Context, &Value) + Send + Sync + 'static,
    ) -> Functions {
        self.0.insert(typename, Function { states, handler: Box::new(handler) });
        self
    }

    /// Answers a request: 500 for a function that is not there.
    ///
    /// # Panics
    /// If the request is malformed.
    #[must_use]
    pub fn react(&self, body: Bytes) -> Reaction {
        let request = decode_request(body).expect("the engine sends requests");
        match self.0.get(request.target.function.as_str()) {
            Some(function) => Reaction::Reply(function.run(request)),
            None => Reaction::Status(500, format!("no function `{}`", request.target.function)),
        }
    }
}

impl Function {
    fn run(&self, request: OwnedRequest) -> Outcome {
        let sent: BTreeSet<&str> = request.states.iter().map(|state| &*state.name).collect();
        let missing: Vec<StateSpec> = self
            .states
            .iter()
            .filter(|name| !sent.contains(**name))
            .map(|name| StateSpec {
                name: (*name).into(),
                typename: JSON.into(),
                expiration: Expiration::Never,
            })
            .collect();
        if !missing.is_empty() {
            return Outcome::Incomplete(missing);
        }
        let values = request.states.into_iter().filter_map(|state| {
            let value = state.value.filter(TypedValue::has_value)?;
            Some((state.name, to_json(&value)))
        });
        let mut context = Context::new(request.target, values.collect());
        for invocation in request.invocations {
            context.caller = invocation.caller;
            (self.handler)(&mut context, &to_json(&invocation.argument));
        }
        Outcome::Complete(context.finish())
    }

    /// Handles one message.
    pub(crate) fn handle(
        &self,
        own: Address,
        caller: Option<Address>,
        states: BTreeMap<Arc<str>, Value>,
        message: &Value,
    ) -> Reply {
        let mut context = Context { caller, ..Context::new(own, states) };
        (self.handler)(&mut context, message);
        context.finish()
    }
}

/// What a function can do while it handles a message.
#[derive(Debug)]
pub struct Context {
    own: Address,
    caller: Option<Address>,
    states: BTreeMap<Arc<str>, Value>,
    changed: BTreeSet<Arc<str>>,
    reply: Reply,
}

impl Context {
    fn new(own: Address, states: BTreeMap<Arc<str>, Value>) -> Context {
        Context { own, caller: None, states, changed: BTreeSet::new(), reply: Reply::default() }
    }

    /// The own id.
    #[must_use]
    pub fn id(&self) -> String {
        self.own.id.to_string()
    }

    /// A state; null if there is none.
    #[must_use]
    pub fn get(&self, state: &str) -> Value {
        self.states.get(state).cloned().unwrap_or_default()
    }

    /// A state that is a number; 0 if there is none.
    #[must_use]
    pub fn number(&self, state: &str) -> i64 {
        self.get(state).as_i64().unwrap_or(0)
    }

    /// Sets a state.
    pub fn set(&mut self, state: &str, value: impl Into<Value>) {
        self.states.insert(state.into(), value.into());
        self.changed.insert(state.into());
    }

    /// Adds to a state that is a number, and returns the sum.
    pub fn add(&mut self, state: &str, amount: i64) -> i64 {
        let sum = self.number(state) + amount;
        self.set(state, sum);
        sum
    }

    /// Sends a message.
    pub fn send(&mut self, function: &str, id: &str, value: &Value) {
        self.reply.messages.push(outgoing(function, id, value));
    }

    /// Sends a message later, under a token by which it can be cancelled.
    pub fn send_after(
        &mut self,
        delay: Duration,
        token: Option<&str>,
        (function, id): (&str, &str),
        value: &Value,
    ) {
        self.reply.delayed.push(Delayed::Send {
            delay_ms: delay.as_millis() as i64,
            message: outgoing(function, id, value),
            token: token.map(Into::into),
        });
    }

    /// Cancels what was sent under a token.
    pub fn cancel(&mut self, token: &str) {
        self.reply.delayed.push(Delayed::Cancel { token: token.into() });
    }

    /// Hands a record to an egress.
    pub fn emit(&mut self, egress: &str, value: &Value) {
        self.emit_value(egress, json(value));
    }

    /// Hands a record that is not JSON to an egress.
    pub fn emit_value(&mut self, egress: &str, argument: TypedValue) {
        self.reply.egress.push(Egress { egress: name(egress), argument });
    }

    /// Answers a call from outside; does nothing if another function sent the message.
    pub fn answer(&mut self, value: impl Into<Value>) {
        let from_outside = |caller: &Address| caller.function.as_str() == CALL_FUNCTION;
        if let Some(target) = self.caller.clone().filter(from_outside) {
            self.reply.messages.push(Outgoing { target, argument: json(&value.into()) });
        }
    }

    fn finish(mut self) -> Reply {
        for state in self.changed {
            let change = StateChange::Modify(json(&self.states[&state]));
            self.reply.mutations.push(Mutation { state, change });
        }
        self.reply
    }
}

fn outgoing(function: &str, id: &str, value: &Value) -> Outgoing {
    Outgoing { target: Address::new(name(function), id), argument: json(value) }
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("tests use proper names")
}
