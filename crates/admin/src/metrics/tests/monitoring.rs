//! The files in `deploy/monitoring` name only what is exported, in a form that Prometheus and Grafana read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value};

use super::{Format, Kind, export, metrics};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/monitoring")
}

fn text(name: &str) -> String {
    let path = folder().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One YAML document of mappings, sequences and scalars.
fn yaml(text: &str) -> Value {
    let mut events = Parser::new_from_str(text).map(|event| event.expect("YAML").0);
    while let Some(event) = events.next() {
        match event {
            Event::StreamStart | Event::DocumentStart(_) => {}
            event => return node(event, &mut events),
        }
    }
    panic!("an empty document");
}

fn node<'a>(event: Event<'a>, events: &mut impl Iterator<Item = Event<'a>>) -> Value {
    match event {
        Event::Scalar(text, ..) => Value::String(text.into_owned()),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match events.next().expect("the end of a sequence") {
                    Event::SequenceEnd => return Value::Array(items),
                    event => items.push(node(event, events)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut fields = Map::new();
            loop {
                match events.next().expect("the end of a mapping") {
                    Event::MappingEnd => return Value::Object(fields),
                    key => {
                        let Value::String(key) = node(key, events) else { panic!("a plain key") };
                        let value = events.next().expect("a value");
                        let value = node(value, events);
                        assert!(fields.insert(key.clone(), value).is_none(), "{key} twice");
                    }
                }
            }
        }
        other => panic!("{other:?} is not expected in these files"),
    }
}

/// Words of a query outside of texts and of the braces of label matchers; and those within braces and clauses `by`.
fn words(query: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut outside, mut labels) = (BTreeSet::new(), BTreeSet::new());
    let (mut word, mut quoted, mut braces, mut clause) = (String::new(), false, 0, false);
    for c in query.chars().chain([' ']) {
        if c.is_ascii_alphanumeric() || c == '_' || c == ':' {
            if !quoted {
                word.push(c);
            }
            continue;
        }
        let ended = std::mem::take(&mut word);
        match ended.as_str() {
            "" => {}
            "by" | "on" | "without" | "ignoring" => clause = true,
            _ if ended.starts_with(|c: char| c.is_ascii_digit()) => {}
            _ if braces > 0 || clause => drop(labels.insert(ended)),
            _ => drop(outside.insert(ended)),
        }
        match c {
            '"' => quoted = !quoted,
            '{' if !quoted => braces += 1,
            '}' if !quoted => braces -= 1,
            ')' if !quoted => clause = false,
            _ => {}
        }
    }
    assert!(!quoted && braces == 0, "`{query}` ends too early");
    (outside, labels)
}

/// The series that can be asked for, and the labels that they have.
fn series() -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut series = BTreeMap::new();
    for metric in metrics() {
        let labels: BTreeSet<_> =
            metric.labels.iter().copied().chain(["job", "instance"]).collect();
        if metric.kind != Kind::Histogram {
            series.insert(metric.queried(), labels);
            continue;
        }
        for suffix in ["_bucket", "_sum", "_count"] {
            let mut labels = labels.clone();
            labels.extend((suffix == "_bucket").then_some("le"));
            series.insert(format!("{}{suffix}", metric.name), labels);
        }
    }
    series
}

/// Whether a query names what is exported, with labels that it has.
fn check(place: &str, query: &str) {
    let series = series();
    let (words, labels) = words(query);
    let ours = |word: &&String| word.starts_with("statera_") || word.starts_with("process_");
    let named: Vec<_> = words.iter().filter(ours).collect();
    assert!(!named.is_empty() || words.contains("up"), "{place}: `{query}` asks for nothing");
    let mut known = BTreeSet::from(["job", "instance"]);
    for name in named {
        let labels = series.get(name).unwrap_or_else(|| panic!("{place}: `{name}` is unknown"));
        known.extend(labels);
    }
    for label in &labels {
        assert!(
            known.contains(label.as_str()),
            "{place}: there is no label `{label}` in `{query}`"
        );
    }
    let opened = query.matches('(').count();
    assert_eq!(opened, query.matches(')').count(), "{place}: `{query}`");
}

/// All rules of the alerts.
fn rules() -> Vec<Value> {
    let alerts = yaml(&text("alerts.yaml"));
    let groups = alerts["groups"].as_array().expect("groups").iter();
    groups.flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

#[test]
fn alerts_ask_for_what_is_exported_and_say_what_to_do() {
    let mut names = BTreeSet::new();
    for rule in rules() {
        let name = rule["alert"].as_str().expect("an alert").to_owned();
        check(&name, rule["expr"].as_str().expect("a query"));
        let severity = rule["labels"]["severity"].as_str().expect("a severity");
        assert!(["critical", "warning"].contains(&severity), "{name}: {severity}");
        for note in ["summary", "description"] {
            assert!(rule["annotations"][note].is_string(), "{name} has no {note}");
        }
        assert!(names.insert(name.clone()), "{name} twice");
    }
    assert!(names.len() >= 10);
}

/// All queries of a dashboard, with the titles of their panels.
fn queries(panels: &Value, found: &mut Vec<(String, String)>) {
    for panel in panels.as_array().into_iter().flatten() {
        let title = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().expect("a query");
            found.push((title.to_owned(), query.to_owned()));
        }
        queries(&panel["panels"], found);
    }
}

#[test]
fn the_dashboard_asks_for_what_is_exported() {
    let dashboard: Value = serde_json::from_str(&text("grafana-dashboard.json")).unwrap();
    let mut found = Vec::new();
    queries(&dashboard["panels"], &mut found);
    assert!(found.len() >= 20);
    for (title, query) in &found {
        // Grafana fills these in.
        let query = query.replace("$__rate_interval", "1m").replace("$instance", "x");
        check(title, &query.replace("$namespace", "x"));
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let query = variable["query"].as_str().unwrap_or_default();
        if let Some(inner) = query.strip_prefix("label_values(") {
            let name = inner.split([',', '{']).next().unwrap();
            assert!(series().contains_key(name), "{query}");
        }
    }
    let mut places = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(places.insert(panel["id"].as_u64().unwrap()), "two panels of one id");
        assert!(panel["gridPos"]["w"].as_u64().unwrap() <= 24);
    }
}

#[test]
fn the_example_of_a_configuration_reads_the_alerts() {
    let example = yaml(&text("prometheus.yaml"));
    assert_eq!(example["rule_files"][0], "alerts.yaml");
    assert_eq!(example["scrape_configs"][0]["job_name"], "statera");
}

/// With Prometheus's own tool, where there is one: `promtool` in the path, or what `STATERA_PROMTOOL` names.
#[test]
fn promtool_finds_nothing_wrong() {
    let tool = std::env::var_os("STATERA_PROMTOOL").unwrap_or_else(|| "promtool".into());
    if Command::new(&tool).arg("--version").output().is_err() {
        println!("SKIPPED: promtool_finds_nothing_wrong: there is no promtool");
        return;
    }
    let run = |arguments: &[&str], input: &str| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("input");
        std::fs::write(&file, input).unwrap();
        let mut command = Command::new(&tool);
        command.args(arguments).current_dir(folder()).stdin(std::fs::File::open(&file).unwrap());
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    };
    run(&["check", "rules", "alerts.yaml"], "");
    run(&["check", "config", "prometheus.yaml"], "");
    run(&["check", "metrics"], &export(Format::Prometheus));
}
