//! Why an ingress or egress could not be opened, or had to end.

use rdkafka::error::KafkaError;
use statera_model::Name;

use crate::properties::Refused;

/// Why an ingress or egress could not be opened, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A property that can't be.
    #[error("property `{property}` of `{id}` {why}; hint: {hint}")]
    Property {
        /// The ingress or egress.
        id: Name,
        /// Its property, as the user wrote it.
        property: String,
        /// What is wrong with it.
        why: String,
        /// What to do.
        hint: String,
    },
    /// The properties don't go together, or the system is out of something.
    #[error("the Kafka client of `{id}` cannot be made; hint: look at its `properties`")]
    Client {
        /// The ingress or egress.
        id: Name,
        /// Why.
        #[source]
        source: KafkaError,
    },
    /// The client cannot go on.
    #[error("the Kafka client of `{id}` has failed")]
    Failed {
        /// The ingress.
        id: Name,
        /// Why.
        #[source]
        source: KafkaError,
    },
    /// The broker does not have the record any more, or not yet, that comes next.
    #[error(
        "partition {partition} of topic `{topic}` has offsets {low} to {high}, but `{id}` comes to offset {offset} next: {}; \
         hint: restore the topic, or read it with an ingress of another id, whose `startupPosition` says where to begin",
        if offset < low {
            "records were deleted that it has not read"
        } else {
            "records were deleted that it has read, or the topic was deleted and created anew"
        }
    )]
    Lost {
        /// The ingress.
        id: Name,
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// What comes next.
        offset: i64,
        /// The first offset that is there.
        low: i64,
        /// The offset behind the last one.
        high: i64,
    },
    /// As [`Error::Lost`], but the broker did not tell more.
    #[error(
        "a partition of `{id}` does not have the offset that comes next; \
         hint: see whether a topic was deleted, created anew, or has lost records"
    )]
    LostSomewhere {
        /// The ingress.
        id: Name,
    },
    /// A record that cannot become a message, and `badRecords` is `fail`.
    #[error(
        "`{place}`, a record of `{id}`, cannot become a message: {reason}; \
         hint: set `badRecords` to `dead-letter` or `skip`"
    )]
    BadRecord {
        /// The ingress.
        id: Name,
        /// Where it stands: `topic/partition@offset`.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The group has committed nothing, and there is no other beginning.
    #[error(
        "the consumer group of `{id}` has committed no offset for partition {partition} of topic `{topic}`, and \
         `auto.offset.reset` is `none`; hint: set it to `earliest` or `latest`, or choose another `startupPosition`"
    )]
    NoGroupOffset {
        /// The ingress.
        id: Name,
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
    },
    /// The stored position was not written by a Kafka ingress of this or an earlier version.
    #[error(
        "the stored position of `{id}` is not that of a partition; \
         hint: it was written by a newer version, or the id belonged to another kind of ingress: choose another id"
    )]
    ForeignPosition {
        /// The ingress.
        id: Name,
    },
}

impl Error {
    pub(crate) fn refused(id: &Name, refused: Refused) -> Error {
        let Refused { property, why, hint } = refused;
        Error::Property { id: id.clone(), property, why, hint }
    }
}
