//! No text panics the loader.

use proptest::prelude::*;
use statera_config::{EngineOverrides, load};

use crate::{shown, source};

/// Loads and shows whatever comes out.
fn try_load(text: &str) -> String {
    let environment = |name: &str| (name.len() < 3).then(|| name.repeat(3));
    shown(load(&[source("module.yaml", text)], &EngineOverrides::default(), &environment))
}

/// Pieces that are put together to something like a module.
fn piece() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "kind",
        "spec",
        "version",
        "module",
        "meta",
        "endpoints",
        "functions",
        "urlPathTemplate",
        "transport",
        "timeouts",
        "call",
        "records",
        "io.statefun.kafka.v1/ingress",
        "io.statefun.kinesis.v1/ingress",
        "topics",
        "startupPosition",
        "offsets",
        "properties",
        "secretAccessKey",
        "targets",
        "interpolate",
        "failures",
        "overrides",
        ": ",
        ":",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "---\n",
        "...\n",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&a ",
        "*a",
        "!!str ",
        "!x ",
        "'",
        "\"",
        "|\n",
        ">-\n",
        "?",
        "<<",
        "${",
        "$${A}",
        "${A:-",
        "\t",
        "#",
        "%TAG ! a\n",
        "@",
        "`",
        "\\",
        "\r\n",
        "\u{feff}",
        "io.statefun.endpoints.v2/http",
        "io.statera.v1/engine",
        "io.statera.v1/file-ingress",
        "\"3.0\"",
        "null",
        "example/*",
        "http://h/{function.name}",
        "5s",
        "64MiB",
        "-1",
        "é",
        "\u{0}",
        "\u{2028}",
    ]);
    prop_oneof![8 => fixed.prop_map(str::to_owned), 1 => "\\PC{0,4}"]
}

/// A module with some of its bytes replaced.
fn damaged() -> impl Strategy<Value = String> {
    let text = format!("{}{}{}", crate::ENDPOINT, crate::INGRESS, ENGINE);
    let length = text.len();
    prop::collection::vec((0..length, piece()), 1..4).prop_map(move |edits| {
        let mut text = text.clone();
        for (at, piece) in edits {
            let at =
                (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let end = (at + 1..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(at);
            text.replace_range(at..end, &piece);
        }
        text
    })
}

const ENGINE: &str = "
kind: io.statera.v1/engine
spec:
  epochs: { maxInterval: ${A:-5ms} }
  failures:
    overrides:
      example/*: retry
";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_text(text in "(\\PC|\n|\t|\r){0,80}") {
        try_load(&text);
    }

    #[test]
    fn text_like_a_module(pieces in prop::collection::vec(piece(), 0..40)) {
        try_load(&pieces.concat());
    }

    #[test]
    fn damaged_modules(text in damaged()) {
        try_load(&text);
    }
}
