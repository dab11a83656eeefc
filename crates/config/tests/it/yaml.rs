//! Mistakes in YAML itself, and the parts of YAML that are rarely used.

use expect_test::expect;

use crate::{ENDPOINT, INGRESS, application, check, check_added, check_messages};

#[test]
fn a_syntax_error_hides_nothing_before_it() {
    check(
        "kind: nonsense
spec: {}
---
kind: io.statefun.endpoints.v2/http
spec:
\tfunctions: example/*
",
        expect![[r#"
            error: invalid kind `nonsense`: it must be of the form `<namespace>/<name>`
             --> module.yaml:1:7 (kind)
              |
            1 | kind: nonsense
              |       ^^^^^^^^
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

            error: invalid YAML: tabs disallowed within this context (block indentation)
             --> module.yaml:6:2
              |
            6 |  functions: example/*
              |  ^
            hint: indent with spaces: YAML does not allow tabs

            2 errors"#]],
    );
}

#[test]
fn syntax_errors_have_places_and_hints() {
    check_messages(
        &[
            "kind: a: b",
            "kind: \"a",
            "spec: { a: b",
            "spec: [a, b",
            "a: 1\n  b: 2",
            "a:\n  b: 1\n c: 2",
            "spec: *nowhere",
            "- a\nb",
            "a: &x [ *x ]",
            "%YAML",
            "a: 'x' y",
            "\u{0}",
        ],
        expect![[r#"
            : invalid YAML: mapping values are not allowed in this context
                check the indentation of this line and the one above; put text that contains `: ` in quotes
            : invalid YAML: while scanning a quoted scalar, found unexpected end of stream
                add the missing quote
            : invalid YAML: while parsing a flow mapping, did not find expected ',' or '}'
                check that every `{` and `[` is closed and that items are separated by commas
            : invalid YAML: while parsing a flow sequence, expected ',' or ']'
                check that every `{` and `[` is closed and that items are separated by commas
            : invalid YAML: mapping values are not allowed in this context
                check the indentation of this line and the one above; put text that contains `: ` in quotes
            : invalid YAML: while parsing a block mapping, did not find expected key
                check the indentation of this line
            : invalid YAML: while parsing node, found unknown anchor
                define it first, with `&name` before a value in the same document
            : invalid YAML: simple key expected
                put a colon and a blank behind the key, and check the indentation of this line
            kind: `kind` is missing
                add `kind: io.statefun.endpoints.v2/http`
            spec: `spec` is missing
                add
            spec:
              …
            : an alias stands for a value that contains it
                write the value out
            : invalid YAML: while scanning a YAML directive, did not find expected version number
                remove the line that starts with `%`
            : invalid YAML: invalid trailing content after double-quoted scalar
                put the whole value between the quotes; within double quotes write `\\` for a backslash
            : invalid YAML: found unprintable character
                put text with special characters in quotes
        "#]],
    );
}

#[test]
fn duplicate_keys_show_both_places() {
    check_added(
        "
kind: io.statefun.endpoints.v2/http
spec:
  functions: other/*
  urlPathTemplate: http://localhost:8000/
  functions: another/*
",
        expect![[r#"
            error: the key `functions` is written twice in one mapping
             --> module.yaml:6:3
              |
            6 |   functions: another/*
              |   ^^^^^^^^^
            note: first written at module.yaml:4:3
            hint: keep one of the two

            1 error"#]],
    );
}

#[test]
fn documents_must_be_mappings_with_kind_and_spec() {
    check_messages(
        &[
            "just text",
            "[a, b]",
            "kind: io.statefun.endpoints.v2/http",
            "spec: {}",
            "knd: a/b\nspec: {}",
            "kind: [a]\nspec: {}",
            "kind: a/b\nspec: text",
            "{}",
            "[a]: b\nkind: a/b\nspec: {}",
        ],
        expect![[r#"
            : a document must be a mapping with `kind` and `spec`, but this is a single value
                write `kind: <namespace>/<name>` and `spec:` with its fields below it
            : a document must be a mapping with `kind` and `spec`, but this is a list
                write `kind: <namespace>/<name>` and `spec:` with its fields below it
            spec: `spec` is missing
                add
            spec:
              …
            kind: `kind` is missing
                add `kind: io.statefun.endpoints.v2/http`
            kind: `kind` is missing, but there is `knd`
                rename `knd` to `kind`
            kind: a single value is expected here, not a list
                write the value behind the colon
            kind: there is no kind `a/b`
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
            kind: `kind` is missing
                add `kind: io.statefun.endpoints.v2/http`
            spec: `spec` is missing
                add
            spec:
              …
            : the key of a mapping is a list, but must be text
                write `name: value`
            kind: there is no kind `a/b`
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

#[test]
fn anchors_and_aliases_are_replaced() {
    let application = application(&format!(
        "{INGRESS}
kind: io.statefun.endpoints.v2/http
spec: &spec
  functions: example/*
  urlPathTemplate: &url http://localhost:8000/
  transport: &transport {{ call: 7s }}
  again: *transport
---
kind: io.statefun.endpoints.v1/http
spec:
  functions: &other other/*
  note: *other
  urlPathTemplate: http://localhost/
"
    ));
    assert_eq!(application.endpoints.len(), 2);
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let previous = level - 1;
        let aliases = vec![format!("*a{previous}"); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    check(
        &text,
        expect![[r#"
        error: the values of this file take more than 16 MiB
         --> module.yaml:6:10
          |
        6 | a5: &a5 [*a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4]
          |          ^^^
        hint: use fewer aliases, or split the file

        1 error"#]],
    );
}

#[test]
fn deep_nesting_is_refused() {
    check(
        &format!("a: {}", "[".repeat(100)),
        expect![[r#"
        error: values are nested more than 64 levels deep
         --> module.yaml:1:67
          |
        1 | a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[
          |                                                                   ^
        hint: no setting needs that; check the brackets and the indentation

        1 error"#]],
    );
    let mut text = "a: &a0 [[[[[[[[[[x]]]]]]]]]]\n".to_owned();
    for level in 1..10 {
        text.push_str(&format!("a{level}: &a{level} [[[[[[[[[[*a{}]]]]]]]]]]\n", level - 1));
    }
    check(
        &text,
        expect![[r#"
        error: values are nested more than 64 levels deep
         --> module.yaml:7:19
          |
        7 | a6: &a6 [[[[[[[[[[*a5]]]]]]]]]]
          |                   ^^^
        hint: no setting needs that; check the brackets and the indentation

        1 error"#]],
    );
}

#[test]
fn merge_keys_are_pointed_out() {
    check_messages(
        &[
            "a: &a { id: a/b }\nkind: io.statera.v1/stdout-egress\nspec:\n  <<: *a\n",
            "a: &a { a: b }\nkind: io.statefun.playground.v1/egress\nspec:\n  <<: *a\n  port: 1\n  topics: []\n",
        ],
        expect![[r#"
            spec.id: `id` is missing
                add `id: <namespace>/<name>`
            spec.<<: unknown field `<<`
                merge keys are not supported; write the fields out
            spec.<<: the unknown field `<<` is ignored
                merge keys are not supported; write the fields out
        "#]],
    );
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
    let text = format!("\u{feff}{ENDPOINT}{INGRESS}").replace('\n', "\r\n");
    assert_eq!(application(&text).endpoints.len(), 1);
}

#[test]
fn long_lines_and_control_characters_are_shown_safely() {
    check(
        &format!("{{ note: '{}', kind: \"a\\e[31m\", spec: {{}} }} # \u{85}", "x".repeat(150)),
        expect![[r#"
            error: invalid kind `a�[31m`: it must be of the form `<namespace>/<name>`
             --> module.yaml:1:169 (kind)
              |
            1 | xxxxxxxxxxx', kind: "a\e[31m", spec: {} } # �
              |                     ^^^^^^^^^
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

            1 error"#]],
    );
    check(
        "kind:\t'a\u{9f}b'\t# ü\nspec: {}",
        expect![[r#"
            error: invalid kind `a�b`: it must be of the form `<namespace>/<name>`
             --> module.yaml:1:7 (kind)
              |
            1 | kind: 'a�b' # ü
              |       ^^^^^^^^^
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

            1 error"#]],
    );
}

#[test]
fn every_kind_of_line_end_counts_as_one() {
    let shown = crate::shown(crate::loaded("a: 1\r\rb: 2\r\n\r\nkind: x\nspec: {}"));
    assert!(shown.contains(" --> module.yaml:5:7 (kind)\n  |\n5 | kind: x\n"), "{shown}");
}
