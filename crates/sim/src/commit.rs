//! Epochs: the coordinator, the log, and the store behind it.

use std::sync::Arc;

use statera_core::delta::{DeltaWriter, changes};
use statera_core::keys::Key;
use statera_core::{Cut, Part, Releases};
use statera_log::LogError;
use statera_model::Epoch;

use crate::image::apply_delta;
use crate::life::Life;
use crate::settings::Sabotage;
use crate::violation::{Checked, Invariant, Violation, violated};
use crate::world::{Inside, World};

impl<L: Life> World<L> {
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
            .map(|(sink, position)| (self.egresses[sink].clone(), position))
            .collect();
        self.trace.detail(self.now, format_args!("cut {epoch} {confirmed:?}"));
        let cut = Arc::new(Cut { epoch, confirmed });
        for shard in 0..shards {
            let delay_ms = self.random.below(4);
            self.inside(delay_ms, Inside::Cut(shard, cut.clone()));
        }
        Ok(())
    }

    pub(crate) fn part(&mut self, shard: usize, mut part: Part) -> Checked {
        let Releases { accepted, answers, egress } = &part.releases;
        self.trace.detail(
            self.now,
            format_args!(
                "{shard} part {}: {} bytes, {accepted:?}, {} answers, {} records",
                part.epoch,
                part.delta.len(),
                answers.len(),
                egress.len()
            ),
        );
        self.damage(&mut part);
        if self.settings.sabotage == Some(Sabotage::AcknowledgeTooEarly) {
            self.acknowledge(&mut part.releases)?;
        }
        if self.settings.sabotage == Some(Sabotage::EmitTooEarly) {
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
        let lost = |key: &Key, put: bool| match self.settings.sabotage {
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

    /// The oldest epoch on its way to the disk arrives.
    pub(crate) fn durable(&mut self) -> Checked {
        let parts = self.process.writing.pop_front().expect("one event for each epoch");
        let epoch = parts[0].epoch;
        self.trace.detail(self.now, format_args!("durable {epoch}"));
        if self.settings.sabotage != Some(Sabotage::SkipTheLog) {
            self.log.append(&parts).map_err(log_failed)?;
        }
        self.make_durable(epoch, joined(&parts));
        let mut releases: Vec<Releases> = parts.into_iter().map(|part| part.releases).collect();
        for releases in &mut releases {
            self.acknowledge(releases)?;
        }
        self.emit(epoch, releases);
        if self.random.one_in(self.life.check_one_in()) {
            L::check_image(self)?;
        }
        if self.random.one_in(3) && self.settings.sabotage != Some(Sabotage::NeverFlush) {
            let delay_ms = self.random.below(40);
            self.inside(delay_ms, Inside::Flush);
        }
        Ok(())
    }

    fn make_durable(&mut self, epoch: Epoch, delta: Vec<u8>) {
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

    /// The store catches up, and the shards hear of it a little later.
    pub(crate) fn flush(&mut self) -> Checked {
        let claimed = self.durable_epoch;
        if self.settings.sabotage != Some(Sabotage::ClaimToBeFlushed) {
            self.fill_store();
            self.log.truncate(claimed).map_err(log_failed)?;
        }
        for shard in 0..self.process.shards.len() {
            let delay_ms = self.random.below(20);
            self.inside(delay_ms, Inside::Flushed(shard, claimed));
        }
        Ok(())
    }

    pub(crate) fn fill_store(&mut self) {
        for (_, delta) in self.unflushed.drain(..) {
            apply_delta(&mut self.store, &delta);
        }
        self.store_epoch = self.durable_epoch;
    }

    /// The process ends: what the log has then, is what counts. It has all that was durable (4), and of what was on its way to
    /// the disk the beginning, at most.
    pub(crate) fn crash_log(&mut self) -> Checked {
        let writing = std::mem::take(&mut self.process.writing);
        self.log.crash(&mut self.random, &writing).map_err(log_failed)?;
        let found = self.log.replay(self.store_epoch.next()).map_err(log_failed)?;
        let coming = writing.iter().map(|parts| (parts[0].epoch, joined(parts)));
        let known: Vec<_> = self.unflushed.iter().cloned().chain(coming).collect();
        if found.len() < self.unflushed.len() || !known.starts_with(&found) {
            let epochs: Vec<Epoch> = found.iter().map(|(epoch, _)| *epoch).collect();
            let what = format!(
                "{} was durable, and {} in the store; the log has {epochs:?}, or other deltas",
                self.durable_epoch, self.store_epoch
            );
            return violated(Invariant::Durability, what);
        }
        for (epoch, delta) in found.into_iter().skip(self.unflushed.len()) {
            self.make_durable(epoch, delta);
        }
        Ok(())
    }
}

fn joined(parts: &[Part]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.delta.iter().copied()).collect()
}

fn log_failed(error: LogError) -> Violation {
    Violation { invariant: Invariant::Durability, what: format!("the log fails: {error}") }
}
