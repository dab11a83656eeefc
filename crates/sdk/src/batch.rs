//! What a host hands to a function, as it came over the wire.

use statera_model::{Address, FunctionType, Id, TypedValue};
use statera_ports::Batch;
use statera_protocol::OwnedRequest;

/// A batch that was received as a request.
pub(crate) struct Received(pub(crate) OwnedRequest);

impl Batch for Received {
    fn function(&self) -> &FunctionType {
        &self.0.target.function
    }

    fn id(&self) -> &Id {
        &self.0.target.id
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
