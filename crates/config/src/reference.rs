//! The reference documentation, from the same tables as the readers.

use std::fmt::Write;

use crate::engine::settings::{SETTINGS, Standard};
use crate::kinds::{KINDS, Kind};
use crate::load::DOCUMENT;
use crate::reader::{Field, Form, Need};

const GENERATED: &str = "<!-- Generated from the tables in crates/config; do not edit. UPDATE_EXPECT=1 cargo test -p statera-config -->\n";

/// The page `docs/reference/engine-settings.md`.
#[must_use]
pub fn settings_reference() -> String {
    let mut page = format!("{GENERATED}\n{ENGINE_INTRODUCTION}\n");
    page.push_str("| setting | value | default | what it is for |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        let default = match setting.default {
            Standard::Written(text) => format!("`{text}`"),
            Standard::Said(text) => text.to_owned(),
        };
        row(
            &mut page,
            &[&format!("`{}`", setting.path), &setting.value.describe(), &default, setting.about],
        );
    }
    page.push_str("\n## Environment variables\n\n| variable | setting |\n|---|---|\n");
    for setting in SETTINGS {
        if let Some(variable) = setting.variable() {
            row(&mut page, &[&format!("`{variable}`"), &format!("`{}`", setting.path)]);
        }
    }
    page
}

/// The page `docs/reference/module-yaml.md`.
#[must_use]
pub fn module_reference() -> String {
    let mut page = format!("{GENERATED}\n{MODULE_INTRODUCTION}\n");
    table(&mut page, DOCUMENT);
    page.push_str(MODULE_RULES);
    for kind in KINDS {
        kind_section(&mut page, kind);
    }
    page
}

fn kind_section(page: &mut String, kind: &Kind) {
    let _ = write!(page, "\n## `{}`\n\n{}\n", kind.name, kind.about);
    if !kind.fields.is_empty() {
        page.push('\n');
        table(page, kind.fields);
    }
    inner_tables(page, kind.fields);
}

fn inner_tables(page: &mut String, fields: &'static [Field]) {
    for field in fields {
        match field.form {
            Form::One(_) | Form::Many(_) => {}
            Form::Object(inner) | Form::Objects(inner) => {
                let _ = write!(page, "\nFields of `{}`:\n\n", field.name);
                table(page, inner);
            }
            Form::Typed(types) => {
                for (name, inner) in types {
                    let _ = write!(page, "\nFields of `{}` of type `{name}`:\n\n", field.name);
                    table(page, inner);
                    inner_tables(page, inner);
                }
            }
        }
    }
}

fn table(page: &mut String, fields: &[Field]) {
    page.push_str("| field | value | default | what it is for |\n|---|---|---|---|\n");
    for field in fields {
        let value = match field.form {
            Form::One(word) => word.to_owned(),
            Form::Many(word) => format!("list of {word}s"),
            Form::Object(_) | Form::Typed(_) => "mapping".to_owned(),
            Form::Objects(_) => "list of mappings".to_owned(),
        };
        let default = match field.need {
            Need::Required(_) => "required".to_owned(),
            Need::RequiredBy { when, .. } => format!("required {when}"),
            Need::Default(text) => format!("`{text}`"),
            Need::Optional(text) => text.to_owned(),
        };
        row(page, &[&format!("`{}`", field.name), &value, &default, field.about]);
    }
}

fn row(page: &mut String, cells: &[&str]) {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    let _ = writeln!(page, "| {} |", cells.join(" | ").trim_end());
}

const ENGINE_INTRODUCTION: &str = r#"# Engine settings

They are written into one document:

```yaml
kind: io.statera.v1/engine
spec:
  shards: 4
  epochs:
    maxInterval: 50ms
  failures:
    policy: retry
    overrides:
      example/payment: pause
```

An environment variable wins over the document, and a flag wins over both: `--set epochs.maxInterval=50ms`,
`--set failures.overrides.example/payment=pause`.

*Duration*: an integer and a unit, `d`, `h`, `min`, `s`, `ms`, `µs` or `ns`; without a unit it is milliseconds. *Size*: bytes, or an
integer and `KiB`, `MiB`, `GiB` or `TiB`.
"#;

const MODULE_INTRODUCTION: &str = r#"# module.yaml

An application is described by one or more YAML files. Each file is a stream of documents, separated by `---`; empty documents are
skipped. All documents of all files are merged.

```yaml
kind: io.statefun.endpoints.v2/http
spec:
  functions: example/*
  urlPathTemplate: http://localhost:8000/statefun
---
kind: io.statera.v1/http-ingress
spec:
  id: example/ingress
```

At least one endpoint and one ingress are needed.

## Document
"#;

const MODULE_RULES: &str = r#"
Fields that a kind `io.statefun.*` does not know are ignored, with a warning if they look like a typing error; kinds `io.statera.*`
refuse them.

`${NAME}` stands for the environment variable `NAME`, `${NAME:-default}` for its value or, if it is unset or empty, the default.
`$${` stands for a plain `${`.

The single-document format of older StateFun versions, `version: "3.0"`, is read too, alone in its file.

*Name*: `<namespace>/<name>` with exactly one slash. *Duration*: an integer and a unit, `d`, `h`, `min`, `s`, `ms`, `µs` or `ns`;
without a unit it is milliseconds. *Size*: bytes, or an integer and `KiB`, `MiB`, `GiB` or `TiB`. *Location*: the path of a file, or
a `file:` URI. *Address*: an IP address or `localhost`, and a port. *Date*: exactly as `2020-02-01 04:15:00.000 +0000`, with three
digits of a second and `+0000` for `Z`. *Properties*: a list of `- name: value`; of several values of one name the last counts.

Values whose names look like those of secrets, such as `secretAccessKey` and `ssl.key.password`, are not shown in messages.
"#;
