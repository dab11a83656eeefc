//! Rows, their medians, how the sides compare, and what was aimed at.

use super::Contender;
use super::case::{Case, Figures};
use crate::table::{Table, median, thousands};
use crate::versus::system::Work;

pub(crate) const COLUMNS: [&str; 15] = [
    "system",
    "work",
    "connections",
    "calls/s",
    "p50 ms",
    "p99 ms",
    "CPU s/1000 server",
    "CPU s/1000 all",
    "B written/call",
    "B device/call",
    "RSS idle MiB",
    "RSS max MiB",
    "ready ms",
    "reply after kill ms",
    "sum",
];

const RATIO_COLUMNS: [&str; 12] = [
    "system",
    "against",
    "work",
    "connections",
    "calls/s",
    "CPU server",
    "CPU all",
    "p50",
    "p99",
    "B written",
    "RSS max",
    "reply after kill",
];

/// What is aimed at, for the counter with so many connections.
const AIM_CONNECTIONS: usize = 128;
const AIM_CALLS: f64 = 10.0;
const AIM_CPU: f64 = 10.0;
const AIM_P99: f64 = 5.0;

/// One measurement.
pub(crate) struct Row {
    pub(crate) round: usize,
    pub(crate) contender: Contender,
    pub(crate) case: Case,
    pub(crate) figures: Figures,
}

/// One figure of a row.
type Pick = fn(&Figures) -> f64;

impl Row {
    pub(crate) fn cells(&self) -> Vec<String> {
        let sum = match &self.figures.sum {
            Ok(calls) => format!("right ({})", thousands(*calls as f64)),
            Err(_) => "WRONG".to_owned(),
        };
        cells(self.contender, &self.case, &|pick| pick(&self.figures), sum)
    }
}

/// Prints the medians of the rounds, the ratios, and the aims.
pub(crate) fn print(rows: &[Row], contenders: &[Contender]) {
    println!("\nMedians of the rounds:\n");
    let table = Table::begin(&COLUMNS);
    let cases = cases(rows);
    for case in &cases {
        for contender in contenders {
            let of = || rows.iter().filter(|row| row.case == *case && row.contender == *contender);
            if of().next().is_some() {
                let all_right = of().all(|row| row.figures.sum.is_ok());
                let sum = if all_right { "right" } else { "WRONG" };
                let figure = |pick: Pick| median(of().map(|row| pick(&row.figures)).collect());
                table.row(&cells(*contender, case, &figure, sum.to_owned()));
            }
        }
    }

    println!("\nHow many times better: the medians of the ratios within a round:\n");
    let table = Table::begin(&RATIO_COLUMNS);
    let pairs: Vec<Pair> = pairs(contenders).collect();
    for case in &cases {
        for pair in &pairs {
            if let Some(ratios) = pair.ratios(rows, case) {
                table.row(&ratios.cells(pair, case));
            }
        }
    }
    for case in cases.iter().filter(|case| case.has_aims()) {
        for pair in &pairs {
            if let Some(ratios) = pair.ratios(rows, case) {
                ratios.print_aims(pair);
            }
        }
    }
}

/// Each of ours against each of the peer's.
fn pairs(contenders: &[Contender]) -> impl Iterator<Item = Pair> {
    let ours = contenders.iter().filter(|contender| !contender.is_peer());
    ours.flat_map(|ours| {
        let peers = contenders.iter().filter(|contender| contender.is_peer());
        peers.map(|peer| Pair { ours: *ours, peer: *peer })
    })
}

/// Every case, once, in order.
fn cases(rows: &[Row]) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for row in rows {
        if !cases.contains(&row.case) {
            cases.push(row.case);
        }
    }
    cases
}

fn cells(
    contender: Contender,
    case: &Case,
    figure: &dyn Fn(Pick) -> f64,
    sum: String,
) -> Vec<String> {
    let device = figure(|figures| figures.device_written.unwrap_or(f64::NAN));
    vec![
        contender.name().to_owned(),
        case.work.name().to_owned(),
        case.connections.to_string(),
        thousands(figure(|figures| figures.calls_per_second)),
        format!("{:.2}", figure(|figures| figures.p50_ms)),
        format!("{:.2}", figure(|figures| figures.p99_ms)),
        format!("{:.3}", figure(|figures| figures.cpu_server)),
        format!("{:.3}", figure(|figures| figures.cpu_all)),
        thousands(figure(|figures| figures.written)),
        if device.is_nan() { "-".to_owned() } else { thousands(device) },
        format!("{:.0}", figure(|figures| figures.rss_idle_mib)),
        format!("{:.0}", figure(|figures| figures.rss_max_mib)),
        format!("{:.0}", figure(|figures| figures.ready_ms)),
        thousands(figure(|figures| figures.first_reply_ms)),
        sum,
    ]
}

