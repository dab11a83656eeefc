//! Shards: what is in memory.

use statera_runtime::figures::ShardReading;

use super::{Group, PLAIN};
use crate::metrics::metric::{Metric, Snapshot};
use crate::metrics::text::{Samples, Value};

const GAUGE: Metric = Metric { labels: &["shard"], ..PLAIN };
const BYTES: Metric = Metric { unit: "bytes", ..GAUGE };

pub(super) const SHARDS: Group = Group {
    title: "Shards",
    about: "One sample for each shard. Each has its share of the limits for bytes and idempotency keys.",
    metrics: &[
        Metric {
            name: "statera_instances",
            help: "Instances in memory.",
            read: |snapshot, samples| each(snapshot, samples, |shard| shard.figures.instances),
            ..GAUGE
        },
        Metric {
            name: "statera_state_bytes",
            help: "Memory that they and their state take. The limit is `memory.stateBytes`.",
            read: |snapshot, samples| each(snapshot, samples, |shard| shard.figures.state_bytes),
            ..BYTES
        },
        Metric {
            name: "statera_mailbox_messages",
            help: "Messages in mailboxes.",
            read: |snapshot, samples| each(snapshot, samples, |shard| shard.figures.mail),
            ..GAUGE
        },
        Metric {
            name: "statera_mailbox_bytes",
            help: "Memory that they take. At `memory.mailboxBytes` requests are refused, at half of it sources wait.",
            read: |snapshot, samples| each(snapshot, samples, |shard| shard.figures.mail_bytes),
            ..BYTES
        },
        Metric {
            name: "statera_inflight_invocations",
            help: "Invocations in flight.",
            statefun: "functions.inflightAsyncOps",
            read: |snapshot, samples| each(snapshot, samples, |shard| shard.figures.in_flight),
            ..GAUGE
        },
        Metric {
            name: "statera_delayed_messages",
            help: "Delayed messages that are not due.",
            read: |snapshot, samples| each(snapshot, samples, |shard| shard.figures.delayed),
            ..GAUGE
        },
        Metric {
            name: "statera_delayed_bytes",
            help: "Memory that they take.",
            read: |snapshot, samples| each(snapshot, samples, |shard| shard.figures.delayed_bytes),
            ..BYTES
        },
        Metric {
            name: "statera_outbox_records",
            help: "Egress records that are not confirmed, or whose confirmation is not durable.",
            read: |snapshot, samples| each(snapshot, samples, |shard| shard.figures.outbox),
            ..GAUGE
        },
        Metric {
            name: "statera_dead_letters",
            help: "Dead letters.",
            read: |snapshot, samples| each(snapshot, samples, |shard| shard.figures.dead_letters),
            ..GAUGE
        },
        Metric {
            name: "statera_paused_addresses",
            help: "Paused addresses.",
            read: |snapshot, samples| each(snapshot, samples, |shard| shard.figures.paused),
            ..GAUGE
        },
        Metric {
            name: "statera_waiting_calls",
            help: "Calls without an answer.",
            read: |snapshot, samples| each(snapshot, samples, |shard| shard.figures.calls),
            ..GAUGE
        },
        Metric {
            name: "statera_idempotency_keys",
            help: "Idempotency keys remembered. The limit is `limits.idempotencyKeys`.",
            read: |snapshot, samples| {
                each(snapshot, samples, |shard| shard.figures.idempotency_keys);
            },
            ..GAUGE
        },
        Metric {
            name: "statera_function_types",
            help: "Function types it knows.",
            read: |snapshot, samples| each(snapshot, samples, |shard| shard.function_types),
            ..GAUGE
        },
        Metric {
            name: "statera_shard_report_age_seconds",
            unit: "seconds",
            help: "How old the figures of the shard are. More than a second if its thread is held up, by a function that \
                   doesn't return for example.",
            read: |snapshot, samples| each(snapshot, samples, |shard| shard.age.as_secs_f64()),
            ..GAUGE
        },
    ],
};

fn each<V: Into<Value>>(
    snapshot: &Snapshot<'_>,
    samples: &mut Samples<'_>,
    value: fn(&ShardReading) -> V,
) {
    for (number, shard) in snapshot.readings.shards.iter().enumerate() {
        samples.add(&[&number.to_string()], value(shard));
    }
}
