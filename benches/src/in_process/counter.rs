//! A source feeds counters with one state each.

use std::sync::Arc;

use statera_sdk::{Address, App, Cell, Context, IntoValue, Name, Result};

use super::generator::{Generator, Plan, ask};
use super::host::Host;
use super::job::{Job, Outcome};
use super::measure::window;
use super::numbers::{below, number_of};
use super::tally::{ASK, Tally, Values};

pub(super) const FUNCTION: Name = Name::from_static("bench/counter");
const SEEN: Cell<i64> = Cell::new("seen");

/// Instances that are asked in the end; where there are more, some of them.
const ASKED_MAX: u64 = 100_000;

pub(super) async fn run(job: &Job) -> anyhow::Result<Outcome> {
    let tally = Arc::new(Tally::default());
    let host = Host::start(app(&tally), job)?;
    let (ids, name, one) = (job.ids, FUNCTION, 1_i64.into_value()?);
    let ended = tally.clone();
    let over = move || ended.ended.get();
    let make = move |number| (at(&name, below(number, ids)), one.clone());
    let engine = host.engine.clone();
    let generator = Generator::start(engine, "bench/source", Plan::endless(), over, make)?;
    let mut outcome = window(&host, &tally, job).await?;

    let taken = generator.stop(&host).await?;
    host.until("for records to be processed", || tally.ended.get() == taken).await?;
    let counts = counts(taken, ids, |number| below(number, ids));
    check(&host, &tally, &FUNCTION, &counts, &mut outcome).await?;
    host.stop().await?;
    Ok(outcome)
}

/// The counters.
pub(super) fn app(tally: &Arc<Tally>) -> App {
    let tally = tally.clone();
    App::new().function(&FUNCTION, SEEN, move |ctx: &mut Context<'_>, add: i64| -> Result {
        if add == ASK {
            let seen = ctx.get_or_default(SEEN)?;
            match ctx.caller() {
                Some(caller) => ctx.send(caller, seen),
                None => tally.answers.note(number_of(&ctx.id())?, seen),
            }
            return Ok(());
        }
        ctx.update(SEEN, |seen| seen + add)?;
        tally.messages.add(1);
        tally.ended.add(1);
        Ok(())
    })
}

pub(super) fn at(name: &Name, id: u64) -> Address {
    Address::new(name.clone(), id)
}

/// How often each id was picked.
pub(super) fn counts(numbers: u64, ids: u64, pick: impl Fn(u64) -> u64) -> Vec<u32> {
    let mut counts = vec![0; ids as usize];
    (0..numbers).for_each(|number| counts[pick(number) as usize] += 1);
    counts
}

/// Asks instances of a function for their counts, which must be these.
pub(super) async fn check(
    host: &Host,
    tally: &Arc<Tally>,
    function: &Name,
    counts: &[u32],
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let ids = counts.len() as u64;
    let step = ids.div_ceil(ASKED_MAX);
    let (name, question) = (function.clone(), ASK.into_value()?);
    let make = move |number: u64| (at(&name, number * step), question.clone());
    ask(host, tally, ids.div_ceil(step), make).await?;
    let asked = (0..ids).step_by(step as usize);
    let expected = Values::of(asked.map(|id| (id, i64::from(counts[id as usize]))));
    outcome.compare("counts", tally.answers.values(), expected);
    Ok(())
}
