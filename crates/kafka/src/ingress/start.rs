//! Where a partition begins: decided here, and found out from the broker.

use std::time::Duration;

use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use statera_config::KafkaStartup;

use super::{Consumer, Part};
use crate::properties::Reset;

/// The longest a broker is asked at a time. A stop waits as long at most.
pub(super) const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// How to find where a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    At(i64),
    Earliest,
    Latest,
    /// What the group has committed.
    Group,
    /// The first record not older than this.
    Date(i64),
}

/// When a partition was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// At the start, with its topic.
    First,
    /// Its topic was there before, or is read already: it can hold nothing but what came since.
    Later,
}

/// Decides. `stored` is the position that the engine has.
pub(super) fn beginning(
    startup: &KafkaStartup,
    part: &Part,
    stored: Option<i64>,
    found: Found,
) -> Beginning {
    match (stored, found, startup) {
        (Some(offset), ..) => Beginning::At(offset),
        (None, Found::Later, _) | (None, _, KafkaStartup::Earliest) => Beginning::Earliest,
        (None, _, KafkaStartup::Latest) => Beginning::Latest,
        (None, _, KafkaStartup::GroupOffsets) => Beginning::Group,
        (None, _, KafkaStartup::Date(time)) => Beginning::Date(*time),
        (None, _, KafkaStartup::Offsets(offsets)) => {
            match offsets.get(&(part.topic.to_string(), part.partition)) {
                Some(offset) => Beginning::At(*offset),
                None => Beginning::Group,
            }
        }
    }
}

/// What was found out.
#[derive(Debug)]
pub(super) enum Resolved {
    /// Where each begins, in the order asked.
    All(Vec<i64>),
    /// The group has committed nothing for this one, and `auto.offset.reset` is `none`.
    NoGroupOffset(Part),
}

/// Asks the brokers. Blocks.
pub(super) fn resolve(
    consumer: &Consumer,
    parts: &[(Part, Beginning)],
    reset: Reset,
) -> KafkaResult<Resolved> {
    let committed = ask(consumer, parts, |beginning| match beginning {
        Beginning::Group => Some((Offset::Invalid, Question::Committed)),
        _ => None,
    })?;
    let dated = ask(consumer, parts, |beginning| match beginning {
        Beginning::Date(time) => Some((Offset::Offset(time), Question::Times)),
        _ => None,
    })?;
    let mut offsets = Vec::with_capacity(parts.len());
    for (part, beginning) in parts {
        let end = |is_low| watermark(consumer, part, is_low);
        offsets.push(match beginning {
            Beginning::At(offset) => *offset,
            Beginning::Earliest => end(true)?,
            Beginning::Latest => end(false)?,
            Beginning::Date(_) => match answer(&dated, part)? {
                Some(offset) => offset,
                // Nothing is as young.
                None => end(false)?,
            },
            Beginning::Group => match (answer(&committed, part)?, reset) {
                (Some(offset), _) => offset,
                (None, Reset::Earliest) => end(true)?,
                (None, Reset::Latest) => end(false)?,
                (None, Reset::Fail) => return Ok(Resolved::NoGroupOffset(part.clone())),
            },
        });
    }
    Ok(Resolved::All(offsets))
}

#[derive(Clone, Copy)]
enum Question {
    Committed,
    Times,
}

/// Asks about all partitions for which there is a question, at once.
fn ask(
    consumer: &Consumer,
    parts: &[(Part, Beginning)],
    question: impl Fn(Beginning) -> Option<(Offset, Question)>,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    let mut kind = None;
    for (part, beginning) in parts {
        if let Some((offset, question)) = question(*beginning) {
            list.add_partition_offset(&part.topic, part.partition, offset)?;
            kind = Some(question);
        }
    }
    match kind {
        None => Ok(list),
        Some(Question::Committed) => consumer.committed_offsets(list, ASK_TIMEOUT),
        Some(Question::Times) => consumer.offsets_for_times(list, ASK_TIMEOUT),
    }
}

fn answer(list: &TopicPartitionList, part: &Part) -> KafkaResult<Option<i64>> {
    let missing = KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition);
    let found = list.find_partition(&part.topic, part.partition).ok_or(missing)?;
    found.error()?;
    Ok(match found.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    })
}

fn watermark(consumer: &Consumer, part: &Part, is_low: bool) -> KafkaResult<i64> {
    let (low, high) = consumer.fetch_watermarks(&part.topic, part.partition, ASK_TIMEOUT)?;
    Ok(if is_low { low } else { high })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn check(startup: &KafkaStartup, stored: Option<i64>, found: Found, expected: Beginning) {
        let part = Part { topic: "orders".into(), partition: 3 };
        assert_eq!(beginning(startup, &part, stored, found), expected, "{startup:?}");
    }

    #[test]
    fn what_was_read_before_goes_on() {
        for startup in [KafkaStartup::Latest, KafkaStartup::Date(7), KafkaStartup::GroupOffsets] {
            check(&startup, Some(5), Found::First, Beginning::At(5));
            check(&startup, Some(5), Found::Later, Beginning::At(5));
        }
    }

    #[test]
    fn what_was_not_there_at_the_start_is_read_from_its_beginning() {
        for startup in [KafkaStartup::Latest, KafkaStartup::Date(7), KafkaStartup::GroupOffsets] {
            check(&startup, None, Found::Later, Beginning::Earliest);
        }
    }

    #[test]
    fn the_first_start_is_as_configured() {
        let first = |startup, expected| check(&startup, None, Found::First, expected);
        first(KafkaStartup::Earliest, Beginning::Earliest);
        first(KafkaStartup::Latest, Beginning::Latest);
        first(KafkaStartup::GroupOffsets, Beginning::Group);
        first(KafkaStartup::Date(7), Beginning::Date(7));
        let offsets = |partition| BTreeMap::from([(("orders".to_owned(), partition), 9)]);
        first(KafkaStartup::Offsets(offsets(3)), Beginning::At(9));
        first(KafkaStartup::Offsets(offsets(4)), Beginning::Group);
    }
}
