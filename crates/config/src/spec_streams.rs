//! Kafka and Kinesis, as types. `Debug` shows no secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use statera_model::{FunctionType, Name};

use crate::secrets::Shown;

/// Records of Kafka topics (`io.statefun.kafka.v1/ingress`).
#[derive(Clone, PartialEq)]
pub struct KafkaIngress {
    /// Its id.
    pub id: Name,
    /// Properties of the client as it should get them: `address`, `consumerGroupId` and `autoOffsetResetPosition` are
    /// already written into `bootstrap.servers`, `group.id` and `auto.offset.reset`. Names are those the user wrote,
    /// which may be ones of Kafka's Java client; those for Flink are not among them.
    pub properties: BTreeMap<String, String>,
    /// The topics, with distinct names. At least one.
    pub topics: Vec<StreamRoute>,
    /// Where to begin what was never read before. Default `latest`.
    pub startup: KafkaStartup,
    /// What to do with a record that can't become a message.
    pub bad_records: BadRecords,
    /// How often to look for new partitions. `None`: never. Default 30 s (StateFun: never, unless
    /// `flink.partition-discovery.interval-millis` is among the properties).
    pub discovery: Option<Duration>,
}

/// What becomes of the records of a topic or of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamRoute {
    /// The topic or stream.
    pub name: String,
    /// The typename of the messages.
    pub value_type: Name,
    /// The functions that receive each record, in this order. At least one.
    pub targets: Vec<FunctionType>,
    /// Whether a message is a record with its headers, time and place (`io.statera.kafka/ConsumerRecord`) instead of its
    /// value alone. Not a field of StateFun. Always false for Kinesis.
    pub envelope: bool,
}

/// Where to begin what was never read before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KafkaStartup {
    /// What the consumer group has committed; `auto.offset.reset` where it has not.
    GroupOffsets,
    /// The oldest record there is.
    Earliest,
    /// Only what comes from now on.
    Latest,
    /// These offsets, by topic and partition; the group's where none is named.
    Offsets(BTreeMap<(String, i32), i64>),
    /// The first record not older than this, in milliseconds since the Unix epoch.
    Date(i64),
}

/// What to do with a record that can't become a message: without a key, or without a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BadRecords {
    /// Put it into the dead letters.
    #[default]
    DeadLetter,
    /// Forget it.
    Skip,
    /// Stop this ingress in front of it.
    Fail,
}

/// Records for Kafka topics (`io.statefun.kafka.v1/egress`).
#[derive(Clone, PartialEq)]
pub struct KafkaEgress {
    /// Its id.
    pub id: Name,
    /// Properties of the client; `address` is already written into `bootstrap.servers`. Exactly once there is no
    /// `transaction.timeout.ms`: [`Delivery`] has it.
    pub properties: BTreeMap<String, String>,
    /// How surely records arrive. Default at least once.
    pub delivery: Delivery,
}

/// How surely records arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Each once, in transactions.
    ExactlyOnce {
        /// How long the broker lets a transaction be open before it aborts it.
        transaction_timeout: Duration,
    },
    /// Each once or several times, acknowledged by the broker.
    AtLeastOnce,
    /// Without waiting for the broker.
    None,
}

/// Records of Kinesis streams (`io.statefun.kinesis.v1/ingress`).
#[derive(Clone, PartialEq)]
pub struct KinesisIngress {
    /// Its id.
    pub id: Name,
    /// Where the streams are.
    pub region: AwsRegion,
    /// Who we are.
    pub credentials: AwsCredentials,
    /// Where to begin what was never read before. Default `latest`.
    pub startup: KinesisStartup,
    /// The streams, with distinct names. At least one.
    pub streams: Vec<StreamRoute>,
    /// Properties of the client, as they were written.
    pub properties: BTreeMap<String, String>,
    /// What to do with a record that can't become a message.
    pub bad_records: BadRecords,
}

/// Where to begin what was never read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KinesisStartup {
    /// The oldest record there is.
    Earliest,
    /// Only what comes from now on.
    Latest,
    /// The first record not older than this, in milliseconds since the Unix epoch.
    Date(i64),
}

/// Records for Kinesis streams (`io.statefun.kinesis.v1/egress`).
#[derive(Clone, PartialEq)]
pub struct KinesisEgress {
    /// Its id.
    pub id: Name,
    /// Where the streams are.
    pub region: AwsRegion,
    /// Who we are.
    pub credentials: AwsCredentials,
    /// The most records on their way at once. Default 1000.
    pub outstanding_max: usize,
    /// Properties of the client, as they were written.
    pub properties: BTreeMap<String, String>,
}

/// Where a service of AWS is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsRegion {
    /// As the environment and the profile say.
    Default,
    /// This one.
    Specific(String),
    /// At an address of its own.
    Custom {
        /// Its URL.
        endpoint: String,
        /// The region that requests are signed for.
        region: String,
    },
}

/// Who we are for AWS.
#[derive(Clone, PartialEq, Eq)]
pub enum AwsCredentials {
    /// As the environment and the profile say, or the machine's role.
    Default,
    /// This key.
    Basic {
        /// Its id.
        access_key_id: String,
        /// The secret; not shown by `Debug`.
        secret_access_key: String,
    },
    /// A profile of the credentials file.
    Profile {
        /// Its name.
        name: String,
        /// The file, if not the usual one.
        path: Option<PathBuf>,
    },
}

impl fmt::Debug for AwsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AwsCredentials::Default => f.write_str("Default"),
            AwsCredentials::Basic { access_key_id, .. } => f
                .debug_struct("Basic")
                .field("access_key_id", access_key_id)
                .finish_non_exhaustive(),
            AwsCredentials::Profile { name, path } => {
                f.debug_struct("Profile").field("name", name).field("path", path).finish()
            }
        }
    }
}

impl fmt::Debug for KafkaIngress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaIngress")
            .field("id", &self.id)
            .field("properties", &Shown(&self.properties))
            .field("topics", &self.topics)
            .field("startup", &self.startup)
            .field("bad_records", &self.bad_records)
            .field("discovery", &self.discovery)
            .finish()
    }
}

impl fmt::Debug for KafkaEgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaEgress")
            .field("id", &self.id)
            .field("properties", &Shown(&self.properties))
            .field("delivery", &self.delivery)
            .finish()
    }
}

impl fmt::Debug for KinesisIngress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KinesisIngress")
            .field("id", &self.id)
            .field("region", &self.region)
            .field("credentials", &self.credentials)
            .field("startup", &self.startup)
            .field("streams", &self.streams)
            .field("properties", &Shown(&self.properties))
            .field("bad_records", &self.bad_records)
            .finish()
    }
}

impl fmt::Debug for KinesisEgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KinesisEgress")
            .field("id", &self.id)
            .field("region", &self.region)
            .field("credentials", &self.credentials)
            .field("outstanding_max", &self.outstanding_max)
            .field("properties", &Shown(&self.properties))
            .finish()
    }
}
