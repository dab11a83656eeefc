//! A metric: what it is called, what it means, and where its samples come from.

use std::collections::BTreeMap;

use statera_config::Application;
use statera_model::Name;
use statera_runtime::IngressFigures;
use statera_runtime::figures::Readings;

use super::process::Process;
use super::text::Samples;

/// What is exported under one name. The exporter, the reference page and the tests read the same table of these.
pub(crate) struct Metric {
    /// Without `_total` and the like.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What is counted, if the name ends with it: `seconds` or `bytes`, or nothing.
    pub(crate) unit: &'static str,
    pub(crate) labels: &'static [&'static str],
    /// A sentence.
    pub(crate) help: &'static str,
    /// What StateFun calls it, or nothing.
    pub(crate) statefun: &'static str,
    /// Writes a sample for each combination of labels, each with the values of `labels` in their order.
    pub(crate) read: fn(&Snapshot<'_>, &mut Samples<'_>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
    /// Always 1: its labels say something.
    Info,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        }
    }
}

impl Metric {
    /// As people write it in queries. That of a histogram takes `_bucket`, `_sum` or `_count` behind it.
    pub(crate) fn queried(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Info => format!("{}_info", self.name),
            Kind::Gauge | Kind::Histogram => self.name.to_owned(),
        }
    }
}

/// Everything that samples are made of.
pub(crate) struct Snapshot<'a> {
    pub(crate) readings: Readings,
    pub(crate) ingresses: BTreeMap<Name, IngressFigures>,
    pub(crate) application: &'a Application,
    pub(crate) process: Process,
    pub(crate) stopping: bool,
}
