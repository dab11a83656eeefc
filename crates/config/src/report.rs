//! Collects what is wrong while the configuration is read, so that nobody has to stop at the first mistake.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::Source;
use crate::problem::{Location, Origin, Problem, Problems, Severity};
use crate::secrets;

/// A place in one of the sources. Lines and columns count from 1, columns and the width are in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) width: usize,
}

/// Where the cause of a finding was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Where {
    At(Place),
    Outside(String),
    Nowhere,
}

impl From<Place> for Where {
    fn from(place: Place) -> Where {
        Where::At(place)
    }
}

/// A problem as it is found; it becomes a [`Problem`] when all is read.
pub(crate) struct Finding {
    severity: Severity,
    origin: Where,
    path: String,
    message: String,
    hint: Option<String>,
    related: Option<(&'static str, Place)>,
}

impl Finding {
    pub(crate) fn error(origin: impl Into<Where>, path: &str, message: impl Into<String>) -> Self {
        Finding {
            severity: Severity::Error,
            origin: origin.into(),
            path: path.to_owned(),
            message: message.into(),
            hint: None,
            related: None,
        }
    }

    pub(crate) fn warning(
        origin: impl Into<Where>,
        path: &str,
        message: impl Into<String>,
    ) -> Self {
        Finding { severity: Severity::Warning, ..Finding::error(origin, path, message) }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn related(mut self, what: &'static str, origin: &Where) -> Self {
        if let Where::At(place) = origin {
            self.related = Some((what, *place));
        }
        self
    }
}

/// What is wrong with a single value, whatever its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Wrong {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Wrong {
        Wrong { message: message.into(), hint: Some(hint.into()) }
    }

    pub(crate) fn at(self, origin: impl Into<Where>, path: &str) -> Finding {
        let finding = Finding::error(origin, path, self.message);
        Finding { hint: self.hint, ..finding }
    }
}

/// The findings so far.
pub(crate) struct Report<'s> {
    lines: Vec<(&'s str, Vec<&'s str>)>,
    findings: RefCell<Vec<Finding>>,
    // One value reached through several aliases is one mistake.
    seen: RefCell<BTreeSet<(Where, String)>>,
}

impl<'s> Report<'s> {
    pub(crate) fn new(sources: &'s [Source]) -> Self {
        let lines = sources.iter().map(|s| (s.name.as_str(), yaml_lines(s.text()))).collect();
        Report { lines, findings: RefCell::default(), seen: RefCell::default() }
    }

    pub(crate) fn add(&self, finding: Finding) {
        if self.seen.borrow_mut().insert((finding.origin.clone(), finding.message.clone())) {
            self.findings.borrow_mut().push(finding);
        }
    }

    /// The text of a line, empty if there is none.
    pub(crate) fn line(&self, file: usize, line: usize) -> &'s str {
        self.lines[file].1.get(line.wrapping_sub(1)).copied().unwrap_or_default()
    }

    /// Sorts by place; what has none comes last. If there are too many, errors come before warnings.
    pub(crate) fn finish(self) -> Problems {
        let mut findings = self.findings.take();
        findings.sort_by(|a, b| a.origin.cmp(&b.origin));
        let mut problems = Problems::default();
        for finding in &findings {
            problems.count(finding.severity);
        }
        if findings.len() > Problems::LISTED_MAX {
            findings.sort_by_key(|finding| finding.severity);
            findings.truncate(Problems::LISTED_MAX);
        }
        problems.list = findings.into_iter().map(|finding| self.problem(finding)).collect();
        problems
    }

    fn problem(&self, finding: Finding) -> Problem {
        let Finding { severity, origin, path, message, hint, related } = finding;
        let origin = match origin {
            Where::At(place) => Origin::File(self.location(place)),
            Where::Outside(what) => Origin::Outside(what),
            Where::Nowhere => Origin::Nowhere,
        };
        let related = related.map(|(what, place)| (what, self.location(place)));
        Problem { severity, message, path, origin, related, hint }
    }

    fn location(&self, place: Place) -> Location {
        Location {
            file: self.lines[place.file].0.to_owned(),
            line: place.line,
            column: place.column,
            width: place.width.max(1),
            excerpt: secrets::masked(self.line(place.file, place.line)),
        }
    }
}

/// As YAML counts them: a line feed, a carriage return, or both end a line.
fn yaml_lines(text: &str) -> Vec<&str> {
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    lines.flat_map(|line| line.split('\r')).collect()
}
