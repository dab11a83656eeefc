//! The table.

use super::job::Outcome;
use crate::table::{Table, mebibytes, thousands};

const COLUMNS: [&str; 14] = [
    "benchmark",
    "shards",
    "messages/s",
    "per shard core",
    "CPU ns/message",
    "p50 ms",
    "p99 ms",
    "B written/message",
    "RSS max MiB",
    "generator cores",
    "other durability",
    "ratio",
    "result",
    "more",
];

const NOTHING: &str = "–";

/// One line of the table.
pub(super) struct Row {
    /// What was measured.
    pub(super) title: String,
    pub(super) shards: u16,
    pub(super) outcome: Outcome,
    /// The same with the other durability.
    pub(super) other: Option<Outcome>,
    /// Whether its rate is what it is about.
    pub(super) rate: bool,
}

pub(super) fn begin() -> Table {
    Table::begin(&COLUMNS)
}

impl Row {
    pub(super) fn is_right(&self) -> bool {
        self.outcomes().all(|outcome| outcome.wrong.is_none())
    }

    pub(super) fn cells(&self) -> Vec<String> {
        let Row { title, shards, outcome, .. } = self;
        let messages = outcome.messages as f64;
        let cpu = &outcome.cpu;
        let other = self.other.as_ref().filter(|_| self.rate);
        let more: Vec<_> = self.notes().collect();
        let rate = |text: String| if self.rate { text } else { NOTHING.to_owned() };
        vec![
            title.clone(),
            shards.to_string(),
            rate(thousands(outcome.per_second())),
            rate(figure(messages / cpu.shards, thousands)),
            rate(figure((cpu.all - cpu.generator) * 1e9 / messages, thousands)),
            figure(outcome.p50_ms.unwrap_or(f64::NAN), |ms| format!("{ms:.2}")),
            figure(outcome.p99_ms.unwrap_or(f64::NAN), |ms| format!("{ms:.2}")),
            rate(figure(outcome.written_bytes as f64 / messages, thousands)),
            mebibytes(outcome.rss_max_bytes),
            rate(format!("{:.2}", cpu.generator / outcome.seconds)),
            other.map_or(NOTHING.into(), |other| thousands(other.per_second())),
            other.map_or(NOTHING.into(), |other| {
                format!("{:.2}", outcome.per_second() / other.per_second())
            }),
            if self.is_right() { "right" } else { "WRONG" }.to_owned(),
            more.join("; "),
        ]
    }

    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        std::iter::once(&self.outcome).chain(&self.other)
    }

    fn notes(&self) -> impl Iterator<Item = String> {
        let wrong = self.outcomes().filter_map(|outcome| outcome.wrong.clone());
        self.outcome.notes.iter().cloned().chain(wrong)
    }
}

fn figure(value: f64, written: impl Fn(f64) -> String) -> String {
    if value.is_finite() { written(value) } else { NOTHING.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_computed_is_not_there() {
        assert_eq!(figure(f64::INFINITY, thousands), NOTHING);
        assert_eq!(figure(f64::NAN, thousands), NOTHING);
    }
}
