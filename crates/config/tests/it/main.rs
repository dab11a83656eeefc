//! What a user writes, and what a user sees.

mod application;
mod defaults;
mod endpoints;
mod engine;
mod files;
mod interpolation;
mod io_kinds;
mod kafka;
mod kinesis;
mod legacy;
mod never_panics;
mod reference;
mod yaml;

use std::time::Duration;

use expect_test::Expect;
use statera_config::{Application, EngineOverrides, Loaded, Problems, Source, load};

/// Enough for an application; tests add what they are about.
const ENDPOINT: &str = "
kind: io.statefun.endpoints.v2/http
spec:
  functions: example/*
  urlPathTemplate: http://localhost:8000/statefun
---
";
const INGRESS: &str = "
kind: io.statefun.playground.v1/ingress
spec:
  port: 8090
---
";

fn source(name: &str, text: &str) -> Source {
    Source { name: name.into(), text: text.into() }
}

fn loaded(text: &str) -> Result<Loaded, Problems> {
    load(&[source("module.yaml", text)], &EngineOverrides::default(), &|_| None)
}

/// The application that a text describes, without warnings.
fn application(text: &str) -> Application {
    let loaded = loaded(text).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    loaded.application
}

/// What is shown for a text, be it errors or warnings.
fn shown(result: Result<Loaded, Problems>) -> String {
    match result {
        Ok(loaded) if loaded.warnings.is_empty() => "fine".to_owned(),
        Ok(loaded) => loaded.warnings.to_string(),
        Err(problems) => problems.to_string(),
    }
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&shown(loaded(text)));
}

/// As [`check`], with an endpoint and an ingress in a file of their own.
fn check_added(text: &str, expected: Expect) {
    let base = source("base.yaml", &format!("{ENDPOINT}{INGRESS}"));
    let sources = [base, source("module.yaml", text)];
    expected.assert_eq(&shown(load(&sources, &EngineOverrides::default(), &|_| None)));
}

/// The messages alone, one in a line, for tables of mistakes.
fn check_messages(texts: &[&str], expected: Expect) {
    let base = source("base.yaml", &format!("{ENDPOINT}{INGRESS}"));
    let mut messages = String::new();
    for text in texts {
        let sources = [base.clone(), source("module.yaml", text)];
        let problems = match load(&sources, &EngineOverrides::default(), &|_| None) {
            Ok(loaded) => loaded.warnings,
            Err(problems) => problems,
        };
        for problem in &problems {
            messages.push_str(&format!("{}: {}\n", problem.path, problem.message));
            messages.push_str(&format!("    {}\n", problem.hint.as_deref().unwrap_or("-")));
        }
        if problems.is_empty() {
            messages.push_str("fine\n");
        }
    }
    expected.assert_eq(&messages);
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
