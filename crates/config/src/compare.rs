//! What differs between an application that runs and one that is to take its place.

use std::path::Path;

use crate::{Application, Egress, EngineSettings, FunctionPattern};

/// What differs, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Endpoints, by the functions they serve.
    pub endpoints: Difference,
    /// Ingresses.
    pub ingresses: Difference,
    /// Egresses.
    pub egresses: Difference,
    /// Settings that have another value.
    pub settings: Vec<String>,
}

/// Names of parts, in the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Those that are new.
    pub added: Vec<String>,
    /// Those that are there in both, but not the same.
    pub changed: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
}

impl Changes {
    /// Compares an application that runs with the one that is wanted.
    ///
    /// # Errors
    /// All differences for which the program must be started again, each in words.
    pub fn between(running: &Application, wanted: &Application) -> Result<Changes, Vec<String>> {
        let mut fixed = fixed_settings(&running.engine, &wanted.engine);
        for egress in &wanted.egresses {
            let former = running.egresses.iter().find(|former| former.id() == egress.id());
            fixed.extend(former.and_then(|former| fixed_egress(former, egress)));
        }
        if running.embedded != wanted.embedded {
            fixed.push("the linked functions are others; hint: restart to change them".to_owned());
        }
        if !fixed.is_empty() {
            return Err(fixed);
        }
        let pattern = |functions: &FunctionPattern| match functions {
            FunctionPattern::Exact(function) => function.to_string(),
            FunctionPattern::Namespace(namespace) => format!("{namespace}/*"),
        };
        let name = |endpoint: &crate::Endpoint| pattern(&endpoint.functions);
        Ok(Changes {
            endpoints: difference(&running.endpoints, &wanted.endpoints, name),
            ingresses: difference(&running.ingresses, &wanted.ingresses, |i| i.id().to_string()),
            egresses: difference(&running.egresses, &wanted.egresses, |e| e.id().to_string()),
            settings: live_settings(&running.engine, &wanted.engine),
        })
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Changes::default()
    }
}

fn difference<T: PartialEq>(
    running: &[T],
    wanted: &[T],
    name: impl Fn(&T) -> String,
) -> Difference {
    let mut difference = Difference::default();
    for part in wanted {
        let wanted = name(part);
        match running.iter().find(|running| name(running) == wanted) {
            None => difference.added.push(wanted),
            Some(running) if running != part => difference.changed.push(wanted),
            Some(_) => {}
        }
    }
    let is_gone = |part: &&T| !wanted.iter().any(|wanted| name(wanted) == name(part));
    difference.removed = running.iter().filter(is_gone).map(&name).collect();
    difference
}

fn live_settings(running: &EngineSettings, wanted: &EngineSettings) -> Vec<String> {
    let (a, b) = (&running.failures, &wanted.failures);
    named([
        ("failures.backoffMin", a.backoff_min != b.backoff_min),
        ("failures.backoffMax", a.backoff_max != b.backoff_max),
        ("failures.budget", a.budget != b.budget),
        ("failures.policy", a.policy != b.policy),
        ("failures.overrides", a.overrides != b.overrides),
    ])
}

fn fixed_settings(running: &EngineSettings, wanted: &EngineSettings) -> Vec<String> {
    // Everything is named here, so that a new setting is not forgotten.
    let EngineSettings {
        shards,
        key_groups,
        epochs,
        memory,
        limits,
        durability,
        failures: _,
        idempotency_retention,
        traces,
    } = wanted;
    let (a, b, c) = (&running.epochs, &running.memory, &running.limits);
    let names = named([
        ("shards", running.shards != *shards),
        ("keyGroups", running.key_groups != *key_groups),
        ("epochs.minInterval", a.min_interval != epochs.min_interval),
        ("epochs.maxInterval", a.max_interval != epochs.max_interval),
        ("memory.stateBytes", b.state_bytes != memory.state_bytes),
        ("memory.mailboxBytes", b.mailbox_bytes != memory.mailbox_bytes),
        ("memory.unflushedBytes", b.unflushed_bytes != memory.unflushed_bytes),
        ("limits.invocationsInFlight", c.invocations_in_flight != limits.invocations_in_flight),
        ("limits.mailboxMessages", c.mailbox_messages != limits.mailbox_messages),
        ("limits.batchBytes", c.batch_bytes != limits.batch_bytes),
        ("limits.idempotencyKeys", c.idempotency_keys != limits.idempotency_keys),
        ("durability", running.durability != *durability),
        ("idempotencyRetention", running.idempotency_retention != *idempotency_retention),
        ("traces", running.traces != *traces),
    ]);
    let refusal =
        |name| format!("`{name}` is fixed while the engine runs; hint: restart to change it");
    names.into_iter().map(refusal).collect()
}

