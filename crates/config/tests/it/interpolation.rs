//! `${NAME}` in values.

use expect_test::expect;
use statera_config::{EngineOverrides, Ingress, Loaded, Problems, load};

use crate::{ENDPOINT, shown, source};

fn interpolated(text: &str) -> Result<Loaded, Problems> {
    let environment = |name: &str| match name {
        "PORT" => Some("8123".to_owned()),
        "HOST" => Some("functions.local".to_owned()),
        "WORD" => Some("word".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let sources = [source("base.yaml", ENDPOINT), source("module.yaml", text)];
    load(&sources, &EngineOverrides::default(), &environment)
}

#[test]
fn values_come_from_the_environment() {
    let text = "
kind: io.statefun.endpoints.v2/http
spec:
  functions: ${WORD}/*
  urlPathTemplate: http://${HOST}:${PORT}/{function.name}
  maxNumBatchRequests: ${LIMIT:-7}
---
kind: io.statefun.playground.v1/ingress
spec: { port: '${PORT}', address: '${EMPTY:-127.0.0.1}' }
---
kind: io.statera.v1/file-ingress
spec: { id: a/b, path: '$${HOME}', follow: '${FOLLOW:-true}', lineMaxBytes: , records: [{ valueType: a/b, key: '${EMPTY}', targets: ['example/${WORD}'] }] }
---
kind: io.statera.v1/engine
spec:
  shards: ${EMPTY}
  keyGroups: ${GROUPS:-16}
";
    let application =
        interpolated(text).unwrap_or_else(|problems| panic!("{problems}")).application;
    assert_eq!(application.endpoints[1].url.text, "http://functions.local:8123/{function.name}");
    assert_eq!(application.endpoints[1].max_batch_requests, Some(7));
    let Ingress::File(file) = &application.ingresses[1] else { panic!("the second is a file") };
    assert_eq!((file.path.to_str(), file.follow), (Some("${HOME}"), true));
    assert_eq!(file.records[0].targets[0].as_str(), "example/word");
    assert_eq!((application.engine.shards, application.engine.key_groups), (None, 16));
}

#[test]
fn what_cannot_be_replaced_is_shown_once_and_in_place() {
    let text = "
kind: io.statefun.playground.v1/ingress
spec:
  port: ${PORTT}
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: a/*
  urlPathTemplate: \"http://${HOST}:${NO PORT}/\"
  maxNumBatchRequests: ${WORD}
  transport:
    call: 1${HOST
";
    expect![[r#"
        error: `${PORTT}` is not set
         --> module.yaml:4:9 (spec.port)
          |
        4 |   port: ${PORTT}
          |         ^^^^^^^^
        hint: set the environment variable `PORTT`, or give a default: `${PORTT:-default}`; to switch this off write `interpolate: false` beside `spec`

        error: `${NO PORT}` is not a reference to a variable
         --> module.yaml:9:36 (spec.urlPathTemplate)
          |
        9 |   urlPathTemplate: "http://${HOST}:${NO PORT}/"
          |                                    ^^^^^^^^^^
        hint: write `${NAME}` or `${NAME:-default}`, or `$${` for a plain `${`

        error: `word` is not an integer
          --> module.yaml:10:24 (spec.maxNumBatchRequests)
           |
        10 |   maxNumBatchRequests: ${WORD}
           |                        ^^^^^^^
        hint: write a whole number, such as `1000`

        error: `${HOST` is not closed
          --> module.yaml:12:12 (spec.transport.call)
           |
        12 |     call: 1${HOST
           |            ^^^^^^
        hint: add `}`, or write `$${` for a plain `${`

        4 errors"#]].assert_eq(&shown(interpolated(text)));
}

#[test]
fn only_values_below_spec_are_replaced() {
    let text = "
kind: ${WORD}/kind
spec:
  ${WORD}: 5
";
    expect![[r#"
        error: there is no kind `${WORD}/kind`
         --> module.yaml:2:7 (kind)
          |
        2 | kind: ${WORD}/kind
          |       ^^^^^^^^^^^^
        hint: the kinds are
          io.statefun.endpoints.v2/http
          io.statefun.endpoints.v1/http
          io.statera.v1/http-ingress
          io.statera.v1/file-ingress
          io.statefun.kafka.v1/ingress
          io.statefun.kinesis.v1/ingress
          io.statefun.playground.v1/ingress
          io.statera.v1/file-egress
          io.statera.v1/stdout-egress
          io.statefun.kafka.v1/egress
          io.statefun.kinesis.v1/egress
          io.statefun.playground.v1/egress
          io.statera.v1/engine

        1 error"#]]
    .assert_eq(&shown(interpolated(text)));
}

#[test]
fn it_can_be_switched_off_for_a_document() {
    let text = "
kind: io.statera.v1/file-ingress
interpolate: false
spec: { id: a/b, path: '${X}', records: [{ valueType: a/b, key: '', targets: [example/a] }] }
";
    let application = interpolated(text).unwrap().application;
    let Ingress::File(file) = &application.ingresses[0] else { panic!("it is a file") };
    assert_eq!(file.path.to_str(), Some("${X}"));
    expect![[r#"
        error: there is no kind `a/b`
         --> module.yaml:1:7 (kind)
          |
        1 | kind: a/b
          |       ^^^
        hint: the kinds are
          io.statefun.endpoints.v2/http
          io.statefun.endpoints.v1/http
          io.statera.v1/http-ingress
          io.statera.v1/file-ingress
          io.statefun.kafka.v1/ingress
          io.statefun.kinesis.v1/ingress
          io.statefun.playground.v1/ingress
          io.statera.v1/file-egress
          io.statera.v1/stdout-egress
          io.statefun.kafka.v1/egress
          io.statefun.kinesis.v1/egress
          io.statefun.playground.v1/egress
          io.statera.v1/engine

        error: `perhaps` is neither `true` nor `false`
         --> module.yaml:2:14 (interpolate)
          |
        2 | interpolate: perhaps
          |              ^^^^^^^
        hint: write `true` or `false`

        2 errors"#]]
    .assert_eq(&shown(interpolated("kind: a/b\ninterpolate: perhaps\nspec:\n  a: ${X}\n")));
}
