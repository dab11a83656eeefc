//! The reference page, from the same table as the exporter.

use std::fmt::Write;

use super::metric::Metric;
use super::table::{GROUPS, Group, metrics};

const INTRODUCTION: &str = "\
<!-- Generated from the table in crates/admin/src/metrics; do not edit. UPDATE_EXPECT=1 cargo test -p statera-admin -->

# Metrics

`GET /metrics` on the admin address (`http://127.0.0.1:8181/metrics` unless `--admin` says otherwise) tells everything that can be
counted, in the text format of Prometheus, or in that of OpenMetrics 1.0 for those who ask for it with the header `Accept`.

```yaml
scrape_configs:
  - job_name: statera
    static_configs:
      - targets: [127.0.0.1:8181]
```

A dashboard for Grafana, alert rules and this example are in [`deploy/monitoring`](../../deploy/monitoring/README.md).

Counters begin with 0 at each start. Durations are in seconds; the buckets of histograms double from 1 µs to 67 s. What a scrape
costs goes with the number of function types, endpoints, sources and egresses, not with that of instances or messages. A shard that
is too busy to answer within a quarter of a second is not waited for: what it told last is told again, and
`statera_shard_report_age_seconds` says how old that is.
";

/// The page `docs/reference/metrics.md`.
#[must_use]
pub fn metrics_reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    GROUPS.iter().for_each(|group| write_group(&mut page, group));
    write_statefun(&mut page);
    page
}

fn write_group(page: &mut String, group: &Group) {
    let _ = write!(page, "\n## {}\n\n", group.title);
    if !group.about.is_empty() {
        let _ = write!(page, "{}\n\n", group.about);
    }
    page.push_str("| metric | type | labels | what it is |\n|---|---|---|---|\n");
    for metric in group.metrics {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, labels) = (metric.queried(), metric.kind.name(), labels.join(", "));
        let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {} |", metric.help);
    }
}

const STATEFUN: &str = "
## Coming from StateFun

StateFun's metrics of a function, `functions.<namespace>.<name>.<metric>` in its own scope, and what is nearest to them here. In \
queries, its namespace and name are the labels `namespace` and `name`.

| StateFun | here |
|---|---|
";

const DIFFERENCES: &str = "
What differs:

* `in` also counts completions of requests there; here these are `statera_function_invocations_total`.
* `numBlockedAddress` counts addresses with a full batch there; here all that have messages which can't be processed now.
* `numBacklog` does not hold messages in flight there, and is lost with a restart.
* `remoteInvocationLatency` is a sample in milliseconds there, and here a histogram in seconds, also of functions in the process.
* Functions over HTTP have no counters of their own (`context.metrics()` of embedded functions) in either.
";

fn write_statefun(page: &mut String) {
    page.push_str(STATEFUN);
    for metric in metrics().filter(|metric| !metric.statefun.is_empty()) {
        let _ = writeln!(page, "| `{}` | `{}` |", metric.statefun, query(metric));
        if RATES.contains(&metric.statefun) {
            let _ =
                writeln!(page, "| `{}Rate` | `rate({}[1m])` |", metric.statefun, metric.queried());
        }
    }
    page.push_str(DIFFERENCES);
}

/// What has a meter beside its counter in StateFun.
const RATES: [&str; 5] = ["in", "outLocal", "outRemote", "outEgress", "remoteInvocationFailures"];

fn query(metric: &Metric) -> String {
    match metric.labels {
        ["shard"] => format!("sum({})", metric.queried()),
        _ => metric.queried(),
    }
}
