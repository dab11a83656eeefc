//! What a host hands to a function: an address, its state, and messages.

use statera_model::{Address, TypedValue};
use statera_protocol::OwnedRequest;

/// One invocation as its host sees it: the messages for one address, in order, with the values of its state. A host lends
/// this to [`Function::invoke`](crate::Function::invoke); nothing of it is copied or decoded before the function asks.
pub trait Batch: Sync {
    /// Who is invoked.
    fn target(&self) -> &Address;

    /// The value of a state, if there is one. `index` is its place among [`Function::specs`](crate::Function::specs),
    /// for hosts that keep states in that order; `name` is its name, for the others.
    fn state(&self, index: usize, name: &str) -> Option<&TypedValue>;

    /// How many messages there are.
    fn messages(&self) -> usize;

    /// A message, counted from zero: who sent it (`None` if it came from outside), and what it carries. Not called with
    /// an index that is not less than [`Batch::messages`].
    fn message(&self, index: usize) -> (Option<&Address>, &TypedValue);
}

/// A batch that was received as a request.
pub(crate) struct Received(pub(crate) OwnedRequest);

impl Batch for Received {
    fn target(&self) -> &Address {
        &self.0.target
    }

    fn state(&self, index: usize, name: &str) -> Option<&TypedValue> {
        // Most runtimes send states in the order in which they were declared.
        let states = &self.0.states;
        let at_index = states.get(index).filter(|state| *state.name == *name);
        at_index.or_else(|| states.iter().find(|state| *state.name == *name))?.value.as_ref()
    }

    fn messages(&self) -> usize {
        self.0.invocations.len()
    }

    fn message(&self, index: usize) -> (Option<&Address>, &TypedValue) {
        let message = &self.0.invocations[index];
        (message.caller.as_ref(), &message.argument)
    }
}
