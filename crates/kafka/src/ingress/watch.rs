//! Telling those who watch where each partition stands, and where it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaResult;
use statera_ports::{SourceStatus, SourceUnit};
use tokio::time::sleep;

use super::start::ASK_TIMEOUT;
use super::{Consumer, KafkaIngress, Part, blocking};

/// How often the brokers are asked for the ends of all partitions, at once.
const INTERVAL: Duration = Duration::from_secs(5);

impl KafkaIngress {
    /// Tells, for ever.
    pub(super) async fn watch(&self) {
        loop {
            let (consumer, next) = (self.consumer.clone(), self.next().clone());
            // While no broker answers, nobody knows the ends.
            let ends = blocking(move || ends(&consumer, &next).unwrap_or_default()).await;
            for (part, next) in &*self.next() {
                self.report(part, *next, ends.get(part).copied());
            }
            sleep(INTERVAL).await;
        }
    }

    fn report(&self, part: &Part, next: i64, end: Option<i64>) {
        let count = |offset: i64| u64::try_from(offset).unwrap_or(0);
        let (position, end) = (count(next), end.map(count));
        let status = SourceStatus { position, end, unit: SourceUnit::Records };
        self.engine.report(&part.source(&self.spec.id), Some(status));
    }
}

fn ends(consumer: &Consumer, parts: &BTreeMap<Part, i64>) -> KafkaResult<BTreeMap<Part, i64>> {
    let mut list = TopicPartitionList::with_capacity(parts.len());
    for part in parts.keys() {
        // In the place of a time it asks for the end.
        list.add_partition_offset(&part.topic, part.partition, Offset::End)?;
    }
    if parts.is_empty() {
        return Ok(BTreeMap::new());
    }
    let answered = consumer.offsets_for_times(list, ASK_TIMEOUT)?;
    let end = |part: &Part| {
        let answer = answered.find_partition(&part.topic, part.partition)?;
        match (answer.error(), answer.offset()) {
            (Ok(()), Offset::Offset(end)) => Some((part.clone(), end)),
            _ => None,
        }
    };
    Ok(parts.keys().filter_map(end).collect())
}
