//! Epochs: the coordinator, the log, and the store behind it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use statera_core::delta::{DeltaWriter, changes};
use statera_core::keys::Key;
use statera_core::{Cut, Part, Releases};
use statera_model::Epoch;
use statera_ports::SinkPosition;

use crate::check::{Checked, Image, Invariant, violated};
use crate::functions::{EGRESSES, name, read_text};
use crate::plan::Sabotage;
use crate::world::{Inside, Process, World};

impl World {
    /// Begins a cut.
    pub(crate) fn pulse(&mut self) -> Checked {
        let process = &mut self.process;
        process.pulse = false;
        let epoch = process.next_epoch;
        process.next_epoch = epoch.next();
        let shards = process.shards.len();
        process.cutting = Some((0..shards).map(|_| None).collect());
        let confirmed: Vec<_> = std::mem::take(&mut process.confirmed)
            .into_iter()
            .map(|(sink, position)| (name(EGRESSES[sink]), position))
            .collect();
        self.trace.note(self.now, format_args!("cut {epoch} {confirmed:?}"));
        let cut = Arc::new(Cut { epoch, confirmed });
        for shard in 0..shards {
            let delay_ms = self.random.below(4);
            self.inside(delay_ms, Inside::Cut(shard, cut.clone()));
        }
        Ok(())
    }

    pub(crate) fn part(&mut self, shard: usize, mut part: Part) -> Checked {
        self.trace.note(self.now, format_args!("{shard} part {} {:?}", part.epoch, part.releases));
        self.damage(&mut part);
        if self.plan.sabotage == Some(Sabotage::AcknowledgeTooEarly) {
            self.acknowledge(&mut part.releases)?;
        }
        if self.plan.sabotage == Some(Sabotage::EmitTooEarly) {
            let releases = std::mem::take(&mut part.releases.egress);
            self.emit(part.epoch, vec![Releases { egress: releases, ..Releases::default() }]);
        }
        let parts = self.process.cutting.as_mut().expect("a cut is under way");
        let old = parts[shard].replace(part);
        assert!(old.is_none(), "one part from each shard");
        if parts.iter().all(Option::is_some) {
            let parts = self.process.cutting.take().expect("just seen");
            self.process.writing.push_back(parts.into_iter().flatten().collect());
            let delay_ms = if self.random.one_in(10) { 60 } else { self.random.below(8) };
            let process = &mut self.process;
            process.written_at = self.now.after(delay_ms).max(process.written_at);
            let at = process.written_at;
            self.inside_at(at, Inside::Durable);
        }
        Ok(())
    }

    /// Breaks a delta, if that is what this world is about.
    fn damage(&self, part: &mut Part) {
        let lost = |key: &Key, put: bool| match self.plan.sabotage {
            Some(Sabotage::KeepConsumedMail) => matches!(key, Key::Mail { .. }) && !put,
            Some(Sabotage::LoseOutbox) => matches!(key, Key::Outbox { .. }) && put,
            Some(Sabotage::LoseMail) => matches!(key, Key::Mail { .. }) && put,
            _ => false,
        };
        let mut kept = Vec::new();
        let mut writer = DeltaWriter::new(&mut kept);
        for change in changes(&part.delta) {
            let change = change.expect("the core writes its own deltas");
            let (_, key) = Key::decode(change.key).expect("the core writes its own keys");
            match change.value {
                _ if lost(&key, change.value.is_some()) => {}
                Some(value) => writer.put(change.key, value),
                None => writer.delete(change.key),
            }
        }
        part.delta = kept;
    }

    /// The oldest epoch on its way to the disk has arrived.
    pub(crate) fn durable(&mut self) -> Checked {
        let parts = self.process.writing.pop_front().expect("one event for each epoch");
        let epoch = parts[0].epoch;
        self.trace.note(self.now, format_args!("durable {epoch}"));
        let delta: Vec<u8> = parts.iter().flat_map(|part| part.delta.clone()).collect();
        self.make_durable(epoch, delta);
        let mut releases: Vec<Releases> = parts.into_iter().map(|part| part.releases).collect();
        for releases in &mut releases {
            self.acknowledge(releases)?;
        }
        self.emit(epoch, releases);
        if self.random.one_in(10) {
            self.check_image()?;
        }
        if self.random.one_in(3) && self.plan.sabotage != Some(Sabotage::NeverFlush) {
            let delay_ms = self.random.below(40);
            self.inside(delay_ms, Inside::Flush);
        }
        Ok(())
    }

    pub(crate) fn make_durable(&mut self, epoch: Epoch, delta: Vec<u8>) {
        assert_eq!(epoch, self.durable_epoch.next(), "epochs become durable in order");
        apply_delta(&mut self.durable, &delta);
        self.durable_epoch = epoch;
        self.unflushed.push_back((epoch, delta));
        self.figures.epochs += 1;
    }

