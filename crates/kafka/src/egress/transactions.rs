//! Exactly once: a batch is a transaction, which also says which epoch it was.
//!
//! A consumer group is called `statera.<data>.<egress>`; the transactional ids of the two producers are that with `.0` and `.1`. In the transaction of a
//! batch the group commits the number of its last epoch as the offset of partition 0 of some topic of the batch: the
//! *marker*. So the destination itself knows how far it has come, and a batch whose commit was lost on the way is
//! recognised. Nobody else uses the group; monitors may show it with a lag that means nothing.
//!
//! | what happened | what follows |
//! |---|---|
//! | a record is refused | the transaction is aborted, the batch is written again |
//! | a crash, a failure after which nobody knows, or a call that never returns ([`thread`](super::thread)) | a new producer of the same id: the brokers finish or abort what is open; the marker tells which |
//! | another process has taken over the id | the same; two processes can't have one data directory |
//!
//! Nothing is left open, and no transaction lasts longer than writing a batch takes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use statera_model::{EgressId, Epoch};
use statera_ports::{DataId, SinkBatch, SinkError};

use super::producer::{Failure, Packing, Producer, tell_small};
use super::record::read;
use super::thread::Signs;
use crate::client::Link;

/// The longest a call of the client takes, unless it never returns. A stop waits as long at most.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two questions about the last epoch.
const ASK_PAUSE: Duration = Duration::from_millis(50);

/// Topics that are known to be there.
const TOPICS_MAX: usize = 1000;

/// Producers that take turns. When a commit is acknowledged its transaction is not yet complete, and the next one of the same
/// producer would have to wait for that. What consumers see stays in order: nothing of a transaction is shown before what
/// stands in front of it.
const PRODUCERS: usize = 2;

/// Batches as transactions. Blocks.
pub(super) struct Transactions {
    id: EgressId,
    config: ClientConfig,
    link: Arc<Link>,
    packing: Packing,
    /// One of each turn; none after a failure.
    producers: [Option<Producer>; PRODUCERS],
    turn: usize,
    group: Option<ConsumerGroupMetadata>,
    /// The last epoch that the destination has.
    marker: Option<Epoch>,
    /// Topics that were written to: they exist, so that the marker may go ahead of the records.
    topics: BTreeSet<String>,
}

impl Transactions {
    pub(super) fn new(id: EgressId, config: ClientConfig, link: Arc<Link>) -> Transactions {
        Transactions {
            id,
            config,
            link,
            packing: Packing::Full,
            producers: Default::default(),
            turn: 0,
            group: None,
            marker: None,
            topics: BTreeSet::new(),
        }
    }

    /// Ends what a process before has left, and returns the last epoch that the destination has.
    pub(super) fn recover(
        &mut self,
        data: &DataId,
        signs: &Signs,
    ) -> Result<Option<Epoch>, SinkError> {
        self.producers = Default::default();
        self.marker = None;
        self.prepare(data, signs)?;
        Ok(self.marker)
    }

    pub(super) fn write(
        &mut self,
        data: &DataId,
        batch: &SinkBatch,
        signs: &Signs,
    ) -> Result<(), SinkError> {
        loop {
            self.prepare(data, signs)?;
            if self.marker.is_some_and(|marker| marker >= batch.epoch) {
                return Ok(());
            }
            // Once nobody waits, another thread may have new producers of the same ids already. Whatever this one began
            // before is fenced by them; here nothing new begins.
            if !signs.go_on() {
                return Err(Failure::Abandoned.into());
            }
            let failure = match self.transact(batch, signs) {
                Ok(()) => {
                    self.marker = Some(batch.epoch);
                    self.turn = (self.turn + 1) % PRODUCERS;
                    return Ok(());
                }
                Err(failure) => failure,
            };
            // Whether a transaction that cannot be aborted was committed, only a new producer finds out.
            if !self.producer().is_some_and(|producer| can_go_on(producer, &failure)) {
                self.producers[self.turn] = None;
            }
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
            self.producers = Default::default();
        }
    }

