//! Crashes, and what happens after them.

use std::collections::BTreeMap;
use std::sync::Arc;

use statera_core::keys::Key;
use statera_core::values::{StateValue, decode_sink_position};
use statera_core::{Config, OnFailure, Policy, Shard};
use statera_model::{Epoch, FunctionType, TypedValue};
use statera_ports::Accepts;

use crate::check::Checked;
use crate::commit::unwritten;
use crate::functions::{EGRESSES, FLAKY, NARROW, NOBODY, PAUSING, STUBBORN, name, read_text};
use crate::shell::Shown;
use crate::world::{Event, Process, World};

impl World {
    /// The process ends in the middle of everything. What was written, but not yet known to be, may be there or not.
    pub(crate) fn crash(&mut self) -> Checked {
        self.figures.crashes += 1;
        let generation = self.process.generation + 1;
        let process = std::mem::replace(&mut self.process, Process::new(generation));
        for (epoch, delta) in unwritten(process) {
            if self.random.one_in(2) {
                break;
            }
            self.make_durable(epoch, delta);
        }
        self.trace.note(self.now, format_args!("crash; {} is durable", self.durable_epoch));
        for sink in 0..self.endpoints.len() {
            let endpoint = &mut self.endpoints[sink];
            endpoint.busy = false;
            let queue = std::mem::take(&mut endpoint.queue);
            // A write that was under way may have reached the destination.
            if let Some((epoch, records)) = queue.into_iter().next()
                && self.random.one_in(2)
            {
                self.write(sink, epoch, records)?;
            }
        }
        self.plan.shards = self.random.between(1, 4) as u16;
        // The machine may be away for a while.
        self.now = self.now.after(if self.random.one_in(3) { self.random.below(800) } else { 1 });
        self.check_image()?;
        self.start()
    }

    /// Starts a process from what is durable.
    pub(crate) fn start(&mut self) -> Checked {
        for (_, delta) in self.unflushed.drain(..) {
            crate::commit::apply_delta(&mut self.store, &delta);
        }
        self.store_epoch = self.durable_epoch;
        let shards = self.plan.shards;
        for shard in 0..shards {
            let config = self.config(shard);
            self.process.shards.push(Shard::new(config));
            self.process.ticks.push(None);
        }
        self.process.next_epoch = self.durable_epoch.next();
        self.process.shown = self.shown();
        self.restore();
        for shard in 0..usize::from(shards) {
            let mut effects = Vec::new();
            self.process.shards[shard].start(self.durable_epoch, self.now, &mut effects);
            self.carry_out(shard, &mut effects)?;
        }
        self.recover_sinks();
        self.recover_sources();
        self.recover_people();
        self.later(50, Event::Operate);
        Ok(())
    }

    fn config(&mut self, shard: u16) -> Config {
        let accepts: Accepts = Arc::new(|value: &TypedValue| match value.typename() {
            crate::functions::TEXT => Ok(()),
            other => Err(format!("type {other}")),
        });
        Config {
            shard,
            shards: self.plan.shards,
            key_groups: self.plan.key_groups,
            hash_seed: self.random.next(),
            nonce: self.random.next(),
            limits: self.plan.limits,
            directory: Arc::new(policy),
            egresses: EGRESSES.iter().map(|egress| (name(egress), accepts.clone())).collect(),
        }
    }

    fn restore(&mut self) {
        for (bytes, value) in &self.durable {
            let (group, key) = Key::decode(bytes).expect("the core writes its own keys");
            if !matches!(key, Key::State { .. }) {
                let owner = group.shard(self.plan.shards.into(), self.plan.key_groups);
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
                states.insert(name.to_string(), (read_text(&stored.value), stored.last_access));
            }
        }
        shown
    }

    /// Sinks take back what is not confirmed, or recognise it; either way it is written again.
    fn recover_sinks(&mut self) {
        let mut confirmed: BTreeMap<usize, Epoch> = BTreeMap::new();
        let mut records: BTreeMap<usize, BTreeMap<(Epoch, u16, u32), String>> = BTreeMap::new();
        let sink_of = |egress: &str| EGRESSES.iter().position(|known| *known == egress);
        for (bytes, value) in &self.durable {
            match Key::decode(bytes).expect("a key").1 {
                Key::Sink(egress) => {
                    let position = decode_sink_position(value.clone()).expect("a position");
                    confirmed.insert(sink_of(egress.as_str()).expect("known"), position.epoch);
                }
                Key::Outbox { egress, epoch, shard, index } => {
                    let record = TypedValue::from_encoded(value.clone()).expect("a record");
                    let sink = sink_of(egress.as_str()).expect("known");
                    let place = (epoch, shard, index);
                    records.entry(sink).or_default().insert(place, read_text(&record));
                }
                _ => {}
            }
        }
        for sink in 0..EGRESSES.len() {
            let last = confirmed.get(&sink).copied().unwrap_or(Epoch::ZERO);
            if sink == 0 {
                self.endpoints[sink].written.retain(|(epoch, _)| *epoch <= last);
            }
            let mut batches: BTreeMap<Epoch, Vec<String>> = BTreeMap::new();
            for ((epoch, _, _), record) in records.remove(&sink).unwrap_or_default() {
                if epoch > last {
                    batches.entry(epoch).or_default().push(record);
                }
            }
            for (epoch, records) in batches {
                self.enqueue(sink, epoch, records);
            }
        }
    }
}

fn policy(function: &FunctionType) -> Option<Policy> {
    let usual = Policy {
        batch_messages: 1_000,
        in_flight: 10,
        budget_ms: 300,
        backoff_min_ms: 4,
        backoff_max_ms: 64,
        on_failure: OnFailure::DeadLetter,
    };
    match function.as_str() {
        NOBODY | statera_core::CALL_FUNCTION => None,
        FLAKY => Some(Policy { in_flight: 2, ..usual }),
        NARROW => Some(Policy { batch_messages: 10, ..usual }),
        PAUSING => Some(Policy { on_failure: OnFailure::Pause, ..usual }),
        STUBBORN => Some(Policy { on_failure: OnFailure::Retry, ..usual }),
        _ => Some(usual),
    }
}
