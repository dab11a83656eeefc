//! Coming back: the store is brought up to the log, and everything that was under way is read from it.

use std::collections::BTreeMap;

use bytes::Bytes;
use statera_core::Shard;
use statera_core::keys::{Halt, Key};
use statera_core::values::{Paused, decode_sink_position};
use statera_log::{CommitLog, FileLog};
use statera_model::{EgressId, Epoch, TypedValue};
use statera_ports::{SinkBatch, SinkPosition, SourceId};
use statera_store::{Reader, Store};

use crate::error::EngineError;

/// What does not belong to a shard.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    pub(crate) sources: BTreeMap<SourceId, Bytes>,
    pub(crate) sinks: BTreeMap<EgressId, SinkPosition>,
    pub(crate) halts: BTreeMap<Halt, Paused>,
    /// Records that are durable here and not confirmed by their sink, in their order.
    outbox: BTreeMap<EgressId, BTreeMap<(Epoch, u16, u32), TypedValue>>,
}

/// Replays into the store what the log has and the store has not. Returns the last durable epoch.
pub(crate) fn replay(log: &mut FileLog, store: &Store) -> Result<Epoch, EngineError> {
    let reflected = store.reflected();
    let last = match log.last_epoch() {
        None if reflected > Epoch::ZERO => {
            return Err(EngineError::LogMissing { store: reflected.0 });
        }
        last => last.unwrap_or(reflected),
    };
    if last < reflected {
        return Err(EngineError::LogBehind { log: last.0, store: reflected.0 });
    }
    if last > reflected {
        tracing::info!(from = reflected.0, to = last.0, "replaying the commit log");
        log.replay(reflected.next(), &mut |epoch, delta| Ok(store.absorb(epoch, &[delta])?))?;
    }
    Ok(last)
}

/// Reads the working set back into its shards.
pub(crate) fn restore(
    reader: &Reader,
    shards: &mut [Shard],
    key_groups: u16,
) -> Result<Recovered, EngineError> {
    let mut recovered = Recovered::default();
    reader.scan_work(|key, value| -> Result<(), EngineError> {
        let (group, key) = Key::decode(key)?;
        let value = Bytes::copy_from_slice(value);
        match &key {
            Key::Source(source) => {
                recovered.sources.insert(source.clone(), value);
                return Ok(());
            }
            Key::Sink(egress) => {
                recovered.sinks.insert(egress.clone(), decode_sink_position(value)?);
                return Ok(());
            }
            Key::Halt(halt) => {
                recovered.halts.insert(halt.clone(), Paused::decode(value)?);
                return Ok(());
            }
            Key::Outbox { egress, epoch, shard, index } => {
                let record = TypedValue::from_encoded(value.clone())
                    .map_err(|_| statera_core::values::CorruptValue { kind: "egress record" })?;
                let records = recovered.outbox.entry(egress.clone()).or_default();
                records.insert((*epoch, *shard, *index), record);
            }
            _ => {}
        }
        let owner = group.shard(shards.len(), key_groups);
        Ok(shards[owner].restore(group, key, value)?)
    })?;
    Ok(recovered)
}

impl Recovered {
    /// The unconfirmed records of an egress, epoch by epoch.
    pub(crate) fn take_outbox(&mut self, egress: &EgressId) -> Vec<SinkBatch> {
        let mut batches: Vec<SinkBatch> = Vec::new();
        for ((epoch, _, _), record) in self.outbox.remove(egress).unwrap_or_default() {
            match batches.last_mut() {
                Some(batch) if batch.epoch == epoch => batch.records.push(record),
                _ => batches.push(SinkBatch { epoch, records: vec![record], traces: Vec::new() }),
            }
        }
        batches
    }

    /// Egresses with unconfirmed records that nobody took, and how many those are.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = (&EgressId, usize)> {
        self.outbox.iter().map(|(egress, records)| (egress, records.len()))
    }
}
