//! Mistakes in ingresses and egresses.

use expect_test::expect;

use crate::{ENDPOINT, check, check_added, check_messages};

#[test]
fn the_http_ingress_is_checked() {
    let http =
        |fields: &str| format!("{{ kind: io.statera.v1/http-ingress, spec: {{ {fields} }} }}");
    let texts = [
        http(""),
        http("id: example, address: ':8080', bodyMaxBytes: 16MB, requestsMax: 0, callTimeout: 0"),
        http("id: a/b, address: example.com:80"),
        http("id: a/b, bodyMaxByte: 5, port: 80"),
        http("id: a/b, bodyMaxBytes: -1, requestsMax: 1.5"),
    ];
    check_messages(
        &texts.each_ref().map(String::as_str),
        expect![[r#"
        spec.id: `id` is missing
            add `id: <namespace>/<name>`
        spec.id: invalid name `example`: it must be of the form `<namespace>/<name>`
            put a namespace in front, such as `example/name`
        spec.address: `:8080` is not an address to listen on
            write `127.0.0.1:8080` for this machine or `0.0.0.0:8080` for all networks
        spec.bodyMaxBytes: `16MB` is not a size
            `16MiB` counts in powers of 1024 and is the unit to use
        spec.requestsMax: `0` is too small
            write at least `1`
        spec.callTimeout: the duration must be larger than 0
            for a wait that never ends write a long one, such as `1d`
        spec.address: `example.com:80` is not an address to listen on
            write an IP address and a port, such as `127.0.0.1:8080`
        spec.bodyMaxByte: unknown field `bodyMaxByte`
            did you mean `bodyMaxBytes`?
        spec.port: unknown field `port`
            the fields are `id`, `address`, `bodyMaxBytes`, `requestsMax`, `callTimeout`
        spec.bodyMaxBytes: `-1` is not a size
            write bytes or a size such as `64MiB`
        spec.requestsMax: `1.5` is not an integer
            write a whole number, such as `1000`
    "#]],
    );
}

#[test]
fn the_file_ingress_is_checked() {
    let file =
        |fields: &str| format!("{{ kind: io.statera.v1/file-ingress, spec: {{ {fields} }} }}");
    let texts = [
        file(""),
        file("id: a/b, path: '', follow: perhaps, lineMaxBytes: 0, records: []"),
        file("id: a/b, path: in.jsonl, records: { valueType: a/b }"),
        file(
            "id: a/b, path: in.jsonl, records: [{}, { valueType: x, key: $.user.id, targets: [] }]",
        ),
        file(
            "id: a/b, path: in.jsonl, records: [{ valueType: a/b, key: /a~2, targets: [example/*, a, []] }]",
        ),
        file(
            "id: a/b, path: in.jsonl, records: [{ valueType: a/b, key: /a, targets: [example/a], topic: x }]",
        ),
    ];
    check_messages(
        &texts.each_ref().map(String::as_str),
        expect![[r#"
        spec.id: `id` is missing
            add `id: <namespace>/<name>`
        spec.path: `path` is missing
            add `path: input.jsonl`
        spec.records: `records` is missing
            add
        records:
          - valueType: <namespace>/<name>
            key: /user
            targets: [<namespace>/<name>]
        spec.path: the path is empty
            write the path of a file
        spec.follow: `perhaps` is neither `true` nor `false`
            write `true` or `false`
        spec.lineMaxBytes: the size must be larger than 0
            write bytes or a size such as `64MiB`
        spec.records: the list is empty
            add at least one record
        spec.records: a list is expected here, not a mapping
            write each item on its own line, behind `- `
        spec.records[0].valueType: `valueType` is missing
            add `valueType: <namespace>/<name>`
        spec.records[0].key: `key` is missing
            add `key: /user`
        spec.records[0].targets: `targets` is missing
            add `targets: [<namespace>/<name>]`
        spec.records[1].valueType: invalid name `x`: it must be of the form `<namespace>/<name>`
            put a namespace in front, such as `example/name`
        spec.records[1].key: `$.user.id` is not a JSON pointer
            write `/user/id`
        spec.records[1].targets: the list is empty
            add at least one target
        spec.records[0].key: `/a~2` is not a JSON pointer
            write `~0` for `~` and `~1` for `/` within a name
        spec.records[0].targets[0]: `example/*` is a pattern, but must be a single function
            name the function: `<namespace>/<name>`
        spec.records[0].targets[1]: invalid name `a`: it must be of the form `<namespace>/<name>`
            put a namespace in front, such as `example/name`
        spec.records[0].targets[2]: a single value is expected here, not a list
            write the value behind the colon
        spec.records[0].topic: unknown field `topic`
            the fields are `valueType`, `key`, `targets`
    "#]],
    );
}

#[test]
fn a_target_that_nobody_serves_is_an_error() {
    check_added(
        "
kind: io.statera.v1/file-ingress
spec:
  id: example/logins
  path: logins.jsonl
  records:
    - valueType: example/Login
      key: /user
      targets:
        - example/person
        - exmaple/person
        - shop/cart
",
        expect![[r#"
            error: no endpoint serves `exmaple/person`
              --> module.yaml:11:11 (spec.records[0].targets[1])
               |
            11 |         - exmaple/person
               |           ^^^^^^^^^^^^^^
            hint: did you mean `example/person`? Else add an endpoint with `functions: exmaple/*`

            error: no endpoint serves `shop/cart`
              --> module.yaml:12:11 (spec.records[0].targets[2])
               |
            12 |         - shop/cart
               |           ^^^^^^^^^
            hint: add an endpoint with `functions: shop/*`

            2 errors"#]],
    );
}

#[test]
fn egresses_are_checked() {
    check_messages(
        &[
            "{ kind: io.statera.v1/file-egress, spec: { id: a/b/c } }",
            "{ kind: io.statera.v1/file-egress, spec: { id: a/b, path: out, format: csv } }",
            "{ kind: io.statera.v1/stdout-egress, spec: }",
            "{ kind: io.statera.v1/stdout-egress, spec: [] }",
        ],
        expect![[r#"
            spec.path: `path` is missing
                add `path: output.jsonl`
            spec.id: invalid name `a/b/c`: it must be of the form `<namespace>/<name>`
                use exactly one slash; separate the parts of a namespace with dots
            spec.format: unknown field `format`
                the fields are `id`, `path`
            spec.id: `id` is missing
                add `id: <namespace>/<name>`
            spec: a mapping is expected here, not a list
                write `name: value` lines, indented below this key
        "#]],
    );
}

#[test]
fn the_playground_needs_ports() {
    check(
        &format!(
            "{ENDPOINT}
kind: io.statefun.playground.v1/ingress
spec:
  prot: 8090
---
kind: io.statefun.playground.v1/egress
spec:
  address: all
"
        ),
        expect![[r#"
            error: `port` is missing, but there is `prot`
              --> module.yaml:10:3 (spec.port)
               |
            10 |   prot: 8090
               |   ^^^^
            hint: rename `prot` to `port`

            error: `port` is missing
              --> module.yaml:13:1 (spec.port)
               |
            13 | spec:
               | ^^^^
            hint: add `port: 8091`

            error: `topics` is missing
              --> module.yaml:13:1 (spec.topics)
               |
            13 | spec:
               | ^^^^
            hint: add `topics: [greetings]`

            error: `all` is not an IP address
              --> module.yaml:14:12 (spec.address)
               |
            14 |   address: all
               |            ^^^
            hint: write `127.0.0.1` for this machine or `0.0.0.0` for all networks; the port goes into `port`

            4 errors"#]],
    );
    check(
        &format!(
            "{ENDPOINT}
kind: io.statefun.playground.v1/ingress
spec: {{ port: 80900 }}
---
kind: io.statefun.playground.v1/egress
spec: {{ port: 8091, topics: greetings }}
"
        ),
        expect![[r#"
            error: `80900` is too large
             --> module.yaml:9:15 (spec.port)
              |
            9 | spec: { port: 80900 }
              |               ^^^^^
            hint: write at most `65535`

            error: a list is expected here, not a single value
              --> module.yaml:12:29 (spec.topics)
               |
            12 | spec: { port: 8091, topics: greetings }
               |                             ^^^^^^^^^
            hint: write each item on its own line, behind `- `

            2 errors"#]],
    );
}

#[test]
fn unknown_kinds_are_compared_with_the_known_ones() {
    check_messages(
        &[
            "{ kind: io.statefun.endpoint.v2/http, spec: {} }",
            "{ kind: io.statefun.endpoints.v3/http, spec: {} }",
            "{ kind: io.statera.v1/http_ingress, spec: {} }",
            "{ kind: io.statefun.kafka/ingress, spec: {} }",
            "{ kind: http, spec: {} }",
            "{ kind: com.example/custom-egress, spec: {} }",
        ],
        expect![[r#"
            kind: there is no kind `io.statefun.endpoint.v2/http`
                did you mean one of `io.statefun.endpoints.v2/http`, `io.statefun.endpoints.v1/http`?
            kind: there is no kind `io.statefun.endpoints.v3/http`
                did you mean one of `io.statefun.endpoints.v2/http`, `io.statefun.endpoints.v1/http`?
            kind: there is no kind `io.statera.v1/http_ingress`
                did you mean `io.statera.v1/http-ingress`?
            kind: there is no kind `io.statefun.kafka/ingress`
                did you mean `io.statefun.kafka.v1/ingress`?
            kind: invalid kind `http`: it must be of the form `<namespace>/<name>`
                the kinds are
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
            kind: there is no kind `com.example/custom-egress`
                the kinds are
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
        "#]],
    );
}
