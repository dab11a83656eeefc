//! A collector of traces that reads them with the messages as OpenTelemetry publishes them.

use std::process::Command;

use serde_json::Value;

use crate::http::Client;
use crate::sdk::{SdkServer, python, repository};
use crate::wait::eventually;

/// The collector. Gone when it is dropped.
#[derive(Debug)]
pub struct Collector(SdkServer);

/// A span that it got.
#[derive(Clone, Debug)]
pub struct Span(pub Value);

impl Collector {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// Why it is not there.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn start() -> Result<Collector, String> {
        let mut command = Command::new(python()?);
        command.arg(repository().join("tests/sdk/python/collector.py"));
        Ok(Collector(SdkServer::listening(command)))
    }

    /// The value of `traces.endpoint`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address())
    }

    /// Answers this from now on.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn set_status(&self, status: u16) {
        let mut client = Client::new(self.0.address());
        client.request("POST", &format!("/refuse/{status}"), &[], b"").unwrap().expect(200);
    }

    fn report(&self) -> Value {
        Client::new(self.0.address()).request("GET", "/spans", &[], b"").unwrap().expect(200).json()
    }

    /// All spans so far.
    ///
    /// # Panics
    /// If it does not answer.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let mut report = self.report();
        let Value::Array(spans) = report["spans"].take() else { panic!("{report}") };
        spans.into_iter().map(Span).collect()
    }

    /// How many requests it has refused.
    ///
    /// # Panics
    /// If it does not answer.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.report()["refused"].as_u64().unwrap()
    }

    /// Waits for a span with this name whose parent is that span.
    ///
    /// # Panics
    /// If it does not come.
    #[must_use]
    pub fn child_of(&self, parent: &str, name: &str) -> Span {
        eventually(format!("span `{name}` below `{parent}`"), || {
            let is_it = |span: &Span| span.get("parent") == parent && span.get("name") == name;
            self.spans().into_iter().find(is_it)
        })
    }
}

impl Span {
    /// A field of text.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn get(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_else(|| panic!("no `{field}` in {}", self.0))
    }

    /// As a header `traceparent` has it.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.get("trace"), self.get("span"))
    }
}
