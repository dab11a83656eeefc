//! Where egress records go, and the sinks on the way there.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use statera_core::Releases;
use statera_core::keys::Key;
use statera_core::values::decode_sink_position;
use statera_model::{Epoch, TypedValue};
use statera_ports::SinkPosition;

use crate::life::Life;
use crate::violation::{Checked, Invariant, violated};
use crate::world::{Inside, World};

#[derive(Debug, Default)]
pub(crate) struct Endpoint {
    /// What has arrived.
    pub(crate) written: Vec<(Epoch, Vec<TypedValue>)>,
    pub(crate) queue: VecDeque<(Epoch, Vec<TypedValue>)>,
    pub(crate) busy: bool,
}

impl<L: Life> World<L> {
    /// Hands the records of an epoch to their sinks, in the order of the shards.
    pub(crate) fn emit(&mut self, epoch: Epoch, releases: Vec<Releases>) {
        let mut batches: BTreeMap<usize, Vec<TypedValue>> = BTreeMap::new();
        for record in releases.into_iter().flat_map(|releases| releases.egress) {
            let sink = self.sink(record.egress.as_str());
            batches.entry(sink).or_default().push(record.value);
        }
        for (sink, records) in batches {
            self.enqueue(sink, epoch, records);
        }
    }

    fn sink(&self, egress: &str) -> usize {
        let sink = self.egresses.iter().position(|known| known.as_str() == egress);
        sink.expect("the core checks egresses")
    }

    fn enqueue(&mut self, sink: usize, epoch: Epoch, records: Vec<TypedValue>) {
        let endpoint = &mut self.endpoints[sink];
        endpoint.queue.push_back((epoch, records));
        if !std::mem::replace(&mut endpoint.busy, true) {
            let delay_ms = self.random.below(30);
            self.inside(delay_ms, Inside::Sink(sink));
        }
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
    fn write(&mut self, sink: usize, epoch: Epoch, records: Vec<TypedValue>) -> Checked {
        let shown = self.show_all(&records);
        self.trace.note(self.now, format_args!("sink {sink} writes {epoch}: {shown}"));
        if epoch > self.durable_epoch {
            let what = format!("`{shown}` left in {epoch}, before it was durable");
            return violated(Invariant::Durability, what);
        }
        let written = &mut self.endpoints[sink].written;
        match written.binary_search_by_key(&epoch, |(epoch, _)| *epoch) {
            Ok(index) if written[index].1 == records => {}
            Ok(index) => {
                let what = format!("{epoch} was {:?}, and is `{shown}` now", written[index].1);
                return violated(Invariant::Durability, what);
            }
            Err(index) if index == written.len() => written.push((epoch, records)),
            Err(_) => {
                let what = format!("`{shown}` of {epoch} comes too late");
                return violated(Invariant::Durability, what);
            }
        }
        Ok(())
    }

    /// The process ends: a write that was under way may have reached the destination.
    pub(crate) fn crash_sinks(&mut self) -> Checked {
        for sink in 0..self.endpoints.len() {
            let endpoint = &mut self.endpoints[sink];
            endpoint.busy = false;
            let queue = std::mem::take(&mut endpoint.queue);
            if let Some((epoch, records)) = queue.into_iter().next()
                && self.random.one_in(2)
            {
                self.write(sink, epoch, records)?;
            }
        }
        Ok(())
    }

    /// Sinks take back what is not confirmed, or recognise it; either way it is written again.
    pub(crate) fn recover_sinks(&mut self) {
        let mut confirmed: BTreeMap<usize, Epoch> = BTreeMap::new();
        let mut records: BTreeMap<usize, BTreeMap<(Epoch, u16, u32), TypedValue>> = BTreeMap::new();
        for (bytes, value) in &self.durable {
            match Key::decode(bytes).expect("a key").1 {
                Key::Sink(egress) => {
                    let position = decode_sink_position(value.clone()).expect("a position");
                    confirmed.insert(self.sink(egress.as_str()), position.epoch);
                }
                Key::Outbox { egress, epoch, shard, index } => {
                    let record = TypedValue::from_encoded(value.clone()).expect("a record");
                    let place = (epoch, shard, index);
                    let sink = self.sink(egress.as_str());
                    records.entry(sink).or_default().insert(place, record);
                }
                _ => {}
            }
        }
        for sink in 0..self.endpoints.len() {
            let last = confirmed.get(&sink).copied().unwrap_or(Epoch::ZERO);
            if sink == 0 {
                self.endpoints[sink].written.retain(|(epoch, _)| *epoch <= last);
            }
            let mut batches: BTreeMap<Epoch, Vec<TypedValue>> = BTreeMap::new();
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

    fn show_all(&self, values: &[TypedValue]) -> String {
        let shown: Vec<String> = values.iter().map(|value| self.life.show(value)).collect();
        shown.join(", ")
    }
}
