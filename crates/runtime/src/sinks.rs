//! Sinks: durable egress records are written, again and again if need be, and confirmed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use statera_model::{Chain, EgressId, Epoch, Millis, TypedValue, codes};
use statera_ports::{DataId, Sink, SinkBatch, SinkError, SinkPosition};
use statera_trace::Span;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::engine::Engine;
use crate::figures::Histogram;
use crate::pulse::Pulse;
use crate::shell::wall_clock;

/// Records written at once, if so many wait, unless one epoch has more.
const BATCH_RECORDS_MAX: usize = 10_000;

/// Their bytes.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// How long a sink that is to stop may take to write what it was given.
const LAST_WRITE_MAX: Duration = Duration::from_secs(10);

/// How long to wait before it is looked again whether all is confirmed.
const DRAINED_PAUSE: Duration = Duration::from_millis(5);

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

/// Batches that are one by now, and since when the oldest of them waits.
#[derive(Debug)]
struct Queued {
    batch: SinkBatch,
    /// Of its records that are traced; they end when it is confirmed.
    spans: Vec<Span>,
    /// How many batches it was.
    count: usize,
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

    /// An attempt has failed. Returns whether the one before it had not.
    fn failed(&self, error: &SinkError) -> bool {
        let mut trouble = self.trouble();
        trouble.last = Some((wall_clock(), Chain(error).to_string()));
        !std::mem::replace(&mut trouble.failing, true)
    }

    /// An attempt has succeeded. Returns whether the one before it had not.
    fn succeeded(&self) -> bool {
        let mut trouble = self.trouble();
        trouble.confirmed_at = Some(wall_clock());
        std::mem::replace(&mut trouble.failing, false)
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
            queue.push(batch.epoch, batch.records, Vec::new());
        }
        queue
    }

    /// Adds the records of an epoch, and spans of some of them, each with the index of its record.
    pub(crate) fn push(&self, epoch: Epoch, records: Vec<TypedValue>, spans: Vec<(usize, Span)>) {
        let traces = spans.iter().map(|(index, span)| (*index, span.context())).collect();
        let spans = spans.into_iter().map(|(_, span)| span).collect();
        let batch = SinkBatch { epoch, records, traces };
        self.bytes.fetch_add(bytes(&batch.records), Ordering::Relaxed);
        self.unconfirmed.fetch_add(1, Ordering::Relaxed);
        let mut figures = self.lock_figures();
        figures.released = batch.epoch;
        figures.backlog_records += batch.records.len() as u64;
        drop(figures);
        let queued = Queued { batch, spans, count: 1, since: Instant::now() };
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
        while let Some(Queued { batch, count, .. }) =
            batches.pop_front_if(|queued| queued.batch.epoch <= up_to)
        {
            self.bytes.fetch_sub(bytes(&batch.records), Ordering::Relaxed);
            self.lock_figures().backlog_records -= batch.records.len() as u64;
            self.unconfirmed.fetch_sub(count, Ordering::Relaxed);
        }
    }

    /// Takes back what was not written: another sink will.
    fn put_back(&self, queued: Queued) {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).push_front(queued);
    }

    /// Waits until all is confirmed.
    pub(crate) async fn drained(&self) {
        while !self.is_drained() {
            tokio::time::sleep(DRAINED_PAUSE).await;
        }
    }

    /// The next batches as one: a sink that lags behind writes larger batches.
    async fn next(&self) -> Queued {
        loop {
            if let Some(joined) = self.try_next() {
                return joined;
            }
            self.changed.notified().await;
        }
    }

    fn try_next(&self) -> Option<Queued> {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let Queued { batch: mut joined, mut spans, mut count, since } = batches.pop_front()?;
        let mut size = bytes(&joined.records);
        while let Some(next) = batches.front()
            && joined.records.len() + next.batch.records.len() <= BATCH_RECORDS_MAX
            && size + bytes(&next.batch.records) <= BATCH_BYTES_MAX
        {
            let next = batches.pop_front().expect("just seen");
            size += bytes(&next.batch.records);
            let place = joined.records.len();
            let traces = next.batch.traces.into_iter();
            joined.traces.extend(traces.map(|(index, trace)| (place + index, trace)));
            joined.records.extend(next.batch.records);
            spans.extend(next.spans);
            joined.epoch = next.batch.epoch;
            count += next.count;
        }
        Some(Queued { batch: joined, spans, count, since })
    }
}