    fn acknowledge(&mut self, releases: &mut Releases) -> Checked {
        for ticket in std::mem::take(&mut releases.accepted) {
            if let Some(waiter) = self.process.tickets.remove(&ticket) {
                self.tell_accepted(waiter)?;
            }
        }
        for (ticket, answer) in std::mem::take(&mut releases.answers) {
            if let Some(waiter) = self.process.tickets.remove(&ticket) {
                self.tell_answer(waiter, answer)?;
            }
        }
        Ok(())
    }

    /// Hands the records of an epoch to their sinks, in the order of the shards.
    fn emit(&mut self, epoch: Epoch, releases: Vec<Releases>) {
        let mut batches: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for record in releases.into_iter().flat_map(|releases| releases.egress) {
            let sink = EGRESSES.iter().position(|egress| *egress == record.egress.as_str());
            let sink = sink.expect("the core checks egresses");
            batches.entry(sink).or_default().push(read_text(&record.value));
        }
        for (sink, records) in batches {
            self.enqueue(sink, epoch, records);
        }
    }

    pub(crate) fn enqueue(&mut self, sink: usize, epoch: Epoch, records: Vec<String>) {
        let endpoint = &mut self.endpoints[sink];
        endpoint.queue.push_back((epoch, records));
        if !std::mem::replace(&mut endpoint.busy, true) {
            let delay_ms = self.random.below(30);
            self.inside(delay_ms, Inside::Sink(sink));
        }
    }

    /// The store catches up, and the shards hear of it a little later.
    pub(crate) fn flush(&mut self) -> Checked {
        let claimed = self.durable_epoch;
        if self.plan.sabotage != Some(Sabotage::ClaimToBeFlushed) {
            for (_, delta) in self.unflushed.drain(..) {
                apply_delta(&mut self.store, &delta);
            }
            self.store_epoch = claimed;
        }
        for shard in 0..self.process.shards.len() {
            let delay_ms = self.random.below(20);
            self.inside(delay_ms, Inside::Flushed(shard, claimed));
        }
        Ok(())
    }

    /// A sink has written the first batch of its queue, or could not.
    pub(crate) fn write_sink(&mut self, sink: usize) -> Checked {
        if !self.calm && self.random.one_in(10) {
            let delay_ms = self.random.below(200);
            self.inside(delay_ms, Inside::Sink(sink));
            return Ok(());
        }
        let Some((epoch, records)) = self.endpoints[sink].queue.pop_front() else {
            panic!("a busy sink has something to write");
        };
        self.trace.note(self.now, format_args!("sink {sink} writes {epoch} {records:?}"));
        self.write(sink, epoch, records)?;
        let position = SinkPosition { epoch, position: Bytes::new() };
        self.process.confirmed.insert(sink, position);
        if self.endpoints[sink].queue.is_empty() {
            self.endpoints[sink].busy = false;
        } else {
            let delay_ms = self.random.below(30);
            self.inside(delay_ms, Inside::Sink(sink));
        }
        Ok(())
    }

    /// Something arrives at a destination (4).
    pub(crate) fn write(&mut self, sink: usize, epoch: Epoch, records: Vec<String>) -> Checked {
        if epoch > self.durable_epoch {
            let what = format!("{records:?} left in {epoch}, before it was durable");
            return violated(Invariant::Durability, what);
        }
        let written = &mut self.endpoints[sink].written;
        match written.binary_search_by_key(&epoch, |(epoch, _)| *epoch) {
            Ok(index) if written[index].1 == records => {}
            Ok(index) => {
                let what = format!("{epoch} was {:?}, and is {records:?} now", written[index].1);
                return violated(Invariant::Durability, what);
            }
            Err(index) if index == written.len() => written.push((epoch, records)),
            Err(_) => {
                let what = format!("{records:?} of {epoch} comes too late");
                return violated(Invariant::Durability, what);
            }
        }
        Ok(())
    }
}

pub(crate) fn apply_delta(image: &mut Image, delta: &[u8]) {
    for change in changes(delta) {
        let change = change.expect("the core writes its own deltas");
        match change.value {
            Some(value) => drop(image.insert(change.key.to_vec(), Bytes::copy_from_slice(value))),
            None => drop(image.remove(change.key)),
        }
    }
}

/// Takes the epochs that were on their way to the disk out of a process that has crashed.
pub(crate) fn unwritten(process: Process) -> Vec<(Epoch, Vec<u8>)> {
    let epochs = process.writing.into_iter();
    let join = |parts: Vec<Part>| {
        let epoch = parts[0].epoch;
        (epoch, parts.into_iter().flat_map(|part| part.delta).collect())
    };
    epochs.map(join).collect()
}
