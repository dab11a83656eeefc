//! The single-document format 3.0.

use expect_test::expect;
use statera_config::{Delivery, Egress, EngineOverrides, FunctionPattern, Transport, load};

use crate::{INGRESS, check, check_messages, loaded, shown, source};

const MODULE: &str = r#"version: "3.0"
module:
  meta:
    type: remote
  spec:
    endpoints:
      - endpoint:
          meta:
            kind: http
          spec:
            functions: example/*
            urlPathTemplate: http://localhost:8000/statefun
            maxNumBatchRequests: 10
            timeouts:
              call: 2min
"#;

#[test]
fn a_legacy_endpoint_is_a_v1_endpoint() {
    let sources = [source("module.yaml", MODULE), source("io.yaml", INGRESS)];
    let loaded = load(&sources, &EngineOverrides::default(), &|_| None).unwrap();
    let endpoint = &loaded.application.endpoints[0];
    assert_eq!(endpoint.functions, FunctionPattern::Namespace("example".into()));
    assert_eq!(endpoint.max_batch_requests, Some(10));
    assert!(
        matches!(&endpoint.transport, Transport::OkHttp(okhttp) if okhttp.call.as_secs() == 120)
    );
    expect![[r#"
        warning: this file is in the old format 3.0, which is still read
         --> module.yaml:1:1 (version)
          |
        1 | version: "3.0"
          | ^^^^^^^
        hint: the current format has a document with `kind` and `spec` for each endpoint, ingress and egress

        1 warning"#]].assert_eq(&loaded.warnings.to_string());
}

#[test]
fn any_kind_may_be_used_in_the_legacy_format() {
    let text = format!(
        "{MODULE}
    ingresses:
      - ingress:
          meta: {{ type: io.statera.v1/http-ingress, id: example/in }}
          spec: {{ address: 127.0.0.1:0 }}
    egresses:
      - egress:
          meta: {{ type: io.statera.v1/stdout-egress, id: example/out }}
          spec: {{}}
"
    );
    let application = loaded(&text).unwrap().application;
    assert_eq!(application.ingresses[0].id().as_str(), "example/in");
    assert_eq!(application.egresses[0].id().as_str(), "example/out");
}

#[test]
fn mistakes_in_a_legacy_module_have_places_too() {
    check(
        r#"version: 3.0
module:
  meta:
    type: embedded
  spec:
    endpoints:
      - endpoint:
          meta:
            kind: http
          spec:
            functions: example
            urlPathTemplate: http://localhost:8000/statefun
      - endpoint:
          spec: {}
    ingresses:
      - ingress:
          meta:
            type: io.statefun.kafka/ingress
            id: example/names
          spec:
            address: kafka:9092
      - ingress:
          meta:
            type: io.statera.v1/http-ingress
          spec: {}
    egresses:
      - egress:
          meta: { type: io.statera.v1/stdout-egress, id: out }
          spec: {}
"#,
        expect![[r#"
            error: the version must be text, but `3.0` without quotes is a number
             --> module.yaml:1:10 (version)
              |
            1 | version: 3.0
              |          ^^^
            hint: write `version: "3.0"`

            error: unknown module type `embedded`
             --> module.yaml:4:11 (module.meta.type)
              |
            4 |     type: embedded
              |           ^^^^^^^^
            hint: write `type: remote`

            error: invalid function pattern `example`: only `<namespace>/<name>` or `<namespace>/*` are supported
              --> module.yaml:11:24 (module.spec.endpoints[0].endpoint.spec.functions)
               |
            11 |             functions: example
               |                        ^^^^^^^
            hint: write `example/*` for all functions of that namespace, or `example/<name>` for one

            error: `meta` is missing
              --> module.yaml:13:9 (module.spec.endpoints[1].endpoint.meta)
               |
            13 |       - endpoint:
               |         ^^^^^^^^
            hint: add `meta: { kind: http }`

            error: `consumerGroupId` is missing
              --> module.yaml:20:11 (module.spec.ingresses[0].ingress.spec.consumerGroupId)
               |
            20 |           spec:
               |           ^^^^
            hint: add `consumerGroupId: my-group`, or `group.id` to `properties`

            error: `topics` is missing
              --> module.yaml:20:11 (module.spec.ingresses[0].ingress.spec.topics)
               |
            20 |           spec:
               |           ^^^^
            hint: add
            topics:
              - topic: names
                valueType: <namespace>/<name>
                targets: [<namespace>/<name>]

            error: `id` is missing
              --> module.yaml:23:11 (module.spec.ingresses[1].ingress.meta.id)
               |
            23 |           meta:
               |           ^^^^
            hint: add `id: <namespace>/<name>`

            error: invalid name `out`: it must be of the form `<namespace>/<name>`
              --> module.yaml:28:58 (module.spec.egresses[0].egress.spec.id)
               |
            28 |           meta: { type: io.statera.v1/stdout-egress, id: out }
               |                                                          ^^^
            hint: put a namespace in front, such as `example/name`

            8 errors"#]],
    );
}

#[test]
fn versions_and_parts_are_checked() {
    let with_version = |version: &str| MODULE.replace("\"3.0\"", version);
    let texts = [
        with_version("\"1.0\""),
        with_version("\"2.0\""),
        with_version("\"3.1\""),
        with_version("latest"),
        with_version("[3]"),
        "version: '3.0'".to_owned(),
        "{ version: '3.0', module: { spec: {} } }".to_owned(),
        "{ version: '3.0', module: { meta: { type: Remote } } }".to_owned(),
        "{ version: '3.0', module: { meta: {}, spec: {} } }".to_owned(),
        "{ version: '3.0', module: { meta: { type: remote }, spec: { endpoints: {} } } }"
            .to_owned(),
        "{ version: '3.0', module: [] }".to_owned(),
    ];
    let texts = texts.map(|text| text.replace("example/*", "other/*"));
    check_messages(
        &texts.each_ref().map(String::as_str),
        expect![[r#"
            version: format version `1.0` is not supported
                only 3.0 and later are; write `version: "3.0"` and adapt the module to it
            version: format version `2.0` is not supported
                only 3.0 and later are; write `version: "3.0"` and adapt the module to it
            version: unrecognized format version `3.1`
                write `version: "3.0"`, or use the current format: documents with `kind` and `spec`
            version: unrecognized format version `latest`
                write `version: "3.0"`, or use the current format: documents with `kind` and `spec`
            version: a single value is expected here, not a list
                write the value behind the colon
            module: `module` is missing
                add
            module:
              …
            version: this file is in the old format 3.0, which is still read
                the current format has a document with `kind` and `spec` for each endpoint, ingress and egress
            version: this file is in the old format 3.0, which is still read
                the current format has a document with `kind` and `spec` for each endpoint, ingress and egress
            module.meta: `meta` is missing
                add `meta: { type: remote }`
            version: this file is in the old format 3.0, which is still read
                the current format has a document with `kind` and `spec` for each endpoint, ingress and egress
            module.spec: `spec` is missing
                add
            spec:
              …
            version: this file is in the old format 3.0, which is still read
                the current format has a document with `kind` and `spec` for each endpoint, ingress and egress
            module.meta.type: `type` is missing
                add `type: remote`
            version: this file is in the old format 3.0, which is still read
                the current format has a document with `kind` and `spec` for each endpoint, ingress and egress
            module.spec.endpoints: a list is expected here, not a mapping
                write each item on its own line, behind `- `
            version: this file is in the old format 3.0, which is still read
                the current format has a document with `kind` and `spec` for each endpoint, ingress and egress
            module: a mapping is expected here, not a list
                write `name: value` lines, indented below this key
        "#]],
    );
}

#[test]
fn the_legacy_format_must_be_alone_in_its_file() {
    let text = format!("{MODULE}---{INGRESS}");
    expect![[r#"
        error: the old format with `version` and `module` must be alone in its file
         --> module.yaml:1:1
          |
        1 | version: "3.0"
          | ^
        hint: move it to a file of its own, or write it as documents with `kind` and `spec`

        1 error"#]]
    .assert_eq(&shown(loaded(&text)));
}

#[test]
fn kafka_and_kinesis_are_read_in_the_legacy_format() {
    let text = format!(
        "{MODULE}
    ingresses:
      - ingress:
          meta: {{ type: io.statefun.kafka/ingress, id: example/names }}
          spec:
            address: kafka:9092
            consumerGroupId: my-group
            topics:
              - {{ topic: names, valueType: example/Name, targets: [example/person] }}
      - ingress:
          meta: {{ type: io.statefun.kinesis/ingress, id: example/clicks }}
          spec:
            awsRegion: {{ type: specific, id: us-west-1 }}
            streams:
              - {{ stream: clicks, valueType: example/Click, targets: [example/person] }}
    egresses:
      - egress:
          meta: {{ type: io.statefun.kafka/egress, id: example/out }}
          spec:
            address: kafka:9092
            deliverySemantic: {{ type: exactly-once, transactionTimeoutMillis: 100000 }}
      - egress:
          meta: {{ type: io.statefun.kinesis/egress, id: example/records }}
          spec: {{}}
"
    );
    let loaded = loaded(&text).unwrap();
    let shown: Vec<_> = loaded.warnings.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        shown,
        [
            "this file is in the old format 3.0, which is still read",
            "`transactionTimeoutMillis` is deprecated"
        ]
    );
    let application = loaded.application;
    let ids: Vec<_> =
        application.ingresses.iter().map(|ingress| ingress.id().to_string()).collect();
    assert_eq!(ids, ["example/names", "example/clicks"]);
    let ids: Vec<_> = application.egresses.iter().map(|egress| egress.id().to_string()).collect();
    assert_eq!(ids, ["example/out", "example/records"]);
    let timeout = std::time::Duration::from_secs(100);
    assert!(matches!(
        &application.egresses[0],
        Egress::Kafka(kafka) if kafka.delivery == Delivery::ExactlyOnce { transaction_timeout: timeout }
    ));
}
