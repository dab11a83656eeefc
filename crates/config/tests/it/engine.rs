//! Mistakes in engine settings, and what overrides them.

use std::time::Duration;

use expect_test::expect;
use statera_config::{EngineOverrides, EngineSettings, FailurePolicy, load};

use crate::{ENDPOINT, INGRESS, check_added, check_messages, shown, source};

fn engine(fields: &str) -> String {
    format!("{{ kind: io.statera.v1/engine, spec: {{ {fields} }} }}")
}

#[test]
fn ranges_are_checked() {
    let texts = [
        engine("shards: 0, keyGroups: 40000"),
        engine("shards: 129"),
        engine("shards: 8, keyGroups: 4"),
        engine("keyGroups: 0"),
        engine("epochs: { minInterval: 30ms }"),
        engine("epochs: { maxInterval: 0 }"),
        engine("epochs: { minInterval: 3s, maxInterval: 2s }"),
        engine("memory: { stateBytes: 0, mailboxBytes: 5MB, unflushedBytes: much }"),
        engine(
            "limits: { invocationsInFlight: -1, mailboxMessages: 0, batchBytes: 0, idempotencyKeys: 5000000000 }",
        ),
        engine("durability: fsnyc"),
        engine("durability: maybe"),
        engine("failures: { backoffMin: 10s }"),
        engine(
            "failures: { backoffMin: 0, policy: skip, overrides: { example: retry, a/b: deadletter, a/c: } }",
        ),
        engine("failures: { overrides: retry }"),
        engine("idempotencyRetention: 0, memory: 5"),
        engine("traces: { endpoint: localhost:4318, sample: 5%, headers: secret }"),
        engine("traces: { endpoint: 'http+unix:///a.sock', sample: 2 }"),
        engine("traces: { endpoint: 'http://{function.name}' }"),
    ];
    check_messages(
        &texts.each_ref().map(String::as_str),
        expect![[r#"
            spec.shards: `0` is too small
                write at least `1`
            spec.keyGroups: `40000` is too large
                write at most `32768`
            spec.shards: `shards` is larger than `keyGroups`
                lower `shards` or raise `keyGroups` (now 128 by default)
            spec.shards: `shards` is larger than `keyGroups`
                lower `shards` or raise `keyGroups`
            spec.keyGroups: `0` is too small
                write at least `1`
            fine
            spec.epochs.maxInterval: the duration must be larger than 0
                for a wait that never ends write a long one, such as `1d`
            spec.epochs.minInterval: `epochs.minInterval` is larger than `epochs.maxInterval`
                lower `epochs.minInterval` or raise `epochs.maxInterval`
            spec.memory.stateBytes: the size must be larger than 0
                write bytes or a size such as `64MiB`
            spec.memory.mailboxBytes: `5MB` is not a size
                `5MiB` counts in powers of 1024 and is the unit to use
            spec.memory.unflushedBytes: `much` is not a size
                write bytes or a size such as `64MiB`
            spec.limits.invocationsInFlight: `-1` is too small
                write at least `1`
            spec.limits.mailboxMessages: `0` is too small
                write at least `1`
            spec.limits.batchBytes: the size must be larger than 0
                write bytes or a size such as `64MiB`
            spec.limits.idempotencyKeys: `5000000000` is too large
                write at most `4294967295`
            spec.durability: `fsnyc` is not one of `fsync`, `none`
                did you mean `fsync`?
            spec.durability: `maybe` is not one of `fsync`, `none`
                write one of `fsync`, `none`
            spec.failures.backoffMin: `failures.backoffMin` is larger than `failures.backoffMax`
                lower `failures.backoffMin` or raise `failures.backoffMax` (now 5s by default)
            spec.failures.backoffMin: the duration must be larger than 0
                for a wait that never ends write a long one, such as `1d`
            spec.failures.policy: `skip` is not one of `retry`, `dead-letter`, `pause`
                write one of `retry`, `dead-letter`, `pause`
            spec.failures.overrides.example: invalid function pattern `example`: only `<namespace>/<name>` or `<namespace>/*` are supported
                write `example/*` for all functions of that namespace, or `example/<name>` for one
            spec.failures.overrides.a/b: `deadletter` is not one of `retry`, `dead-letter`, `pause`
                did you mean `dead-letter`?
            spec.failures.overrides.a/c: a single value is expected here, not nothing
                write the value behind the colon
            spec.failures.overrides: a mapping is expected here, not a single value
                write `name: value` lines, indented below this key
            spec.idempotencyRetention: the duration must be larger than 0
                for a wait that never ends write a long one, such as `1d`
            spec.memory: a mapping is expected here, not a single value
                write `name: value` lines, indented below this key
            spec.traces.endpoint: the URL `localhost:4318` has no scheme
                write `http://localhost:4318`
            spec.traces.sample: `5%` is not a share
                write a number from 0 to 1, such as `0.01`
            spec.traces.headers: a header has no name
                write `name=value,name=value`
            spec.traces.endpoint: the URL `http+unix:///a.sock` names a socket
                write `http://<host>:<port>`
            spec.traces.sample: `2` is not a share
                write a number from 0 to 1, such as `0.01`
            spec.traces.endpoint: the URL `http://{function.name}` contains `{function.name}`, which only those of endpoints may
                write the address of one server
        "#]],
    );
}

#[test]
fn unknown_settings_are_errors() {
    let texts = [
        engine("shard: 1"),
        engine("epoch: { maxInterval: 1s }"),
        engine("epochs: { maxIntervall: 1s }"),
        engine("maxInterval: 1s"),
        engine("limits: { stateBytes: 1 }"),
        engine("epochs.maxInterval: 1s"),
        engine("colour: red"),
    ];
    check_messages(
        &texts.each_ref().map(String::as_str),
        expect![[r#"
            spec.shard: there is no engine setting `shard`
                did you mean `shards`?
            spec.epoch: there is no engine setting `epoch`
                did you mean `epochs`?
            spec.epochs.maxIntervall: there is no engine setting `epochs.maxIntervall`
                did you mean `epochs.maxInterval`?
            spec.maxInterval: there is no engine setting `maxInterval`
                did you mean `epochs.maxInterval`?
            spec.limits.stateBytes: there is no engine setting `limits.stateBytes`
                did you mean `memory.stateBytes`?
            spec.epochs.maxInterval: there is no engine setting `epochs.maxInterval`
                nest it:
            epochs:
              maxInterval: …
            spec.colour: there is no engine setting `colour`
                the settings are `shards`, `keyGroups`, `epochs.minInterval`, `epochs.maxInterval`, `memory.stateBytes`, `memory.mailboxBytes`, `memory.unflushedBytes`, `limits.invocationsInFlight`, `limits.mailboxMessages`, `limits.batchBytes`, `limits.idempotencyKeys`, `durability`, `failures.backoffMin`, `failures.backoffMax`, `failures.budget`, `failures.policy`, `failures.overrides`, `idempotencyRetention`, `traces.endpoint`, `traces.sample`, `traces.serviceName`, `traces.headers`
        "#]],
    );
}

#[test]
fn the_engine_is_configured_once() {
    check_added(
        "
kind: io.statera.v1/engine
spec: { shards: 1 }
---
kind: io.statera.v1/engine
spec: { shards: 2 }
",
        expect![[r#"
            error: the engine is configured twice
             --> module.yaml:6:1 (spec)
              |
            6 | spec: { shards: 2 }
              | ^^^^
            note: first configured at module.yaml:3:1
            hint: put all engine settings into one document

            1 error"#]],
    );
}

#[test]
fn two_settings_that_do_not_fit_show_both_places() {
    check_added(
        "
kind: io.statera.v1/engine
spec:
  epochs:
    minInterval: 1s
    maxInterval: 50ms
",
        expect![[r#"
            error: `epochs.minInterval` is larger than `epochs.maxInterval`
             --> module.yaml:5:18 (spec.epochs.minInterval)
              |
            5 |     minInterval: 1s
              |                  ^^
            note: the other one is at module.yaml:6:18
            hint: lower `epochs.minInterval` or raise `epochs.maxInterval`

            1 error"#]],
    );
}

fn overridden(text: &str, overrides: &EngineOverrides) -> Result<EngineSettings, String> {
    let base = source("base.yaml", &format!("{ENDPOINT}{INGRESS}"));
    let result = load(&[base, source("module.yaml", text)], overrides, &|_| None);
    match result {
        Ok(loaded) if loaded.warnings.is_empty() => Ok(loaded.application.engine),
        result => Err(shown(result)),
    }
}

#[test]
fn a_flag_beats_a_variable_beats_a_file() {
    let text = engine(
        "shards: 1, keyGroups: 64, epochs: { maxInterval: 1ms }, failures: { overrides: { a/b: pause } }",
    );
    let variables = [
        ("STATERA_EPOCHS_MAX_INTERVAL", "2ms"),
        ("STATERA_SHARDS", "2"),
        ("STATERA_DATA", "/data"),
        ("HOME", "/home"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let overrides = EngineOverrides::default()
        .with_environment(variables)
        .with_flag("epochs.maxInterval = 3ms")
        .with_flag("failures.overrides.com.example/*=retry");
    let settings = overridden(&text, &overrides).unwrap();
    assert_eq!(settings.key_groups, 64);
    assert_eq!(settings.shards, Some(2));
    assert_eq!(settings.epochs.max_interval, Duration::from_millis(3));
    let overrides = [("a/b", FailurePolicy::Pause), ("com.example/*", FailurePolicy::Retry)];
    let overrides = overrides.map(|(pattern, policy)| (pattern.to_owned(), policy));
    assert_eq!(settings.failures.overrides, overrides.into());
}

#[test]
fn mistakes_in_overrides_name_their_origin() {
    let variables = [("STATERA_SHARDS", "many"), ("STATERA_EPOCH_MAX_INTERVAL", "1s")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let overrides = EngineOverrides::default()
        .with_environment(variables)
        .with_flag("epochs.maxIntervall=50ms")
        .with_flag("durability")
        .with_flag("failures.overrides=retry")
        .with_flag("failures.overrides.example=retry")
        .with_flag("epochs.minInterval=1h");
    expect![[r#"
        error: there is no `=`
         --> `--set durability`
        hint: write `--set epochs.maxInterval=50ms`

        error: there is no engine setting `epochs.maxIntervall`
         --> `--set epochs.maxIntervall=50ms` (epochs.maxIntervall)
        hint: did you mean `epochs.maxInterval`?

        error: `epochs.minInterval` is larger than `epochs.maxInterval`
         --> `--set epochs.minInterval=1h` (epochs.minInterval)
        hint: lower `epochs.minInterval` or raise `epochs.maxInterval` (now 100ms by default)

        error: invalid function pattern `example`: only `<namespace>/<name>` or `<namespace>/*` are supported
         --> `--set failures.overrides.example=retry` (failures.overrides.example)
        hint: write `example/*` for all functions of that namespace, or `example/<name>` for one

        error: `failures.overrides` is not a single value
         --> `--set failures.overrides=retry` (failures.overrides)
        hint: override one function: `failures.overrides.<namespace>/<name>`

        warning: `STATERA_EPOCH_MAX_INTERVAL` is not a setting and is ignored
         --> environment variable `STATERA_EPOCH_MAX_INTERVAL`
        hint: did you mean `STATERA_EPOCHS_MAX_INTERVAL`?

        error: `many` is not an integer
         --> environment variable `STATERA_SHARDS` (shards)
        hint: write a whole number, such as `1000`

        6 errors, 1 warning"#]].assert_eq(&overridden("", &overrides).unwrap_err());
}
