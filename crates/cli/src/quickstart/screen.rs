//! What the quickstart says. Plain text; bold headings where somebody looks at it.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// Writes to standard output. Nobody reading it is no reason to stop.
pub(super) struct Screen {
    bold: (&'static str, &'static str),
    check: &'static str,
}

/// Where everything is.
pub(super) struct Places<'a> {
    pub(super) functions: SocketAddr,
    pub(super) ingress: SocketAddr,
    pub(super) ingress_wanted: SocketAddr,
    pub(super) admin: Option<SocketAddr>,
    pub(super) admin_wanted: SocketAddr,
    pub(super) data: &'a Path,
    pub(super) reminders: &'a Path,
    /// How to call this program again: `statera`, or `cargo run --release --`.
    pub(super) program: &'a str,
}

/// One line of what goes on.
pub(super) struct Status<'a> {
    pub(super) elapsed: Duration,
    pub(super) calls: usize,
    /// Of the calls since the last line, sorted.
    pub(super) latencies: &'a [Duration],
    pub(super) visits: i64,
    pub(super) money: i64,
    pub(super) reminders: usize,
}

impl Screen {
    pub(super) fn new() -> Screen {
        let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        match colours {
            true => Screen { bold: ("\x1b[1m", "\x1b[0m"), check: "\x1b[32m✓\x1b[0m" },
            false => Screen { bold: ("", ""), check: "ok:" },
        }
    }

    pub(super) fn line(&self, text: impl Display) {
        let _ = writeln!(io::stdout(), "{text}");
    }

    pub(super) fn check(&self, text: impl Display) {
        self.line(format_args!("  {} {text}", self.check));
    }

    fn heading(&self, text: &str) {
        let (bold, plain) = self.bold;
        self.line(format_args!("{bold}{text}{plain}"));
    }

    pub(super) fn explain(&self, places: &Places<'_>) {
        self.heading("Statera quickstart");
        self.line(EXPLANATION);
        self.place("functions", places.functions, None);
        self.place("ingress", places.ingress, Some(places.ingress_wanted));
        if let Some(admin) = places.admin {
            self.place("admin", admin, Some(places.admin_wanted));
        }
        self.line(format_args!("  data        {}", places.data.display()));
        self.line("");
    }

    fn place(&self, what: &str, address: SocketAddr, wanted: Option<SocketAddr>) {
        let taken = wanted.filter(|wanted| wanted.port() != 0 && *wanted != address);
        let note =
            taken.map_or(String::new(), |wanted| format!("  (port {} is taken)", wanted.port()));
        self.line(format_args!("  {what:<11} http://{address}{note}"));
    }

    pub(super) fn invite(&self, places: &Places<'_>) {
        let Places { ingress, program, .. } = places;
        self.line("");
        self.heading("Try it in another terminal");
        self.line(format_args!(
            "
  # call a function and wait for its answer
  curl -d '' 'http://{ingress}/v1/call/demo/greeter/You?typename=demo/Visit'

  # move money from one account to another
  curl -d '{{\"to\":\"Bob\",\"amount\":25}}' 'http://{ingress}/v1/call/demo/account/You?typename=demo/Transfer'

  # send a message without waiting for anything but the disk; ten seconds later there is a line in
  # {reminders}
  curl -d '{{\"after_seconds\":10,\"text\":\"tea is ready\"}}' 'http://{ingress}/v1/send/demo/reminder/You?typename=demo/Remind'",
            reminders = places.reminders.display()
        ));
        if let Some(admin) = places.admin {
            self.line(format_args!(
                "
  # look at the state of a function
  {program} state get demo/greeter/You --admin http://{admin}"
            ));
        }
        self.line("");
        self.heading("Pull the plug");
        self.line(format_args!(
            "
  kill -9 {}

  Then run the same command again: the counts go on where they were, a reminder on its way still
  arrives, and no money is lost.
",
            std::process::id()
        ));
    }

    pub(super) fn status(&self, status: &Status<'_>) {
        let Status { calls, visits, money, reminders, .. } = status;
        let (p50, p99) = (quantile(status.latencies, 50), quantile(status.latencies, 99));
        self.line(format_args!(
            "  {seconds:>4} s   {calls} calls answered   p50 {p50:.1} ms   p99 {p99:.1} ms   \
             visits {visits}   money {money}   reminders {reminders}",
            seconds = status.elapsed.as_secs(),
            calls = grouped(*calls),
            visits = grouped(*visits),
            money = grouped(*money),
            reminders = grouped(*reminders),
        ));
    }
}

const EXPLANATION: &str = "
  An application runs in this process. Its functions are served over HTTP, as yours will be, in
  any language. They keep nothing themselves: Statera keeps their state and carries their messages.

    demo/greeter   counts how often each person came by
    demo/account   moves money between accounts, whose sum never changes
    demo/reminder  sends itself a message that arrives later
";

/// A value below which so many of 100 are, in milliseconds. `sorted` is sorted.
fn quantile(sorted: &[Duration], percent: usize) -> f64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}

/// A number with its thousands apart: `1,234,567`.
pub(super) fn grouped(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
