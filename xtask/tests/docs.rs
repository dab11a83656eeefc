//! Every configuration in the documentation is one that Statera accepts, and every command one that it knows.

use std::fs;
use std::path::{Path, PathBuf};

use statera_config::{EngineOverrides, Source, load};

const PAGES: &[&str] = &[
    "README.md",
    "crates/sdk/README.md",
    "docs/concepts.md",
    "docs/guides/from-statefun.md",
    "docs/guides/http-ingress.md",
    "docs/guides/files.md",
    "docs/guides/failures.md",
    "docs/guides/traces.md",
];

/// What makes a fragment, such as engine settings alone, an application.
const REST: &str = "
kind: io.statefun.endpoints.v2/http
spec: { functions: shop/*, urlPathTemplate: 'http://localhost:8000/statefun' }
---
kind: io.statera.v1/http-ingress
spec: { id: shop/http }
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository").to_owned()
}

/// The fenced blocks of a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).expect(page);
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(str::to_owned).collect()
}

#[test]
fn every_module_in_the_documentation_is_valid() {
    let mut count = 0;
    for page in PAGES {
        for text in blocks(page, "yaml") {
            let mut sources = vec![Source { name: (*page).into(), text: text.clone() }];
            if !text.contains("endpoints.v2") {
                sources.push(Source { name: "rest".into(), text: REST.into() });
            }
            let loaded = load(&sources, &EngineOverrides::default(), &|_| None);
            let loaded = loaded.unwrap_or_else(|problems| panic!("{page}:\n{problems}"));
            assert!(loaded.warnings.is_empty(), "{page}:\n{}", loaded.warnings);
            count += 1;
        }
    }
    assert!(count >= 4, "only {count} modules found: has the form of the pages changed?");
}
