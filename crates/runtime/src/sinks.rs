//! Sinks: durable egress records are written, again and again if need be, and confirmed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use statera_model::{EgressId, Epoch, TypedValue};
use statera_ports::{DataId, Sink, SinkBatch, SinkError, SinkPosition};
use tokio::sync::Notify;

use crate::pulse::Pulse;

/// Records written at once, if so many wait, unless one epoch has more.
const BATCH_RECORDS_MAX: usize = 10_000;

/// Their bytes.
const BATCH_BYTES_MAX: usize = 16 << 20;

const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// Durable records that wait for their sink.
#[derive(Debug)]
pub(crate) struct SinkQueue {
    batches: Mutex<VecDeque<SinkBatch>>,
    changed: Notify,
    bytes: AtomicUsize,
    /// Batches that are not confirmed, those being written included.
    unconfirmed: AtomicUsize,
}

impl SinkQueue {
    /// A queue with what was not confirmed before the start.
    pub(crate) fn new(batches: Vec<SinkBatch>) -> SinkQueue {
        let queue = SinkQueue {
            batches: Mutex::default(),
            changed: Notify::new(),
            bytes: AtomicUsize::new(0),
            unconfirmed: AtomicUsize::new(0),
        };
        for batch in batches {
            queue.push(batch);
        }
        queue
    }

    pub(crate) fn push(&self, batch: SinkBatch) {
        self.bytes.fetch_add(bytes(&batch.records), Ordering::Relaxed);
        self.unconfirmed.fetch_add(1, Ordering::Relaxed);
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).push_back(batch);
        self.changed.notify_one();
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.unconfirmed.load(Ordering::Relaxed) == 0
    }

    /// Drops what is at its destination already.
    fn discard(&self, up_to: Epoch) {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(batch) = batches.pop_front_if(|batch| batch.epoch <= up_to) {
            self.bytes.fetch_sub(bytes(&batch.records), Ordering::Relaxed);
            self.unconfirmed.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The next batches as one, and how many they are: a sink that lags behind writes larger batches.
    async fn next(&self) -> (SinkBatch, usize) {
        loop {
            if let Some(joined) = self.try_next() {
                return joined;
            }
            self.changed.notified().await;
        }
    }

    fn try_next(&self) -> Option<(SinkBatch, usize)> {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let mut joined = batches.pop_front()?;
        let (mut count, mut size) = (1, bytes(&joined.records));
        while let Some(next) = batches.front()
            && joined.records.len() + next.records.len() <= BATCH_RECORDS_MAX
            && size + bytes(&next.records) <= BATCH_BYTES_MAX
        {
            let next = batches.pop_front().expect("just seen");
            size += bytes(&next.records);
            joined.records.extend(next.records);
            joined.epoch = next.epoch;
            count += 1;
        }
        Some((joined, count))
    }
}

fn bytes(records: &[TypedValue]) -> usize {
    records.iter().map(|record| record.encoded().len() + 64).sum()
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
            Err(error) => retry.pause("prepare", &error).await,
        }
    };
    if let Some(position) = further {
        queue.discard(position.epoch);
        pulse.confirm(id.clone(), position);
    }
    loop {
        let (batch, count) = queue.next().await;
        let (epoch, bytes) = (batch.epoch, bytes(&batch.records));
        let mut retry = Retry { id: id.clone(), delay: RETRY_MIN };
        let position = loop {
            match sink.write(batch.clone()).await {
                Ok(position) => break position,
                Err(error) => retry.pause("write to", &error).await,
            }
        };
        queue.bytes.fetch_sub(bytes, Ordering::Relaxed);
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
        driver.abort();
    }
}
