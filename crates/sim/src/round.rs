//! The rounds of a shard: it is told what has come in, then what it wants done is carried out in order, and with it what
//! follows from that. As in the real shell a round may end with something left to do; what comes in meanwhile goes between.

use std::collections::BTreeMap;

use statera_core::{Effect, Input, InvocationId};
use statera_model::Millis;

use crate::life::Life;
use crate::violation::{Checked, Invariant, violated};
use crate::world::{Inside, World};

/// How long the thread of a shard may be busy, in milliseconds: usually, and now and then.
const BUSY_MS: [u64; 2] = [3, 20];

/// What a shard wants done.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub(crate) effects: Vec<Effect>,
    under_way: bool,
    /// When those invocations began that are left to the next round.
    begun: BTreeMap<InvocationId, Millis>,
}

impl Round {
    /// When an invocation began that is carried out now.
    pub(crate) fn began(&mut self, id: InvocationId, now: Millis) -> Millis {
        self.begun.remove(&id).unwrap_or(now)
    }

    fn leave(&mut self, now: Millis) {
        for effect in &self.effects {
            if let Effect::Invoke(id) = effect {
                self.begun.entry(*id).or_insert(now);
            }
        }
    }
}

impl<L: Life> World<L> {
    /// Tells a shard something, and goes on with its round.
    pub(crate) fn apply(&mut self, shard: usize, input: Input) -> Checked {
        self.tell(shard, input);
        self.go_on(shard)
    }

    /// Tells a shard something.
    pub(crate) fn tell(&mut self, shard: usize, input: Input) {
        let effects = &mut self.process.rounds[shard].effects;
        self.process.shards[shard].apply(input, self.now, effects);
    }

    /// A shard was told something: what it wants is carried out, unless something else comes in the same round.
    pub(crate) fn go_on(&mut self, shard: usize) -> Checked {
        if self.process.rounds[shard].under_way {
            return Ok(()); // What follows from an effect comes after what was to be done already.
        }
        if self.random.one_in(self.settings.busy_one_in) {
            self.leave_to_next_round(shard);
            return Ok(());
        }
        self.carry_out(shard)
    }

    pub(crate) fn carry_out(&mut self, shard: usize) -> Checked {
        self.process.rounds[shard].under_way = true;
        loop {
            self.carry_out_all(shard)?;
            if self.process.rounds[shard].effects.is_empty() {
                break;
            }
            if self.random.one_in(self.settings.busy_one_in) {
                self.figures.linked.rounds_cut_short += 1;
                self.leave_to_next_round(shard);
                break;
            }
        }
        self.process.rounds[shard].under_way = false;
        self.plan_tick(shard);
        let in_flight = self.process.shards[shard].figures().in_flight;
        if in_flight > self.settings.limits.invocations_in_flight {
            return violated(Invariant::Bounds, format!("{in_flight} invocations in flight"));
        }
        Ok(())
    }

    fn leave_to_next_round(&mut self, shard: usize) {
        self.process.rounds[shard].leave(self.now);
        let busy_ms = BUSY_MS[usize::from(self.random.one_in(4))];
        let delay_ms = self.random.below(busy_ms);
        self.inside(delay_ms, Inside::Round(shard));
    }

    /// Carries out what there is to do, but not what follows from it.
    fn carry_out_all(&mut self, shard: usize) -> Checked {
        if self.random.one_in(8) {
            self.process.shards[shard].check();
        }
        let room = std::mem::take(&mut self.effects);
        let mut effects = std::mem::replace(&mut self.process.rounds[shard].effects, room);
        let begun = effects.iter().filter(|effect| self.is_linked_invocation(shard, effect));
        self.figures.linked.together += begun.count().saturating_sub(1) as u64;
        for effect in effects.drain(..) {
            self.effect(shard, effect)?;
        }
        self.effects = effects;
        Ok(())
    }
}
