//! What must be true of the repository itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository").to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below `folder` with this extension, without what is built or installed.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "node_modules" {
                found.extend(files(&path, extension));
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The crates of ours that a manifest names as dependencies of the program, not of its tests, those behind a feature as
/// `optional`.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let table = manifest.split("\n[").find(|table| table.starts_with("dependencies]"));
    let lines = table.unwrap_or_default().lines();
    lines
        .filter_map(|line| {
            let name = line.strip_prefix("statera-")?.split(['.', ' ']).next()?;
            let optional = if line.contains("optional = true") { " (optional)" } else { "" };
            Some(format!("{name}{optional}"))
        })
        .collect()
}

/// What a crate may use of ours, as the code map has it: a list, or `all`, or `all but` a list.
enum Uses {
    Only(BTreeSet<String>),
    AllBut(BTreeSet<String>),
}

impl Uses {
    fn parse(cell: &str) -> Uses {
        let names = |list: &str| list.split(',').map(|name| name.trim().replace('`', "")).collect();
        match (cell, cell.strip_prefix("all but ")) {
            ("all", _) => Uses::AllBut(BTreeSet::new()),
            (_, Some(list)) => Uses::AllBut(names(list)),
            (list, None) => Uses::Only(names(list)),
        }
    }

    fn allows(&self, name: &str) -> bool {
        match self {
            Uses::Only(names) => names.contains(name),
            Uses::AllBut(names) => !names.contains(name.trim_end_matches(" (optional)")),
        }
    }
}

#[test]
fn crates_use_only_what_the_architecture_allows() {
    let architecture = read(root().join("ARCHITECTURE.md"));
    let mut allowed: BTreeMap<String, Uses> = BTreeMap::new();
    let map =
        architecture.split("| crate | what | may use | never |").nth(1).expect("the code map");
    for row in map.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        allowed.insert(cells[1].trim_matches('`').to_owned(), Uses::parse(cells[3]));
    }
    let mut present = BTreeSet::new();
    for entry in fs::read_dir(root().join("crates")).expect("the crates") {
        let folder = entry.expect("a crate").path();
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let used = dependencies(&read(folder.join("Cargo.toml")));
        let Some(uses) = allowed.get(&name) else {
            panic!("crate `{name}` is missing in the code map of ARCHITECTURE.md");
        };
        let excess: Vec<_> = used.iter().filter(|used| !uses.allows(used)).collect();
        assert!(excess.is_empty(), "`{name}` uses {excess:?}, which the code map doesn't allow");
        present.insert(name);
    }
    let gone: Vec<_> = allowed.keys().filter(|name| !present.contains(*name)).collect();
    assert!(gone.is_empty(), "the code map names {gone:?}, which are not there");
}

#[test]
fn pure_crates_name_nothing_impure() {
    const IMPURE: &[&str] = &[
        "std::fs",
        "std::io",
        "std::net",
        "std::thread",
        "std::process",
        "std::env",
        "SystemTime",
        "Instant",
        "async fn",
        "async move",
        ".await;",
        ".await?",
        ".await)",
        "tokio",
        "rand::",
        "RandomState",
        "thread_local",
        "static mut",
        "std::collections::HashMap",
        "std::collections::HashSet",
    ];
    for name in ["model", "protocol", "core", "ports"] {
        for file in files(&root().join("crates").join(name).join("src"), "rs") {
            let text = read(&file);
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                if let Some(word) = IMPURE.iter().find(|word| code.contains(*word)) {
                    panic!(
                        "{}:{}: `{word}` has no place in a pure crate",
                        file.display(),
                        number + 1
                    );
                }
            }
        }
    }
}

#[test]
fn pure_crates_depend_on_nothing_impure() {
    const PURE: &[&str] = &["bytes", "foldhash", "hashbrown", "slab", "thiserror"];
    for name in ["model", "protocol", "core", "ports"] {
        let manifest = read(root().join("crates").join(name).join("Cargo.toml"));
        let table = manifest
            .split("\n[")
            .find(|table| table.starts_with("dependencies]"))
            .expect("a table");
        for line in table.lines().skip(1).filter(|line| line.contains(".workspace")) {
            let dependency = line.split('.').next().expect("a name");
            let known = dependency.starts_with("statera-") || PURE.contains(&dependency);
            assert!(known, "`{name}` depends on `{dependency}`, which is not known to be pure");
        }
    }
}

