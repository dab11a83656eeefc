//! What a shard tells of itself to those who watch.

use statera_model::{Epoch, FunctionType};

use super::Shard;
use crate::figures::{Counts, FunctionFigures};
use crate::functions::{Function, Gate};
use crate::instance::Phase;

impl Shard {
    /// The figures of each function type that was ever named, in the order of the numbers that
    /// [`Invocation::function`](crate::Invocation::function) tells. Costs some nanoseconds for each type.
    pub fn function_figures(&self) -> impl Iterator<Item = (&FunctionType, FunctionFigures)> {
        self.functions.iter().map(|function| (&function.name, function.figures()))
    }

    /// The epoch that is being built: what is taken in now is durable with it.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Where the type of an instance counts.
    pub(super) fn counts_of(&mut self, index: u32) -> &mut Counts {
        let function = self.instances.get(index).function;
        &mut self.functions[function as usize].counts
    }

    /// Checks that what is counted is what is there.
    pub(super) fn check_figures(&self) {
        let mut expected = vec![(0, 0, 0); self.functions.len()];
        for (_, instance) in self.instances.iter() {
            let (backlog, backing_off, paused) = &mut expected[instance.function as usize];
            *backlog += instance.mailbox.len() as u64;
            *backing_off += u64::from(matches!(instance.phase, Phase::Waiting { .. }));
            *paused += u64::from(instance.phase == Phase::Paused);
        }
        for (function, expected) in self.functions.iter().zip(expected) {
            let FunctionFigures { backlog, backing_off, paused, .. } = function.figures();
            assert_eq!((backlog, backing_off, paused), expected, "{:?}", function.name);
        }
    }
}

impl Function {
    fn figures(&self) -> FunctionFigures {
        let counts = &self.counts;
        FunctionFigures {
            received: counts.entered - counts.restored,
            out_local: counts.out_local,
            out_remote: counts.out_remote,
            out_delayed: counts.out_delayed,
            out_egress: counts.out_egress,
            invocations: counts.invocations,
            failures: counts.failures,
            retries: counts.retries,
            dead_letters: counts.dead_letters,
            backlog: counts.entered - counts.left,
            backlog_bytes: self.mail_bytes as u64,
            in_flight: self.in_flight as u64,
            queued: self.ready.len() as u64,
            backing_off: counts.backing_off,
            paused: counts.paused,
            outages: u64::from(matches!(self.gate, Gate::Tripped { .. })),
        }
    }
}
