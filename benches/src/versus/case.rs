//! One row: a server with a data directory of its own is started, loaded, killed, started again and checked.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use tokio::time::{sleep, timeout};

use super::system::{System, Work};
use crate::http::Connection;
use crate::load::{Load, Pace, Plan};
use crate::process::Usage;
use crate::table::quantile_ms;
use crate::{Common, disk};

/// After the start, before the memory of an idle server is read.
const SETTLE: Duration = Duration::from_millis(300);

/// Instances that answer once before the load begins, each on a connection of its own: Restate says that it is ready while
/// some of its partitions still begin, and calls for these would wait on every connection.
const PRIMED: usize = 256;

/// Under load, before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);

/// How long a server that was killed may need until it answers.
const RECOVERY_MAX: Duration = Duration::from_secs(60);
const ATTEMPT_MAX: Duration = Duration::from_secs(10);
const ATTEMPT_PAUSE: Duration = Duration::from_millis(2);

/// Counts the calls that tell when the server answers again.
const PROBE: &str = "restarted";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) work: Work,
    pub(crate) connections: usize,
    pub(crate) ids: u32,
}

/// What was measured. A call is what a client asks for; with `forward` that is two invocations.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) calls_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Processor seconds for 1,000 calls, of the server.
    pub(crate) cpu_server: f64,
    /// The same of the server, the functions and the load together.
    pub(crate) cpu_all: f64,
    /// Bytes per call, by the count of the process.
    pub(crate) written: f64,
    /// Bytes per call, by the count of the disk.
    pub(crate) device_written: Option<f64>,
    pub(crate) rss_idle_mib: f64,
    pub(crate) rss_max_mib: f64,
    pub(crate) ready_ms: f64,
    pub(crate) first_reply_ms: f64,
    /// Whether after all that each counter holds what was acknowledged: how many calls that were.
    pub(crate) sum: anyhow::Result<u64>,
}

/// Everything at one moment.
struct Snapshot {
    at: Instant,
    server: Usage,
    others: Usage,
    load: Usage,
    device_written_bytes: Option<u64>,
}

pub(crate) async fn measure<S: System>(
    case: &Case,
    length: Duration,
    common: &Common,
    mut system: S,
) -> anyhow::Result<Figures> {
    sleep(SETTLE).await;
    let idle = Usage::of_tree(system.server())?;
    prime::<S>(system.ingress()).await?;
    let load = Load::start(Plan {
        ingress: system.ingress(),
        ask: S::ask(case.work),
        connections: case.connections,
        ids: case.ids,
        pace: Pace::AsFastAsPossible,
    });
    sleep(WARM_UP).await;
    let before = Snapshot::take(&system, common)?;
    load.measure(true);
    sleep(length).await;
    load.measure(false);
    let after = Snapshot::take(&system, common)?;
    let outcome = load.stop().await?;
    ensure!(!outcome.latencies.is_empty(), "no call was answered");
    ensure!(outcome.refused == 0, "{} calls were refused", outcome.refused);

    let first_reply = first_reply_after_kill(&mut system).await?;
    let acknowledged = outcome.acknowledged.iter().map(|count| u64::from(*count)).sum();
    let sum = system.check(&outcome.acknowledged).await.map(|()| acknowledged);

    let calls = outcome.latencies.len() as f64;
    let cpu = |of: fn(&Snapshot) -> &Usage| of(&after).cpu_seconds - of(&before).cpu_seconds;
    let cpu_server = cpu(|snapshot| &snapshot.server);
    let cpu_all = cpu_server + cpu(|snapshot| &snapshot.others) + cpu(|snapshot| &snapshot.load);
    let device = after.device_written_bytes.zip(before.device_written_bytes);
    Ok(Figures {
        calls_per_second: calls / (after.at - before.at).as_secs_f64(),
        p50_ms: quantile_ms(&outcome.latencies, 500),
        p99_ms: quantile_ms(&outcome.latencies, 990),
        cpu_server: cpu_server * 1000.0 / calls,
        cpu_all: cpu_all * 1000.0 / calls,
        written: (after.server.written_bytes - before.server.written_bytes) as f64 / calls,
        device_written: device.map(|(after, before)| (after - before) as f64 / calls),
        rss_idle_mib: mebibytes(idle.rss_bytes),
        rss_max_mib: mebibytes(after.server.rss_max_bytes),
        ready_ms: milliseconds(system.start_up()),
        first_reply_ms: milliseconds(first_reply),
        sum,
    })
}

async fn prime<S: System>(ingress: SocketAddr) -> anyhow::Result<()> {
    let call = |number| {
        tokio::task::spawn_local(async move {
            let mut connection = Connection::open(ingress).await?;
            let id = format_args!("primed{number}");
            let answer = S::ask(Work::Counter).send(&mut connection, id).await?;
            ensure!(answer.status == 200, "the first call was answered with {}", answer.status);
            Ok(())
        })
    };
    let calls: Vec<_> = (0..PRIMED).map(call).collect();
    for call in calls {
        call.await??;
    }
    Ok(())
}

impl Snapshot {
    fn take(system: &impl System, common: &Common) -> anyhow::Result<Snapshot> {
        let others = system.functions().map(Usage::of).transpose()?;
        Ok(Snapshot {
            at: Instant::now(),
            server: Usage::of_tree(system.server())?,
            others: others.unwrap_or_default(),
            load: Usage::of(std::process::id())?,
            device_written_bytes: disk::device_written_bytes(&common.dir),
        })
    }
}

/// From the start after the kill until some call is answered.
async fn first_reply_after_kill<S: System>(system: &mut S) -> anyhow::Result<Duration> {
    let started = Instant::now();
    system.kill_and_start()?;
    while started.elapsed() < RECOVERY_MAX {
        if let Ok(Ok(200)) = timeout(ATTEMPT_MAX, probe(system)).await {
            return Ok(started.elapsed());
        }
        sleep(ATTEMPT_PAUSE).await;
    }
    bail!("{RECOVERY_MAX:?} after it was killed and started again it does not answer")
}

async fn probe<S: System>(system: &S) -> std::io::Result<u16> {
    let mut connection = Connection::open(system.ingress()).await?;
    Ok(S::ask(Work::Counter).send(&mut connection, PROBE).await?.status)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
