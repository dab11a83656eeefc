//! What comes in, and what leaves.

use statera_ports::SourceUnit;
use statera_runtime::SinkFigures;
use statera_runtime::figures::SourceFigures;

use super::{Group, PLAIN};
use crate::metrics::metric::{Kind, Metric, Snapshot};
use crate::metrics::text::{Samples, Value};

pub(super) const REQUESTS: Group = Group {
    title: "Requests, and the time to release",
    about: "Requests come from people and programs (HTTP, the playground), records from sources (files, Kafka, Kinesis). What came in is
*released* when its epoch is durable: then its sender is told.",
    metrics: &[
        Metric {
            name: "statera_requests",
            kind: Kind::Counter,
            labels: &["kind"],
            help: "Messages (`send`) and calls (`call`) that came as requests, refused ones included.",
            read: |snapshot, samples| {
                let requests = &snapshot.readings.requests;
                samples.add(&["send"], requests.sends);
                samples.add(&["call"], requests.calls);
            },
            ..PLAIN
        },
        Metric {
            name: "statera_requests_refused",
            kind: Kind::Counter,
            labels: &["reason", "limit"],
            help: "Requests that were refused, by the reason (`full`, `not covered`, `too long`, `key reused`, `paused`, `stopping`) and, for \
                   `full`, the limit that was reached.",
            read: |snapshot, samples| {
                for ((reason, limit), count) in &snapshot.readings.requests.refused {
                    samples.add(&[reason, limit], *count);
                }
            },
            ..PLAIN
        },
        Metric {
            name: "statera_release_seconds",
            kind: Kind::Histogram,
            unit: "seconds",
            labels: &["kind"],
            help: "From the acceptance of what came in until it was released: a message or record until it was durable, a call \
                   until its answer was.",
            read: |snapshot, samples| {
                let requests = &snapshot.readings.requests;
                samples.add_histogram(&["send"], &requests.send_release);
                samples.add_histogram(&["call"], &requests.call_release);
                samples.add_histogram(&["record"], &requests.record_release);
            },
            ..PLAIN
        },
    ],
};

const SOURCE: &[&str] = &["ingress", "partition"];
const SOURCE_COUNTER: Metric = Metric { kind: Kind::Counter, labels: SOURCE, ..PLAIN };
const SOURCE_GAUGE: Metric = Metric { kind: Kind::Gauge, labels: SOURCE, ..PLAIN };

pub(super) const INGRESSES: Group = Group {
    title: "Ingresses",
    about: "One sample for each source: an ingress that reads records, and the part of it in `partition`, which is empty if there is
only one. Beyond 1000 sources, what further ones deliver is added up under the partition `other` of their ingress.",
    metrics: &[
        Metric {
            name: "statera_ingress_accepted",
            kind: Kind::Counter,
            labels: &["ingress"],
            help: "Messages that an ingress of any kind brought: requests that were accepted or answered, and messages that \
                   records became.",
            read: |snapshot, samples| {
                for (ingress, figures) in &snapshot.ingresses {
                    samples.add(&[ingress.as_str()], figures.messages);
                }
            },
            ..PLAIN
        },
        Metric {
            name: "statera_ingress_records",
            help: "Records taken, those that could not become messages included.",
            read: |snapshot, samples| source(snapshot, samples, |figures| figures.records),
            ..SOURCE_COUNTER
        },
        Metric {
            name: "statera_ingress_messages",
            help: "Messages that records became.",
            read: |snapshot, samples| source(snapshot, samples, |figures| figures.messages),
            ..SOURCE_COUNTER
        },
        Metric {
            name: "statera_ingress_malformed_records",
            help: "Records that could not become messages, and are dead letters.",
            read: |snapshot, samples| source(snapshot, samples, |figures| figures.malformed),
            ..SOURCE_COUNTER
        },
        Metric {
            name: "statera_ingress_position",
            help: "Where the source stands, if the ingress tells: an offset, or bytes of a file.",
            read: |snapshot, samples| {
                known(snapshot, samples, |figures| Some(figures.status?.position));
            },
            ..SOURCE_GAUGE
        },
        Metric {
            name: "statera_ingress_lag_records",
            help: "Records between the position and the end of the source, where the ingress knows that.",
            read: |snapshot, samples| {
                known(snapshot, samples, |figures| lag(figures, SourceUnit::Records));
            },
            ..SOURCE_GAUGE
        },
        Metric {
            name: "statera_ingress_lag_bytes",
            unit: "bytes",
            help: "Bytes between the position and the end of the source, where the ingress counts bytes.",
            read: |snapshot, samples| {
                known(snapshot, samples, |figures| lag(figures, SourceUnit::Bytes));
            },
            ..SOURCE_GAUGE
        },
        Metric {
            name: "statera_ingress_lag_seconds",
            unit: "seconds",
            help: "How long ago that came to the source which is taken next, where the source tells that (Kinesis).",
            read: |snapshot, samples| {
                known(snapshot, samples, |figures| {
                    Some(lag(figures, SourceUnit::Milliseconds)? as f64 / 1e3)
                });
            },
            ..SOURCE_GAUGE
        },
    ],
};

