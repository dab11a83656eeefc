//! What only all documents together can tell.

use expect_test::expect;
use statera_config::{EngineOverrides, load};

use crate::{ENDPOINT, INGRESS, check, check_added, shown, source};

#[test]
fn files_are_merged() {
    let sources = [
        source("a/module.yaml", ENDPOINT),
        source("b/module.yaml", INGRESS),
        source("c/module.yaml", "{ kind: io.statera.v1/stdout-egress, spec: { id: a/b } }"),
        source("d/module.yaml", "---\n# nothing\n---\n"),
        source("e/module.yaml", ""),
    ];
    let loaded = load(&sources, &EngineOverrides::default(), &|_| None).unwrap();
    let application = loaded.application;
    let counts =
        (application.endpoints.len(), application.ingresses.len(), application.egresses.len());
    assert_eq!(counts, (1, 1, 1));
}

#[test]
fn an_application_needs_functions_and_an_ingress() {
    check(
        ENDPOINT,
        expect![[r#"
        error: no ingress is defined, so no message can come in
        hint: add a document such as
        kind: io.statera.v1/http-ingress
        spec:
          id: example/ingress

        1 error"#]],
    );
    check(
        INGRESS,
        expect![[r#"
        error: no endpoint is defined, so there are no functions
        hint: add a document such as
        kind: io.statefun.endpoints.v2/http
        spec:
          functions: example/*
          urlPathTemplate: http://localhost:8000/statefun

        1 error"#]],
    );
    check(
        "{ kind: io.statera.v1/stdout-egress, spec: { id: a/b } }",
        expect![[r#"
        error: no endpoint is defined, so there are no functions
        hint: add a document such as
        kind: io.statefun.endpoints.v2/http
        spec:
          functions: example/*
          urlPathTemplate: http://localhost:8000/statefun

        error: no ingress is defined, so no message can come in
        hint: add a document such as
        kind: io.statera.v1/http-ingress
        spec:
          id: example/ingress

        2 errors"#]],
    );
    check(
        "---\n---\n",
        expect![[r#"
        error: there are no documents in the configuration
        hint: name a file that has documents with `kind` and `spec`

        1 error"#]],
    );
}

#[test]
fn a_broken_document_does_not_also_count_as_missing() {
    check(
        "kind: io.statefun.endpoints.v2/http\nspec:\n  urlPathTemplate: http://h/\n",
        expect![[r#"
            error: `functions` is missing
             --> module.yaml:2:1 (spec.functions)
              |
            2 | spec:
              | ^^^^
            hint: add `functions: <namespace>/*`

            1 error"#]],
    );
}

#[test]
fn what_is_bound_twice_shows_the_first_place() {
    check_added(
        "
kind: io.statefun.endpoints.v2/http
spec:
  functions: example/*
  urlPathTemplate: http://localhost:9000/
---
kind: io.statefun.endpoints.v2/http
spec: { functions: a/b, urlPathTemplate: http://localhost:9000/ }
---
kind: io.statefun.endpoints.v1/http
spec: { functions: a/b, urlPathTemplate: http://localhost:9000/ }
---
kind: io.statera.v1/http-ingress
spec: { id: a/b }
---
kind: io.statera.v1/file-ingress
spec: { id: a/b, path: in, records: [{ valueType: a/b, key: /a, targets: [a/b] }] }
---
kind: io.statera.v1/stdout-egress
spec: { id: a/b }
---
kind: io.statera.v1/file-egress
spec: { id: a/b, path: out }
---
kind: io.statera.v1/file-egress
spec: { id: a/c, path: out }
---
kind: io.statefun.playground.v1/ingress
spec: { port: 1 }
",
        expect![[r#"
            error: an endpoint for `example/*` is defined twice
             --> module.yaml:4:3 (spec.functions)
              |
            4 |   functions: example/*
              |   ^^^^^^^^^
            note: first defined at base.yaml:4:3
            hint: keep one of the two

            error: an endpoint for `a/b` is defined twice
              --> module.yaml:11:9 (spec.functions)
               |
            11 | spec: { functions: a/b, urlPathTemplate: http://localhost:9000/ }
               |         ^^^^^^^^^
            note: first defined at module.yaml:8:9
            hint: keep one of the two

            error: an ingress `a/b` is defined twice
              --> module.yaml:17:9 (spec.id)
               |
            17 | spec: { id: a/b, path: in, records: [{ valueType: a/b, key: /a, targets: [a/b] }] }
               |         ^^
            note: first defined at module.yaml:14:9
            hint: give one of the two another id, or remove it

            error: an egress `a/b` is defined twice
              --> module.yaml:23:9 (spec.id)
               |
            23 | spec: { id: a/b, path: out }
               |         ^^
            note: first defined at module.yaml:20:9
            hint: give one of the two another id, or remove it

            error: two egresses write to `out`
              --> module.yaml:26:24 (spec.path)
               |
            26 | spec: { id: a/c, path: out }
               |                        ^^^
            note: first written at module.yaml:23:24
            hint: use another file

            error: an ingress `io.statefun.playground/ingress` is defined twice
              --> module.yaml:29:1 (spec)
               |
            29 | spec: { port: 1 }
               | ^^^^
            note: first defined at base.yaml:9:1
            hint: keep one of the two: an application has one playground ingress and egress

            6 errors"#]],
    );
}

#[test]
fn two_cannot_listen_at_one_address() {
    check_added(
        "
kind: io.statera.v1/http-ingress
spec: { id: a/a }
---
kind: io.statera.v1/http-ingress
spec: { id: a/b, address: 0.0.0.0:8080 }
---
kind: io.statefun.playground.v1/egress
spec: { port: 8090, topics: [a] }
",
        expect![[r#"
            error: two documents listen on port 8080
             --> module.yaml:6:27 (spec.address)
              |
            6 | spec: { id: a/b, address: 0.0.0.0:8080 }
              |                           ^^^^^^^^^^^^
            note: first used at module.yaml:3:7
            hint: use another port

            error: two documents listen on port 8090
             --> module.yaml:9:15 (spec.port)
              |
            9 | spec: { port: 8090, topics: [a] }
              |               ^^^^
            note: first used at base.yaml:10:9
            hint: use another port

            2 errors"#]],
    );
}

#[test]
fn an_exact_function_and_its_namespace_may_have_endpoints() {
    let text = format!("{ENDPOINT}{}{INGRESS}", ENDPOINT.replace("example/*", "example/special"));
    check(&text, expect!["fine"]);
}

#[test]
fn problems_of_several_files_are_in_order_and_counted() {
    let sources = [
        source("one.yaml", "kind: a\nspec: {}"),
        source("two.yaml", "kind: b\nspec: {}\n---\nkind: c\nspec: {}"),
    ];
    let result = load(&sources, &EngineOverrides::default().with_flag("x=1"), &|_| None);
    let problems = result.unwrap_err();
    let lines: Vec<_> = problems.iter().map(|problem| format!("{:?}", problem.origin)).collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].contains("one.yaml") && lines[1].contains("two.yaml"), "{lines:?}");
    assert!(lines[3].contains("--set x=1"), "{lines:?}");
    assert!(problems.to_string().ends_with("\n4 errors"));
}

#[test]
fn only_so_many_problems_are_listed() {
    let text = "kind: x\nspec: {}\n---\n".repeat(250);
    let shown = shown(crate::loaded(&text));
    assert!(shown.contains("\n... and 150 more\n"), "{shown}");
}
