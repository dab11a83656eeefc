//! Epochs: a consistent cut through all shards, after Chandy and Lamport ("Distributed Snapshots", 1985).
//!
//! A shard takes a cut when it is told to, or when the first marker of a peer arrives. It writes down its own changes
//! and sends a marker behind everything it has sent before. Until the marker of a peer arrives, what that peer sends
//! was in the channel at the cut and is added to the part. Nobody waits: the next epoch has begun meanwhile.

use std::sync::Arc;

use statera_model::{Epoch, KeyGroup};

use super::{Shard, TOUCHED_AT_ONCE};
use crate::delta::DeltaWriter;
use crate::input::{Cut, Effect, Part, Releases};
use crate::instance::{CellStatus, Marks};
use crate::keys::{self, Key};
use crate::values::{Mail, StateValue, encode_sink_position};

/// A part to which messages from some peers may still be added.
pub(super) struct OpenPart {
    epoch: Epoch,
    pub(super) delta: Vec<u8>,
    releases: Releases,
    /// For each shard whether its marker is missing.
    awaited: Vec<bool>,
}

impl OpenPart {
    pub(super) fn awaits(&self, shard: u16) -> bool {
        self.awaited[usize::from(shard)]
    }
}

impl Shard {
    pub(super) fn cut(&mut self, cut: &Arc<Cut>) {
        if cut.epoch < self.epoch {
            return; // A peer's marker was faster.
        }
        assert_eq!(cut.epoch, self.epoch, "cuts come in order");
        assert!(self.open.is_none(), "a cut comes after all parts of the one before");
        self.receive_local();
        self.confirm(cut);
        let mut delta = self.pending.drain(self.delta_room);
        let mut writer = DeltaWriter::new(&mut delta);
        self.delays.drain_into(&mut writer);
        self.write_instances(&mut writer);
        self.delta_room = delta.len() + delta.len() / 8;
        let awaited = (0..self.config.shards).map(|shard| shard != self.config.shard).collect();
        let releases = std::mem::take(&mut self.releases);
        self.open = Some(OpenPart { epoch: cut.epoch, delta, releases, awaited });
        self.epoch = cut.epoch.next();
        self.outbox.cut();
        self.due_sent = 0;
        if self.config.shards > 1 {
            self.effects.push(Effect::Marker(cut.clone()));
        }
        self.close_part();
    }

    pub(super) fn marker(&mut self, from: u16, cut: &Arc<Cut>) {
        self.cut(cut);
        let open = self.open.as_mut().expect("a part is open until all markers are there");
        assert_eq!(open.epoch, cut.epoch);
        open.awaited[usize::from(from)] = false;
        self.close_part();
    }

    fn close_part(&mut self) {
        let complete = self.open.as_ref().is_some_and(|open| !open.awaited.contains(&true));
        if complete && let Some(open) = self.open.take() {
            let OpenPart { epoch, delta, releases, .. } = open;
            self.effects.push(Effect::Part(Box::new(Part { epoch, delta, releases })));
        }
    }

    /// Forgets the egress records that sinks have confirmed.
    fn confirm(&mut self, cut: &Cut) {
        for (egress, position) in &cut.confirmed {
            for key in self.outbox.confirm(egress, position.epoch) {
                self.pending.delete_once(key);
            }
            let group = KeyGroup::of(egress.as_str(), self.config.key_groups);
            if self.owner(group) == self.config.shard {
                let key = Key::Sink(egress.clone()).encode(group);
                self.pending.put(key, encode_sink_position(position));
            }
        }
    }

    /// Writes the state values and messages that changed, each once with what it is now.
    fn write_instances(&mut self, delta: &mut DeltaWriter<'_>) {
        let dirty = std::mem::take(&mut self.dirty);
        for (place, index) in dirty.iter().enumerate() {
            if place % TOUCHED_AT_ONCE == 0 {
                let ahead = dirty[place..].iter().take(TOUCHED_AT_ONCE);
                ahead.for_each(|index| self.instances.touch(*index));
            }
            let index = *index;
            let instance = self.instances.get_mut(index);
            instance.marks.clear(Marks::DIRTY);
            let function = &self.functions[instance.function as usize];
            let (group, id) = (instance.group, &instance.id);
            for (state, cell) in function.state_keys.iter().zip(&mut *instance.cells) {
                if cell.status != CellStatus::Dirty {
                    continue;
                }
                cell.status = CellStatus::Clean;
                let key = |out: &mut Vec<u8>| {
                    keys::push_known_state(out, group, &function.key, id, state);
                };
                match &cell.value {
                    Some(value) => delta.put_with(key, |out| {
                        StateValue::push(out, cell.last_access, value);
                    }),
                    None => delta.delete_with(key),
                }
            }
            self.mails.persist(&mut instance.mailbox, |message| {
                delta.put_with(
                    |out| keys::push_known_mail(out, group, &function.key, id, message.sequence),
                    |out| Mail::push(out, message.caller.as_ref(), &message.argument),
                );
            });
        }
        self.dirty = dirty;
        self.dirty.clear();
    }
}
