//! The last invocations, for those who look for what an address does: all that failed, and all of addresses that somebody has looked
//! at lately. As long as nobody has, one that succeeds costs a test of an empty list.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use statera_core::{Effect, FailedInvocation, Follows, Invocation, InvocationId, News};
use statera_model::{Address, Millis};
use statera_ports::Batch as _;

/// Invocations that a shard remembers.
const REMEMBERED_MAX: usize = 1_024;

/// Addresses whose successes are remembered; beyond them those looked at longest ago are forgotten.
const WATCHED_MAX: usize = 16;

/// How long the successes of an address are remembered after somebody has looked at it.
const WATCHED_MS: u64 = 5 * 60_000;

/// An invocation that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentInvocation {
    /// When it ended.
    pub at: Millis,
    /// How long it took, if that was measured.
    pub took: Option<Duration>,
    /// Messages in it.
    pub messages: usize,
    /// Bytes of its request, if they were counted.
    pub bytes: Option<usize>,
    /// Why it failed, if it has.
    pub failure: Option<InvocationFailure>,
}

/// Why an invocation failed, and what followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvocationFailure {
    /// Why.
    pub reason: Arc<str>,
    /// Invocations of the address that had failed since one succeeded, this one included.
    pub attempts: u32,
    /// What followed.
    pub follows: Follows,
}

/// Time and bytes of an invocation.
pub(crate) type Measure = (Duration, usize);

/// What a shard's thread remembers.
#[derive(Debug, Default)]
pub(crate) struct Invocations {
    ring: VecDeque<(Address, RecentInvocation)>,
    watched: VecDeque<(Address, Millis)>,
    /// Of those that have ended and whose fate is being decided.
    measures: HashMap<InvocationId, Measure, RandomState>,
}

/// An invocation of an address that somebody looks at.
pub(crate) struct Watched {
    id: InvocationId,
    target: Address,
    messages: usize,
    bytes: usize,
    began: Instant,
}

impl Invocations {
    /// What is remembered of an address, newest first. From now on its successes are, too.
    pub(crate) fn look(
        &mut self,
        address: &Address,
        now: Millis,
        limit: usize,
    ) -> Vec<RecentInvocation> {
        self.watched.retain(|(watched, until)| watched != address && *until > now);
        self.watched.truncate(WATCHED_MAX - 1);
        self.watched.push_front((address.clone(), now.after(WATCHED_MS)));
        let of_it = self.ring.iter().filter(|(target, _)| target == address);
        of_it.take(limit).map(|(_, invocation)| invocation.clone()).collect()
    }

    /// Whether anybody looks at anything.
    #[inline]
    pub(crate) fn is_watching(&self) -> bool {
        !self.watched.is_empty()
    }

    /// An invocation that begins, or has ended and not had its effect, if somebody looks at its address. `bytes` tells the size
    /// of its request.
    #[cold]
    pub(crate) fn watched(
        &mut self,
        id: InvocationId,
        invocation: &Invocation<'_>,
        now: Millis,
        bytes: impl FnOnce() -> usize,
    ) -> Option<Watched> {
        self.watched.retain(|(_, until)| *until > now);
        let (function, instance) = (invocation.function(), invocation.id());
        let is_it = |address: &Address| address.id == *instance && address.function == *function;
        self.watched.iter().find(|(address, _)| is_it(address))?;
        let (target, messages) = (invocation.target(), invocation.messages().count());
        Some(Watched { id, target, messages, bytes: bytes(), began: Instant::now() })
    }

    /// An invocation has ended after this time, with a request of so many bytes. If it failed, news will tell so.
    pub(crate) fn measured(&mut self, id: InvocationId, measure: Measure) {
        self.measures.insert(id, measure);
    }

    /// What was invoked has had its effect, unless these effects say that it failed.
    pub(crate) fn ended(&mut self, watched: Watched, now: Millis, effects: &[Effect]) {
        let Watched { id, target, messages, bytes, began } = watched;
        let (took, bytes) = self.measures.get(&id).copied().unwrap_or((began.elapsed(), bytes));
        let failed = |effect: &Effect| match effect {
            Effect::News(news) => matches!(&**news, News::Failed(it) if it.invocation == id),
            _ => false,
        };
        if effects.iter().any(failed) {
            return self.measured(id, (took, bytes));
        }
        self.measures.remove(&id);
        let (took, bytes) = (Some(took), Some(bytes));
        let ended = RecentInvocation { at: now, took, messages, bytes, failure: None };
        self.remember(target, ended);
    }

    /// An invocation has failed.
    pub(crate) fn failed(&mut self, failed: &FailedInvocation, now: Millis) {
        let (took, bytes) = self.measures.remove(&failed.invocation).unzip();
        let failure = InvocationFailure {
            reason: failed.reason.clone(),
            attempts: failed.attempted.attempts,
            follows: failed.attempted.follows,
        };
        let messages = failed.attempted.messages;
        let ended = RecentInvocation { at: now, took, messages, bytes, failure: Some(failure) };
        self.remember(failed.target.clone(), ended);
    }

    /// The fate of all that was measured is decided.
    pub(crate) fn round_ended(&mut self) {
        if !self.measures.is_empty() {
            self.measures.clear();
        }
    }

    fn remember(&mut self, target: Address, invocation: RecentInvocation) {
        self.ring.truncate(REMEMBERED_MAX - 1);
        self.ring.push_front((target, invocation));
    }
}

#[cfg(test)]
mod tests {
    use statera_model::FunctionType;

    use super::*;

    fn at(id: &str) -> Address {
        Address::new(FunctionType::parse("t/f").unwrap(), id)
    }

    fn done(ms: u64) -> RecentInvocation {
        RecentInvocation { at: Millis(ms), took: None, messages: 1, bytes: None, failure: None }
    }

    #[test]
    fn the_newest_comes_first_and_the_oldest_goes() {
        let mut invocations = Invocations::default();
        for ms in 0..REMEMBERED_MAX as u64 + 10 {
            invocations.remember(at(if ms % 2 == 0 { "even" } else { "odd" }), done(ms));
        }
        assert_eq!(invocations.ring.len(), REMEMBERED_MAX);
        let odd = invocations.look(&at("odd"), Millis(0), 2);
        let last = REMEMBERED_MAX as u64 + 9;
        assert_eq!(odd, [done(last), done(last - 2)]);
        assert_eq!(invocations.look(&at("none"), Millis(0), 2), []);
    }

    #[test]
    fn only_so_many_addresses_are_watched_and_only_for_a_time() {
        let mut invocations = Invocations::default();
        assert!(!invocations.is_watching());
        for n in 0..WATCHED_MAX + 5 {
            invocations.look(&at(&n.to_string()), Millis(0), 1);
        }
        assert_eq!(invocations.watched.len(), WATCHED_MAX);
        invocations.look(&at("later"), Millis(WATCHED_MS), 1);
        assert_eq!(invocations.watched.len(), 1);
    }
}
