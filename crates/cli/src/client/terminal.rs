//! Where commands write: data to one place, everything else to another.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::style::{Style, Tone, screen_height, wants_colours};
use super::table::Table;

/// The longest progress bar.
const BAR_CHARS: usize = 30;

pub(crate) struct Terminal<'a> {
    /// What was asked for.
    pub(crate) out: &'a mut dyn Write,
    /// What is said about it.
    pub(crate) notes: &'a mut dyn Write,
    /// Whether people read `out`: what others wrote must then not control their terminal.
    pub(crate) escape: bool,
    /// How things look on `out`.
    pub(crate) style: Style,
    /// Whether `out` is a screen that can be drawn anew.
    pub(crate) is_screen: bool,
    /// Lines of that screen, if that is known.
    pub(crate) height: Option<usize>,
    /// Whether people follow `notes`, and want to see how far long work is.
    pub(crate) is_followed: bool,
    /// Whether somebody can answer questions.
    pub(crate) can_answer: bool,
}

impl<'a> Terminal<'a> {
    /// Standard output and standard error of this process.
    pub(crate) fn of_process(out: &'a mut dyn Write, notes: &'a mut dyn Write) -> Terminal<'a> {
        let (stdout, stderr) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Terminal {
            out,
            notes,
            escape: stdout,
            style: Style::of_stdout(),
            is_screen: stdout,
            height: screen_height(),
            is_followed: stderr,
            can_answer: io::stdin().is_terminal() && stderr,
        }
    }

    /// Nobody looks at it but a test.
    #[cfg(test)]
    pub(crate) fn plain(out: &'a mut dyn Write, notes: &'a mut dyn Write) -> Terminal<'a> {
        Terminal {
            out,
            notes,
            escape: true,
            style: Style::default(),
            is_screen: false,
            height: None,
            is_followed: false,
            can_answer: false,
        }
    }

    /// Writes text that is laid out and free of control characters.
    pub(crate) fn print(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// Writes the rows of a table that were not written yet.
    pub(crate) fn print_table(&mut self, table: &mut Table) -> io::Result<()> {
        let text = table.render(&self.style);
        self.print(&text)
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

    /// Writes JSON on one line, one of many, at once.
    pub(crate) fn print_json_line(&mut self, json: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut *self.out, json)?;
        writeln!(self.out)?;
        self.out.flush()
    }

    /// Says something about what is written, behind what has been written so far.
    pub(crate) fn note(&mut self, text: &str) -> io::Result<()> {
        self.out.flush()?;
        writeln!(self.notes, "{}", escaped(text))
    }

    /// Says how far long work is, on one line that is written again and again. Only to people.
    pub(crate) fn progress(&mut self, progress: &Progress) -> io::Result<()> {
        if !self.is_followed {
            return Ok(());
        }
        self.out.flush()?;
        write!(self.notes, "\r{}\x1b[K", progress.line())?;
        self.notes.flush()
    }

    /// The line of progress goes away.
    pub(crate) fn progress_ends(&mut self) -> io::Result<()> {
        if !self.is_followed {
            return Ok(());
        }
        write!(self.notes, "\r\x1b[K")?;
        self.notes.flush()
    }

    /// Asks a question; no answer is no.
    pub(crate) fn confirm(&mut self, question: &str) -> io::Result<bool> {
        self.out.flush()?;
        write!(self.notes, "{} [y/N] ", escaped(question))?;
        self.notes.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

/// How far long work is.
pub(crate) struct Progress {
    /// What is done: `redriven`.
    pub(crate) done_is: &'static str,
    pub(crate) done: usize,
    /// Of how many, if that is known.
    pub(crate) of: Option<usize>,
}

impl Progress {
    fn line(&self) -> String {
        let Progress { done_is, done, of } = self;
        let Some(of) = of.filter(|of| *of > 0) else { return format!("{done_is} {done}") };
        let filled = (BAR_CHARS * done.min(&of) / of).min(BAR_CHARS);
        let bar: String = std::iter::repeat_n('#', filled)
            .chain(std::iter::repeat_n('.', BAR_CHARS - filled))
            .collect();
        format!("[{bar}] {done_is} {done} of {of}")
    }
}

/// What went wrong, as it is said to people.
pub(crate) fn error_line(text: &str) -> String {
    let style = Style { colours: io::stderr().is_terminal() && wants_colours(), width: None };
    format!("{} {}", style.paint(Tone::Bad, "error:"), escaped(text))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(done: usize, of: Option<usize>, expected: &str) {
        assert_eq!(Progress { done_is: "redriven", done, of }.line(), expected);
    }

    #[test]
    fn progress_is_a_bar_if_its_end_is_known() {
        check(7, None, "redriven 7");
        check(0, Some(10), "[..............................] redriven 0 of 10");
        check(5, Some(10), "[###############...............] redriven 5 of 10");
        check(10, Some(10), "[##############################] redriven 10 of 10");
        check(12, Some(10), "[##############################] redriven 12 of 10");
        check(0, Some(0), "redriven 0");
    }
}