    fn producer(&self) -> Option<&Producer> {
        self.producers[self.turn].as_ref()
    }

    /// Sees that all producers are there, and after each new one how far the destination is.
    fn prepare(&mut self, data: &DataId, signs: &Signs) -> Result<(), SinkError> {
        let name = format!("statera.{data}.{}", self.id);
        let failed = |doing: &str| {
            let doing = format!("{doing} as `{name}`");
            move |source: KafkaError| SinkError { doing, source: Some(source.into()) }
        };
        let missing = (0..PRODUCERS).filter(|turn| self.producers[*turn].is_none());
        let missing: Vec<usize> = missing.collect();
        for turn in &missing {
            if !signs.go_on() {
                return Err(Failure::Abandoned.into());
            }
            let mut config = self.config.clone();
            config.set("transactional.id", format!("{name}.{turn}"));
            let producer = Producer::new(&config, self.packing, &self.link)
                .map_err(failed("cannot make a Kafka producer"))?;
            let ready = producer.client.init_transactions(CALL_TIMEOUT);
            ready.map_err(|error| hinted(error, &name))?;
            self.link.up();
            self.producers[*turn] = Some(producer);
        }
        if !missing.is_empty() || self.group.is_none() {
            let read = read_marker(&self.config, &name, signs);
            let (marker, group) = read.map_err(|error| {
                // Asked again before anything is written.
                self.group = None;
                failed("cannot read the last epoch")(error)
            })?;
            self.marker = self.marker.max(marker);
            self.group = Some(group);
        }
        Ok(())
    }

    /// One transaction.
    fn transact(&mut self, batch: &SinkBatch, signs: &Signs) -> Result<(), Failure> {
        let doing = |doing| move |source| Failure::Client { doing, source };
        let (Some(producer), Some(group)) = (&self.producers[self.turn], &self.group) else {
            unreachable!("both were prepared")
        };
        let client = &producer.client;
        producer.reset();
        client.begin_transaction().map_err(doing("cannot begin a transaction"))?;
        producer.send(&batch.records, &batch.traces, signs)?;
        let topic =
            read(&batch.records[0], usize::MAX).map_or("", |record| record.topic).to_owned();
        // The brokers refuse an offset of a topic that is only being made.
        let is_known = self.topics.contains(&topic);
        if !is_known {
            producer.wait_for_reports(signs)?;
        }
        let mut marker = TopicPartitionList::new();
        marker
            .add_partition_offset(&topic, 0, Offset::Offset(batch.epoch.0 as i64))
            .map_err(doing("cannot mark the epoch"))?;
        retry(signs, "cannot mark the epoch", || {
            client.send_offsets_to_transaction(&marker, group, CALL_TIMEOUT)
        })?;
        producer.wait_for_reports(signs)?;
        producer.settle();
        retry(signs, "cannot commit a transaction", || client.commit_transaction(CALL_TIMEOUT))?;
        if !is_known && self.topics.len() < TOPICS_MAX {
            self.topics.insert(topic);
        }
        Ok(())
    }
}

/// Aborts the transaction. Returns whether the producer is as good as new.
fn can_go_on(producer: &Producer, failure: &Failure) -> bool {
    let may_be_aborted = match failure {
        Failure::Refused(_) | Failure::Abandoned => true,
        Failure::Client { source: KafkaError::Transaction(error), .. } => {
            error.txn_requires_abort()
        }
        Failure::Client { .. } => false,
    };
    may_be_aborted && producer.client.abort_transaction(CALL_TIMEOUT).is_ok()
}