/// Who is compared with whom.
struct Pair {
    ours: Contender,
    peer: Contender,
}

/// Each is larger than 1 where ours is better.
struct Ratios {
    calls: f64,
    cpu_server: f64,
    cpu_all: f64,
    p50: f64,
    p99: f64,
    written: f64,
    rss_max: f64,
    first_reply: f64,
}

impl Case {
    fn has_aims(&self) -> bool {
        self.work == Work::Counter && self.connections == AIM_CONNECTIONS
    }
}

impl Pair {
    /// `None` if there is no round in which both were measured.
    fn ratios(&self, rows: &[Row], case: &Case) -> Option<Ratios> {
        // Compared within a round, so that a noisy minute of the machine counts on both sides.
        let same_round = |peer: &Row| {
            let is_it = |row: &&Row| {
                row.contender == self.ours && row.case == *case && row.round == peer.round
            };
            rows.iter().find(is_it)
        };
        let peers = rows.iter().filter(|row| row.contender == self.peer && row.case == *case);
        let rounds: Vec<(&Row, &Row)> =
            peers.filter_map(|peer| Some((peer, same_round(peer)?))).collect();
        if rounds.is_empty() {
            return None;
        }
        let less = |pick: Pick| {
            let ratio = |(peer, ours): &(&Row, &Row)| pick(&peer.figures) / pick(&ours.figures);
            median(rounds.iter().map(ratio).collect())
        };
        Some(Ratios {
            // The more the better.
            calls: less(|figures| 1.0 / figures.calls_per_second),
            cpu_server: less(|figures| figures.cpu_server),
            cpu_all: less(|figures| figures.cpu_all),
            p50: less(|figures| figures.p50_ms),
            p99: less(|figures| figures.p99_ms),
            written: less(|figures| figures.written),
            rss_max: less(|figures| figures.rss_max_mib),
            first_reply: less(|figures| figures.first_reply_ms),
        })
    }
}

impl Ratios {
    fn cells(&self, pair: &Pair, case: &Case) -> Vec<String> {
        let ratios = [
            self.calls,
            self.cpu_server,
            self.cpu_all,
            self.p50,
            self.p99,
            self.written,
            self.rss_max,
            self.first_reply,
        ];
        let names = [
            pair.ours.name().to_owned(),
            pair.peer.name().to_owned(),
            case.work.name().to_owned(),
            case.connections.to_string(),
        ];
        names.into_iter().chain(ratios.map(|ratio| format!("{ratio:.1}"))).collect()
    }

    fn print_aims(&self, pair: &Pair) {
        let (ours, peer) = (pair.ours.name(), pair.peer.name());
        println!(
            "\n{ours} against {peer}, counter, {AIM_CONNECTIONS} connections: how many times better, and the aim"
        );
        let aim = |name: &str, found: f64, aim: f64| {
            let word = if found >= aim { "reached" } else { "missed" };
            println!("  {name:<22} {found:>5.1}, {aim:.0}: {word}");
        };
        aim("calls/s", self.calls, AIM_CALLS);
        aim("CPU of the server", self.cpu_server, AIM_CPU);
        aim("p99", self.p99, AIM_P99);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: Case = Case { work: Work::Counter, connections: 128, ids: 1 };
    const PAIR: Pair = Pair { ours: Contender::Statera, peer: Contender::Restate };

    fn row(round: usize, contender: Contender, calls_per_second: f64, p99_ms: f64) -> Row {
        let figures = Figures {
            calls_per_second,
            p50_ms: 1.0,
            p99_ms,
            cpu_server: 1.0,
            cpu_all: 1.0,
            written: 1.0,
            device_written: None,
            rss_idle_mib: 1.0,
            rss_max_mib: 1.0,
            ready_ms: 1.0,
            first_reply_ms: 1.0,
            sum: Ok(1),
        };
        Row { round, contender, case: CASE, figures }
    }

    #[test]
    fn ratios_are_larger_than_one_where_ours_is_better() {
        let rows = [row(0, Contender::Restate, 10.0, 60.0), row(0, Contender::Statera, 50.0, 20.0)];
        let ratios = PAIR.ratios(&rows, &CASE).unwrap();
        assert!((ratios.calls - 5.0).abs() < 1e-9);
        assert!((ratios.p99 - 3.0).abs() < 1e-9);
    }

    #[test]
    fn only_rounds_with_both_count() {
        let rows = [row(0, Contender::Restate, 1.0, 1.0), row(1, Contender::Statera, 1.0, 1.0)];
        assert!(PAIR.ratios(&rows, &CASE).is_none());
    }
}