fn named<const COUNT: usize>(settings: [(&str, bool); COUNT]) -> Vec<String> {
    let differ = settings.into_iter().filter(|(_, differs)| *differs);
    differ.map(|(name, _)| name.to_owned()).collect()
}

/// Why an egress can't take the place of the one with its id, if so: positions and records of the former would not fit.
fn fixed_egress(former: &Egress, egress: &Egress) -> Option<String> {
    let id = egress.id();
    let hint = "hint: give the new one another id";
    match (former, egress) {
        (Egress::File(from), Egress::File(to)) if from.path != to.path => {
            let show = |path: &Path| path.display().to_string();
            let (from, to) = (show(&from.path), show(&to.path));
            Some(format!(
                "egress `{id}` can't move from `{from}` to `{to}` while the engine runs; {hint}"
            ))
        }
        (Egress::Playground(from), Egress::Playground(to)) if from != to => Some(format!(
            "egress `{id}` is fixed while the engine runs; hint: restart to change it"
        )),
        (Egress::File(_), Egress::File(_))
        | (Egress::Stdout(_), Egress::Stdout(_))
        | (Egress::Playground(_), Egress::Playground(_))
        | (Egress::Kafka(_), Egress::Kafka(_))
        | (Egress::Kinesis(_), Egress::Kinesis(_)) => None,
        _ => Some(format!("egress `{id}` can't become one of another kind; {hint}")),
    }
}

#[cfg(test)]
mod tests {
    use crate::{EngineOverrides, Source, load};

    use super::*;

    const RUNNING: &str = "
kind: io.statefun.endpoints.v2/http
spec: {functions: a/*, urlPathTemplate: 'http://localhost:1/'}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: b/one, urlPathTemplate: 'http://localhost:2/'}
---
kind: io.statera.v1/http-ingress
spec: {id: in/http, address: '127.0.0.1:0'}
---
kind: io.statera.v1/file-egress
spec: {id: out/file, path: out.jsonl}
";

    fn application(text: &str) -> Application {
        let source = Source { name: "module.yaml".into(), text: text.into() };
        let loaded = load(&[source], &EngineOverrides::default(), &|_| None);
        loaded.unwrap_or_else(|problems| panic!("{problems}")).application
    }

    fn check(from: &str, to: &str) -> Result<Changes, Vec<String>> {
        assert!(RUNNING.contains(from), "{from}");
        Changes::between(&application(RUNNING), &application(&RUNNING.replace(from, to)))
    }

    #[test]
    fn the_same_again_is_no_change() {
        assert!(check("a/*", "a/*").unwrap().is_empty());
    }

    #[test]
    fn what_is_new_gone_or_other_is_named() {
        let changes = check("b/one", "b/two").unwrap().endpoints;
        assert_eq!((changes.added, changes.removed), (vec!["b/two".into()], vec!["b/one".into()]));
        let changes = check("localhost:1", "localhost:3").unwrap().endpoints;
        assert_eq!(changes.changed, ["a/*"]);
        let changes = check("127.0.0.1:0", "127.0.0.1:80").unwrap().ingresses;
        assert_eq!(changes.changed, ["in/http"]);
        let changes = check("out/file", "out/other").unwrap().egresses;
        assert_eq!((changes.added.len(), changes.removed.len()), (1, 1));
    }

    #[test]
    fn what_needs_a_restart_is_refused_all_at_once() {
        let to = "path: other.jsonl}\n---\nkind: io.statera.v1/engine\nspec: {shards: 3, durability: none}";
        let refused = check("path: out.jsonl}", to).unwrap_err();
        assert_eq!(refused.len(), 3, "{refused:?}");
        for (refusal, named) in refused.iter().zip(["`shards`", "`durability`", "out/file"]) {
            assert!(refusal.contains(named), "{refusal}");
        }
    }

    #[test]
    fn how_failures_are_treated_may_change() {
        let to =
            "path: out.jsonl}\n---\nkind: io.statera.v1/engine\nspec: {failures: {policy: pause}}";
        let changes = check("path: out.jsonl}", to).unwrap();
        assert_eq!(changes.settings, ["failures.policy"]);
    }
}
