//! Functions that are linked into the process, run as the real shell runs them: on the spot, where `Effect::Invoke` stands,
//! with what they did taken out of a reply that is used again ([`Shard::complete`](statera_core::Shard::complete)).

use statera_core::keys::Key;
use statera_core::{Effect, InvocationId};
use statera_model::{
    Change, Delayed, FunctionType, LocalReply, Mutation, Reply, StateChange, StateSpec,
};
use statera_ports::Batch as _;

use crate::life::Life;
use crate::violation::{Checked, Invariant, violated};
use crate::world::World;

/// What functions that are linked into the process did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linked {
    /// Invocations that completed.
    pub completed: u64,
    /// Invocations that completed with a reply that must be refused.
    pub refused: u64,
    /// Invocations that failed.
    pub failed: u64,
    /// Invocations that asked for states.
    pub incomplete: u64,
    /// Invocations that had begun when another one of the same shard, that began before, had not ended.
    pub together: u64,
    /// Messages sent.
    pub messages: u64,
    /// Delayed messages sent.
    pub delayed: u64,
    /// Cancellations.
    pub cancellations: u64,
    /// Egress records.
    pub records: u64,
    /// State changes.
    pub changes: u64,
    /// Rounds that ended with something left to do.
    pub rounds_cut_short: u64,
}

impl Linked {
    fn note(&mut self, reply: &LocalReply) {
        let LocalReply { messages, delayed, egress, changes } = reply;
        let cancels = |entry: &&Delayed| matches!(entry, Delayed::Cancel { .. });
        let cancellations = delayed.iter().filter(cancels).count();
        self.completed += 1;
        self.messages += messages.len() as u64;
        self.delayed += (delayed.len() - cancellations) as u64;
        self.cancellations += cancellations as u64;
        self.records += egress.len() as u64;
        self.changes += changes.len() as u64;
    }
}

impl<L: Life> World<L> {
    /// A function that is linked into the process has done this.
    pub(crate) fn complete(
        &mut self,
        shard: usize,
        id: InvocationId,
        function: &FunctionType,
        reply: Reply,
    ) -> Checked {
        fill(&mut self.reply, reply, &self.life.states(function));
        self.figures.linked.note(&self.reply);
        let effects = &mut self.process.rounds[shard].effects;
        self.process.shards[shard].complete(id, &mut self.reply, self.now, effects);
        if self.reply != LocalReply::default() {
            let what = format!("of what {function} did is left {:?}", self.reply);
            return violated(Invariant::AllOrNone, what);
        }
        Ok(())
    }

    /// Whether states are for a function that is linked into the process: they are read on the spot, too.
    pub(crate) fn are_for_linked(&self, keys: &[Vec<u8>]) -> bool {
        let key = keys.first().map(|key| Key::decode(key).expect("the core writes its own keys"));
        matches!(key, Some((_, Key::State { address, .. })) if self.life.is_linked(&address.function))
    }

    pub(crate) fn is_linked_invocation(&self, shard: usize, effect: &Effect) -> bool {
        let Effect::Invoke(id) = effect else { return false };
        let invocation = self.process.shards[shard].invocation(*id);
        invocation.is_some_and(|invocation| self.life.is_linked(invocation.function()))
    }
}

/// Fills an empty reply. States are named by their places among those that are declared.
fn fill(local: &mut LocalReply, reply: Reply, declared: &[StateSpec]) {
    let Reply { messages, delayed, egress, mutations } = reply;
    local.messages.extend(messages);
    local.delayed.extend(delayed);
    local.egress.extend(egress);
    for Mutation { state, change } in mutations {
        let place = declared.iter().position(|spec| spec.name == state);
        let value = match change {
            StateChange::Delete => None,
            StateChange::Modify(value) => Some(value),
        };
        local.changes.push(Change { place: place.unwrap_or(declared.len()), value });
    }
}
