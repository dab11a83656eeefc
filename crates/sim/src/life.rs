//! What lives in a world: its functions, and those outside who use them. There are two kinds: the seeded life knows
//! beforehand what must come of everything, hosted functions are watched while they run.

use std::fmt;
use std::sync::Arc;

use statera_core::{Directory, Invocation};
use statera_model::{
    Address, EgressId, Failure, FunctionType, Id, Outcome, Reply, StateSpec, TypedValue,
};
use statera_ports::{Accepts, Answer, Batch, Refusal};

use crate::violation::Checked;
use crate::world::World;

pub(crate) trait Life: Sized {
    /// Something outside that is going to happen.
    type Event: fmt::Debug;

    fn directory(&self) -> Directory;

    fn egresses(&self) -> Vec<(EgressId, Accepts)>;

    /// The states of a type, as far as it declares them.
    fn states(&self, function: &FunctionType) -> Vec<StateSpec>;

    /// Whether functions of a type are linked into the process and don't wait: those run on the spot.
    fn is_linked(&self, function: &FunctionType) -> bool;

    /// What a value is to people.
    fn show(&self, value: &TypedValue) -> String;

    /// What a reply is to people.
    fn show_reply(&self, reply: &Reply) -> String {
        format!(
            "answers {} messages, {} delays, {} records",
            reply.messages.len(),
            reply.delayed.len(),
            reply.egress.len()
        )
    }

    /// A function is asked.
    fn answer(world: &mut World<Self>, asked: Asked) -> Checked<Attempt>;

    fn happen(world: &mut World<Self>, event: Self::Event) -> Checked;

    /// A person hears that their request is accepted, or is answered.
    fn accepted(world: &mut World<Self>, person: usize, answer: Option<&Answer>) -> Checked;

    /// A person hears that their request will never be accepted.
    fn refused(world: &mut World<Self>, person: usize, refusal: &Refusal) -> Checked;

    /// A process has started.
    fn started(world: &mut World<Self>) -> Checked;

    /// What must hold for the durable image at any time.
    fn check_image(world: &World<Self>) -> Checked;

    /// The image is checked after one in so many epochs.
    fn check_one_in(&self) -> u64;
}

/// What a function is asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) target: Address,
    /// The states that were sent, in the order in which they were declared.
    pub(crate) states: Vec<(Arc<str>, Option<TypedValue>)>,
    pub(crate) messages: Vec<(Option<Address>, TypedValue)>,
}

impl Asked {
    pub(crate) fn of(batch: Invocation<'_>) -> Asked {
        let states = batch.states().map(|(name, value)| (name.into(), value.cloned()));
        let messages = batch.messages().map(|(caller, value)| (caller.cloned(), value.clone()));
        Asked { target: batch.target(), states: states.collect(), messages: messages.collect() }
    }

    /// As a function in the process sees it: nothing but what it reads, by places.
    pub(crate) fn lent(invocation: &Invocation<'_>) -> Asked {
        let batch: &dyn Batch = invocation;
        let names = invocation.states().map(|(name, _)| name).enumerate();
        let states = names.map(|(place, name)| (name.into(), batch.state(place, name).cloned()));
        let (mut messages, mut place) = (Vec::new(), batch.first());
        for number in 0..batch.messages() {
            if number > 0 {
                place = batch.after(place);
            }
            let (caller, argument) = batch.message(place);
            messages.push((caller.cloned(), argument.clone()));
        }
        Asked { target: batch.target(), states: states.collect(), messages }
    }

    pub(crate) fn has(&self, state: &str) -> bool {
        self.states.iter().any(|(name, _)| **name == *state)
    }
}

impl Batch for Asked {
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

/// What comes of asking.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) answered: Answered,
    /// How long it takes.
    pub(crate) delay_ms: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Answered {
    Outcome { outcome: Outcome, fate: Fate },
    Failure(Failure),
}

/// Whether the engine takes a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Taken,
    Refused,
    /// Only the next invocation shows.
    Open,
}
