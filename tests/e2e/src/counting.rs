//! The smallest application with everything: calls to a counter, which tells its egress each time.

use serde_json::json;

use crate::functions::Functions;

/// `process/counter` counts its messages, answers with the count, and emits it to `process/out`.
#[must_use]
pub fn functions() -> Functions {
    Functions::default().with("process/counter", &["count"], |context, _| {
        let count = context.add("count", 1);
        context.emit("process/out", &json!(count));
        context.answer(count);
    })
}

/// The module: the functions at this URL, the HTTP ingress `process/in`, and the egress to `$DIR/out.jsonl`.
#[must_use]
pub fn module(url: &str) -> String {
    format!(
        "kind: io.statefun.endpoints.v2/http
spec:
  functions: process/*
  urlPathTemplate: {url}
---
kind: io.statera.v1/http-ingress
spec:
  id: process/in
  address: 127.0.0.1:0
---
kind: io.statera.v1/file-egress
spec:
  id: process/out
  path: $DIR/out.jsonl
"
    )
}
