//! `io.statera.v1/engine` and what overrides it.

mod overrides;
pub(crate) mod settings;

use std::collections::BTreeMap;

pub use overrides::EngineOverrides;

use crate::EngineSettings;
use crate::kinds::{Kind, Role};
use crate::problem::quoted;
use crate::reader::At;
use crate::report::{Finding, Report, Where, Wrong};
use crate::scalar::{self, Parsed};
use crate::universe::Universe;
use crate::words;
use crate::yaml::Content;
use settings::{ORDERED, SETTINGS, Setting, set_policy};

pub(crate) const KIND: Kind = Kind {
    name: "io.statera.v1/engine",
    role: Role::Engine,
    about: "How the engine runs: see [engine settings](engine-settings.md). At most one document in all files.",
    fields: &[],
    read,
};

const POLICIES: &str = "failures.overrides.";

/// The settings read so far, and where each was written.
#[derive(Default)]
pub(crate) struct EngineReading {
    settings: EngineSettings,
    written: BTreeMap<String, (Where, String)>,
    document: Option<Where>,
}

fn read(at: &At<'_>, universe: &mut Universe) {
    let engine = &mut universe.engine;
    if let Some(first) = &engine.document {
        let message = "the engine is configured twice";
        let finding =
            Finding::error(at.owner, &at.path, message).related("first configured at", first);
        at.report.add(finding.hint("put all engine settings into one document"));
        return;
    }
    engine.document = Some(at.owner.into());
    engine.level(at, "");
}

impl EngineReading {
    /// Reads a mapping whose fields are settings or mappings of settings.
    fn level(&mut self, at: &At<'_>, prefix: &str) {
        for entry in at.entries().unwrap_or_default() {
            let path = format!("{prefix}{}", entry.key);
            let below = at.below(entry);
            let inner = format!("{path}.");
            if entry.key.contains('.') {
                let wrong = dotted(&entry.key);
                below.report.add(wrong.at(entry.key_place, &below.path));
            } else if inner == POLICIES {
                self.policies(&below);
            } else if SETTINGS.iter().any(|setting| setting.path.starts_with(&inner)) {
                self.level(&below, &inner);
            } else if Setting::find(&path).is_none() {
                let wrong = unknown_setting(&path, &entry.key, prefix);
                below.report.add(wrong.at(entry.key_place, &below.path));
            } else if !matches!(below.node.content, Content::Null) {
                self.value(&below, &path);
            }
        }
    }

    fn policies(&mut self, at: &At<'_>) {
        for entry in at.entries().unwrap_or_default() {
            let below = at.below(entry);
            match scalar::pattern(&entry.key) {
                Ok(_) => self.value(&below, &format!("{POLICIES}{}", entry.key)),
                Err(wrong) => below.report.add(wrong.at(entry.key_place, &below.path)),
            }
        }
    }

    fn value(&mut self, at: &At<'_>, path: &str) {
        if let Some(text) = at.scalar(scalar::text) {
            let origin = at.place().into();
            self.assign(path, &text, origin, &at.path).unwrap_or_else(|wrong| at.add(wrong));
        }
    }

    /// Sets what has this path and remembers where it came from.
    fn assign(&mut self, path: &str, text: &str, origin: Where, shown: &str) -> Parsed<()> {
        match (path.strip_prefix(POLICIES), Setting::find(path)) {
            (Some(pattern), _) => set_policy(&mut self.settings, pattern, text)?,
            (None, Some(setting)) => setting.set(&mut self.settings, text)?,
            (None, None) => {
                let (prefix, key) = path
                    .rsplit_once('.')
                    .map_or(("", path), |(_, key)| (&path[..path.len() - key.len()], key));
                return Err(unknown_setting(path, key, prefix));
            }
        }
        self.written.insert(path.to_owned(), (origin, shown.to_owned()));
        Ok(())
    }

    /// Sets what flags and variables say.
    pub(crate) fn apply(&mut self, overrides: &EngineOverrides, report: &Report) {
        for setting in &overrides.settings {
            let origin = Where::Outside(setting.origin.clone());
            let Some((path, text)) = &setting.assignment else {
                let wrong = Wrong::new("there is no `=`", "write `--set epochs.maxInterval=50ms`");
                report.add(wrong.at(origin, ""));
                continue;
            };
            if let Err(wrong) = self.assign(path, text, origin.clone(), path) {
                report.add(wrong.at(origin, path));
            }
        }
        for (variable, meant) in &overrides.misspelt {
            let origin = Where::Outside(format!("environment variable `{variable}`"));
            let message = format!("{} is not a setting and is ignored", quoted(variable));
            report.add(
                Finding::warning(origin, "", message).hint(format!("did you mean `{meant}`?")),
            );
        }
    }

    /// The settings, after checks that concern more than one.
    pub(crate) fn settings(self, report: &Report) -> EngineSettings {
        for (low, high, holds) in ORDERED {
            if holds(&self.settings) {
                continue;
            }
            // One of the two was written, or the defaults would be wrong.
            let written = [low, high].into_iter().find_map(|path| self.written.get(*path));
            let (origin, path) = written.cloned().unwrap_or((Where::Nowhere, String::new()));
            let finding = Finding::error(origin, &path, format!("`{low}` is larger than `{high}`"));
            let finding = match self.written.get(*high) {
                Some((other, _)) if self.written.contains_key(*low) => {
                    finding.related("the other one is at", other)
                }
                _ => finding,
            };
            report.add(finding.hint(self.how_to_order(low, high)));
        }
        self.settings
    }

    fn how_to_order(&self, low: &str, high: &str) -> String {
        let default = |path: &str| match Setting::find(path).map(|setting| &setting.default) {
            Some(settings::Standard::Written(text)) if !self.written.contains_key(path) => {
                format!(" (now {text} by default)")
            }
            _ => String::new(),
        };
        format!("lower `{low}`{} or raise `{high}`{}", default(low), default(high))
    }
}

/// Flags and messages write names in one piece, documents do not.
fn dotted(key: &str) -> Wrong {
    let mut nested = String::new();
    for (level, part) in key.split('.').enumerate() {
        nested.push_str(&format!("\n{}{part}:", "  ".repeat(level)));
    }
    let message = format!("there is no engine setting {}", quoted(key));
    Wrong::new(message, format!("nest it:{nested} …"))
}

/// `key` was written within the mapping `prefix`, which ends in a dot or is empty.
fn unknown_setting(path: &str, key: &str, prefix: &str) -> Wrong {
    let siblings = SETTINGS.iter().filter_map(|setting| setting.path.strip_prefix(prefix));
    let siblings = siblings.map(|rest| rest.split_once('.').map_or(rest, |(group, _)| group));
    let last = |path: &'static str| path.rsplit_once('.').map_or(path, |(_, last)| last);
    let elsewhere = SETTINGS.iter().find(|setting| last(setting.path) == key);
    let hint = if let Some(sibling) = words::meant(key, siblings) {
        format!("did you mean `{prefix}{sibling}`?")
    } else if let Some(setting) = elsewhere {
        format!("did you mean `{}`?", setting.path)
    } else if let Some(near) = words::meant(path, SETTINGS.iter().map(|setting| setting.path)) {
        format!("did you mean `{near}`?")
    } else {
        let names: Vec<_> = SETTINGS.iter().map(|setting| format!("`{}`", setting.path)).collect();
        format!("the settings are {}", names.join(", "))
    };
    Wrong::new(format!("there is no engine setting {}", quoted(path)), hint)
}
