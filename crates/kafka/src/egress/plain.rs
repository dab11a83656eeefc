//! At least once, and without a promise: records are sent, and waited for or not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::producer::Producer as _;
use statera_model::codes;
use statera_ports::{SinkBatch, SinkError};

use super::producer::{Failure, Packing, Producer, Refusal, tell_small};
use super::thread::Signs;
use crate::client::Link;

/// How long the end waits for records that are on their way.
const LAST_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// How often it is said that records are lost.
const REMINDER_INTERVAL: Duration = Duration::from_secs(60);

/// Records without transactions. Blocks.
pub(super) struct Plain {
    config: ClientConfig,
    link: Arc<Link>,
    waits: Waits,
    packing: Packing,
    /// None after a failure: what it still has is forgotten with it, so that the batch is written again in order.
    producer: Option<Producer>,
    /// When it was last said that records are lost.
    told: Option<Instant>,
}

/// Whether a batch waits for the brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    Yes,
    No,
}

impl Plain {
    pub(super) fn new(config: ClientConfig, link: Arc<Link>, waits: Waits) -> Plain {
        Plain { config, link, waits, packing: Packing::Full, producer: None, told: None }
    }

    pub(super) fn write(&mut self, batch: &SinkBatch, signs: &Signs) -> Result<(), SinkError> {
        loop {
            let producer = match self.producer.take() {
                Some(producer) => producer,
                None => self.open()?,
            };
            let failure = match self.send(&producer, batch, signs) {
                Ok(()) => {
                    self.producer = Some(producer);
                    return Ok(());
                }
                Err(failure) => failure,
            };
            match (failure.too_large(), self.packing.tighter()) {
                (Some(topic), Some(tighter)) => {
                    if self.packing == Packing::Full {
                        tell_small(&self.link, topic);
                    }
                    self.packing = tighter;
                }
                (too_large, _) => {
                    if too_large.is_some() {
                        // It was a single record.
                        self.packing = Packing::Full;
                    }
                    return Err(failure.into());
                }
            }
        }
    }

    fn open(&self) -> Result<Producer, Failure> {
        let doing = "cannot make a Kafka producer";
        Producer::new(&self.config, self.packing, &self.link)
            .map_err(|source| Failure::Client { doing, source })
    }

    fn send(
        &mut self,
        producer: &Producer,
        batch: &SinkBatch,
        signs: &Signs,
    ) -> Result<(), Failure> {
        if self.waits == Waits::Yes {
            producer.send(&batch.records, &batch.traces, signs)?;
            return producer.wait_for_reports(signs);
        }
        let mut traces = batch.traces.iter().peekable();
        for (index, record) in batch.records.iter().enumerate() {
            let trace = traces.next_if(|(traced, _)| *traced == index);
            let trace: Vec<_> = trace.map(|(_, trace)| (0, *trace)).into_iter().collect();
            match producer.send(std::slice::from_ref(record), &trace, signs) {
                Err(Failure::Refused(refusal)) => self.tell_lost(&refusal),
                sent => sent?,
            }
        }
        if let Some(refusal) = producer.take_refused() {
            self.tell_lost(&refusal);
        }
        Ok(())
    }

    fn tell_lost(&mut self, refusal: &Refusal) {
        if self.told.is_none_or(|at| at.elapsed() > REMINDER_INTERVAL) {
            self.told = Some(Instant::now());
            let why = refusal.doing();
            tracing::warn!(code = %codes::RECORDS_LOST, id = %self.link.id(), why, "records are lost, as `deliverySemantic` allows");
        }
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        if let (Waits::No, Some(producer)) = (self.waits, &self.producer)
            && producer.client.flush(LAST_FLUSH_TIMEOUT).is_err()
        {
            tracing::warn!(code = %codes::RECORDS_LOST, id = %self.link.id(), "some records of the egress did not reach the brokers in time");
        }
    }
}