/// Calls until it succeeds, or will not.
fn retry(
    signs: &Signs,
    doing: &'static str,
    mut call: impl FnMut() -> KafkaResult<()>,
) -> Result<(), Failure> {
    while signs.go_on() {
        let source = match call() {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let is_retriable = match &source {
            KafkaError::Transaction(error) => error.is_retriable() && !error.txn_requires_abort(),
            KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut) => true,
            _ => false,
        };
        if !is_retriable {
            return Err(Failure::Client { doing, source });
        }
    }
    Err(Failure::Abandoned)
}

/// An error of the first call, which says most about a configuration.
fn hinted(error: KafkaError, name: &str) -> SinkError {
    use RDKafkaErrorCode as Code;
    let hint = match &error {
        KafkaError::Transaction(error) => match error.code() {
            Code::InvalidTransactionTimeout => {
                "; hint: `deliverySemantic.transactionTimeout` is longer than `transaction.max.timeout.ms` of the \
                 brokers (15 minutes unless they say otherwise): shorten it, or raise theirs"
            }
            Code::TransactionalIdAuthorizationFailed => {
                "; hint: allow `Write` and `Describe` on transactional ids, and `Read` on groups, that begin with `statera.`"
            }
            _ => "",
        },
        _ => "",
    };
    SinkError {
        doing: format!("cannot prepare transactions of `{name}`{hint}"),
        source: Some(error.into()),
    }
}

/// The last epoch that the destination has: the largest offset of the group in partition 0 of any topic.
fn read_marker(
    config: &ClientConfig,
    group: &str,
    signs: &Signs,
) -> KafkaResult<(Option<Epoch>, ConsumerGroupMetadata)> {
    let mut config = config.clone();
    config.set("group.id", group);
    config.set("enable.auto.commit", "false");
    // Offsets of a transaction that is just being finished are waited for.
    config.set("isolation.level", "read_committed");
    let consumer = BaseConsumer::from_config_and_context(&config, Silent)?;
    let deadline = Instant::now() + CALL_TIMEOUT;
    loop {
        let is_early = signs.go_on() && Instant::now() < deadline;
        match ask_marker(&consumer, signs) {
            Err(error) if is_passing(&error) && is_early => sleep(ASK_PAUSE),
            asked => return asked,
        }
    }
}

/// Whether the brokers are still sorting out who knows about the group.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::NotCoordinator
                | Code::CoordinatorNotAvailable
                | Code::CoordinatorLoadInProgress
                | Code::UnstableOffsetCommit
        )
    )
}

fn ask_marker(
    consumer: &BaseConsumer<Silent>,
    signs: &Signs,
) -> KafkaResult<(Option<Epoch>, ConsumerGroupMetadata)> {
    let unavailable = KafkaError::ClientCreation("no consumer group".to_owned());
    let metadata = consumer.group_metadata().ok_or(unavailable)?;
    let mut list = TopicPartitionList::new();
    for topic in consumer.fetch_metadata(None, CALL_TIMEOUT)?.topics() {
        list.add_partition(topic.name(), 0);
    }
    if list.count() == 0 {
        return Ok((None, metadata));
    }
    signs.go_on();
    let committed = consumer.committed_offsets(list, CALL_TIMEOUT)?;
    let mut marker = None;
    for element in committed.elements() {
        match (element.error(), element.offset()) {
            (Ok(()), Offset::Offset(epoch)) => marker = marker.max(Some(Epoch(epoch as u64))),
            (Ok(()), _) => {}
            // Topics that may not be read were not written to, either.
            (
                Err(KafkaError::OffsetFetch(
                    RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::UnknownTopicOrPartition,
                )),
                _,
            ) => {}
            (Err(error), _) => return Err(error),
        }
    }
    Ok((marker, metadata))
}

/// Says nothing: the properties are those of a producer, which a consumer complains about.
struct Silent;

impl ClientContext for Silent {
    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::trace!(facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the Kafka client that reads the last epoch reports");
    }

    fn stats_raw(&self, _statistics: &[u8]) {}
}

impl ConsumerContext for Silent {}
