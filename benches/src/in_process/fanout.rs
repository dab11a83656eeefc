//! One message becomes a hundred.

use std::sync::Arc;

use statera_sdk::{App, Cell, Context, IntoValue, Name, Result};

use super::counter::{at, check};
use super::generator::{Generator, Plan};
use super::host::Host;
use super::job::{Job, Outcome};
use super::measure::window;
use super::numbers::{below, number_of};
use super::tally::{ASK, Tally};

const SPREAD: Name = Name::from_static("bench/spread");
const LEAF: Name = Name::from_static("bench/leaf");
const SEEN: Cell<i64> = Cell::new("seen");

/// Messages that one becomes.
const LEAVES: u64 = 100;

pub(super) async fn run(job: &Job) -> anyhow::Result<Outcome> {
    let tally = Arc::new(Tally::default());
    let host = Host::start(app(&tally, job.ids), job)?;
    let (ids, name, ended) = (job.ids, SPREAD, tally.clone());
    let over = move || ended.ended.get() / LEAVES;
    let make = move |number: u64| {
        let record = (number as i64).into_value().expect("a number");
        (at(&name, below(number, ids)), record)
    };
    let (engine, plan) = (host.engine.clone(), Plan::endless().of_messages(LEAVES));
    let generator = Generator::start(engine, "bench/source", plan, over, make)?;
    let mut outcome = window(&host, &tally, job).await?;

    let taken = generator.stop(&host).await?;
    host.until("for messages to be processed", || tally.ended.get() == taken * LEAVES).await?;
    let mut counts = vec![0; ids as usize];
    for number in 0..taken {
        leaves(number, ids).for_each(|id| counts[id as usize] += 1);
    }
    check(&host, &tally, &LEAF, &counts, &mut outcome).await?;
    host.stop().await?;
    Ok(outcome)
}

fn app(tally: &Arc<Tally>, ids: u64) -> App {
    let (spreading, leaving) = (tally.clone(), tally.clone());
    App::new()
        .function(&SPREAD, (), move |ctx: &mut Context<'_>, number: i64| -> Result {
            for id in leaves(number as u64, ids) {
                ctx.send((LEAF, id), 1_i64);
            }
            spreading.messages.add(1);
            Ok(())
        })
        .function(&LEAF, SEEN, move |ctx: &mut Context<'_>, add: i64| -> Result {
            if add == ASK {
                leaving.answers.note(number_of(&ctx.id())?, ctx.get_or_default(SEEN)?);
                return Ok(());
            }
            ctx.update(SEEN, |seen| seen + add)?;
            leaving.messages.add(1);
            leaving.ended.add(1);
            Ok(())
        })
}

/// Who gets a message because of this record.
fn leaves(number: u64, ids: u64) -> impl Iterator<Item = u64> {
    (0..LEAVES).map(move |leaf| below(number * LEAVES + leaf, ids))
}
