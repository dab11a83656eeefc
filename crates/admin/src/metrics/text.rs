//! The two text formats: Prometheus 0.0.4, and OpenMetrics 1.0.0 for those who ask for it.
//!
//! They differ in this: OpenMetrics names families of counters without `_total`, knows units and infos, escapes quotes in
//! help, writes bounds as decimal fractions, and ends with a line of its own.

use std::fmt::Write as _;

use statera_runtime::figures::Histogram;

use super::metric::{Kind, Metric, Snapshot};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// Chooses by the header `Accept`, in which OpenMetrics must be named to be chosen.
    pub(crate) fn accepted(accept: Option<&str>) -> Format {
        let quality = |wanted: &str| {
            let ranges = accept.unwrap_or_default().split(',');
            let qualities = ranges.filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let named = parts.next()?.eq_ignore_ascii_case(wanted);
                let quality = parts.find_map(|part| part.strip_prefix("q="));
                named.then(|| quality.map_or(1.0, |text| text.parse().unwrap_or(0.0)))
            });
            qualities.fold(0.0_f32, f32::max)
        };
        let open = quality("application/openmetrics-text");
        match open > 0.0 && open >= quality("text/plain") {
            true => Format::OpenMetrics,
            false => Format::Prometheus,
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes all metrics of a table.
pub(crate) fn write(
    metrics: impl Iterator<Item = &'static Metric>,
    snapshot: &Snapshot<'_>,
    format: Format,
) -> String {
    let mut out = String::new();
    for metric in metrics {
        head(&mut out, metric, format);
        (metric.read)(snapshot, &mut Samples { out: &mut out, format, metric });
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

fn head(out: &mut String, metric: &Metric, format: Format) {
    let (name, kind) = match (format, metric.kind) {
        (Format::OpenMetrics, kind) => (metric.name.to_owned(), kind),
        (Format::Prometheus, Kind::Info) => (metric.queried(), Kind::Gauge),
        (Format::Prometheus, kind) => (metric.queried(), kind),
    };
    let _ = write!(out, "# HELP {name} ");
    let quotes = format == Format::OpenMetrics;
    escape(out, metric.help, quotes);
    let _ = writeln!(out, "\n# TYPE {name} {}", kind.name());
    if format == Format::OpenMetrics && !metric.unit.is_empty() {
        let _ = writeln!(out, "# UNIT {name} {}", metric.unit);
    }
}

/// Where a metric writes its samples.
pub(crate) struct Samples<'a> {
    out: &'a mut String,
    format: Format,
    metric: &'a Metric,
}

/// A number in a sample.
pub(crate) enum Value {
    Integer(u64),
    Float(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Integer(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Value {
        Value::Integer(value as u64)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Float(value)
    }
}

impl Samples<'_> {
    /// One sample of anything but a histogram.
    pub(crate) fn add(&mut self, labels: &[&str], value: impl Into<Value>) {
        let suffix = match self.metric.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge => "",
            Kind::Histogram => panic!("a histogram has samples of its own"),
        };
        self.line(suffix, labels, None, value.into());
    }

    /// All samples of one histogram.
    pub(crate) fn add_histogram(&mut self, labels: &[&str], histogram: &Histogram) {
        for (microseconds, count) in histogram.buckets() {
            let mut bound = (microseconds as f64 / 1e6).to_string();
            if self.format == Format::OpenMetrics && !bound.contains('.') {
                bound.push_str(".0");
            }
            self.line("_bucket", labels, Some(&bound), count.into());
        }
        let count = histogram.count();
        self.line("_bucket", labels, Some("+Inf"), count.into());
        self.line("_sum", labels, None, histogram.sum_seconds().into());
        self.line("_count", labels, None, count.into());
    }

    fn line(&mut self, suffix: &str, labels: &[&str], bound: Option<&str>, value: Value) {
        let names = self.metric.labels;
        assert_eq!(names.len(), labels.len(), "{} has these labels", self.metric.name);
        let _ = write!(self.out, "{}{suffix}", self.metric.name);
        let mut before = '{';
        let bound = bound.map(|bound| ("le", bound));
        for (name, value) in names.iter().copied().zip(labels.iter().copied()).chain(bound) {
            let _ = write!(self.out, "{before}{name}=\"");
            escape(self.out, value, true);
            self.out.push('"');
            before = ',';
        }
        if before == ',' {
            self.out.push('}');
        }
        let _ = match value {
            Value::Integer(value) => writeln!(self.out, " {value}"),
            Value::Float(value) => writeln!(self.out, " {value}"),
        };
    }
}

fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_written_for_those_who_ask_for_it() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0;q=0.75,\
                            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1";
        for (accept, expected) in [
            (None, Format::Prometheus),
            (Some("*/*"), Format::Prometheus),
            (Some("text/plain"), Format::Prometheus),
            (Some("application/openmetrics-text"), Format::OpenMetrics),
            (Some("application/openmetrics-text;q=0"), Format::Prometheus),
            (Some("text/plain;q=0.5, application/openmetrics-text;q=0.3"), Format::Prometheus),
            (Some(prometheus_2), Format::OpenMetrics),
        ] {
            assert_eq!(Format::accepted(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn what_would_end_a_text_is_escaped() {
        let mut out = String::new();
        escape(&mut out, "a\\b\n\"c\"", true);
        escape(&mut out, "\"", false);
        assert_eq!(out, r#"a\\b\n\"c\"""#);
    }
}
