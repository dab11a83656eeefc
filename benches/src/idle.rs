//! What the engine costs when nothing happens.

use std::time::Duration;

use clap::Args;
use tokio::time::sleep;

use crate::subject::Setup;
use crate::table::mebibytes;
use crate::{Common, disk, functions};

/// Starts of which the median is taken.
const STARTS: usize = 5;

/// After the start, until it is left alone by its own preparations.
const SETTLE: Duration = Duration::from_secs(3);
const CPU_WINDOW: Duration = Duration::from_secs(5);
const WRITE_WINDOW: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct Idle {
    #[command(flatten)]
    common: Common,
}

impl Idle {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        measure(&self.common).await
    }
}

/// Measures and prints.
pub(crate) async fn measure(common: &Common) -> anyhow::Result<()> {
    let program = common.program()?;
    let (median, p99) = disk::sync_latency(&common.dir)?;
    println!(
        "disk: 4 KiB into preallocated blocks and fdatasync: p50 {:.2} ms, p99 {:.2} ms",
        median.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3
    );
    println!("program: {} MiB", mebibytes(std::fs::metadata(&program)?.len()));

    let functions = functions::Running::start(None)?;
    let mut fresh = Vec::new();
    let mut again = Vec::new();
    let mut stops = Vec::new();
    for _ in 0..STARTS {
        let setup = Setup::new(common, &[("bench", &functions)], "fsync")?;
        let subject = setup.start(&program)?;
        fresh.push(subject.start_up);
        stops.push(subject.stop()?);
        let subject = setup.start(&program)?;
        again.push(subject.start_up);
        stops.push(subject.stop()?);
    }
    println!(
        "start until ready: {:.0} ms with a new data directory, {:.0} ms with an existing one; stop: {:.0} ms (medians)",
        median_ms(fresh),
        median_ms(again),
        median_ms(stops)
    );

    let setup = Setup::new(common, &[("bench", &functions)], "fsync")?;
    let subject = setup.start(&program)?;
    sleep(SETTLE).await;
    let first = subject.usage()?;
    sleep(CPU_WINDOW).await;
    let second = subject.usage()?;
    sleep(WRITE_WINDOW - CPU_WINDOW).await;
    let third = subject.usage()?;
    println!(
        "idle: {} MiB; {:.0} ms of CPU in {CPU_WINDOW:?}; {} bytes written in {WRITE_WINDOW:?}\n",
        mebibytes(first.rss_bytes),
        (second.cpu_seconds - first.cpu_seconds) * 1e3,
        third.written_bytes - first.written_bytes
    );
    Ok(())
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}
