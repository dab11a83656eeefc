//! What it costs to be watched: metrics that are scraped every second, and the admin API as the dashboard uses it.

use std::future::pending;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, sleep};

use crate::http::Connection;
use crate::load::{Ask, Load, Mode, Pace, Plan, check};
use crate::subject::{Setup, Subject};
use crate::table::{Table, median, thousands};
use crate::{Common, functions};

/// Before anything is measured, so that most counters are there.
const WARM_UP: Duration = Duration::from_secs(5);

/// Of each turn, so that the one before has no share in it.
const SETTLE: Duration = Duration::from_millis(200);

/// Between two questions.
const EVERY: Duration = Duration::from_secs(1);

/// What the dashboard asks for while its list of functions is open, beside live figures, and how often.
const OPEN: [&str; 1] = ["/v1/functions"];
const OPEN_EVERY: Duration = Duration::from_millis(2_500);

/// What somebody may ask for who wants to know everything.
const PAGES: [&str; 6] = [
    "/v1/status",
    "/v1/functions",
    "/v1/graph",
    "/v1/endpoints",
    "/v1/epochs",
    "/v1/instances?prefix=bench/counter/&limit=100",
];

const COLUMNS: [&str; 7] = [
    "watched by",
    "calls/s",
    "of unwatched",
    "quartiles",
    "CPU us/call server",
    "of unwatched",
    "quartiles",
];

#[derive(Args)]
pub(crate) struct Watched {
    #[command(flatten)]
    common: Common,
    /// Connections at once
    #[arg(long, default_value_t = 128)]
    connections: usize,
    /// Counters addressed, at random
    #[arg(long, default_value_t = 100_000)]
    ids: u32,
    /// The length of a turn
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// How often each way of watching has its turn
    #[arg(long, default_value_t = 15)]
    rounds: usize,
}

#[derive(Clone, Copy, Debug)]
enum Watcher {
    Nobody,
    Metrics,
    Dashboard,
    Pages,
}

const WATCHERS: [Watcher; 4] =
    [Watcher::Nobody, Watcher::Metrics, Watcher::Dashboard, Watcher::Pages];

impl Watched {
    /// One engine under one load; the ways of watching take turns, so that whatever else changes on the machine meets all alike.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let functions = functions::Running::start(None)?;
        let setup = Setup::new(&self.common, &[("bench", &functions)], "fsync")?;
        let subject = setup.start(&self.common.program()?)?;
        let load = Load::start(Plan {
            ingress: subject.ingress,
            ask: Ask::counter(Mode::Call, "bench"),
            connections: self.connections,
            ids: self.ids,
            pace: Pace::AsFastAsPossible,
        });
        sleep(WARM_UP).await;
        let mut turns: [Vec<Turn>; WATCHERS.len()] = Default::default();
        for round in 0..self.rounds {
            // Each begins a round now and then.
            for place in 0..WATCHERS.len() {
                let place = (place + round) % WATCHERS.len();
                turns[place].push(self.turn(WATCHERS[place], &subject, &load).await?);
            }
        }
        let outcome = load.stop().await?;
        check(subject.ingress, "bench", &outcome.acknowledged).await?;
        subject.stop()?;
        let table = Table::begin(&COLUMNS);
        for (watcher, watched) in WATCHERS.iter().zip(&turns) {
            let mut cells = vec![format!("{watcher:?}").to_lowercase()];
            cells.extend(compared(watched, &turns[0], |turn| turn.rate, thousands));
            cells.extend(compared(watched, &turns[0], |turn| turn.cpu_us, |us| format!("{us:.1}")));
            table.row(&cells);
        }
        Ok(())
    }

    /// What the load gets while somebody watches.
    async fn turn(&self, watcher: Watcher, subject: &Subject, load: &Load) -> anyhow::Result<Turn> {
        let measured = async {
            sleep(SETTLE).await;
            let (began, before) = (Instant::now(), load.acknowledged());
            let used = subject.usage()?.cpu_seconds;
            sleep(Duration::from_secs(self.seconds)).await;
            let calls = (load.acknowledged() - before) as f64;
            let used = subject.usage()?.cpu_seconds - used;
            Ok(Turn { rate: calls / began.elapsed().as_secs_f64(), cpu_us: used * 1e6 / calls })
        };
        tokio::select! {
            turn = measured => turn,
            Err(failed) = watcher.watch(subject.admin) => Err(failed),
        }
    }
}

/// What a turn has shown: calls a second, and the processor time of the engine for each.
struct Turn {
    rate: f64,
    cpu_us: f64,
}

/// The median of a figure, and its share of that of the unwatched turns: the median within rounds, and their quartiles.
fn compared(
    watched: &[Turn],
    alone: &[Turn],
    figure: fn(&Turn) -> f64,
    show: fn(f64) -> String,
) -> [String; 3] {
    let pairs = watched.iter().zip(alone);
    let mut shares: Vec<f64> =
        pairs.map(|(watched, alone)| figure(watched) / figure(alone)).collect();
    shares.sort_unstable_by(f64::total_cmp);
    let quartile = |part: usize| shares[(shares.len() - 1) * part / 4];
    [
        show(median(watched.iter().map(figure).collect())),
        format!("{:.3}", median(shares.clone())),
        format!("{:.3}-{:.3}", quartile(1), quartile(3)),
    ]
}

impl Watcher {
    /// Goes on until it fails.
    async fn watch(self, admin: SocketAddr) -> anyhow::Result<()> {
        match self {
            Watcher::Nobody => pending().await,
            Watcher::Metrics => ask(admin, &["/metrics"], EVERY).await,
            Watcher::Dashboard => {
                tokio::try_join!(ask(admin, &OPEN, OPEN_EVERY), listen(admin))?;
                Ok(())
            }
            Watcher::Pages => ask(admin, &PAGES, EVERY).await,
        }
    }
}

async fn ask(admin: SocketAddr, paths: &[&str], every: Duration) -> anyhow::Result<()> {
    let mut connection = Connection::open(admin).await?;
    let mut times = interval(every);
    loop {
        times.tick().await;
        for path in paths {
            let answer = connection.request("GET", format_args!("{path}"), "none").await?;
            ensure!(answer.status == 200, "`{path}` is answered with {}", answer.status);
        }
    }
}

/// Takes live figures.
async fn listen(admin: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    let mut events = vec![0; 64 << 10];
    loop {
        let read = stream.read(&mut events).await?;
        ensure!(read > 0, "the events have ended");
    }
}
