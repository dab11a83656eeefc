//! Mistakes in endpoints and their transports.

use expect_test::expect;
use statera_config::{EngineOverrides, load_with};
use statera_model::FunctionType;

use crate::{INGRESS, check, check_messages, shown, source};

#[test]
fn all_mistakes_are_shown_at_once_with_their_places() {
    check(
        &format!(
            "{INGRESS}
kind: io.statefun.endpoints.v2/http
spec:
  functions: example*
  urlPathTemplate: localhost:8000/statefun
  maxNumBatchRequests: many
  transport:
    type: io.statefun.transports.v1/async
    call: 1.5s
    connect: 10x
"
        ),
        expect![[r#"
            error: invalid function pattern `example*`: only `<namespace>/<name>` or `<namespace>/*` are supported
             --> module.yaml:9:14 (spec.functions)
              |
            9 |   functions: example*
              |              ^^^^^^^^
            hint: write `example/*` for all functions of that namespace, or `example/<name>` for one

            error: the URL `localhost:8000/statefun` has no scheme
              --> module.yaml:10:20 (spec.urlPathTemplate)
               |
            10 |   urlPathTemplate: localhost:8000/statefun
               |                    ^^^^^^^^^^^^^^^^^^^^^^^
            hint: write `http://localhost:8000/statefun`

            error: `many` is not an integer
              --> module.yaml:11:24 (spec.maxNumBatchRequests)
               |
            11 |   maxNumBatchRequests: many
               |                        ^^^^
            hint: write a whole number, such as `1000`

            error: `1.5s` is not a duration
              --> module.yaml:14:11 (spec.transport.call)
               |
            14 |     call: 1.5s
               |           ^^^^
            hint: fractions are not allowed; use a smaller unit, such as `1500ms` for `1.5s`

            error: `10x` is not a duration
              --> module.yaml:15:14 (spec.transport.connect)
               |
            15 |     connect: 10x
               |              ^^^
            hint: `x` is not a unit; the units are `d`, `h`, `min`, `s`, `ms`, `µs` and `ns`

            5 errors"#]],
    );
}

#[test]
fn what_is_missing_is_shown_where_it_belongs() {
    check(
        &format!("{INGRESS}kind: io.statefun.endpoints.v2/http\nspec:\n  transport: {{}}\n"),
        expect![[r#"
            error: `functions` is missing
             --> module.yaml:7:1 (spec.functions)
              |
            7 | spec:
              | ^^^^
            hint: add `functions: <namespace>/*`

            error: `urlPathTemplate` is missing
             --> module.yaml:7:1 (spec.urlPathTemplate)
              |
            7 | spec:
              | ^^^^
            hint: add `urlPathTemplate: http://localhost:8000/statefun`

            2 errors"#]],
    );
}

#[test]
fn a_misspelt_field_is_recognised() {
    check(
        &format!(
            "{INGRESS}
kind: io.statefun.endpoints.v2/http
spec:
  function: example/*
  url_path_template: http://localhost:8000/
  maxBatchRequests: 7
  comment: is ignored
"
        ),
        expect![[r#"
            error: `functions` is missing, but there is `function`
             --> module.yaml:9:3 (spec.functions)
              |
            9 |   function: example/*
              |   ^^^^^^^^
            hint: rename `function` to `functions`

            error: `urlPathTemplate` is missing, but there is `url_path_template`
              --> module.yaml:10:3 (spec.urlPathTemplate)
               |
            10 |   url_path_template: http://localhost:8000/
               |   ^^^^^^^^^^^^^^^^^
            hint: rename `url_path_template` to `urlPathTemplate`

            warning: the unknown field `maxBatchRequests` is ignored
              --> module.yaml:11:3 (spec.maxBatchRequests)
               |
            11 |   maxBatchRequests: 7
               |   ^^^^^^^^^^^^^^^^
            hint: did you mean `maxNumBatchRequests`?

            2 errors, 1 warning"#]],
    );
}

fn v2(fields: &str) -> String {
    format!("{{ kind: io.statefun.endpoints.v2/http, spec: {{ {fields} }} }}")
}

#[test]
fn function_patterns_are_checked() {
    let patterns =
        ["example", "*", "*/*", "a/b/c", "/b", "a/", "ex*/a", "example/a*", "''", "[a/b]"];
    let texts =
        patterns.map(|pattern| v2(&format!("functions: '{pattern}', urlPathTemplate: http://h/")));
    let texts = texts.map(|text| text.replace("''''", "''").replace("'[a/b]'", "[a/b]"));
    check_messages(
        &texts.each_ref().map(String::as_str),
        expect![[r#"
            spec.functions: invalid function pattern `example`: only `<namespace>/<name>` or `<namespace>/*` are supported
                write `example/*` for all functions of that namespace, or `example/<name>` for one
            spec.functions: invalid function pattern `*`: only `<namespace>/<name>` or `<namespace>/*` are supported
                there is no pattern for all namespaces; write one endpoint for each
            spec.functions: invalid function pattern `*/*`: only `<namespace>/<name>` or `<namespace>/*` are supported
                `*` may only stand for the whole name; write one endpoint for each namespace
            spec.functions: invalid function pattern `a/b/c`: only `<namespace>/<name>` or `<namespace>/*` are supported
                use exactly one slash, with something on both sides; separate the parts of a namespace with dots
            spec.functions: invalid function pattern `/b`: only `<namespace>/<name>` or `<namespace>/*` are supported
                use exactly one slash, with something on both sides; separate the parts of a namespace with dots
            spec.functions: invalid function pattern `a/`: only `<namespace>/<name>` or `<namespace>/*` are supported
                use exactly one slash, with something on both sides; separate the parts of a namespace with dots
            spec.functions: invalid function pattern `ex*/a`: only `<namespace>/<name>` or `<namespace>/*` are supported
                `*` may only stand for the whole name; write one endpoint for each namespace
            spec.functions: invalid function pattern `example/a*`: only `<namespace>/<name>` or `<namespace>/*` are supported
                `*` may only stand for the whole name, not for a part of it
            spec.functions: invalid function pattern ``: only `<namespace>/<name>` or `<namespace>/*` are supported
                use exactly one slash, with something on both sides; separate the parts of a namespace with dots
            spec.functions: a single value is expected here, not a list
                write the value behind the colon
        "#]],
    );
}

#[test]
fn urls_are_checked() {
    let urls = [
        "localhost:8000",
        "ftp://h/",
        "http://h/{function.namespace}",
        "http+unix:///run/x",
        "http://h:port/",
        "http://h/ä b",
    ];
    let texts = urls.map(|url| v2(&format!("functions: a/*, urlPathTemplate: '{url}'")));
    check_messages(
        &texts.each_ref().map(String::as_str),
        expect![[r#"
        spec.urlPathTemplate: the URL `localhost:8000` has no scheme
            write `http://localhost:8000`
        spec.urlPathTemplate: the URL `ftp://h/` has the unknown scheme `ftp`
            the schemes are `http`, `https`, `http+unix` and `https+unix`
        spec.urlPathTemplate: the URL `http://h/{function.namespace}` contains `{function.namespace}`, which is no placeholder
            the only placeholder is `{function.name}`, the name of the function type
        spec.urlPathTemplate: the URL `http+unix:///run/x` names no socket: its path should contain a `.sock` file
            write `http+unix:///path/to/functions.sock/endpoint`
        spec.urlPathTemplate: the URL `http://h:port/` has the invalid port `port`
            write a port from 1 to 65535
        spec.urlPathTemplate: the URL `http://h/ä b` contains `ä`, which a URL may not
            write `%C3%A4` for it
    "#]],
    );
}

fn transport(fields: &str) -> String {
    v2(&format!("functions: a/*, urlPathTemplate: 'http://h/', transport: {fields}"))
}

#[test]
fn the_async_transport_is_checked() {
    let transports = [
        "io.statefun.transports.v1/okhttp",
        "{ type: io.statefun.transports.v1/okhtp }",
        "{ type: grpc }",
        "{ type: [] }",
        "{ call: 0 }",
        "{ call: 5 parsecs, connect: '', pool_ttl: soon }",
        "{ timeouts: { call: 0s, connect: 0 } }",
        "{ timeouts: 5s }",
        "{ call: 1s, timeouts: {} }",
        "{ pool_size: 0, payload_max_bytes: 32MiB }",
        "{ client_cert: a.pem }",
        "{ client_key: a.pem }",
        "{ client_key_password: a.txt }",
        "{ trust_cacerts: 'classpath:ca.pem' }",
        "{ trust_cacerts: 'file:ca.pem' }",
        "{ read: 5s, pool_tll: 5s, colour: red }",
    ];
    let texts = transports.map(transport);
    check_messages(
        &texts.each_ref().map(String::as_str),
        expect![[r#"
            spec.transport: the transport is expected to be a mapping, not a single value
                write `transport: { type: io.statefun.transports.v1/okhttp }`
            spec.transport.type: there is no transport `io.statefun.transports.v1/okhtp`
                did you mean `io.statefun.transports.v1/okhttp`?
            spec.transport.type: there is no transport `grpc`
                the transports are `io.statefun.transports.v1/async` and `io.statefun.transports.v1/okhttp`
            spec.transport.type: a single value is expected here, not a list
                write the value behind the colon
            spec.transport.call: the duration must be larger than 0
                for a wait that never ends write a long one, such as `1d`
            spec.transport.call: `5 parsecs` is not a duration
                `parsecs` is not a unit; the units are `d`, `h`, `min`, `s`, `ms`, `µs` and `ns`
            spec.transport.connect: `` is not a duration
                write an integer and a unit, such as `500ms`, `30s`, `2min` or `1h`
            spec.transport.pool_ttl: `soon` is not a duration
                write an integer and a unit, such as `500ms`, `30s`, `2min` or `1h`
            spec.transport.timeouts.call: the duration must be larger than 0
                for a wait that never ends write a long one, such as `1d`
            spec.transport.timeouts.connect: the duration must be larger than 0
                for a wait that never ends write a long one, such as `1d`
            spec.transport.timeouts: a mapping is expected here, not a single value
                write `name: value` lines, indented below this key
            spec.transport.call: `call` is ignored, because `timeouts` is there
                keep either `call` or `timeouts.call`
            spec.transport.pool_size: `0` is too small
                write at least `1`
            spec.transport.payload_max_bytes: `32MiB` is not an integer
                write the number of bytes: `33554432`
            spec.transport.client_cert: `client_cert` is given without `client_key`, but mutual TLS needs both
                add `client_key`, or remove `client_cert`
            spec.transport.client_key: `client_key` is given without `client_cert`, but mutual TLS needs both
                add `client_cert`, or remove `client_key`
            spec.transport.client_key_password: `client_key_password` is given without `client_key`, but mutual TLS needs both
                add `client_key`, or remove `client_key_password`
            spec.transport.trust_cacerts: `classpath:ca.pem` is not available: there is no Java class path here
                write the path of a file, such as `/etc/certs/ca.pem`
            spec.transport.trust_cacerts: `file:ca.pem` is not the URI of a local file
                write `file:///` and an absolute path, or only the path
            spec.transport.read: the unknown field `read` is ignored
                the async transport has no such timeout
            spec.transport.pool_tll: the unknown field `pool_tll` is ignored
                did you mean `pool_ttl`?
        "#]],
    );
}

#[test]
fn the_okhttp_transport_is_checked() {
    let transports = [
        "timeouts: { call: 0 }",
        "timeouts: { call: 5s }",
        "timeouts: { call: 20s, connect: 30s, read: 30s, write: 30s }",
        "timeouts: { conect: 5s }",
        "call: 5s, pool_size: 5",
    ];
    let texts = transports
        .map(|t| transport(&format!("{{ type: io.statefun.transports.v1/okhttp, {t} }}")));
    check_messages(
        &texts.each_ref().map(String::as_str),
        expect![[r#"
        spec.transport.timeouts.call: the duration must be larger than 0
            for a wait that never ends write a long one, such as `1d`
        spec.transport.timeouts.call: the timeout `call` is shorter than `connect`, which is 10s by default
            set `connect` too, to at most `call`
        spec.transport.timeouts.call: the timeout `call` is shorter than `read`, which is 10s by default
            set `read` too, to at most `call`
        spec.transport.timeouts.call: the timeout `call` is shorter than `write`, which is 10s by default
            set `write` too, to at most `call`
        spec.transport.timeouts.connect: the timeout `connect` is longer than the timeout of the whole `call`
            lower `connect` or raise `call`
        spec.transport.timeouts.read: the timeout `read` is longer than the timeout of the whole `call`
            lower `read` or raise `call`
        spec.transport.timeouts.write: the timeout `write` is longer than the timeout of the whole `call`
            lower `write` or raise `call`
        spec.transport.timeouts.conect: the unknown field `conect` is ignored
            did you mean `connect`?
        spec.transport.call: the unknown field `call` is ignored
            the okhttp transport reads it from `timeouts`; move it there
        spec.transport.pool_size: the unknown field `pool_size` is ignored
            only the transport `io.statefun.transports.v1/async` has it
    "#]],
    );
}

#[test]
fn v1_endpoints_are_checked() {
    check_messages(
        &[
            "{ kind: io.statefun.endpoints.v1/http, spec: { } }",
            "{ kind: io.statefun.endpoints.v1/http, spec: { functions: 5, urlPathTemplate: [] } }",
            "{ kind: io.statefun.endpoints.v1/http, spec: { functions: a/*, urlPathTemplate: 'http://h', transport: {}, timeouts: { read: 2min } } }",
        ],
        expect![[r#"
            spec.functions: `functions` is missing
                add `functions: <namespace>/*`
            spec.urlPathTemplate: `urlPathTemplate` is missing
                add `urlPathTemplate: http://localhost:8000/statefun`
            spec.functions: invalid function pattern `5`: only `<namespace>/<name>` or `<namespace>/*` are supported
                write `5/*` for all functions of that namespace, or `5/<name>` for one
            spec.urlPathTemplate: a single value is expected here, not a list
                write the value behind the colon
            spec.transport: the unknown field `transport` is ignored
                only `io.statefun.endpoints.v2/http` has it; v1 endpoints use `timeouts`
            spec.timeouts.read: the timeout `read` is longer than the timeout of the whole `call`
                lower `read` or raise `call`
        "#]],
    );
}

#[test]
fn fields_of_v1_in_v2_are_pointed_out() {
    check_messages(
        &[&v2("functions: a/*, urlPathTemplate: 'http://h/', timeouts: { call: 5s }")],
        expect![[r#"
            spec.timeouts: the unknown field `timeouts` is ignored
                v2 endpoints read it from `transport`; move it there
        "#]],
    );
}

#[test]
fn okhttp_shows_the_default_that_does_not_fit() {
    check(
        &format!(
            "{INGRESS}
kind: io.statefun.endpoints.v1/http
spec:
  functions: example/*
  urlPathTemplate: http://localhost:8000/
  timeouts:
    call: 5s
    connect: 1s
    read: 6s
"
        ),
        expect![[r#"
            error: the timeout `call` is shorter than `write`, which is 10s by default
              --> module.yaml:12:11 (spec.timeouts.call)
               |
            12 |     call: 5s
               |           ^^
            hint: set `write` too, to at most `call`

            error: the timeout `read` is longer than the timeout of the whole `call`
              --> module.yaml:14:11 (spec.timeouts.read)
               |
            14 |     read: 6s
               |           ^^
            hint: lower `read` or raise `call`

            2 errors"#]],
    );
}

#[test]
fn an_endpoint_for_functions_that_are_linked_in_is_warned_of() {
    let text = "
kind: io.statefun.endpoints.v2/http
spec:
  functions: example/*
  urlPathTemplate: http://localhost:8000/
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: example/counter
  urlPathTemplate: http://localhost:8000/
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: others/*
  urlPathTemplate: http://localhost:8000/
";
    let sources = [source("base.yaml", INGRESS), source("module.yaml", text)];
    let linked = ["example/counter", "example/greeter"];
    let linked = linked.map(|name| FunctionType::parse(name).unwrap());
    let loaded = load_with(&sources, &EngineOverrides::default(), &|_| None, linked.into());
    expect![[r#"
        warning: 2 functions of `example` are linked into this program, so the endpoint is asked for the others alone
         --> module.yaml:4:14 (spec.functions)
          |
        4 |   functions: example/*
          |              ^^^^^^^^^
        hint: name the functions that the endpoint serves one by one, or remove it

        warning: `example/counter` is linked into this program, so the endpoint is never asked
         --> module.yaml:9:14 (spec.functions)
          |
        9 |   functions: example/counter
          |              ^^^^^^^^^^^^^^^
        hint: remove the endpoint, or run it with a program that does not have the function

        2 warnings"#]].assert_eq(&shown(loaded));
}
