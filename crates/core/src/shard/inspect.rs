//! What is asked by those who watch. Each question looks at so many things at most, and changes nothing.

use std::sync::Arc;

use statera_model::{Address, FunctionType, KeyGroup, Millis, StateSpec};

use super::Shard;
use super::failure::backoff_ms;
use crate::functions::{Function, Gate};
use crate::graph::{Edge, End};
use crate::instance::{Instance, Marks, Phase};
use crate::keys::DelayedKey;
use crate::values::{Delayed, Mail};

/// Bytes of messages that are shown of a mailbox.
const SHOWN_BYTES_MAX: usize = 1 << 20;

/// What an address does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Nothing: its mailbox is empty.
    Idle,
    /// It waits for its turn.
    Queued,
    /// Its state is being read, or its function is being invoked.
    Running,
    /// It will be tried again.
    Waiting,
    /// It takes no messages until it is resumed, or will not once an invocation in flight has ended.
    Paused,
}

/// What an address does, and how much waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// What it does.
    pub activity: Activity,
    /// Messages in its mailbox.
    pub mail: usize,
}

/// An address that is in memory.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// What it does.
    pub presence: Presence,
    /// The first messages of its mailbox.
    pub mailbox: Vec<Mail>,
    /// Its failures, until it has succeeded.
    pub failing: Option<Failing>,
}

/// Invocations of an address that fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Since when.
    pub since: Millis,
    /// How often.
    pub attempts: u32,
    /// When the last one failed.
    pub failed_at: Millis,
    /// When it is tried again, if it waits for that.
    pub next_attempt: Option<Millis>,
    /// The last failure.
    pub reason: Arc<str>,
}

/// A function type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its name.
    pub name: FunctionType,
    /// Whether anybody serves it.
    pub served: bool,
    /// Whether anybody answers.
    pub answers: Answers,
    /// When it last did what it should.
    pub last_success: Option<Millis>,
    /// Addresses whose invocations fail.
    pub failing: usize,
    /// The states it has declared.
    pub states: Vec<StateSpec>,
}

/// Whether somebody answers for a function type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answers {
    /// Nobody has, so far.
    NotYet,
    /// Somebody does.
    Yes,
    /// Nobody does any more.
    No {
        /// When one invocation tries again.
        next_probe: Millis,
    },
}

/// Which delayed messages are looked for.
#[derive(Clone, Debug, Default)]
pub struct TimerQuery {
    /// Those behind this place.
    pub after: Option<TimerPlace>,
    /// Those of senders of this key group.
    pub group: Option<KeyGroup>,
    /// Those whose sender, `namespace/type/id`, begins so, and is not longer if `exact`.
    pub sender: String,
    /// Those whose target, `namespace/type/id`, begins so.
    pub target: String,
    /// Whether the sender is given in full.
    pub exact: bool,
    /// So many at most.
    pub limit: usize,
    /// The most that are looked at.
    pub visits_max: usize,
}

/// Where a delayed message stands among all of a shard: by due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerPlace {
    /// When it is due, and its place among those due at the same time.
    pub key: DelayedKey,
    /// The key group of its sender.
    pub group: KeyGroup,
}

/// Some delayed messages, soonest first.
#[derive(Clone, Debug, Default)]
pub struct TimerPage {
    /// The messages, and where each stands.
    pub timers: Vec<(TimerPlace, Delayed)>,
    /// The last one that was looked at, if there may be more behind it.
    pub next: Option<TimerPlace>,
    /// How many delayed messages there are in all.
    pub total: usize,
}

impl Shard {
    /// What an address does, with up to `messages_max` messages of its mailbox; `None` if it is not in memory.
    #[must_use]
    pub fn inspect(&self, address: &Address, messages_max: usize) -> Option<Inspected> {
        let index = self.find(address)?;
        let instance = self.instances.get(index);
        let mut bytes = 0;
        let shown = self.mails.iter(&instance.mailbox).take(messages_max).take_while(|message| {
            let first = bytes == 0;
            bytes += message.bytes();
            first || bytes <= SHOWN_BYTES_MAX
        });
        let mailbox = shown.map(|message| Mail {
            caller: message.caller.clone(),
            argument: message.argument.clone(),
        });
        let mailbox = mailbox.collect();
        Some(Inspected { presence: presence(instance), mailbox, failing: self.failing(index) })
    }

