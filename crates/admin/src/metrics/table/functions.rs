//! Function types.

use statera_core::FunctionFigures;

use super::{Group, PLAIN};
use crate::metrics::metric::{Kind, Metric, Snapshot};
use crate::metrics::text::{Samples, Value};

const LABELS: &[&str] = &["namespace", "name"];

const COUNTER: Metric = Metric { kind: Kind::Counter, labels: LABELS, ..PLAIN };
const GAUGE: Metric = Metric { kind: Kind::Gauge, labels: LABELS, ..PLAIN };

pub(super) const FUNCTIONS: Group = Group {
    title: "Functions",
    about: "\
One sample for each function type, named by the labels `namespace` and `name`. The first 256 types have figures of their own; those
of all further types are added up under `io.statera/other`.",
    metrics: &[
        Metric {
            name: "statera_function_in",
            help: "Messages that came into mailboxes of the type.",
            statefun: "in",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.received),
            ..COUNTER
        },
        Metric {
            name: "statera_function_out_local",
            help: "Messages sent to addresses of the same shard, delayed ones not counted.",
            statefun: "outLocal",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.out_local),
            ..COUNTER
        },
        Metric {
            name: "statera_function_out_remote",
            help: "Messages sent to addresses of other shards, delayed ones not counted.",
            statefun: "outRemote",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.out_remote),
            ..COUNTER
        },
        Metric {
            name: "statera_function_out_delayed",
            help: "Delayed messages sent.",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.out_delayed),
            ..COUNTER
        },
        Metric {
            name: "statera_function_out_egress",
            help: "Egress records.",
            statefun: "outEgress",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.out_egress),
            ..COUNTER
        },
        Metric {
            name: "statera_function_backlog_messages",
            help: "Messages in mailboxes, those that are being processed included.",
            statefun: "numBacklog",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.backlog),
            ..GAUGE
        },
        Metric {
            name: "statera_function_backlog_bytes",
            unit: "bytes",
            help: "Memory that messages in mailboxes take.",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.backlog_bytes),
            ..GAUGE
        },
        Metric {
            name: "statera_function_blocked_addresses",
            labels: &["namespace", "name", "state"],
            help: "Addresses with messages that can't be processed now: `queued` for a free place or the end of an outage, \
                   `backing off` after a failure, or `paused`.",
            statefun: "numBlockedAddress",
            read: |snapshot, samples| {
                for function in &snapshot.readings.functions {
                    let (name, figures) = (&function.name, &function.figures);
                    let states = [
                        ("queued", figures.queued),
                        ("backing off", figures.backing_off),
                        ("paused", figures.paused),
                    ];
                    for (state, count) in states {
                        samples.add(&[name.namespace(), name.name(), state], count);
                    }
                }
            },
            ..GAUGE
        },
        Metric {
            name: "statera_function_inflight_invocations",
            help: "Invocations in flight.",
            statefun: "inflightAsyncOps",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.in_flight),
            ..GAUGE
        },
        Metric {
            name: "statera_function_invocations",
            help: "Attempts to have a function process a batch of messages, those that asked for states included.",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.invocations),
            ..COUNTER
        },
        Metric {
            name: "statera_function_invocation_failures",
            labels: &["namespace", "name", "kind"],
            help: "Attempts that failed: `unavailable` if nobody answered, `rejected` if the reply was of no use, `fatal` if the \
                   function refused for good, `too large` if the request was.",
            statefun: "remoteInvocationFailures",
            read: |snapshot, samples| {
                for function in &snapshot.readings.functions {
                    let (name, failures) = (&function.name, function.figures.failures);
                    let kinds = [
                        ("unavailable", failures.unavailable),
                        ("rejected", failures.rejected),
                        ("fatal", failures.fatal),
                        ("too large", failures.too_large),
                    ];
                    for (kind, count) in kinds {
                        samples.add(&[name.namespace(), name.name(), kind], count);
                    }
                }
            },
            ..COUNTER
        },
        Metric {
            name: "statera_function_invocation_seconds",
            kind: Kind::Histogram,
            unit: "seconds",
            help: "How long attempts took, failed ones included. Of functions in the process that don't wait one in 61 is \
                   measured, and counts 61 times.",
            statefun: "remoteInvocationLatency",
            read: |snapshot, samples| {
                for function in &snapshot.readings.functions {
                    let name = &function.name;
                    samples.add_histogram(&[name.namespace(), name.name()], &function.latency);
                }
            },
            ..GAUGE
        },
        Metric {
            name: "statera_function_retries",
            help: "Failed attempts after which the same messages, or a part of them, are tried again.",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.retries),
            ..COUNTER
        },
        Metric {
            name: "statera_function_dead_letters",
            help: "Messages given up.",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.dead_letters),
            ..COUNTER
        },
        Metric {
            name: "statera_function_outage_shards",
            help: "Shards in which nobody answers for the type: single invocations probe, the others wait.",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.outages),
            ..GAUGE
        },
    ],
};

fn each<V: Into<Value>>(
    snapshot: &Snapshot<'_>,
    samples: &mut Samples<'_>,
    value: fn(&FunctionFigures) -> V,
) {
    for function in &snapshot.readings.functions {
        let name = &function.name;
        samples.add(&[name.namespace(), name.name()], value(&function.figures));
    }
}
