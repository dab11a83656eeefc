//! Delayed messages: what a million of them take, and what the others notice when many are due at once.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use statera_sdk::{App, BoxError, Cell, Context, Name, Result, TypedValue, Value, ValueError};
use tokio::time::sleep;

use super::counter::{at, check};
use super::generator::feed;
use super::host::Host;
use super::job::{Job, Outcome};
use super::measure::{CALL_EVERY, Calls, Reading};
use super::numbers::number_of;
use super::tally::{ASK, Count, Tally};
use crate::table::{mebibytes, quantile_ms};

const ALARM: Name = Name::from_static("bench/alarm");
const BELL: Name = Name::from_static("bench/bell");
const RUNG: Cell<i64> = Cell::new("rung");

/// Instances that send the delayed messages.
const ALARMS: u64 = 1_000;

/// Timers due at once, unless there are fewer in all.
const DUE: u64 = 100_000;

/// When the others are due.
const FAR: Duration = Duration::from_secs(3_600);
/// From when the timers are set that will be due at once, until they are.
const NEAR: Duration = Duration::from_secs(5);

/// After the timers are set, until what is measured is the timers alone: the store has its background work.
const SETTLE: Duration = Duration::from_secs(4);
/// Calls are watched so long before the timers are due, and after the last one has fired.
const AROUND: Duration = Duration::from_secs(1);

/// What an alarm is set to.
struct Setting {
    /// Whom it wakes.
    bell: u64,
    /// Milliseconds since the Unix epoch; 0 for a time far away.
    at_ms: u64,
}

struct Bench {
    host: Host,
    tally: Arc<Tally>,
    rung: Arc<Count>,
}

pub(super) async fn run(job: &Job) -> anyhow::Result<Outcome> {
    let (tally, rung) = (Arc::new(Tally::default()), Arc::new(Count::default()));
    let host = Host::start(app(&tally, &rung), job)?;
    let bench = Bench { host, tally, rung };
    let due = job.ids.min(DUE);
    bench.host.probe(0).await?;
    let before = Reading::now(0)?;
    let empty = before.rss_bytes();
    let mut outcome = bench.set_all(before, job.ids, due).await?;
    let at_rest = bench.at_rest(job, empty).await?;
    let at_once = bench.at_once(due).await?;
    outcome.notes.extend([at_rest, at_once]);

    outcome.compare("timers fired", bench.rung.get(), due);
    let once = vec![1; due as usize];
    check(&bench.host, &bench.tally, &BELL, &once, &mut outcome).await?;
    bench.host.stop().await?;
    Ok(outcome)
}

impl Bench {
    /// Sets timers for a time far away, and measures that.
    async fn set_all(&self, begin: Reading, timers: u64, due: u64) -> anyhow::Result<Outcome> {
        let calls = Calls::start(&self.host);
        let far = move |number| Setting { bell: due + number, at_ms: 0 };
        let generator = self.set("bench/far", timers, far).await?;
        let end = Reading::now(timers)?;
        let mut outcome = begin.until(end, calls.stop(&self.host).await?, &self.host)?;
        outcome.cpu.generator = generator;
        Ok(outcome)
    }

    /// What the timers take while none is due.
    async fn at_rest(&self, job: &Job, empty_bytes: u64) -> anyhow::Result<String> {
        self.host.probe(0).await?;
        sleep(SETTLE).await;
        let begin = Reading::now(0)?;
        sleep(Duration::from_secs(job.seconds)).await;
        let end = Reading::now(0)?;
        let figures = self.host.engine.figures();
        let pending: usize = figures.iter().map(|shard| shard.delayed).sum();
        let bytes: usize = figures.iter().map(|shard| shard.delayed_bytes).sum();
        ensure!(pending as u64 == job.ids, "{pending} timers are pending, {} were set", job.ids);
        let grown = begin.rss_bytes().saturating_sub(empty_bytes);
        Ok(format!(
            "{} B/timer by the engine's account, RSS grew by {} MiB; nothing due: {:.0} ms CPU in {} s",
            bytes / pending.max(1),
            mebibytes(grown),
            (end.cpu_seconds() - begin.cpu_seconds()) * 1e3,
            job.seconds
        ))
    }