    /// What each of some addresses does; `None` for those that are not in memory.
    #[must_use]
    pub fn presences(&self, addresses: &[Address]) -> Vec<Option<Presence>> {
        let find = |address| Some(presence(self.instances.get(self.find(address)?)));
        addresses.iter().map(find).collect()
    }

    fn failing(&self, index: u32) -> Option<Failing> {
        let trouble = self.troubles.get(&index)?;
        let instance = self.instances.get(index);
        let policy = self.functions[instance.function as usize].policy?;
        let waits = matches!(instance.phase, Phase::Waiting { .. });
        let next_attempt = || trouble.failed_at.after(backoff_ms(trouble.tries, &policy));
        Some(Failing {
            since: trouble.since,
            attempts: trouble.attempts,
            failed_at: trouble.failed_at,
            next_attempt: waits.then(next_attempt),
            reason: trouble.reason.clone(),
        })
    }

    /// The function types whose names begin with `prefix` and sort behind `after`, in the order of their names, `limit` at most.
    /// Types that only name callers are not among them.
    #[must_use]
    pub fn inspect_functions(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Inspection> {
        let fits = |function: &&Function| {
            let name = function.name.as_str();
            name.starts_with(prefix)
                && after.is_none_or(|after| name > after)
                && function.name != self.call_function
        };
        let mut found: Vec<&Function> = self.functions.iter().filter(fits).collect();
        found.sort_unstable_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        found.truncate(limit);
        found.into_iter().map(inspection).collect()
    }

    /// Pending delayed messages, soonest first.
    #[must_use]
    pub fn inspect_timers(&self, query: &TimerQuery) -> TimerPage {
        let (timers, next) = self.delays.look(query);
        TimerPage { timers, next, total: self.delays.len() }
    }

    /// Who has sent to whom since the start, `most` edges at most, and whether these are all.
    #[must_use]
    pub fn edges(&self, most: usize) -> (Vec<Edge>, bool) {
        let into = self.functions.iter().flat_map(|function| {
            let to = || End::Function(function.name.clone());
            let named = function.senders.iter().map(move |(from, messages)| {
                let from = from.map_or(End::Outside, |from| self.sender(from));
                Edge { from, to: to(), messages }
            });
            let other = Edge { from: End::Other, to: to(), messages: function.senders.other() };
            let out = function.egresses.iter().filter_map(move |(egress, messages)| {
                Some(Edge { from: to(), to: End::Egress(egress?.clone()), messages })
            });
            named.chain([other]).chain(out)
        });
        let answers = self.answerers.iter().map(|(from, messages)| {
            let from = from.map_or(End::Outside, |from| End::Function(from.clone()));
            Edge { from, to: End::Caller, messages }
        });
        let mut edges = answers.chain(into).filter(|edge| edge.messages > 0);
        let found: Vec<Edge> = edges.by_ref().take(most).collect();
        let all = edges.next().is_none();
        (found, all)
    }

    /// Who waits for an answer stands outside.
    fn sender(&self, name: &FunctionType) -> End {
        if *name == self.call_function { End::Outside } else { End::Function(name.clone()) }
    }
}

fn presence(instance: &Instance) -> Presence {
    let activity = match instance.phase {
        _ if instance.marks.has(Marks::HELD) => Activity::Paused,
        Phase::Idle => Activity::Idle,
        Phase::Queued => Activity::Queued,
        Phase::Loading { .. } | Phase::Running { .. } => Activity::Running,
        Phase::Waiting { .. } => Activity::Waiting,
        Phase::Paused => Activity::Paused,
    };
    Presence { activity, mail: instance.mailbox.len() }
}

fn inspection(function: &Function) -> Inspection {
    Inspection {
        name: function.name.clone(),
        served: function.policy.is_some(),
        answers: match function.gate {
            Gate::Cold { .. } => Answers::NotYet,
            Gate::Open { .. } => Answers::Yes,
            Gate::Tripped { next_probe, .. } => Answers::No { next_probe },
        },
        last_success: function.last_success,
        failing: function.troubled,
        states: function.states.clone(),
    }
}
