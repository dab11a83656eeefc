//! What one part that fails costs the others: two endpoints, of which one is killed; and one counter of many that
//! always fails.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::Value;
use tokio::time::sleep;

use crate::Common;
use crate::functions::{ADD, Running};
use crate::http::Connection;
use crate::load::{Ask, Load, Mode, Pace, Plan, check, read};
use crate::subject::{Setup, Subject};
use crate::table::{median, quantile_ms};

const IDS: u32 = 10_000;

/// The counter that fails. Nothing else is sent to it.
const POISON: &str = "poison";

/// How long a message that always fails may take until it is a dead letter: its budget is 5 s.
const DEAD_MAX: Duration = Duration::from_secs(60);

/// Messages per second for the endpoint that is killed.
const RATE_OF_KILLED: u32 = 200;

const WARM_UP: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(crate) struct Isolation {
    #[command(flatten)]
    common: Common,
    /// How long each phase is measured, and how long the functions stay dead
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Calls per second to the healthy functions
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How often the phases are repeated; the medians count
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// What went on, and what was acknowledged in all phases together.
struct Bench<'a> {
    options: &'a Isolation,
    subject: Subject,
    acknowledged_a: Vec<u32>,
    acknowledged_b: Vec<u32>,
}

impl Isolation {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let program = self.common.program()?;
        let (a, b) = (Running::start(None)?, Running::start(None)?);
        let setup = Setup::new(&self.common, &[("a", &a), ("b", &b)], "fsync")?;
        self.measure(&setup, &program, a, b).await
    }

    async fn measure(
        &self,
        setup: &Setup,
        program: &Path,
        mut a: Running,
        b: Running,
    ) -> anyhow::Result<()> {
        let subject = setup.start(program)?;
        let mut bench = Bench {
            options: self,
            subject,
            acknowledged_a: vec![0; IDS as usize],
            acknowledged_b: vec![0; IDS as usize],
        };
        bench.phase(WARM_UP).await?;
        let length = Duration::from_secs(self.seconds);
        let (mut healthy, mut killed, mut poisoned) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..self.rounds {
            // `a` has its messages in all phases: only its death is to be seen, not its load.
            let background = bench.send_to_killed();
            let first = bench.phase(length).await?;
            let address = a.address;
            drop(a);
            let second = bench.phase(length).await?;
            a = Running::start(Some(address))?;
            bench.end_background(background).await?;
            b.set_failing("PUT", POISON).await?;
            bench.send_poison().await?;
            let background = bench.send_to_killed();
            let third = bench.phase(length).await?;
            bench.end_background(background).await?;
            bench.repair(&b, round as u32 + 1).await?;
            println!(
                "round {round}: p99 {first:.2} ms healthy, {second:.2} ms with `a` killed, {third:.2} ms with one counter failing"
            );
            healthy.push(first);
            killed.push(second);
            poisoned.push(third);
        }
        println!("\np99 of the calls to `b`, {} per second; medians of the rounds:", self.rate);
        let against = |name: &str, phases: &[f64]| {
            // Compared within a round, so that a noisy minute of the machine counts on both sides.
            let ratios = phases.iter().zip(&healthy).map(|(phase, healthy)| phase / healthy);
            let ratio = median(ratios.collect());
            println!("  {name:<34} {:>6.2} ms, {ratio:.2} times (a)", median(phases.to_vec()));
        };
        println!("  {:<34} {:>6.2} ms", "(a) everything is healthy", median(healthy.clone()));
        against("(b) the functions of `a` are dead", &killed);
        against("(c) one counter fails", &poisoned);
        let sum_a = check(bench.subject.ingress, "a", &bench.acknowledged_a).await?;
        let sum_b = check(bench.subject.ingress, "b", &bench.acknowledged_b).await?;
        println!("every counter is right: {sum_a} messages of `a`, {sum_b} of `b`");
        bench.subject.stop()?;
        Ok(())
    }
}

