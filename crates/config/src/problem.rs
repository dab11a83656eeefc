//! What is wrong with a configuration, and how it is shown to the person who wrote it.

use std::fmt;

/// Everything that is wrong, in the order of the files and their lines.
///
/// Its `Display` prints each [`Problem`] with its place and then a count, over several lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    pub(crate) list: Vec<Problem>,
    /// Errors and warnings, also those that are not listed.
    pub(crate) counts: [usize; 2],
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether the configuration can be used in spite of it.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// The value within its document, e.g. `spec.transport.call`; empty if it concerns no single value.
    pub path: String,
    /// Where it was written.
    pub origin: Origin,
    /// Another place that has to do with it: what it is, and where.
    pub related: Option<(&'static str, Location)>,
    /// What to write instead.
    pub hint: Option<String>,
}

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The configuration can be used, but probably does not say what was meant.
    Warning,
}

/// Where the cause of a [`Problem`] was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a file.
    File(Location),
    /// Elsewhere, e.g. ``environment variable `STATERA_SHARDS` ``.
    Outside(String),
    /// Nowhere: something is missing.
    Nowhere,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The name of the file as it was given.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// How many characters of the line are meant. At least 1.
    pub width: usize,
    /// The line.
    pub excerpt: String,
}

impl Problems {
    /// The listed problems in order. At most [`Problems::LISTED_MAX`].
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// The most problems that are listed; more are only counted.
    pub const LISTED_MAX: usize = 100;

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether at least one is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.counts[Severity::Error as usize] > 0
    }

    pub(crate) fn count(&mut self, severity: Severity) {
        self.counts[severity as usize] += 1;
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            writeln!(f, "{problem}\n")?;
        }
        let [errors, warnings] = self.counts;
        let dropped = errors + warnings - self.list.len();
        if dropped > 0 {
            writeln!(f, "... and {dropped} more\n")?;
        }
        let counts = [counted(errors, "error"), counted(warnings, "warning")];
        write!(f, "{}", counts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

fn counted(count: usize, noun: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {noun}")),
        _ => Some(format!("{count} {noun}s")),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{word}: {}", self.message)?;
        match &self.origin {
            Origin::File(location) => location.fmt_excerpt(f, &self.path)?,
            Origin::Outside(what) if self.path.is_empty() => write!(f, "\n --> {what}")?,
            Origin::Outside(what) => write!(f, "\n --> {what} ({})", self.path)?,
            Origin::Nowhere => {}
        }
        if let Some((what, location)) = &self.related {
            write!(f, "\nnote: {what} {location}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Location {
    /// The most characters of a line that are shown.
    const SHOWN_MAX: usize = 100;

    fn fmt_excerpt(&self, f: &mut fmt::Formatter<'_>, path: &str) -> fmt::Result {
        let gutter = self.line.to_string().len();
        write!(f, "\n{:gutter$}--> {self}", "")?;
        if !path.is_empty() {
            write!(f, " ({path})")?;
        }
        let column = self.column - 1;
        // A long line is cut so that the place meant is in sight.
        let skipped = if column > Self::SHOWN_MAX * 3 / 4 { column - 20 } else { 0 };
        let shown: String =
            self.excerpt.chars().skip(skipped).take(Self::SHOWN_MAX).map(printable).collect();
        let indent = column - skipped;
        let width = self.width.min(shown.chars().count().saturating_sub(indent)).max(1);
        write!(f, "\n{:gutter$} |", "")?;
        write!(f, "\n{} | {}", self.line, shown.trim_end())?;
        write!(f, "\n{:gutter$} | {:indent$}{}", "", "", "^".repeat(width))
    }
}

/// One column for one character, so that the caret stands where it should, and nothing that steers a terminal.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// A value of the user for a message: in backticks, on one line, not too long.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 80;
    let mut shown: String = text.chars().take(SHOWN_MAX).map(printable).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}