fn bytes(records: &[TypedValue]) -> usize {
    records.iter().map(|record| record.encoded().len() + 64).sum()
}

impl Engine {
    /// What each sink has failed to do.
    #[must_use]
    pub fn sink_troubles(&self) -> BTreeMap<EgressId, SinkTrouble> {
        let running = self.shared.running.get();
        let troubles = running.sinks.iter();
        troubles.map(|(id, queue)| (id.clone(), queue.trouble().clone())).collect()
    }
}

/// The task that drives a sink.
pub(crate) struct Driver {
    stop: watch::Sender<bool>,
    task: JoinHandle<Option<SinkPosition>>,
}

impl Driver {
    /// Writes what is queued, from `last` on, on the current tokio runtime.
    pub(crate) fn start(
        egress: (EgressId, Box<dyn Sink>),
        data: DataId,
        last: Option<SinkPosition>,
        queue: Arc<SinkQueue>,
        pulse: Arc<Pulse>,
    ) -> Driver {
        let (stop, stopped) = watch::channel(false);
        let (id, sink) = egress;
        let task = tokio::spawn(drive(id, data, (sink, last), queue, pulse, stopped));
        Driver { stop, task }
    }

    /// Stops between two writes, or after [`LAST_WRITE_MAX`]. Returns what was confirmed last. What was not is in the
    /// queue again.
    pub(crate) async fn stop(self) -> Option<SinkPosition> {
        self.stop.send_replace(true);
        self.task.await.ok().flatten()
    }

    pub(crate) fn abort(&self) {
        self.task.abort();
    }
}

/// Ends when the driver is told to stop.
async fn told(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could tell: the runtime ends it.
        std::future::pending::<()>().await;
    }
}

/// Writes what is queued until it is told to stop; returns what was confirmed last.
async fn drive(
    id: EgressId,
    data: DataId,
    (mut sink, mut last): (Box<dyn Sink>, Option<SinkPosition>),
    queue: Arc<SinkQueue>,
    pulse: Arc<Pulse>,
    mut stop: watch::Receiver<bool>,
) -> Option<SinkPosition> {
    let mut retry = Retry { id: id.clone(), delay: RETRY_MIN };
    let further = loop {
        let prepared = tokio::select! {
            prepared = sink.recover(data.clone(), last.clone()) => prepared,
            () = told(&mut stop) => return last,
        };
        match prepared {
            Ok(further) => break further,
            Err(error) => {
                queue.lock_figures().failures += 1;
                retry.say("prepare", &error, queue.failed(&error));
                retry.pause(&mut stop).await;
            }
        }
    };
    if let Some(position) = further {
        queue.discard(position.epoch);
        queue.lock_figures().confirmed = position.epoch;
        last = Some(position.clone());
        pulse.confirm(id.clone(), position);
    }
    loop {
        let Queued { batch, spans, count, since } = tokio::select! {
            biased;
            () = told(&mut stop) => return last,
            next = queue.next() => next,
        };
        let (epoch, bytes) = (batch.epoch, bytes(&batch.records));
        let mut retry = Retry { id: id.clone(), delay: RETRY_MIN };
        let position = loop {
            let began = Instant::now();
            let overdue = async {
                told(&mut stop).await;
                tokio::time::sleep(LAST_WRITE_MAX).await;
            };
            let written = tokio::select! {
                biased;
                written = sink.write(batch.clone()) => Some(written),
                () = overdue => None,
            };
            queue.written(began, matches!(written, Some(Ok(_))));
            match written {
                Some(Ok(position)) => break position,
                Some(Err(error)) => {
                    retry.say("write to", &error, queue.failed(&error));
                    retry.pause(&mut stop).await;
                }
                None => {}
            }
            if *stop.borrow() {
                queue.put_back(Queued { batch, spans, count, since });
                return last;
            }
        };
        queue.bytes.fetch_sub(bytes, Ordering::Relaxed);
        queue.delivered(epoch, &batch.records, since);
        drop(spans);
        if queue.succeeded() {
            tracing::info!(egress = %id, "the egress takes records again");
        }
        let position = SinkPosition { epoch, position };
        last = Some(position.clone());
        pulse.confirm(id.clone(), position);
        queue.unconfirmed.fetch_sub(count, Ordering::Relaxed);
    }
}

