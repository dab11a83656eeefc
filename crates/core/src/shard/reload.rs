//! Others serve functions from now on, and records leave elsewhere: what a shard has looked up, it looks up again.

use super::Shard;
use crate::functions::Gate;
use crate::input::Reload;

impl Shard {
    /// What is in flight ends as it would have. What waits for somebody who serves nothing any more is given up when its
    /// turn comes, like everything for a type that nobody serves.
    pub(super) fn reload(&mut self, reload: Reload) {
        let Reload { directory, egresses, halted } = reload;
        self.awaits_reload = false;
        self.config.directory = directory;
        self.config.egresses = egresses;
        for function in &mut self.functions {
            let was_inline = function.policy.is_some_and(|policy| policy.inline);
            function.policy = (self.config.directory)(&function.name);
            function.halted = None;
            debug_assert_eq!(was_inline, function.is_inline(), "what is linked stays so");
            // Who did not answer may be elsewhere now: one may look at once.
            if let Gate::Tripped { next_probe, .. } = &mut function.gate {
                *next_probe = self.now;
            }
        }
        self.halt(halted, None);
        for index in 0..self.functions.len() {
            self.list(index as u32);
        }
    }
}
