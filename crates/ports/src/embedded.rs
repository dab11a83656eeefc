//! Functions that live in the process of the engine.

use std::fmt;
use std::sync::Arc;

use statera_model::{Address, Failure, FunctionType, Reply, StateSpec, TypedValue};

use crate::BoxFuture;

/// One invocation as its host sees it: the messages for one address, in order, with the values of its state. It is lent
/// to the function; nothing of it is copied or decoded before the function asks.
pub trait Batch: Sync {
    /// Who is invoked.
    fn target(&self) -> &Address;

    /// The value of a state, if there is one. `index` is its place among the states which the function declares, for
    /// hosts that keep states in that order; `name` is its name, for the others.
    fn state(&self, index: usize, name: &str) -> Option<&TypedValue>;

    /// How many messages there are.
    fn messages(&self) -> usize;

    /// A message, counted from zero: who sent it (`None` if it came from outside), and what it carries. Not called with
    /// an index that is not less than [`Batch::messages`].
    fn message(&self, index: usize) -> (Option<&Address>, &TypedValue);
}

/// A function linked into the process. It must not panic: whoever implements this catches what users' code throws.
pub trait Embedded: Send + Sync {
    /// Its type.
    fn name(&self) -> &FunctionType;

    /// The states it must be invoked with, in the order in which a [`Batch`] has them.
    fn states(&self) -> &[StateSpec];

    /// Invokes it on this thread, the thread of a shard, which does nothing else meanwhile. `None` if it must be
    /// [started](Embedded::start) instead, because it waits for something.
    fn invoke(&self, batch: &dyn Batch) -> Option<Result<Reply, Failure>>;

    /// Invokes it as a task on the thread of the shard. Dropping the future stops it; nothing it did counts then.
    fn start(&self, batch: Arc<dyn Batch + Send>) -> BoxFuture<'static, Result<Reply, Failure>>;
}

impl fmt::Debug for dyn Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Embedded").field(self.name()).finish()
    }
}
