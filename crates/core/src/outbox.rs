//! Egress records that have been emitted and not confirmed by their sinks.

use std::collections::{BTreeMap, VecDeque};

use statera_model::{EgressId, Epoch, KeyGroup};

use crate::keys::Key;

/// The keys of unconfirmed records. The records themselves are with the sinks, and in the store.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    egresses: BTreeMap<EgressId, VecDeque<Entry>>,
    /// The next index of each egress in the epoch being built.
    next: BTreeMap<EgressId, u32>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    group: KeyGroup,
    epoch: Epoch,
    shard: u16,
    index: u32,
}

impl Outbox {
    /// Adds a record, and returns its key.
    pub(crate) fn add(
        &mut self,
        egress: &EgressId,
        group: KeyGroup,
        epoch: Epoch,
        shard: u16,
    ) -> Vec<u8> {
        let next = match self.next.get_mut(egress) {
            Some(next) => next,
            None => self.next.entry(egress.clone()).or_insert(0),
        };
        let index = *next;
        *next += 1;
        let entry = Entry { group, epoch, shard, index };
        match self.egresses.get_mut(egress) {
            Some(entries) => entries.push_back(entry),
            None => self.egresses.entry(egress.clone()).or_default().push_back(entry),
        }
        entry.key(egress)
    }

    /// Takes back a record found in the store. Those of one egress may come in any order until
    /// [`Outbox::restored`].
    pub(crate) fn restore(
        &mut self,
        egress: EgressId,
        group: KeyGroup,
        epoch: Epoch,
        shard: u16,
        index: u32,
    ) {
        self.egresses.entry(egress).or_default().push_back(Entry { group, epoch, shard, index });
    }

    pub(crate) fn restored(&mut self) {
        for entries in self.egresses.values_mut() {
            entries.make_contiguous().sort_by_key(|entry| (entry.epoch, entry.shard, entry.index));
        }
    }

    /// An epoch was cut: indexes start anew.
    pub(crate) fn cut(&mut self) {
        self.next.clear();
    }

    /// Takes out all records up to an epoch; returns their keys.
    pub(crate) fn confirm(&mut self, egress: &EgressId, epoch: Epoch) -> Vec<Vec<u8>> {
        let Some(entries) = self.egresses.get_mut(egress) else { return Vec::new() };
        let confirmed = entries.partition_point(|entry| entry.epoch <= epoch);
        entries.drain(..confirmed).map(|entry| entry.key(egress)).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.egresses.values().map(VecDeque::len).sum()
    }
}

impl Entry {
    fn key(&self, egress: &EgressId) -> Vec<u8> {
        let Entry { group, epoch, shard, index } = *self;
        Key::Outbox { egress: egress.clone(), epoch, shard, index }.encode(group)
    }
}