const SINK: &[&str] = &["egress"];
const SINK_COUNTER: Metric = Metric { kind: Kind::Counter, labels: SINK, ..PLAIN };
const SINK_GAUGE: Metric = Metric { kind: Kind::Gauge, labels: SINK, ..PLAIN };
const SINK_HISTOGRAM: Metric =
    Metric { kind: Kind::Histogram, unit: "seconds", labels: SINK, ..PLAIN };

pub(super) const EGRESSES: Group = Group {
    title: "Egresses",
    about: "One sample for each egress.",
    metrics: &[
        Metric {
            name: "statera_egress_records",
            help: "Records that the destination has confirmed.",
            read: |snapshot, samples| sink(snapshot, samples, |figures| figures.records),
            ..SINK_COUNTER
        },
        Metric {
            name: "statera_egress_bytes",
            unit: "bytes",
            help: "Bytes of values that the destination has confirmed.",
            read: |snapshot, samples| sink(snapshot, samples, |figures| figures.bytes),
            ..SINK_COUNTER
        },
        Metric {
            name: "statera_egress_backlog_records",
            help: "Durable records that wait for the destination or are being written.",
            read: |snapshot, samples| sink(snapshot, samples, |figures| figures.backlog_records),
            ..SINK_GAUGE
        },
        Metric {
            name: "statera_egress_backlog_bytes",
            unit: "bytes",
            help: "Memory that these take. At `memory.mailboxBytes` requests are refused, at half of it sources wait.",
            read: |snapshot, samples| sink(snapshot, samples, |figures| figures.backlog_bytes),
            ..SINK_GAUGE
        },
        Metric {
            name: "statera_egress_released_epoch",
            help: "The last durable epoch with records for it, since the start.",
            read: |snapshot, samples| sink(snapshot, samples, |figures| figures.released.0),
            ..SINK_GAUGE
        },
        Metric {
            name: "statera_egress_confirmed_epoch",
            help: "The last epoch that the destination has confirmed, since the start.",
            read: |snapshot, samples| sink(snapshot, samples, |figures| figures.confirmed.0),
            ..SINK_GAUGE
        },
        Metric {
            name: "statera_egress_write_seconds",
            help: "How long writes took, failed ones included.",
            read: |snapshot, samples| {
                for (egress, figures) in &snapshot.readings.egresses {
                    samples.add_histogram(&[egress.as_str()], &figures.write);
                }
            },
            ..SINK_HISTOGRAM
        },
        Metric {
            name: "statera_egress_delivery_seconds",
            help: "From when records were durable until the destination had confirmed them.",
            read: |snapshot, samples| {
                for (egress, figures) in &snapshot.readings.egresses {
                    samples.add_histogram(&[egress.as_str()], &figures.delivery);
                }
            },
            ..SINK_HISTOGRAM
        },
        Metric {
            name: "statera_egress_failures",
            help: "Writes and preparations that failed, and were tried again.",
            read: |snapshot, samples| sink(snapshot, samples, |figures| figures.failures),
            ..SINK_COUNTER
        },
    ],
};

fn source(snapshot: &Snapshot<'_>, samples: &mut Samples<'_>, value: fn(&SourceFigures) -> u64) {
    for (source, figures) in &snapshot.readings.sources {
        samples.add(&[source.ingress.as_str(), &source.partition], value(figures));
    }
}

/// A sample for each source of which it is known.
fn known<V: Into<Value>>(
    snapshot: &Snapshot<'_>,
    samples: &mut Samples<'_>,
    value: fn(&SourceFigures) -> Option<V>,
) {
    for (source, figures) in &snapshot.readings.sources {
        if let Some(value) = value(figures) {
            samples.add(&[source.ingress.as_str(), &source.partition], value);
        }
    }
}

fn lag(figures: &SourceFigures, unit: SourceUnit) -> Option<u64> {
    figures.status.filter(|status| status.unit == unit)?.lag()
}

fn sink<V: Into<Value>>(
    snapshot: &Snapshot<'_>,
    samples: &mut Samples<'_>,
    value: fn(&SinkFigures) -> V,
) {
    for (egress, figures) in &snapshot.readings.egresses {
        samples.add(&[egress.as_str()], value(figures));
    }
}
