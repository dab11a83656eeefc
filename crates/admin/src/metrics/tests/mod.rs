//! What is exported can be read by others, is documented, and is what the dashboard and the alerts name.

mod exposition;
mod monitoring;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use expect_test::expect_file;
use statera_config::{Application, EngineOverrides, Source, load};
use statera_core::{Figures, FunctionFigures};
use statera_model::{EgressId, Epoch, FunctionType, Name};
use statera_ports::{SourceId, SourceStatus, SourceUnit};
use statera_runtime::figures::{
    EndpointFigures, EndpointReading, EpochFigures, FunctionReading, Histogram, Readings,
    RequestFigures, ShardReading, SourceFigures,
};
use statera_runtime::{IngressFigures, SinkFigures, SpanFigures};

use super::metric::{Kind, Snapshot};
use super::page::metrics_reference;
use super::process::Process;
use super::table::metrics;
use super::text::{Format, write};
use exposition::{Exposition, parse};

fn application() -> Application {
    let text = "
kind: io.statefun.endpoints.v2/http
spec: { functions: example/*, urlPathTemplate: http://localhost:8000/ }
---
kind: io.statera.v1/http-ingress
spec: { id: example/in, address: 127.0.0.1:0 }
";
    let source = Source { name: "module.yaml".into(), text: text.to_owned() };
    let loaded = load(&[source], &EngineOverrides::default(), &|_| None);
    loaded.unwrap_or_else(|problems| panic!("{problems}")).application
}

fn histogram() -> Histogram {
    let mut histogram = Histogram::default();
    histogram.note(Duration::from_micros(3));
    histogram.note(Duration::from_secs(3_600));
    histogram
}

/// Something of everything, and names that must be escaped.
fn readings() -> Readings {
    let name = |namespace, name| FunctionType::from_parts(namespace, name);
    let figures = FunctionFigures { received: 7, backlog: 2, ..FunctionFigures::default() };
    let function = |name| FunctionReading { name, figures, latency: histogram() };
    let source = SourceId { ingress: Name::parse("a/b").unwrap(), partition: "topic/0".into() };
    let whole = SourceId { partition: "".into(), ..source.clone() };
    let status = |unit| Some(SourceStatus { position: 3, end: Some(10), unit });
    let of = |unit| SourceFigures { records: 3, status: status(unit), ..Default::default() };
    let mut requests = RequestFigures { sends: 5, ..RequestFigures::default() };
    requests.refused.insert(("full", "memory.mailboxBytes"), 1);
    requests.refused.insert(("stopping", ""), 1);
    requests.send_release = histogram();
    Readings {
        spans: Some(SpanFigures { exported: 5, dropped: 1, failed: 0 }),
        uptime: Duration::from_millis(1_500),
        shards: vec![
            ShardReading {
                figures: Figures { instances: 12, ..Figures::default() },
                function_types: 2,
                age: Duration::from_micros(1),
            };
            2
        ],
        functions: vec![
            function(name("io.statera", "other")),
            function(name("example", "quote\"back\\slash")),
            function(name("", "line\nbreak ünï")),
        ],
        endpoints: vec![EndpointReading {
            functions: "example/*".to_owned(),
            figures: EndpointFigures { latency: histogram(), ..EndpointFigures::default() },
        }],
        requests,
        sources: vec![(source, of(SourceUnit::Records)), (whole, of(SourceUnit::Bytes))],
        egresses: vec![(
            EgressId::parse("a/out").unwrap(),
            SinkFigures { released: Epoch(3), write: histogram(), ..SinkFigures::default() },
        )],
        epochs: EpochFigures { last: Epoch(9), durable: histogram(), ..EpochFigures::default() },
        log_file_bytes: 1 << 24,
        store: statera_store::Figures::default(),
    }
}

fn ingresses() -> BTreeMap<Name, IngressFigures> {
    let figures = IngressFigures { messages: 5, ..IngressFigures::default() };
    [(Name::parse("a/b").unwrap(), figures)].into()
}

fn export(format: Format) -> String {
    let application = application();
    let process = Process {
        resident_bytes: Some(1 << 20),
        cpu_seconds: Some(0.25),
        start_seconds: Some(1_750_000_000.5),
        open_files: Some(17),
        threads: Some(4),
    };
    let snapshot = Snapshot {
        readings: readings(),
        ingresses: ingresses(),
        application: &application,
        process,
        stopping: false,
    };
    write(metrics(), &snapshot, format)
}

fn exported(format: Format) -> Exposition {
    let text = export(format);
    parse(&text, format).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn both_formats_can_be_read_and_say_the_same() {
    let [prometheus, open] = [Format::Prometheus, Format::OpenMetrics].map(exported);
    assert_eq!(prometheus.samples, open.samples);
    let value =
        |series: &str| *prometheus.samples.get(series).unwrap_or_else(|| panic!("{series}"));
    assert_eq!(value(r#"statera_function_in_total{name="other",namespace="io.statera"}"#), 7.0);
    assert_eq!(
        value(r#"statera_function_in_total{name="quote\"back\\slash",namespace="example"}"#),
        7.0
    );
    assert_eq!(value(r#"statera_ingress_lag_records{ingress="a/b",partition="topic/0"}"#), 7.0);
    assert_eq!(value(r#"statera_ingress_lag_bytes{ingress="a/b",partition=""}"#), 7.0);
    assert_eq!(value(r#"statera_release_seconds_bucket{kind="send",le="0.000004"}"#), 1.0);
    assert_eq!(value(r#"statera_release_seconds_count{kind="send"}"#), 2.0);
    assert_eq!(value("process_cpu_seconds_total"), 0.25);
}

#[test]
fn every_metric_is_exported_in_the_order_of_the_table() {
    let families = exported(Format::OpenMetrics).families;
    let table: Vec<_> = metrics().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(families, table);
}

/// OpenMetrics forbids that a sample of one family has the name of another family, or of its samples.
#[test]
fn no_two_metrics_have_samples_of_one_name() {
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for metric in metrics() {
        let suffixes: &[&str] = match metric.kind {
            Kind::Counter => &["", "_total", "_created"],
            Kind::Gauge => &[""],
            Kind::Info => &["", "_info"],
            Kind::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
        };
        for suffix in suffixes {
            let other = owners.insert(format!("{}{suffix}", metric.name), metric.name);
            assert_eq!(other, None, "{}", metric.name);
        }
    }
}

#[test]
fn names_follow_the_conventions() {
    for metric in metrics() {
        let name = metric.name;
        assert!(name.starts_with("statera_") || name.starts_with("process_"), "{name}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        let unit =
            ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(&format!("_{unit}")));
        assert_eq!(unit.unwrap_or_default(), metric.unit, "{name}");
        for suffix in ["_total", "_count", "_sum", "_bucket", "_info", "_created"] {
            assert!(!name.ends_with(suffix), "{name}");
        }
        assert!(
            metric.help.ends_with('.') && !metric.help.contains('|'),
            "{name}: {}",
            metric.help
        );
        let labels: BTreeSet<_> = metric.labels.iter().collect();
        assert_eq!(labels.len(), metric.labels.len(), "{name}");
        assert!(!labels.contains(&"le") && !labels.contains(&"job"), "{name}");
    }
}

#[test]
fn the_reference_is_up_to_date() {
    expect_file!["../../../../../docs/reference/metrics.md"].assert_eq(&metrics_reference());
}

/// A few thousand instances or ten million make no difference: a page's size goes with the number of types.
#[test]
fn the_size_of_an_answer_goes_with_the_number_of_types() {
    let application = application();
    let length = |types: usize| {
        let mut readings = readings();
        let function = readings.functions[0].clone();
        readings.functions = vec![function; types];
        let process = Process::default();
        let snapshot = Snapshot {
            readings,
            ingresses: BTreeMap::new(),
            application: &application,
            process,
            stopping: false,
        };
        write(metrics(), &snapshot, Format::Prometheus).len()
    };
    let each = length(2) - length(1);
    assert!(each < 6_000, "{each} bytes for each function type");
    assert_eq!(length(257) - length(1), 256 * each);
}
