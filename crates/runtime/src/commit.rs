//! The commit thread: cuts epochs, makes them durable, and only then lets anything out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use statera_core::{Cut, Part};
use statera_log::{CommitLog, FileLog};
use statera_model::{EgressId, Epoch, Millis, TraceContext, TypedValue};
use statera_ports::SinkPosition;
use statera_store::Store;
use statera_trace::{Kind, Tracer};

use crate::error::EngineError;
use crate::figures::{Stopwatch, Watch};
use crate::inbox::{Event, Inbox};
use crate::pulse::{Order, Pulse};
use crate::recent::{Recent, RecentEpoch};
use crate::reload::Live;
use crate::shell::wall_clock;

pub(crate) struct Committer {
    pub(crate) log: FileLog,
    pub(crate) store: Arc<Store>,
    pub(crate) last: Epoch,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) inboxes: Arc<[Inbox]>,
    pub(crate) parts: Receiver<(u16, Part)>,
    pub(crate) running: Arc<Live>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) recent: Arc<Recent>,
    pub(crate) tracer: Option<Tracer>,
}

/// Records for one egress, and of those that are traced, by their index, what is needed to begin a span.
#[derive(Default)]
struct Released {
    records: Vec<TypedValue>,
    spans: Vec<(usize, Tracer, TraceContext)>,
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.pulse.close();
    }
}

impl Committer {
    /// Commits epoch after epoch until it is told to stop, or something fails.
    pub(crate) fn run(mut self) -> Result<(), EngineError> {
        let mut last_cut = Instant::now();
        loop {
            match self.pulse.next(last_cut) {
                Order::Stop => return Ok(()),
                Order::Truncate(epoch) => self.log.truncate(epoch)?,
                Order::Cut { confirmed, waiting } => {
                    last_cut = Instant::now();
                    let at = wall_clock();
                    let mut times = Stopwatch::start(last_cut);
                    let Some((parts, last_shard)) = self.cut(confirmed) else { return Ok(()) };
                    times.collected();
                    self.commit(parts, times, (at, last_shard))?;
                    for waiting in waiting {
                        // Whoever asked may have gone.
                        let _ = waiting.send(());
                    }
                }
            }
        }
    }

    /// Cuts through all shards; `None` if they have stopped. The parts come in the order of the shards, and the shard that
    /// was last is named.
    fn cut(&mut self, confirmed: Vec<(EgressId, SinkPosition)>) -> Option<(Vec<Part>, u16)> {
        let cut = Arc::new(Cut { epoch: self.last.next(), confirmed });
        for inbox in &*self.inboxes {
            inbox.push(Event::Cut(cut.clone()));
        }
        let mut parts = Vec::new();
        for _ in 0..self.inboxes.len() {
            parts.push(self.parts.recv().ok()?);
        }
        let last = parts.last().map_or(0, |(shard, _)| *shard);
        parts.sort_by_key(|(shard, _)| *shard);
        Some((parts.into_iter().map(|(_, part)| part).collect(), last))
    }

    fn commit(
        &mut self,
        parts: Vec<Part>,
        mut times: Stopwatch,
        (at, last_shard): (Millis, u16),
    ) -> Result<(), EngineError> {
        let epoch = self.last.next();
        let deltas: Vec<&[u8]> = parts.iter().map(|part| &part.delta[..]).collect();
        self.log.append(epoch, &deltas)?;
        times.appended();
        self.last = epoch;
        // Before anybody is told: whoever was answered may ask the store about it.
        let changes = self.store.changes();
        self.store.absorb(epoch, &deltas)?;
        let (cut, append, absorb) =
            times.absorbed(epoch, &deltas, &self.log, &mut self.watch.epochs());
        self.recent.note(RecentEpoch {
            epoch,
            at,
            parts: cut,
            last_shard,
            append,
            absorb,
            bytes: deltas.iter().map(|delta| delta.len()).sum(),
            keys: self.store.changes() - changes,
        });
        for inbox in &*self.inboxes {
            inbox.push(Event::Durable(epoch));
        }
        self.release_egress(epoch, parts);
        Ok(())
    }

    fn release_egress(&self, epoch: Epoch, parts: Vec<Part>) {
        let mut batches: BTreeMap<EgressId, Released> = BTreeMap::new();
        for record in parts.into_iter().flat_map(|part| part.releases.egress) {
            let released = batches.entry(record.egress).or_default();
            if let (Some(trace), Some(tracer)) = (record.trace, &self.tracer) {
                released.spans.push((released.records.len(), tracer.clone(), *trace));
            }
            released.records.push(record.value);
        }
        let running = self.running.get();
        for (egress, Released { records, spans }) in batches {
            let begin = |(index, tracer, parent): (usize, Tracer, TraceContext)| {
                (index, tracer.child(parent, Kind::Producer, format!("egress {egress}")))
            };
            let spans = spans.into_iter().map(begin).collect();
            // An egress is here before a shard knows it, and until no shard has anything for it.
            running.sinks[&egress].push(epoch, records, spans);
        }
    }
}
