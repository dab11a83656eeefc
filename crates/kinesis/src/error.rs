//! Why an ingress could not be opened, or had to end.

use statera_model::Name;

/// Why an ingress could not be opened, or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing says in which region the streams are.
    #[error(
        "nothing says in which region the streams of `{id}` are; hint: write `awsRegion: {{ type: specific, id: … }}`, \
         or set `AWS_REGION`"
    )]
    NoRegion {
        /// The ingress or egress.
        id: Name,
    },
    /// The address of the service can't be used.
    #[error("`{endpoint}` cannot be used by `{id}`: {reason}")]
    Endpoint {
        /// The ingress or egress.
        id: Name,
        /// The address.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// The stored position was not written by a Kinesis ingress of this or an earlier version.
    #[error(
        "the stored position of `{id}` is not that of a stream; \
         hint: it was written by a newer version, or the id belonged to another kind of ingress: choose another id"
    )]
    ForeignPosition {
        /// The ingress.
        id: Name,
    },
    /// The stream has been deleted, or made anew.
    #[error(
        "the stream `{stream}`, which `{id}` has been reading, is not there any more; \
         hint: read a new one with an ingress of another id"
    )]
    StreamGone {
        /// The ingress.
        id: Name,
        /// The stream.
        stream: String,
    },
    /// A shard was deleted before all of it was read.
    #[error(
        "the shard `{shard}` of `{stream}` is gone, but `{id}` has not read it to its end: its records are older than the \
         stream keeps them, or the stream was made anew; hint: to go on without them read the stream with an ingress \
         of another id"
    )]
    ShardGone {
        /// The ingress.
        id: Name,
        /// The stream.
        stream: String,
        /// The shard.
        shard: String,
    },
    /// Records were deleted before they were read, as far as can be told.
    #[error(
        "records of the shard `{shard}` of `{stream}` may be lost for `{id}`: it has not read for longer than the stream \
         keeps records, and the one that it read last is gone; hint: to go on without them read the stream with an \
         ingress of another id, and let the stream keep records for longer"
    )]
    RecordsGone {
        /// The ingress.
        id: Name,
        /// The stream.
        stream: String,
        /// The shard.
        shard: String,
    },
    /// The service does not understand what we ask.
    #[error("Kinesis refuses to let `{id}` read `{stream}`")]
    Refused {
        /// The ingress.
        id: Name,
        /// The stream.
        stream: String,
        /// What it says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A record can't become a message, and `badRecords` is `fail`.
    #[error(
        "`{id}` has met a record that cannot become messages, {place}: {reason}; \
         hint: `badRecords: dead-letter` keeps such records and goes on"
    )]
    BadRecord {
        /// The ingress.
        id: Name,
        /// Where it stands.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
}
