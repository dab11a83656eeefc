//! A function server on an SDK, Statera in front of it, and a client.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use statera_e2e::{
    App, Client, DeadLetter, Response, Sdk, SdkServer, Statera, Target, dead_letters, egress_lines,
    eventually, skipped,
};

/// What differs between worlds.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    /// Further arguments of the function server.
    pub(crate) sdk: &'static [&'static str],
    /// The budget of a call.
    pub(crate) call: &'static str,
    /// Further lines of the endpoint.
    pub(crate) endpoint: &'static str,
}

impl Default for Options {
    fn default() -> Options {
        Options { sdk: &[], call: "60s", endpoint: "" }
    }
}

pub(crate) struct World {
    pub(crate) sdk: SdkServer,
    pub(crate) client: Client,
    app: App,
    statera: Statera,
}

impl World {
    /// Starts everything; `None` if the SDK is not there, which has been said then.
    pub(crate) fn start(sdk: Sdk, options: Options) -> Option<World> {
        let sdk = match SdkServer::start(sdk, options.sdk) {
            Ok(sdk) => sdk,
            Err(why) => {
                skipped(&format!("functions on the {sdk:?} SDK"), &why);
                return None;
            }
        };
        let app = App::new(&module(&sdk.url(), options));
        let statera = app.start();
        let client = statera.client("conformance/in");
        Some(World { sdk, client, app, statera })
    }

    /// Kills Statera and starts it again.
    pub(crate) fn crash(&mut self) {
        self.statera.kill();
        self.statera = self.app.start();
        self.client = self.statera.client("conformance/in");
    }

    /// Sends a command, which must be accepted.
    pub(crate) fn send(&mut self, function: &str, id: &str, command: &Value) {
        let body = command.to_string();
        drop(self.post("send", function, id, "conformance/Command", body.as_bytes()).expect(202));
    }

    /// Calls a function, which must answer. An empty answer is null.
    pub(crate) fn call(&mut self, function: &str, id: &str, command: &Value) -> Value {
        let response = self.try_call(function, id, command).expect(200);
        if response.body.is_empty() { Value::Null } else { response.json() }
    }

    pub(crate) fn try_call(&mut self, function: &str, id: &str, command: &Value) -> Response {
        self.post("call", function, id, "conformance/Command", command.to_string().as_bytes())
    }

    pub(crate) fn post(
        &mut self,
        verb: &str,
        function: &str,
        id: &str,
        typename: &str,
        body: &[u8],
    ) -> Response {
        let function = format!("conformance/{function}");
        let target = Target { function: &function, id };
        let response = match verb {
            "send" => self.client.send(target, typename, None, body),
            _ => self.client.call(target, typename, None, body),
        };
        response.expect("the ingress answers")
    }

    /// Waits until so many records have left; returns all.
    pub(crate) fn egress_at_least(&self, count: usize) -> Vec<Value> {
        let path: PathBuf = self.app.path("out.jsonl");
        eventually(format!("{count} egress records"), || {
            let lines = egress_lines(&path);
            (lines.len() >= count).then_some(lines)
        })
    }

    /// Waits until there are so many dead letters; returns all.
    pub(crate) fn dead_letters(&self, count: usize) -> Vec<DeadLetter> {
        let admin = self.statera.admin().expect("the admin API listens");
        eventually(format!("{count} dead letters"), || {
            let letters = dead_letters(admin);
            (letters.len() >= count).then_some(letters)
        })
    }
}

fn module(url: &str, options: Options) -> String {
    let Options { call, endpoint, .. } = options;
    format!(
        "kind: io.statefun.endpoints.v2/http
spec:
  functions: conformance/*
  urlPathTemplate: {url}
{endpoint}
  transport:
    type: io.statefun.transports.v1/async
    call: {call}
---
kind: io.statera.v1/http-ingress
spec:
  id: conformance/in
  address: 127.0.0.1:0
---
kind: io.statera.v1/file-egress
spec:
  id: conformance/out
  path: $DIR/out.jsonl
---
kind: io.statera.v1/engine
spec:
  shards: 3
"
    )
}

/// The bytes of base64 text.
pub(crate) fn decode(text: &Value) -> Vec<u8> {
    STANDARD.decode(text.as_str().expect("text")).expect("base64")
}

/// JSON that is equal, where `0` and `0.0` are the same number.
pub(crate) fn same(found: &Value, expected: &Value) {
    assert_eq!(numbers_alike(found), numbers_alike(expected));
}

fn numbers_alike(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(values) => values.iter().map(numbers_alike).collect(),
        Value::Object(fields) => {
            let sorted: std::collections::BTreeMap<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), numbers_alike(value))).collect();
            sorted.into_iter().collect()
        }
        other => other.clone(),
    }
}
