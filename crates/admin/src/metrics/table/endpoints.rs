//! Endpoints.

use statera_runtime::figures::EndpointFigures;

use super::{Group, PLAIN};
use crate::metrics::metric::{Kind, Metric, Snapshot};
use crate::metrics::text::{Samples, Value};

const LABELS: &[&str] = &["functions"];

const COUNTER: Metric = Metric { kind: Kind::Counter, labels: LABELS, ..PLAIN };
const GAUGE: Metric = Metric { kind: Kind::Gauge, labels: LABELS, ..PLAIN };

pub(super) const ENDPOINTS: Group = Group {
    title: "Endpoints",
    about: "One sample for each endpoint over HTTP. The label `functions` says which functions it serves: `example/greeter`, or
`example/*`.",
    metrics: &[
        Metric {
            name: "statera_endpoint_requests",
            help: "Requests begun.",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.client.attempts),
            ..COUNTER
        },
        Metric {
            name: "statera_endpoint_request_failures",
            help: "Requests that failed.",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.client.failures),
            ..COUNTER
        },
        Metric {
            name: "statera_endpoint_request_seconds",
            kind: Kind::Histogram,
            unit: "seconds",
            help: "How long requests took, the wait for a connection and failed ones included.",
            read: |snapshot, samples| {
                for endpoint in &snapshot.readings.endpoints {
                    samples.add_histogram(&[&endpoint.functions], &endpoint.figures.latency);
                }
            },
            ..GAUGE
        },
        Metric {
            name: "statera_endpoint_retries",
            help: "Requests for an address whose last one failed.",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.retries),
            ..COUNTER
        },
        Metric {
            name: "statera_endpoint_requests_in_flight",
            help: "Requests in flight, those that wait for a connection included.",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.client.in_flight),
            ..GAUGE
        },
        Metric {
            name: "statera_endpoint_requests_waiting",
            help: "Requests that wait because all connections of the pool are in use.",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.client.waiting),
            ..GAUGE
        },
        Metric {
            name: "statera_endpoint_outages",
            help: "Function types for which the endpoint does not answer, counted in each shard.",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.outages),
            ..GAUGE
        },
        Metric {
            name: "statera_endpoint_connections_open",
            help: "Connections that are open.",
            read: |snapshot, samples| {
                each(snapshot, samples, |figures| figures.client.connections_open);
            },
            ..GAUGE
        },
        Metric {
            name: "statera_endpoint_connections_idle",
            help: "HTTP/1.1 connections that are open and not in use.",
            read: |snapshot, samples| {
                each(snapshot, samples, |figures| figures.client.connections_idle);
            },
            ..GAUGE
        },
        Metric {
            name: "statera_endpoint_connections_made",
            help: "Connections made.",
            read: |snapshot, samples| {
                each(snapshot, samples, |figures| figures.client.connections_made);
            },
            ..COUNTER
        },
        Metric {
            name: "statera_endpoint_connection_races",
            help: "Requests repeated at once because the server was closing their kept-alive connection.",
            read: |snapshot, samples| each(snapshot, samples, |figures| figures.client.races),
            ..COUNTER
        },
    ],
};

fn each<V: Into<Value>>(
    snapshot: &Snapshot<'_>,
    samples: &mut Samples<'_>,
    value: fn(&EndpointFigures) -> V,
) {
    for endpoint in &snapshot.readings.endpoints {
        samples.add(&[&endpoint.functions], value(&endpoint.figures));
    }
}
