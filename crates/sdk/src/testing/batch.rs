//! A batch made by a test.

use std::sync::Arc;

use statera_model::{Address, FunctionType, Id, TypedValue};
use statera_ports::Batch;

pub(super) struct TestBatch {
    pub(super) target: Address,
    /// In the order of the declared states.
    pub(super) states: Vec<(Arc<str>, Option<TypedValue>)>,
    pub(super) messages: Vec<(Option<Address>, TypedValue)>,
}

impl Batch for TestBatch {
    fn function(&self) -> &FunctionType {
        &self.target.function
    }

    fn id(&self) -> &Id {
        &self.target.id
    }

    fn state(&self, index: usize, name: &str) -> Option<&TypedValue> {
        let (known, value) = &self.states[index];
        assert_eq!(**known, *name, "states are asked for as they were declared");
        value.as_ref()
    }

    fn messages(&self) -> usize {
        self.messages.len()
    }

    fn message(&self, index: usize) -> (Option<&Address>, &TypedValue) {
        let (caller, argument) = &self.messages[index];
        (caller.as_ref(), argument)
    }
}
