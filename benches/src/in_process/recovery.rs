//! Many stored values, the end of the process, and the first reply of the next one.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use statera_ports::{Answer, Engine as _, Request};
use statera_sdk::{IntoValue, Value as _};

use super::counter::{FUNCTION, app, at, check};
use super::generator::feed;
use super::host::Host;
use super::job::{Job, Outcome};
use super::measure::{Calls, Reading};
use super::tally::{ASK, Tally};

/// What the process says when the first call is answered.
pub(super) const REPLIED: &str = "replied";

/// Stores a value for each id, so that all of them are durable. The engine goes on, for whoever kills it.
pub(super) async fn store(job: &Job) -> anyhow::Result<(Host, Outcome)> {
    let tally = Arc::new(Tally::default());
    let host = Host::start(app(&tally), job)?;
    let begin = Reading::now(0)?;
    let calls = Calls::start(&host);
    let (name, one, ended) = (FUNCTION, 1_i64.into_value()?, tally.clone());
    let make = move |id| (at(&name, id), one.clone());
    let over = move || ended.ended.get();
    let generator = feed(&host, "bench/source", job.ids, over, make).await?;
    let latencies = calls.stop(&host).await?;
    host.probe(0).await?;
    let mut outcome = begin.until(Reading::now(job.ids)?, latencies, &host)?;
    outcome.cpu.generator = generator;
    Ok((host, outcome))
}

/// Starts with what is stored. The first call is answered before anything is checked; in the end it stops in order.
pub(super) async fn recover(job: &Job) -> anyhow::Result<Outcome> {
    let tally = Arc::new(Tally::default());
    let started = Instant::now();
    let host = Host::start(app(&tally), job)?;
    let ready = started.elapsed();
    let begin = Reading::now(0)?;
    let last = at(&FUNCTION, job.ids - 1);
    let request =
        Request { target: last, argument: ASK.into_value()?, idempotency_key: None, trace: None };
    let found = match host.engine.call(request).await? {
        Answer::Value(value) => i64::from_typed_value(&value)?,
        Answer::DeadLettered { reason, .. } => bail!("the first call failed: {reason}"),
    };
    println!("{REPLIED}");
    std::io::stdout().flush().context("nobody listens")?;
    let mut outcome = begin.until(Reading::now(1)?, Vec::new(), &host)?;
    outcome.notes.push(format!("engine ready in {} ms", ready.as_millis()));
    outcome.compare("the first answer", found, 1);
    let ones = vec![1; job.ids as usize];
    check(&host, &tally, &FUNCTION, &ones, &mut outcome).await?;
    host.stop().await?;
    Ok(outcome)
}