    /// Lets many fire in the same millisecond while calls go on.
    async fn at_once(&self, due: u64) -> anyhow::Result<String> {
        let at = now_ms() + NEAR.as_millis() as u64;
        self.set("bench/near", due, move |bell| Setting { bell, at_ms: at }).await?;
        let left = || Duration::from_millis(at.saturating_sub(now_ms()));
        ensure!(left() > AROUND, "setting {due} timers took longer than {NEAR:?}");
        sleep(left() - AROUND).await;
        let calls = Calls::start(&self.host);
        sleep(left()).await;
        let before = self.sorted(calls).await?;
        let calls = Calls::start(&self.host);
        self.host.until("for timers to fire", || self.rung.get() >= due).await?;
        let took = now_ms() - at;
        sleep(AROUND).await;
        let after = self.sorted(calls).await?;
        Ok(format!(
            "{due} due at once: all processed in {took} ms, meanwhile the longest stop of a call every {} ms: \
             {:.1} ms (the second before: p50 {:.1}, longest {:.1})",
            CALL_EVERY.as_millis(),
            quantile_ms(&after, 1000),
            quantile_ms(&before, 500),
            quantile_ms(&before, 1000),
        ))
    }

    /// Latencies in the order of their lengths.
    async fn sorted(&self, calls: Calls) -> anyhow::Result<Vec<u32>> {
        let mut latencies = calls.stop(&self.host).await?;
        latencies.sort_unstable();
        Ok(latencies)
    }

    /// Sets timers, and waits until all are set. Returns the processor time of the generator.
    async fn set(
        &self,
        source: &'static str,
        timers: u64,
        setting: impl Fn(u64) -> Setting + Send + 'static,
    ) -> anyhow::Result<f64> {
        let (name, ended, already) = (ALARM, self.tally.clone(), self.tally.ended.get());
        let over = move || ended.ended.get() - already;
        let make = move |number| (at(&name, number % ALARMS), setting(number).encoded());
        feed(&self.host, source, timers, over, make).await
    }
}

fn app(tally: &Arc<Tally>, rung: &Arc<Count>) -> App {
    let (setting, ringing, rung) = (tally.clone(), tally.clone(), rung.clone());
    App::new()
        .function(&ALARM, (), move |ctx: &mut Context<'_>, alarm: Setting| -> Result {
            let delay = match alarm.at_ms {
                0 => FAR,
                at_ms => Duration::from_millis(at_ms.saturating_sub(now_ms())),
            };
            ctx.send_after(delay, (BELL, alarm.bell), 1_i64);
            setting.ended.add(1);
            Ok(())
        })
        .function(&BELL, RUNG, move |ctx: &mut Context<'_>, add: i64| -> Result {
            if add == ASK {
                ringing.answers.note(number_of(&ctx.id())?, ctx.get_or_default(RUNG)?);
                return Ok(());
            }
            ctx.update(RUNG, |times| times + add)?;
            rung.add(1);
            Ok(())
        })
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

impl Setting {
    fn encoded(&self) -> TypedValue {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.bell.to_le_bytes());
        bytes[8..].copy_from_slice(&self.at_ms.to_le_bytes());
        TypedValue::new(Setting::TYPENAME, &bytes)
    }
}

impl Value for Setting {
    const TYPENAME: &'static str = "bench/Setting";

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend(self.encoded().value());
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<Setting, BoxError> {
        let (bell, at_ms) = bytes.split_first_chunk().ok_or("too short")?;
        let at_ms = u64::from_le_bytes(at_ms.try_into()?);
        Ok(Setting { bell: u64::from_le_bytes(*bell), at_ms })
    }

    fn to_typed_value(&self) -> Result<TypedValue, ValueError> {
        Ok(self.encoded())
    }
}
