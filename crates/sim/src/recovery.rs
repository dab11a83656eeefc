//! Crashes, and what happens after them.

use statera_core::keys::Key;
use statera_core::values::StateValue;
use statera_core::{Config, Shard};

use crate::life::Life;
use crate::round::Round;
use crate::shell::Shown;
use crate::violation::Checked;
use crate::world::{Process, World};

impl<L: Life> World<L> {
    /// The process ends in the middle of everything. What was written, but not yet known to be, may be there or not.
    pub(crate) fn crash(&mut self) -> Checked {
        self.figures.crashes += 1;
        self.crash_log()?;
        let generation = self.process.generation + 1;
        self.process = Process::new(generation);
        self.trace.note(
            self.now,
            format_args!("the engine crashes; epoch {} is durable", self.durable_epoch),
        );
        self.crash_sinks()?;
        self.settings.shards = self.random.between(1, self.settings.shards_max.into()) as u16;
        // The machine may be away for a while.
        self.now = self.now.after(if self.random.one_in(3) { self.random.below(800) } else { 1 });
        L::check_image(self)?;
        self.start()
    }

    /// Starts a process from what is durable.
    pub(crate) fn start(&mut self) -> Checked {
        self.fill_store();
        let shards = self.settings.shards;
        for shard in 0..shards {
            let config = self.config(shard);
            self.process.shards.push(Shard::new(config));
            self.process.rounds.push(Round::default());
            self.process.ticks.push(None);
        }
        self.process.next_epoch = self.durable_epoch.next();
        self.process.shown = self.shown();
        self.restore();
        for shard in 0..usize::from(shards) {
            let effects = &mut self.process.rounds[shard].effects;
            self.process.shards[shard].start(self.durable_epoch, self.now, effects);
            self.carry_out(shard)?;
        }
        self.recover_sinks();
        self.recover_people();
        L::started(self)
    }

    fn config(&mut self, shard: u16) -> Config {
        Config {
            shard,
            shards: self.settings.shards,
            key_groups: self.settings.key_groups,
            hash_seed: self.random.next(),
            nonce: self.random.next(),
            limits: self.settings.limits,
            directory: self.life.directory(),
            egresses: self.life.egresses().into_iter().collect(),
        }
    }

    fn restore(&mut self) {
        for (bytes, value) in &self.durable {
            let (group, key) = Key::decode(bytes).expect("the core writes its own keys");
            if !matches!(key, Key::State { .. }) {
                let owner = group.shard(self.settings.shards.into(), self.settings.key_groups);
                let restored = self.process.shards[owner].restore(group, key, value.clone());
                restored.expect("the core reads what it wrote");
            }
        }
    }

    fn shown(&self) -> Shown {
        let mut shown = Shown::new();
        for (bytes, value) in &self.durable {
            if let (_, Key::State { address, name }) = Key::decode(bytes).expect("a key") {
                let stored = StateValue::decode(value.clone()).expect("a state value");
                let states = shown.entry(address).or_default();
                states.insert(name.to_string(), (stored.value, stored.last_access));
            }
        }
        shown
    }
}
