//! Looking for partitions: all at the start, further ones as they appear.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{IsError as _, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use statera_model::codes;
use statera_ports::SourceBatch;
use tokio::time::{Instant, sleep};

use super::start::{ASK_TIMEOUT, Beginning, Found, Resolved, beginning, resolve};
use super::{Consumer, KafkaIngress, Part, blocking, list, position};
use crate::error::Error;

/// How soon a topic that is missing, or a broker that is away, is looked for again; each further time twice as late.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// How often it is said again that a topic is missing.
const REMINDER_INTERVAL: Duration = Duration::from_secs(600);

/// What is known of the topics.
#[derive(Debug, Default)]
struct Known {
    /// Those that were looked for with success, there or not.
    looked: BTreeSet<String>,
    /// Those that can't be read, and when that was said.
    missing: BTreeMap<String, (RDKafkaErrorCode, Instant)>,
}

type Seen = Vec<(String, Result<Vec<i32>, RDKafkaErrorCode>)>;

impl KafkaIngress {
    /// Looks for partitions, and begins with what it finds. Ends with an error only.
    pub(super) async fn search(&self) -> Result<(), Error> {
        let mut known = Known::default();
        let mut retry = RETRY_MIN;
        loop {
            let is_complete = match self.look().await {
                Ok(seen) => {
                    self.link.up();
                    self.begin(&mut known, seen).await?
                }
                Err(error) => {
                    self.link.down(&error.to_string());
                    false
                }
            };
            match (is_complete, self.spec.discovery) {
                (true, Some(interval)) => {
                    retry = RETRY_MIN;
                    sleep(interval).await;
                }
                (true, None) => std::future::pending::<()>().await,
                (false, _) => {
                    sleep(retry).await;
                    retry = (retry * 2).min(RETRY_MAX);
                }
            }
        }
    }

    async fn look(&self) -> KafkaResult<Seen> {
        let consumer = self.consumer.clone();
        let topics: Vec<String> = self.spec.topics.iter().map(|it| it.name.clone()).collect();
        blocking(move || {
            topics
                .into_iter()
                .map(|topic| Ok((topic.clone(), look_at(&consumer, &topic)?)))
                .collect()
        })
        .await
    }

    /// Begins to read what was not read before. Returns whether all is there.
    async fn begin(&self, known: &mut Known, seen: Seen) -> Result<bool, Error> {
        let mut parts = Vec::new();
        let mut looked = Vec::new();
        for (topic, found) in seen {
            match found {
                Ok(partitions) => {
                    known.missing.remove(&topic);
                    self.plan(&topic, &partitions, known.looked.contains(&topic), &mut parts)?;
                }
                Err(code) => self.remind(known, &topic, code),
            }
            looked.push(topic);
        }
        if !parts.is_empty() {
            let offsets = match self.resolve(&parts).await {
                Ok(resolved) => self.offsets(resolved)?,
                Err(error) => {
                    tracing::debug!(id = %self.spec.id, %error, "cannot find out where to begin");
                    return Ok(false);
                }
            };
            let parts = parts.into_iter().zip(offsets);
            let parts = parts.map(|((part, beginning), offset)| (part, beginning, offset));
            self.assign(parts.collect()).await?;
        }
        known.looked.extend(looked);
        Ok(known.missing.is_empty())
    }

    /// Decides where partitions that are not read yet begin.
    fn plan(
        &self,
        topic: &str,
        partitions: &[i32],
        was_looked_for: bool,
        parts: &mut Vec<(Part, Beginning)>,
    ) -> Result<(), Error> {
        let part = |partition: &i32| Part { topic: topic.into(), partition: *partition };
        let mut stored = BTreeMap::new();
        for part in partitions.iter().map(part) {
            if let Some(bytes) = self.engine.source_position(&part.source(&self.spec.id)) {
                let foreign = || Error::ForeignPosition { id: self.spec.id.clone() };
                stored.insert(part, position::decode(&bytes).ok_or_else(foreign)?);
            }
        }
        // What the engine knows nothing of has come while nobody looked, if it knows of others.
        let is_later = was_looked_for || !stored.is_empty();
        let found = if is_later { Found::Later } else { Found::First };
        let read = self.next();
        for part in partitions.iter().map(part).filter(|part| !read.contains_key(part)) {
            let stored = stored.get(&part).copied();
            let beginning = beginning(&self.spec.startup, &part, stored, found);
            parts.push((part, beginning));
        }
        Ok(())
    }

