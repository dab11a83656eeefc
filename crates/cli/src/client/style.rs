//! Colours by meaning, and how wide a line may be.

use std::borrow::Cow;
use std::io::{IsTerminal, stdout};

/// What a text tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    /// A heading.
    Head,
    /// It is as it should be.
    Good,
    /// Somebody should have a look.
    Warn,
    /// It fails.
    Bad,
    /// There is nothing to tell.
    Dim,
}

/// How things look where they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) colours: bool,
    /// Characters on a line; none if nothing is to be cut.
    pub(crate) width: Option<usize>,
}

impl Style {
    /// As people who look at standard output want it.
    pub(crate) fn of_stdout() -> Style {
        if !stdout().is_terminal() {
            return Style::default();
        }
        let size = terminal_size::terminal_size_of(stdout());
        let width = size.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0);
        Style { colours: wants_colours(), width }
    }

    pub(crate) fn paint<'a>(&self, tone: Tone, text: &'a str) -> Cow<'a, str> {
        let code = match tone {
            _ if !self.colours || text.is_empty() => return text.into(),
            Tone::Plain => return text.into(),
            Tone::Head => "1",
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Dim => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m").into()
    }
}

/// Lines of the screen that is standard output, if it is one.
pub(crate) fn screen_height() -> Option<usize> {
    let size = terminal_size::terminal_size_of(stdout());
    size.map(|(_, height)| usize::from(height.0)).filter(|height| *height > 1)
}

/// Unless `NO_COLOR` says otherwise (<https://no-color.org>), or the terminal knows none.
pub(crate) fn wants_colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
