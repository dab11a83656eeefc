//! Calls and sends to a counter behind HTTP.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use tokio::time::sleep;

use crate::load::{Ask, Load, Mode, Pace, Plan, check};
use crate::process::Usage;
use crate::subject::Setup;
use crate::table::{Table, mebibytes, quantile_ms, thousands};
use crate::{Common, disk, functions, idle};

/// Before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct EndToEnd {
    #[command(flatten)]
    common: Common,
    /// Connections at once; on each, a request follows the answer to the one before
    #[arg(long, value_delimiter = ',', default_value = "1,16,128,512")]
    connections: Vec<usize>,
    /// Counters addressed, at random
    #[arg(long, value_delimiter = ',', default_value = "1,1000,100000")]
    ids: Vec<u32>,
    /// How long each combination is measured
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// What is asked of the ingress
    #[arg(long, value_enum, value_delimiter = ',', default_value = "call,send")]
    mode: Vec<Mode>,
    /// The engine's setting: `fsync`, `none`
    #[arg(long, value_delimiter = ',', default_value = "fsync")]
    durability: Vec<String>,
    /// Leave out the figures of an idle engine
    #[arg(long)]
    no_idle: bool,
}

const COLUMNS: [&str; 15] = [
    "durability",
    "mode",
    "connections",
    "ids",
    "invocations/s",
    "p50 ms",
    "p99 ms",
    "messages/request",
    "CPU s/1000 server",
    "CPU s/1000 all",
    "B written/invocation",
    "B device/invocation",
    "RSS MiB",
    "RSS max MiB",
    "sum",
];

impl EndToEnd {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let program = self.common.program()?;
        if !self.no_idle {
            idle::measure(&self.common).await?;
        }
        let table = Table::begin(&COLUMNS);
        let mut wrong = 0;
        for durability in &self.durability {
            for mode in &self.mode {
                for connections in &self.connections {
                    for ids in &self.ids {
                        let case =
                            Case { durability, mode: *mode, connections: *connections, ids: *ids };
                        let (cells, sum) = case.measure(&self, &program).await?;
                        table.row(&cells);
                        if let Err(error) = sum {
                            eprintln!("error: {error:#}");
                            wrong += 1;
                        }
                    }
                }
            }
        }
        ensure!(wrong == 0, "{wrong} rows are wrong");
        Ok(())
    }
}

struct Case<'a> {
    durability: &'a str,
    mode: Mode,
    connections: usize,
    ids: u32,
}

/// Everything at one moment.
struct Snapshot {
    at: Instant,
    server: Usage,
    functions: Usage,
    load: Usage,
    device_written_bytes: Option<u64>,
    work: functions::Work,
}

impl Case<'_> {
    /// Runs one case with an engine and a data directory of its own.
    /// Returns its cells, and what was counted or what is wrong with it.
    async fn measure(
        &self,
        options: &EndToEnd,
        program: &Path,
    ) -> anyhow::Result<(Vec<String>, anyhow::Result<u64>)> {
        let functions = functions::Running::start(None)?;
        let setup = Setup::new(&options.common, &[("bench", &functions)], self.durability)?;
        let subject = setup.start(program)?;
        let snapshot = async || -> anyhow::Result<Snapshot> {
            Ok(Snapshot {
                at: Instant::now(),
                server: subject.usage()?,
                functions: Usage::of(functions.pid())?,
                load: Usage::of(std::process::id())?,
                device_written_bytes: disk::device_written_bytes(&options.common.dir),
                work: functions.work().await?,
            })
        };
        let load = Load::start(Plan {
            ingress: subject.ingress,
            ask: Ask::counter(self.mode, "bench"),
            connections: self.connections,
            ids: self.ids,
            pace: Pace::AsFastAsPossible,
        });
        sleep(WARM_UP).await;
        let before = snapshot().await?;
        load.measure(true);
        sleep(Duration::from_secs(options.seconds)).await;
        load.measure(false);
        let after = snapshot().await?;
        let outcome = load.stop().await?;
        let counted = check(subject.ingress, "bench", &outcome.acknowledged).await;
        let sum = match counted {
            Ok(_) if outcome.refused > 0 => format!("right ({} refused)", outcome.refused),
            Ok(_) => "right".to_owned(),
            Err(_) => "WRONG".to_owned(),
        };
        subject.stop()?;
        Ok((self.row(&before, &after, &outcome.latencies, sum), counted))
    }

    fn row(
        &self,
        before: &Snapshot,
        after: &Snapshot,
        latencies: &[u32],
        sum: String,
    ) -> Vec<String> {
        let seconds = (after.at - before.at).as_secs_f64();
        let invocations = (after.work.messages - before.work.messages) as f64;
        let requests = (after.work.requests - before.work.requests) as f64;
        let cpu = |of: fn(&Snapshot) -> &Usage| of(after).cpu_seconds - of(before).cpu_seconds;
        let server = cpu(|snapshot| &snapshot.server);
        let all = server + cpu(|snapshot| &snapshot.functions) + cpu(|snapshot| &snapshot.load);
        let written = (after.server.written_bytes - before.server.written_bytes) as f64;
        let device = after.device_written_bytes.zip(before.device_written_bytes);
        let device = device.map(|(after, before)| after - before);
        vec![
            self.durability.to_owned(),
            self.mode.name().to_owned(),
            self.connections.to_string(),
            self.ids.to_string(),
            thousands(invocations / seconds),
            format!("{:.2}", quantile_ms(latencies, 500)),
            format!("{:.2}", quantile_ms(latencies, 990)),
            format!("{:.1}", invocations / requests),
            format!("{:.3}", server * 1000.0 / invocations),
            format!("{:.3}", all * 1000.0 / invocations),
            thousands(written / invocations),
            device.map_or("-".to_owned(), |bytes| thousands(bytes as f64 / invocations)),
            mebibytes(after.server.rss_bytes),
            mebibytes(after.server.rss_max_bytes),
            sum,
        ]
    }
}