    async fn resolve(&self, parts: &[(Part, Beginning)]) -> KafkaResult<Resolved> {
        let (consumer, parts, reset) = (self.consumer.clone(), parts.to_vec(), self.reset);
        blocking(move || resolve(&consumer, &parts, reset)).await
    }

    fn offsets(&self, resolved: Resolved) -> Result<Vec<i64>, Error> {
        match resolved {
            Resolved::All(offsets) => Ok(offsets),
            Resolved::NoGroupOffset(Part { topic, partition }) => Err(Error::NoGroupOffset {
                id: self.spec.id.clone(),
                topic: topic.to_string(),
                partition,
            }),
        }
    }

    /// Tells the engine where the partitions begin, then reads them.
    async fn assign(&self, parts: Vec<(Part, Beginning, i64)>) -> Result<(), Error> {
        let mut assigned = BTreeMap::new();
        for (part, beginning, offset) in parts {
            let source = part.source(&self.spec.id);
            if self.engine.source_position(&source).is_none() {
                let position = position::encode(offset);
                let batch = SourceBatch { source, records: Vec::new(), position };
                if self.engine.deliver(batch).await.is_err() {
                    // The stop that is coming ends us.
                    return std::future::pending().await;
                }
            }
            let (topic, partition) = (&part.topic, part.partition);
            tracing::debug!(id = %self.spec.id, %topic, partition, offset, ?beginning, "reading");
            assigned.insert(part, offset);
        }
        let failed = |source| Error::Failed { id: self.spec.id.clone(), source };
        let list = list(&assigned).map_err(failed)?;
        self.next().append(&mut assigned);
        let consumer = self.consumer.clone();
        blocking(move || consumer.incremental_assign(&list)).await.map_err(failed)
    }

    fn remind(&self, known: &mut Known, topic: &str, code: RDKafkaErrorCode) {
        let said = known.missing.get(topic);
        let is_due =
            said.is_none_or(|(before, at)| *before != code || at.elapsed() > REMINDER_INTERVAL);
        if is_due {
            let id = &self.spec.id;
            match code {
                RDKafkaErrorCode::UnknownTopicOrPartition => {
                    tracing::warn!(code = %codes::STREAM_MISSING, %id, topic, "the topic does not exist; waiting for it");
                }
                RDKafkaErrorCode::TopicAuthorizationFailed => {
                    tracing::warn!(code = %codes::STREAM_MISSING, %id, topic, "the topic must not be read; waiting; hint: allow `Read` and `Describe` to the user");
                }
                code => {
                    tracing::warn!(code = %codes::STREAM_MISSING, %id, topic, %code, "the topic cannot be read; waiting")
                }
            }
            known.missing.insert(topic.to_owned(), (code, Instant::now()));
        }
    }
}

fn look_at(consumer: &Consumer, topic: &str) -> KafkaResult<Result<Vec<i32>, RDKafkaErrorCode>> {
    let metadata = consumer.fetch_metadata(Some(topic), ASK_TIMEOUT)?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Ok(Err(RDKafkaErrorCode::UnknownTopicOrPartition));
    };
    let is_wrong = |error: &RDKafkaRespErr| error.is_error();
    Ok(match found.error().filter(is_wrong) {
        Some(error) => Err(error.into()),
        None if found.partitions().is_empty() => Err(RDKafkaErrorCode::UnknownTopicOrPartition),
        None => Ok(found.partitions().iter().map(|partition| partition.id()).collect()),
    })
}
