//! Messages that travel for ever: each hop changes one state and sends the message on, through functions in a cycle.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use statera_sdk::{Address, App, Cell, Context, IntoValue, Name, Result};

use super::generator::{Generator, Plan, ask};
use super::host::Host;
use super::job::{Job, Outcome};
use super::measure::window;
use super::numbers::{below, number_of};
use super::tally::{ASK, Tally};

const SEEN: Cell<i64> = Cell::new("seen");

pub(super) async fn run(job: &Job) -> anyhow::Result<Outcome> {
    let tally = Arc::new(Tally::default());
    let names: Vec<Name> = (0..job.functions)
        .map(|nth| Name::parse(&format!("bench/hop-{nth}")).map(|name| name.leaked()))
        .collect::<Result<_, _>>()?;
    let ids = job.ids.div_ceil(job.functions);
    let mut app = App::new();
    for (nth, name) in names.iter().enumerate() {
        let next = names[(nth + 1) % names.len()].clone();
        app = app.function(name, SEEN, hop(nth as u64, next, ids, tally.clone()));
    }
    let host = Host::start(app, job)?;

    let messages = Plan::records(job.in_flight).at_once();
    let (functions, starts) = (job.functions, names.clone());
    let at = move |number: u64, id| {
        let function = starts[(number % functions) as usize].clone();
        Address::new(function, id)
    };
    let (start, zero) = (at.clone(), 0_i64.into_value()?);
    let make = move |number| (start(number, below(number, ids)), zero.clone());
    let engine = host.engine.clone();
    Generator::start(engine, "bench/source", messages, || 0, make)?.finish(&host).await?;
    let mut outcome = window(&host, &tally, job).await?;

    tally.stopping.store(true, Ordering::Release);
    host.until("for messages to end", || tally.ended.get() == job.in_flight).await?;
    let question = ASK.into_value()?;
    let all = move |number| (at(number, number / functions), question.clone());
    ask(&host, &tally, ids * functions, all).await?;
    let found = tally.answers.values().sum;
    outcome.compare("sum of all states", found, tally.messages.get() as i64);
    host.stop().await?;
    Ok(outcome)
}

fn hop(
    nth: u64,
    next: Name,
    ids: u64,
    tally: Arc<Tally>,
) -> impl Fn(&mut Context<'_>, i64) -> Result + Send + Sync + 'static {
    move |ctx, hops| {
        let id = number_of(&ctx.id())?;
        if hops == ASK {
            tally.answers.note(id * 64 + nth, ctx.get_or_default(SEEN)?);
            return Ok(());
        }
        let seen = ctx.update(SEEN, |seen| seen + 1)?;
        tally.messages.add(1);
        if tally.stopping.load(Ordering::Relaxed) {
            tally.ended.add(1);
            return Ok(());
        }
        // Each visit goes on to another one.
        let to = below(id.wrapping_add((seen as u64) << 40), ids);
        ctx.send((&next, to), hops + 1);
        Ok(())
    }
}
