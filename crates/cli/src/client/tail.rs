//! `statera tail`: live figures as they come.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use http_body_util::BodyExt;
use serde_json::Value as Json;
use statera_admin::api;
use tokio::time::{Instant, sleep, timeout};

use super::address::Part;
use super::admin::{Admin, AdminOptions, NoAnswer, known};
use super::show;
use super::style::Tone;
use super::table::{Cell, Column, Table};
use super::terminal::Terminal;

/// Lines between two lines of heads.
const HEADS_EVERY: u64 = 20;

/// Between two attempts to find the engine again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// How long an engine that went away is waited for.
const ABSENCE_MAX: Duration = Duration::from_secs(60);

/// How long nothing may come, though there should be an event each second.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// The largest event.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Args)]
pub(crate) struct Tail {
    /// The figures of this type of functions alone
    #[arg(value_name = "NAMESPACE/TYPE")]
    function: Option<Part>,
    /// End after so many lines
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    #[command(flatten)]
    admin: AdminOptions,
}

impl Tail {
    pub(crate) async fn run(self, terminal: &mut Terminal<'_>) -> anyhow::Result<ExitCode> {
        let mut admin = self.admin.open()?;
        let mut lines = Lines::new(self);
        let mut events = Events::open(&mut admin).await?;
        loop {
            while let Some(event) = events.next().await {
                if lines.write(event, terminal)? {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            terminal.note("the engine went away; waiting for it")?;
            events = Events::again(&mut admin).await?;
        }
    }
}

/// What is written about events.
struct Lines {
    options: Tail,
    table: Table,
    written: u64,
}

impl Lines {
    fn new(options: Tail) -> Lines {
        let columns = if options.function.is_some() { FUNCTION_COLUMNS } else { ENGINE_COLUMNS };
        Lines { options, table: Table::new(columns), written: 0 }
    }

    /// Whether that was the last one.
    fn write(&mut self, event: Json, terminal: &mut Terminal<'_>) -> anyhow::Result<bool> {
        if self.options.admin.json {
            terminal.print_json_line(&event)?;
        } else {
            let live: api::Live = known(event)?;
            self.table.row(match &self.options.function {
                None => engine_row(&live),
                Some(function) => function_row(&live, &function.to_string()),
            });
            if self.written.is_multiple_of(HEADS_EVERY) && (self.written == 0 || terminal.is_screen)
            {
                self.table.repeat_heads();
            }
            terminal.print_table(&mut self.table)?;
            terminal.out.flush()?;
        }
        self.written += 1;
        Ok(self.options.count.is_some_and(|count| self.written >= count))
    }
}

const ENGINE_COLUMNS: &[Column] = &[
    Column::left("TIME"),
    Column::right("MSG/S"),
    Column::right("FAIL/S"),
    Column::right("P50").spare(),
    Column::right("P99"),
    Column::right("END-TO-END").spare(),
    Column::right("EPOCHS").spare(),
    Column::right("EPOCH P99").spare(),
    Column::right("MAIL"),
    Column::right("IN FLIGHT").spare(),
    Column::right("FAILING"),
    Column::right("OUTBOX").spare(),
    Column::right("DEAD LETTERS"),
];

fn engine_row(live: &api::Live) -> Vec<Cell> {
    let [p50, p99] = show::latency(live.latency);
    let [_, end_to_end] = show::latency(live.end_to_end);
    let [_, epochs] = show::latency(live.epochs.duration);
    vec![
        time(live),
        show::rate(live.rate),
        show::rate(live.failure_rate),
        p50,
        p99,
        end_to_end,
        Cell::count(live.epochs.count),
        epochs,
        Cell::count(live.total.mail),
        Cell::count(live.total.in_flight),
        Cell::alarm(live.failing, Tone::Bad),
        Cell::count(live.total.outbox),
        Cell::alarm(live.total.dead_letters, Tone::Bad),
    ]
}

const FUNCTION_COLUMNS: &[Column] = &[
    Column::left("TIME"),
    Column::left("HEALTH"),
    Column::right("IN/S"),
    Column::right("OUT/S"),
    Column::right("P50").spare(),
    Column::right("P99"),
    Column::right("MAIL"),
    Column::right("SIZE").spare(),
    Column::right("QUEUED").spare(),
    Column::right("IN FLIGHT"),
    Column::right("FAILING"),
];

/// A function of which nothing was heard has nothing to tell.
fn function_row(live: &api::Live, name: &str) -> Vec<Cell> {
    let Some(function) = live.functions.iter().find(|function| function.name == name) else {
        let mut row = vec![Cell::or_dash(None::<&str>); FUNCTION_COLUMNS.len()];
        row[0] = time(live);
        return row;
    };
    let [p50, p99] = show::latency(function.latency);
    vec![
        time(live),
        show::health(function.health, None),
        show::rate(function.rate_in),
        show::rate(function.rate_out),
        p50,
        p99,
        Cell::or_dash(function.mail.map(|mail| mail.to_string())),
        Cell::new(show::size(function.mail_bytes)),
        Cell::count(function.queued),
        Cell::count(function.in_flight),
        Cell::alarm(function.failing, Tone::Bad),
    ]
}

/// `12:53:19` of `2026-01-21T12:53:19.123Z`.
fn time(live: &api::Live) -> Cell {
    Cell::new(live.at.get(11..19).unwrap_or(&live.at))
}

/// Server-sent events as they come.
struct Events {
    body: hyper::body::Incoming,
    parser: Parser,
}

impl Events {
    async fn open(admin: &mut Admin) -> anyhow::Result<Events> {
        let body = admin.stream("/v1/events").await?.into_body();
        Ok(Events { body, parser: Parser::default() })
    }

    /// Waits for an engine that has gone away.
    async fn again(admin: &mut Admin) -> anyhow::Result<Events> {
        let since = Instant::now();
        loop {
            match Events::open(admin).await {
                Err(error) if error.is::<NoAnswer>() && since.elapsed() < ABSENCE_MAX => {}
                ended => return ended,
            }
            sleep(RETRY_DELAY).await;
        }
    }

    /// The next event; none when the engine, or the way to it, is gone.
    async fn next(&mut self) -> Option<Json> {
        loop {
            if let Some(event) = self.parser.event() {
                return Some(event);
            }
            let frame = timeout(SILENCE_MAX, self.body.frame()).await.ok()??.ok()?;
            self.parser.take(frame.data_ref().map_or(&[][..], |data| data))?;
        }
    }
}

/// Takes a stream of events apart (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
#[derive(Default)]
struct Parser {
    bytes: Vec<u8>,
}

impl Parser {
    /// More bytes; none if what they belong to is too much.
    fn take(&mut self, bytes: &[u8]) -> Option<()> {
        self.bytes.extend_from_slice(bytes);
        (self.bytes.len() <= EVENT_BYTES_MAX).then_some(())
    }

    /// The data of the next event that is complete. What is no JSON is left out.
    fn event(&mut self) -> Option<Json> {
        loop {
            let end = self.bytes.windows(2).position(|two| two == b"\n\n")?;
            let event: Vec<u8> = self.bytes.drain(..end + 2).collect();
            let event = String::from_utf8_lossy(&event);
            let data = event.lines().filter_map(|line| line.strip_prefix("data:"));
            let data = data.map(|line| line.strip_prefix(' ').unwrap_or(line));
            let data = data.collect::<Vec<_>>().join("\n");
            if let Ok(event) = serde_json::from_str(&data) {
                return Some(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_found_however_they_are_cut() {
        let stream =
            b"event: figures\ndata: {\"a\":1}\n\n: nothing\n\ndata: {\"a\":\ndata: 2}\n\ndata: {";
        for size in 1..stream.len() {
            let mut parser = Parser::default();
            let mut events = Vec::new();
            for some in stream.chunks(size) {
                parser.take(some).unwrap();
                events.extend(std::iter::from_fn(|| parser.event()));
            }
            assert_eq!(events, [json!({"a": 1}), json!({"a": 2})], "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_that_does_not_end_is_given_up() {
        let mut parser = Parser::default();
        assert!(parser.take(&vec![b' '; EVENT_BYTES_MAX]).is_some());
        assert!(parser.take(b" ").is_none());
    }
}