impl Bench<'_> {
    fn plan(&self, namespace: &'static str, mode: Mode, connections: usize, rate: u32) -> Plan {
        let ask = Ask::counter(mode, namespace);
        let pace = Pace::PerSecond(rate);
        Plan { ingress: self.subject.ingress, ask, connections, ids: IDS, pace }
    }

    /// Calls `b` for a while, and returns the 99th percentile in milliseconds.
    async fn phase(&mut self, length: Duration) -> anyhow::Result<f64> {
        let options = self.options;
        let load = Load::start(self.plan("b", Mode::Call, options.connections, options.rate));
        load.measure(true);
        sleep(length).await;
        load.measure(false);
        let outcome = load.stop().await?;
        add(&mut self.acknowledged_b, &outcome.acknowledged);
        Ok(quantile_ms(&outcome.latencies, 990))
    }

    fn send_to_killed(&self) -> Load {
        Load::start(self.plan("a", Mode::Send, 4, RATE_OF_KILLED))
    }

    /// The functions of `a` live: everything that waited for them is processed.
    async fn end_background(&mut self, background: Load) -> anyhow::Result<()> {
        let outcome = background.stop().await?;
        add(&mut self.acknowledged_a, &outcome.acknowledged);
        let started = Instant::now();
        check(self.subject.ingress, "a", &self.acknowledged_a).await?;
        let caught_up = started.elapsed().as_secs_f64();
        println!("`a` has caught up within {caught_up:.1} s");
        Ok(())
    }

    /// One message is enough: it is tried again for 5 s.
    async fn send_poison(&self) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.subject.ingress).await?;
        let path = format_args!("/v1/send/b/counter/{POISON}");
        let answer = connection.request("POST", path, ADD).await?;
        ensure!(answer.status == 202, "the poison was answered with {}", answer.status);
        Ok(())
    }

    /// The failing message became the only dead letter; it is redriven after its function was repaired, and counts.
    async fn repair(&self, b: &Running, redriven: u32) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut letters = self.dead_letters().await?;
        while letters.is_empty() && started.elapsed() < DEAD_MAX {
            sleep(Duration::from_millis(100)).await;
            letters = self.dead_letters().await?;
        }
        ensure!(
            letters.len() == 1,
            "there are {} dead letters instead of one: {letters:#?}",
            letters.len()
        );
        let text = |name: &str| letters[0][name].as_str().unwrap_or_default().to_owned();
        println!("one dead letter: {} for {} ({})", text("id"), text("target"), text("reason"));
        ensure!(text("target") == format!("b/counter/{POISON}"), "it is not the right one");

        b.set_failing("DELETE", POISON).await?;
        let path = format!("/v1/deadletters/{}/redrive", text("id"));
        self.admin("POST", &path).await?;
        let mut connection = Connection::open(self.subject.ingress).await?;
        let count = read(&mut connection, "b", POISON).await?;
        ensure!(
            count == redriven,
            "after the redrive the counter is {count} instead of {redriven}"
        );
        let left = self.dead_letters().await?;
        ensure!(left.is_empty(), "the dead letter is still there");
        println!("repaired and redriven: it counts {count}, and there is no dead letter any more");
        Ok(())
    }

    async fn dead_letters(&self) -> anyhow::Result<Vec<Value>> {
        let page = self.admin("GET", "/v1/deadletters").await?;
        Ok(page["deadLetters"].as_array().context("no list of dead letters")?.clone())
    }

    async fn admin(&self, method: &str, path: &str) -> anyhow::Result<Value> {
        let mut connection = Connection::open(self.subject.admin).await?;
        let answer = connection.request(method, format_args!("{path}"), "none").await?;
        let body = String::from_utf8_lossy(answer.body);
        ensure!((200..300).contains(&answer.status), "{path}: {}: {body}", answer.status);
        Ok(serde_json::from_str(&body)?)
    }
}

fn add(all: &mut [u32], more: &[u32]) {
    for (all, more) in all.iter_mut().zip(more) {
        *all += more;
    }
}
