//! What a function answers to a batch of messages: the effects to apply, all or none.

use std::sync::Arc;

use crate::{Address, Name, TypedValue};

/// Which egress a record goes to, `namespace/name`.
pub type EgressId = Name;

/// The answer to one invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The function ran; these are its effects.
    Complete(Reply),
    /// The function did not run: it needs these states with the request. Send the same messages again with them.
    Incomplete(Vec<StateSpec>),
}

/// The effects of a function on a batch of messages, in the order in which they are applied: messages, delayed
/// messages and cancellations, egress records, state changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Messages to other functions, in send order.
    pub messages: Vec<Outgoing>,
    /// Delayed sends and cancellations, in list order.
    pub delayed: Vec<Delayed>,
    /// Records for the world outside, in order.
    pub egress: Vec<Egress>,
    /// Changes of the state of the invoked address, in order.
    pub mutations: Vec<Mutation>,
}

/// The answer of a function in the process of the engine: as [`Reply`], but states are named by their places among those which
/// the function declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalReply {
    /// Messages to other functions, in send order.
    pub messages: Vec<Outgoing>,
    /// Delayed sends and cancellations, in list order.
    pub delayed: Vec<Delayed>,
    /// Records for the world outside, in order.
    pub egress: Vec<Egress>,
    /// Changes of the state of the invoked address, in order.
    pub changes: Vec<Change>,
}

/// A change of the state value at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The place of the state among those which the function declares.
    pub place: usize,
    /// Its new value; `None` if it is removed.
    pub value: Option<TypedValue>,
}

impl LocalReply {
    /// The same with the names of the states. `declared` are those which the function declares.
    ///
    /// # Panics
    /// If a change is of none of them.
    #[must_use]
    pub fn named(self, declared: &[StateSpec]) -> Reply {
        let LocalReply { messages, delayed, egress, changes } = self;
        let named = |Change { place, value }| Mutation {
            state: declared[place].name.clone(),
            change: value.map_or(StateChange::Delete, StateChange::Modify),
        };
        let mutations = changes.into_iter().map(named).collect();
        Reply { messages, delayed, egress, mutations }
    }
}

/// A message to a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Who receives it.
    pub target: Address,
    /// What it carries.
    pub argument: TypedValue,
}

/// An entry of the list of delayed messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delayed {
    /// Send later.
    Send {
        /// Milliseconds from the moment at which the reply is applied. As on the wire: negative values are refused when
        /// the reply is applied.
        delay_ms: i64,
        /// The message.
        message: Outgoing,
        /// The name under which it can be cancelled, unique among the pending ones of the sender's id.
        token: Option<Arc<str>>,
    },
    /// Cancel what was sent with this token. As on the wire: an empty token is refused when the reply is applied.
    Cancel {
        /// The token of the message to cancel.
        token: Arc<str>,
    },
}

/// A record for an egress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Where it leaves.
    pub egress: EgressId,
    /// What leaves.
    pub argument: TypedValue,
}

/// A change of one state value of the invoked address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// The name of the state.
    pub state: Arc<str>,
    /// What happens to it.
    pub change: StateChange,
}

/// What a [`Mutation`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateChange {
    /// The value is removed.
    Delete,
    /// The value is replaced.
    Modify(TypedValue),
}

/// A state which a function declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateSpec {
    /// The name of the state, unique within a function type.
    pub name: Arc<str>,
    /// The typename of its values, `namespace/name`; [`crate::UNSET_TYPENAME`] if the function named none.
    pub typename: Arc<str>,
    /// When its value is forgotten.
    pub expiration: Expiration,
}

/// When a state value is forgotten. Durations are milliseconds of wall-clock time and as on the wire: what is not
/// positive is refused when the state is registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiration {
    /// Never.
    #[default]
    Never,
    /// This long after the last modification.
    AfterWrite {
        /// Milliseconds.
        ttl_ms: i64,
    },
    /// This long after the last modification, or the last time the value was sent to its function.
    AfterInvoke {
        /// Milliseconds.
        ttl_ms: i64,
    },
}
