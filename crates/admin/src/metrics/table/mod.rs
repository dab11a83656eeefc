//! The one table of all metrics, in groups.

mod endpoints;
mod engine;
mod functions;
mod shards;
mod streams;

use super::metric::Metric;

/// Metrics that belong together, for the reference page.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    /// What is to be known about all of them, in Markdown; may be empty.
    pub(crate) about: &'static str,
    pub(crate) metrics: &'static [Metric],
}

/// All of them.
pub(crate) const GROUPS: &[&Group] = &[
    &functions::FUNCTIONS,
    &endpoints::ENDPOINTS,
    &streams::REQUESTS,
    &streams::INGRESSES,
    &streams::EGRESSES,
    &engine::EPOCHS,
    &engine::LOG,
    &engine::STORE,
    &shards::SHARDS,
    &engine::ENGINE,
    &engine::PROCESS,
];

/// All metrics.
pub(crate) fn metrics() -> impl Iterator<Item = &'static Metric> {
    GROUPS.iter().flat_map(|group| group.metrics)
}

/// What most metrics have in common: no unit, no name in StateFun.
const PLAIN: Metric = Metric {
    name: "",
    kind: super::metric::Kind::Gauge,
    unit: "",
    labels: &[],
    help: "",
    statefun: "",
    read: |_, _| {},
};
