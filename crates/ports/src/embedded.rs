//! Functions that live in the process of the engine.

use std::fmt;
use std::sync::Arc;

use statera_model::{Address, Failure, FunctionType, Id, LocalReply, Reply, StateSpec, TypedValue};

use crate::BoxFuture;

/// One invocation as its host sees it: the messages for one address, in order, with the values of its state. It is lent
/// to the function; nothing of it is copied or decoded before the function asks.
pub trait Batch: Sync {
    /// The function type that is invoked.
    fn function(&self) -> &FunctionType;

    /// The id for which it is invoked.
    fn id(&self) -> &Id;

    /// Both of them.
    fn target(&self) -> Address {
        Address { function: self.function().clone(), id: self.id().clone() }
    }

    /// The value of a state, if there is one. `index` is its place among the states which the function declares, for
    /// hosts that keep states in that order; `name` is its name, for the others.
    fn state(&self, index: usize, name: &str) -> Option<&TypedValue>;

    /// How many messages there are.
    fn messages(&self) -> usize;

    /// The place of the first message.
    fn first(&self) -> usize {
        0
    }

    /// The place of the message behind the one at `place`. Not called for the last one.
    fn after(&self, place: usize) -> usize {
        place + 1
    }

    /// The message at a place: who sent it (`None` if it came from outside), and what it carries. Only called with what
    /// [`Batch::first`] and [`Batch::after`] have returned.
    fn message(&self, place: usize) -> (Option<&Address>, &TypedValue);
}

/// A function linked into the process. It must not panic: whoever implements this catches what users' code throws.
pub trait Embedded: Send + Sync {
    /// Its type.
    fn name(&self) -> &FunctionType;

    /// The states it must be invoked with, in the order in which a [`Batch`] has them.
    fn states(&self) -> &[StateSpec];

    /// Whether it waits for something while it runs, so that it must be [started](Embedded::start).
    fn waits(&self) -> bool;

    /// Invokes it on this thread, the thread of a shard, which does nothing else meanwhile. What it did is added to
    /// `reply`, which comes empty and may have room.
    ///
    /// # Errors
    /// If the function fails. What is in `reply` counts for nothing then.
    fn invoke(&self, batch: &dyn Batch, reply: &mut LocalReply) -> Result<(), Failure>;

    /// Invokes it as a task on the thread of the shard. Dropping the future stops it; nothing it did counts then.
    fn start(&self, batch: Arc<dyn Batch + Send>) -> BoxFuture<'static, Result<Reply, Failure>>;
}

impl fmt::Debug for dyn Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Embedded").field(self.name()).finish()
    }
}