#[test]
fn every_crate_follows_the_lints_of_the_workspace() {
    for manifest in files(&root(), "toml").into_iter().filter(|path| path.ends_with("Cargo.toml")) {
        let text = read(&manifest);
        if text.contains("[package]") {
            assert!(text.contains("[lints]\nworkspace = true"), "{}", manifest.display());
        }
    }
}

/// Else nothing that depends on them can be published.
#[test]
fn our_crates_depend_on_each_other_by_the_version_of_the_workspace() {
    let manifest = read(root().join("Cargo.toml"));
    let version = manifest.lines().find(|line| line.starts_with("version = ")).expect("a version");
    let ours = manifest.lines().filter(|line| line.contains("path = \"crates/"));
    assert!(ours.clone().count() >= 14, "has the form of the manifest changed?");
    for line in ours {
        assert!(line.contains(version), "`{version}` is missing in `{line}`");
    }
}

#[test]
fn nothing_is_left_to_be_done_in_the_code() {
    for file in files(&root(), "rs") {
        if file.ends_with("tidy.rs") {
            continue;
        }
        let text = read(&file);
        for word in ["TODO", "FIXME", "XXX", "HACK"] {
            let found = text.lines().position(|line| line.contains(word));
            assert_eq!(found.map(|line| line + 1), None, "{word} in {}", file.display());
        }
    }
}

#[test]
fn every_page_has_one_title_and_no_dead_links() {
    for file in files(&root(), "md") {
        let text = read(&file);
        let mut code = false;
        let mut titles = 0;
        for line in text.lines() {
            code ^= line.trim_start().starts_with("```");
            titles += usize::from(!code && line.starts_with("# "));
        }
        assert_eq!(titles, 1, "titles in {}", file.display());
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let target = file.parent().expect("a folder").join(path);
            assert!(target.exists(), "{} links to {link}, which is not there", file.display());
        }
    }
}

/// The macro calls of this name in a source, from the name to the parenthesis that closes them, with their lines.
fn calls<'a>(text: &'a str, name: &str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(&format!("{name}!(")) {
        let is_part = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let line = text[..at].lines().count();
        let is_comment = text[..at].lines().last().is_some_and(|line| line.contains("//"));
        if is_part || is_comment {
            continue;
        }
        let mut depth = 0;
        let end = text[at..].find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            c == ')' && depth == 0
        });
        let end = end.unwrap_or_else(|| panic!("`{name}!` in line {line} has no end"));
        found.push((line, &text[at..=at + end]));
    }
    found
}

/// The sources of our crates, without their tests.
fn sources() -> Vec<PathBuf> {
    let is_source = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "src");
    files(&root().join("crates"), "rs").into_iter().filter(is_source).collect()
}

#[test]
fn every_warning_and_error_of_the_log_has_a_code() {
    let mut count = 0;
    for file in sources() {
        let text = read(&file);
        for (line, call) in ["warn", "error"].iter().flat_map(|name| calls(&text, name)) {
            let place = format!("{}:{line}", file.display());
            assert!(call.contains("code ="), "{place} logs without a code: {call}");
            assert!(!call.contains("as &dyn"), "{place} logs no causes in JSON: use `Chain`");
            count += 1;
        }
    }
    assert!(count >= 30, "only {count} found: has the form of the sources changed?");
}

#[test]
fn every_code_is_used() {
    let codes = root().join("crates/model/src/codes.rs");
    let used: String = sources().into_iter().filter(|file| *file != codes).map(read).collect();
    let text = read(&codes);
    let table = text.split("\ncodes! {").nth(1).expect("the table of codes");
    let rows = table.lines().take_while(|line| *line != "}");
    for name in rows.filter_map(|line| line.split_whitespace().nth(1)) {
        let is_used = used.match_indices(name).any(|(at, _)| {
            !used[at + name.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
                && used[..at].ends_with("codes::")
        });
        assert!(is_used, "nobody uses the code `{name}`");
    }
}
