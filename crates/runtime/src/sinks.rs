//! Sinks: durable egress records are written, again and again if need be, and confirmed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use statera_model::{EgressId, Epoch, Millis, TypedValue};
use statera_ports::{DataId, Sink, SinkBatch, SinkError, SinkPosition};
use tokio::sync::Notify;

use crate::engine::Engine;
use crate::figures::Histogram;
use crate::pulse::Pulse;
use crate::shell::wall_clock;

/// Records written at once, if so many wait, unless one epoch has more.
const BATCH_RECORDS_MAX: usize = 10_000;

/// Their bytes.
const BATCH_BYTES_MAX: usize = 16 << 20;

const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// Durable records that wait for their sink.
#[derive(Debug)]
pub(crate) struct SinkQueue {
    batches: Mutex<VecDeque<Queued>>,
    changed: Notify,
    bytes: AtomicUsize,
    /// Batches that are not confirmed, those being written included.
    unconfirmed: AtomicUsize,
    figures: Mutex<SinkFigures>,
    trouble: Mutex<SinkTrouble>,
}

/// A batch, and since when it waits.
#[derive(Debug)]
struct Queued {
    batch: SinkBatch,
    since: Instant,
}

/// What is at once written.
struct Joined {
    batch: SinkBatch,
    /// How many batches it was.
    count: usize,
    /// Since when the oldest of them waited.
    since: Instant,
}

/// What a sink was given and has taken since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct SinkFigures {
    /// The last durable epoch with records for it.
    pub released: Epoch,
    /// The last epoch that it has confirmed.
    pub confirmed: Epoch,
    /// Records that it has confirmed.
    pub records: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Records that wait or are being written.
    pub backlog_records: u64,
    /// Bytes that these take in memory.
    pub backlog_bytes: u64,
    /// How long writes took.
    pub write: Histogram,
    /// From when records could be released, or were found at the start, until the sink had confirmed them; each record
    /// counted.
    pub delivery: Histogram,
    /// Writes and preparations that failed, and were tried again.
    pub failures: u64,
}

/// What a sink has failed to do.
#[derive(Clone, Debug, Default)]
pub struct SinkTrouble {
    /// Whether its last attempt failed.
    pub failing: bool,
    /// The last attempt that failed: when, and why.
    pub last: Option<(Millis, String)>,
    /// When it last confirmed something.
    pub confirmed_at: Option<Millis>,
}

impl SinkQueue {
    /// What it has failed to do.
    pub(crate) fn trouble(&self) -> MutexGuard<'_, SinkTrouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt has failed.
    fn failed(&self, error: &SinkError) {
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(error) = source {
            reason += &format!(": {error}");
            source = error.source();
        }
        let mut trouble = self.trouble();
        trouble.failing = true;
        trouble.last = Some((wall_clock(), reason));
    }

    /// An attempt has succeeded.
    fn succeeded(&self) {
        let mut trouble = self.trouble();
        trouble.failing = false;
        trouble.confirmed_at = Some(wall_clock());
    }

    /// A queue with what was not confirmed before the start.
    pub(crate) fn new(batches: Vec<SinkBatch>) -> SinkQueue {
        let queue = SinkQueue {
            batches: Mutex::default(),
            changed: Notify::new(),
            bytes: AtomicUsize::new(0),
            unconfirmed: AtomicUsize::new(0),
            figures: Mutex::default(),
            trouble: Mutex::default(),
        };
        for batch in batches {
            queue.push(batch);
        }
        queue
    }

