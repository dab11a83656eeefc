//! Where commands write: data to one place, everything else to another.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

pub(crate) struct Terminal<'a> {
    /// What was asked for.
    pub(crate) out: &'a mut dyn Write,
    /// What is said about it.
    pub(crate) notes: &'a mut dyn Write,
    /// Whether people read `out`: what others wrote must then not control their terminal.
    pub(crate) escape: bool,
}

impl Terminal<'_> {
    /// Writes text that is laid out and free of control characters.
    pub(crate) fn print(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// Writes a text that somebody else wrote, and a line break if it has none at its end.
    pub(crate) fn print_foreign(&mut self, text: &str) -> io::Result<()> {
        let text = if self.escape { escaped(text) } else { Cow::Borrowed(text) };
        let end = if text.ends_with('\n') { "" } else { "\n" };
        write!(self.out, "{text}{end}")
    }

    /// Writes JSON for programs.
    pub(crate) fn print_json(&mut self, json: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *self.out, json)?;
        writeln!(self.out)
    }

    /// Says something about what is written, behind what has been written so far.
    pub(crate) fn note(&mut self, text: &str) -> io::Result<()> {
        self.out.flush()?;
        writeln!(self.notes, "{}", escaped(text))
    }
}

/// Text of several lines, with control characters made visible.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    escape(text, |c| c.is_control() && !matches!(c, '\n' | '\t'))
}

/// The same on one line.
pub(crate) fn escaped_line(text: &str) -> Cow<'_, str> {
    escape(text, char::is_control)
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_escaped(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}