struct Retry {
    id: EgressId,
    delay: Duration,
}

impl Retry {
    /// Says why it is tried again: aloud the first time.
    fn say(&self, doing: &str, error: &SinkError, is_first: bool) {
        let (egress, error, delay) = (&self.id, Chain(error), self.delay);
        if is_first {
            tracing::warn!(
                code = %codes::EGRESS_FAILS, %egress, %error,
                "cannot {doing} the egress; its records wait, and it is tried until it takes them"
            );
        } else {
            tracing::debug!(%egress, %error, "cannot {doing} the egress; it is tried again in {delay:?}");
        }
    }

    async fn pause(&mut self, stop: &mut watch::Receiver<bool>) {
        tokio::select! {
            () = tokio::time::sleep(self.delay) => {}
            () = told(stop) => {}
        }
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
            traces: Vec::new(),
        };
        let queue = Arc::new(SinkQueue::new(vec![batch(1), batch(2), batch(3)]));
        let (written, mut epochs) = mpsc::unbounded_channel();
        let pulse = Arc::new(Pulse::new(Duration::ZERO, Duration::from_secs(1)));
        let id = EgressId::parse("test/out").unwrap();
        let data = DataId("0".into());
        let sink = Box::new(Ahead(written));
        let driver = Driver::start((id, sink), data, None, queue.clone(), pulse);
        assert_eq!(epochs.recv().await, Some(Epoch(3)));
        while !queue.is_drained() {
            tokio::task::yield_now().await;
        }
        assert_eq!(queue.bytes(), 0);
        let figures = queue.figures();
        assert_eq!((figures.released, figures.confirmed), (Epoch(3), Epoch(3)));
        assert_eq!((figures.records, figures.backlog_records, figures.bytes), (1, 0, 5));
        assert_eq!((figures.write.count(), figures.delivery.count(), figures.failures), (1, 1, 0));
        assert_eq!(driver.stop().await.map(|last| last.epoch), Some(Epoch(3)));
    }

    /// Takes nothing, and tells that it was asked.
    struct Failing(mpsc::UnboundedSender<Epoch>);

    impl Sink for Failing {
        fn recover(
            &mut self,
            _data: DataId,
            _last: Option<SinkPosition>,
        ) -> BoxFuture<'_, Result<Option<SinkPosition>, SinkError>> {
            Box::pin(std::future::ready(Ok(None)))
        }

        fn write(&mut self, batch: SinkBatch) -> BoxFuture<'_, Result<Bytes, SinkError>> {
            self.0.send(batch.epoch).unwrap();
            let error = SinkError { doing: "cannot write".to_owned(), source: None };
            Box::pin(std::future::ready(Err(error)))
        }
    }

    #[tokio::test]
    async fn what_a_sink_that_is_stopped_has_not_written_the_next_one_writes() {
        let batch = |epoch| SinkBatch {
            epoch: Epoch(epoch),
            records: vec![TypedValue::new("a/b", b"value")],
            traces: Vec::new(),
        };
        let queue = Arc::new(SinkQueue::new(vec![batch(1), batch(2), batch(3)]));
        let (tried, mut attempts) = mpsc::unbounded_channel();
        let pulse = Arc::new(Pulse::new(Duration::ZERO, Duration::from_secs(1)));
        let id = EgressId::parse("test/out").unwrap();
        let data = DataId("0".into());
        let start = |sink: Box<dyn Sink>, last| {
            Driver::start((id.clone(), sink), data.clone(), last, queue.clone(), pulse.clone())
        };
        let driver = start(Box::new(Failing(tried)), None);
        assert_eq!(attempts.recv().await, Some(Epoch(3)));
        assert_eq!(driver.stop().await, None);
        assert!(!queue.is_drained());

        // All of it was one batch by then, which is written as a whole or not at all.
        let (written, mut epochs) = mpsc::unbounded_channel();
        let driver = start(Box::new(Ahead(written)), None);
        assert_eq!(epochs.recv().await, Some(Epoch(3)));
        queue.drained().await;
        assert_eq!((queue.bytes(), queue.figures().backlog_records), (0, 0));
        driver.abort();
    }
}