    pub(crate) fn push(&self, batch: SinkBatch) {
        self.bytes.fetch_add(bytes(&batch.records), Ordering::Relaxed);
        self.unconfirmed.fetch_add(1, Ordering::Relaxed);
        let mut figures = self.lock_figures();
        figures.released = batch.epoch;
        figures.backlog_records += batch.records.len() as u64;
        drop(figures);
        let queued = Queued { batch, since: Instant::now() };
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).push_back(queued);
        self.changed.notify_one();
    }

    /// What it was given and has taken.
    pub(crate) fn figures(&self) -> SinkFigures {
        SinkFigures { backlog_bytes: self.bytes() as u64, ..*self.lock_figures() }
    }

    fn lock_figures(&self) -> MutexGuard<'_, SinkFigures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.unconfirmed.load(Ordering::Relaxed) == 0
    }

    /// The sink was given a batch.
    fn written(&self, began: Instant, taken: bool) {
        let mut figures = self.lock_figures();
        figures.write.note(began.elapsed());
        figures.failures += u64::from(!taken);
    }

    /// The sink has confirmed records of this epoch, which waited since then.
    fn delivered(&self, epoch: Epoch, records: &[TypedValue], since: Instant) {
        let mut figures = self.lock_figures();
        let count = records.len() as u64;
        figures.confirmed = epoch;
        figures.records += count;
        figures.bytes += records.iter().map(|record| record.value().len() as u64).sum::<u64>();
        figures.backlog_records -= count;
        figures.delivery.note_many(since.elapsed(), count);
    }

    /// Drops what is at its destination already.
    fn discard(&self, up_to: Epoch) {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(Queued { batch, .. }) =
            batches.pop_front_if(|queued| queued.batch.epoch <= up_to)
        {
            self.bytes.fetch_sub(bytes(&batch.records), Ordering::Relaxed);
            self.lock_figures().backlog_records -= batch.records.len() as u64;
            self.unconfirmed.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The next batches as one: a sink that lags behind writes larger batches.
    async fn next(&self) -> Joined {
        loop {
            if let Some(joined) = self.try_next() {
                return joined;
            }
            self.changed.notified().await;
        }
    }

    fn try_next(&self) -> Option<Joined> {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let Queued { batch: mut joined, since } = batches.pop_front()?;
        let (mut count, mut size) = (1, bytes(&joined.records));
        while let Some(next) = batches.front()
            && joined.records.len() + next.batch.records.len() <= BATCH_RECORDS_MAX
            && size + bytes(&next.batch.records) <= BATCH_BYTES_MAX
        {
            let next = batches.pop_front().expect("just seen").batch;
            size += bytes(&next.records);
            joined.records.extend(next.records);
            joined.epoch = next.epoch;
            count += 1;
        }
        Some(Joined { batch: joined, count, since })
    }
}

fn bytes(records: &[TypedValue]) -> usize {
    records.iter().map(|record| record.encoded().len() + 64).sum()
}

impl Engine {
    /// What each sink has failed to do.
    #[must_use]
    pub fn sink_troubles(&self) -> BTreeMap<EgressId, SinkTrouble> {
        let troubles = self.shared.sinks.iter();
        troubles.map(|(id, queue)| (id.clone(), queue.trouble().clone())).collect()
    }
}

/// Writes what is queued, for ever.
pub(crate) async fn drive(
    id: EgressId,
    data: DataId,
    mut sink: Box<dyn Sink>,
    last: Option<SinkPosition>,
    queue: Arc<SinkQueue>,
    pulse: Arc<Pulse>,
) {
    let mut retry = Retry { id: id.clone(), delay: RETRY_MIN };
    let further = loop {
        match sink.recover(data.clone(), last.clone()).await {
            Ok(further) => break further,
            Err(error) => {
                queue.lock_figures().failures += 1;
                queue.failed(&error);
                retry.pause("prepare", &error).await;
            }
        }
    };
    if let Some(position) = further {
        queue.discard(position.epoch);
        queue.lock_figures().confirmed = position.epoch;
        pulse.confirm(id.clone(), position);
    }
    loop {
        let Joined { batch, count, since } = queue.next().await;
        let (epoch, bytes) = (batch.epoch, bytes(&batch.records));
        let mut retry = Retry { id: id.clone(), delay: RETRY_MIN };
        let position = loop {
            let began = Instant::now();
            let written = sink.write(batch.clone()).await;
            queue.written(began, written.is_ok());
            match written {
                Ok(position) => break position,
                Err(error) => {
                    queue.failed(&error);
                    retry.pause("write to", &error).await;
                }
            }
        };
        queue.bytes.fetch_sub(bytes, Ordering::Relaxed);
        queue.delivered(epoch, &batch.records, since);
        queue.succeeded();
        pulse.confirm(id.clone(), SinkPosition { epoch, position });
        queue.unconfirmed.fetch_sub(count, Ordering::Relaxed);
    }
}

struct Retry {
    id: EgressId,
    delay: Duration,
}

impl Retry {
    async fn pause(&mut self, doing: &str, error: &SinkError) {
        tracing::warn!(
            egress = %self.id,
            error = error as &dyn std::error::Error,
            "cannot {doing} the egress; its records wait, and it is tried again in {:?}",
            self.delay
        );
        tokio::time::sleep(self.delay).await;
        self.delay = (self.delay * 2).min(RETRY_MAX);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use statera_ports::BoxFuture;
    use tokio::sync::mpsc;

    use super::*;

    /// Knows that it has what epochs up to 2 brought, and tells what it is given.
    struct Ahead(mpsc::UnboundedSender<Epoch>);

    impl Sink for Ahead {
        fn recover(
            &mut self,
            _data: DataId,
            last: Option<SinkPosition>,
        ) -> BoxFuture<'_, Result<Option<SinkPosition>, SinkError>> {
            assert_eq!(last, None);
            let further = SinkPosition { epoch: Epoch(2), position: Bytes::new() };
            Box::pin(std::future::ready(Ok(Some(further))))
        }

        fn write(&mut self, batch: SinkBatch) -> BoxFuture<'_, Result<Bytes, SinkError>> {
            self.0.send(batch.epoch).unwrap();
            Box::pin(std::future::ready(Ok(Bytes::new())))
        }
    }

    #[tokio::test]
    async fn what_the_destination_has_already_is_not_written_again() {
        let batch = |epoch| SinkBatch {
            epoch: Epoch(epoch),
            records: vec![TypedValue::new("a/b", b"value")],
        };
        let queue = Arc::new(SinkQueue::new(vec![batch(1), batch(2), batch(3)]));
        let (written, mut epochs) = mpsc::unbounded_channel();
        let pulse = Arc::new(Pulse::new(Duration::ZERO, Duration::from_secs(1)));
        let id = EgressId::parse("test/out").unwrap();
        let data = DataId("0".into());
        let sink = Box::new(Ahead(written));
        let driver = tokio::spawn(drive(id, data, sink, None, queue.clone(), pulse));
        assert_eq!(epochs.recv().await, Some(Epoch(3)));
        while !queue.is_drained() {
            tokio::task::yield_now().await;
        }
        assert_eq!(queue.bytes(), 0);
        let figures = queue.figures();
        assert_eq!((figures.released, figures.confirmed), (Epoch(3), Epoch(3)));
        assert_eq!((figures.records, figures.backlog_records, figures.bytes), (1, 0, 5));
        assert_eq!((figures.write.count(), figures.delivery.count(), figures.failures), (1, 1, 0));
        driver.abort();
    }
}
