//! The load: connections that call counters one request after another, and remember what was acknowledged.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until};

use crate::functions::{ADD, READ, decode_count};
use crate::http::{Answer, Connection};

/// How long a request that was refused because something is full waits before the next one.
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// Connections that read the counts back.
const READERS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Wait for the answer of the function.
    Call,
    /// Wait until the message is durable.
    Send,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Call => "call",
            Mode::Send => "send",
        }
    }
}

/// What each request asks for: the instance `k<number>` stands between the two parts of its path.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) before: String,
    pub(crate) after: &'static str,
    /// The content type, behind `application/`.
    pub(crate) subtype: String,
    pub(crate) body: &'static str,
}

impl Ask {
    /// Counts one at a counter of Statera.
    pub(crate) fn counter(mode: Mode, namespace: &str) -> Ask {
        Ask::function(mode, &format!("{namespace}/counter"))
    }

    /// Adds one by way of some function of Statera.
    pub(crate) fn function(mode: Mode, function: &str) -> Ask {
        Ask {
            before: format!("/v1/{}/{function}/", mode.name()),
            after: "",
            subtype: format!("vnd.{ADD}"),
            body: "",
        }
    }

    /// Sends the request for one instance.
    pub(crate) async fn send<'a>(
        &self,
        connection: &'a mut Connection,
        id: impl Display,
    ) -> io::Result<Answer<'a>> {
        let Ask { before, after, subtype, body } = self;
        let path = format_args!("{before}{id}{after}");
        connection.request_with("POST", path, format_args!("{subtype}"), body).await
    }
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) ingress: SocketAddr,
    pub(crate) ask: Ask,
    pub(crate) connections: usize,
    /// Instances that are addressed, at random.
    pub(crate) ids: u32,
    pub(crate) pace: Pace,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// The next request follows the answer.
    AsFastAsPossible,
    /// So many requests per second over all connections, whose latency counts from the moment when each was due.
    PerSecond(u32),
}

/// A load under way.
pub(crate) struct Load {
    plan: Plan,
    shared: Rc<Shared>,
    connections: Vec<JoinHandle<anyhow::Result<()>>>,
}

struct Shared {
    measuring: Cell<bool>,
    stop: Cell<bool>,
    /// Microseconds.
    latencies: RefCell<Vec<u32>>,
    /// Requests acknowledged, for each id.
    acknowledged: RefCell<Vec<u32>>,
    refused: Cell<u64>,
}

/// What became of a load.
pub(crate) struct Outcome {
    /// Of the requests answered while it was measured, in microseconds, sorted.
    pub(crate) latencies: Vec<u32>,
    /// Requests acknowledged, for each id.
    pub(crate) acknowledged: Vec<u32>,
    /// Requests refused because something was full.
    pub(crate) refused: u64,
}

impl Load {
    pub(crate) fn start(plan: Plan) -> Load {
        let shared = Rc::new(Shared {
            measuring: Cell::new(false),
            stop: Cell::new(false),
            latencies: RefCell::default(),
            acknowledged: RefCell::new(vec![0; plan.ids as usize]),
            refused: Cell::new(0),
        });
        let connection =
            |index| tokio::task::spawn_local(drive(plan.clone(), index, shared.clone()));
        let connections = (0..plan.connections).map(connection).collect();
        Load { plan, shared, connections }
    }

    /// Latencies are kept only while this is set.
    pub(crate) fn measure(&self, measuring: bool) {
        self.shared.measuring.set(measuring);
    }

    /// Requests acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.borrow().iter().map(|count| u64::from(*count)).sum()
    }

    /// Lets each connection have its last answer.
    pub(crate) async fn stop(self) -> anyhow::Result<Outcome> {
        self.shared.stop.set(true);
        for connection in self.connections {
            connection.await?.with_context(|| format!("`{}…` failed", self.plan.ask.before))?;
        }
        let mut latencies = self.shared.latencies.take();
        latencies.sort_unstable();
        Ok(Outcome {
            latencies,
            acknowledged: self.shared.acknowledged.take(),
            refused: self.shared.refused.get(),
        })
    }
}

async fn drive(plan: Plan, index: usize, shared: Rc<Shared>) -> anyhow::Result<()> {
    let mut connection = Connection::open(plan.ingress).await?;
    let mut random = Random::new(index as u64);
    let start = Instant::now();
    let mut turn = 0;
    while !shared.stop.get() {
        let due = match plan.pace {
            Pace::AsFastAsPossible => Instant::now(),
            Pace::PerSecond(rate) => {
                let number = turn * plan.connections + index;
                let due = start + Duration::from_secs_f64(number as f64 / f64::from(rate));
                sleep_until(due.into()).await;
                due
            }
        };
        turn += 1;
        let id = random.below(plan.ids);
        let answer = plan.ask.send(&mut connection, format_args!("k{id}")).await?;
        match answer.status {
            200 | 202 => shared.acknowledged.borrow_mut()[id as usize] += 1,
            503 => {
                shared.refused.set(shared.refused.get() + 1);
                sleep(FULL_PAUSE).await;
                continue;
            }
            status => bail!("{status}: {}", String::from_utf8_lossy(answer.body).trim()),
        }
        if shared.measuring.get() {
            let micros = u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX);
            shared.latencies.borrow_mut().push(micros);
        }
    }
    Ok(())
}

/// Compares what the counters hold with what was acknowledged, and returns the sum. Behind everything acknowledged: a
/// counter answers in order.
pub(crate) async fn check(
    ingress: SocketAddr,
    namespace: &'static str,
    acknowledged: &[u32],
) -> anyhow::Result<u64> {
    let touched = acknowledged.iter().enumerate().filter(|(_, count)| **count > 0);
    let touched: Vec<(u32, u32)> = touched.map(|(id, count)| (id as u32, *count)).collect();
    let share = touched.len().div_ceil(READERS).max(1);
    let read = |part: &[(u32, u32)]| {
        let part = part.to_vec();
        tokio::task::spawn_local(async move {
            let mut connection = Connection::open(ingress).await?;
            for (id, expected) in part {
                let found = read(&mut connection, namespace, &format!("k{id}")).await?;
                ensure!(
                    found == expected,
                    "k{id} counts {found}, and {expected} were acknowledged"
                );
            }
            Ok(())
        })
    };
    let readers: Vec<_> = touched.chunks(share).map(read).collect();
    for reader in readers {
        reader.await?.context("what was acknowledged is not what is there")?;
    }
    Ok(touched.iter().map(|(_, count)| u64::from(*count)).sum())
}

/// Asks a counter for its count.
pub(crate) async fn read(
    connection: &mut Connection,
    namespace: &str,
    id: &str,
) -> anyhow::Result<u32> {
    let path = format_args!("/v1/call/{namespace}/counter/{id}");
    let answer = connection.request("POST", path, READ).await?;
    let text = || String::from_utf8_lossy(answer.body).trim().to_owned();
    ensure!(answer.status == 200, "`{id}` can't be read: {}: {}", answer.status, text());
    decode_count(answer.body).context("the answer is no count")
}

/// Numbers without a pattern that would matter here (xorshift64).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * u64::from(limit)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_cover_their_range() {
        let mut random = Random::new(0);
        let mut seen = [false; 10];
        (0..1000).for_each(|_| seen[random.below(10) as usize] = true);
        assert_eq!(seen, [true; 10]);
    }
}
