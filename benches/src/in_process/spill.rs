//! Values of a hundred bytes, changed in place: with memory for all of them, or for a tenth.

use std::sync::Arc;

use statera_sdk::{
    App, BoxError, Cell, Context, IntoValue, Name, Result, TypedValue, Value, ValueError,
};

use super::counter::{at, check, counts};
use super::generator::{Generator, Plan, feed};
use super::host::Host;
use super::job::{Job, Outcome};
use super::measure::window;
use super::numbers::{Skew, number_of};
use super::tally::{ASK, Tally};

const FUNCTION: Name = Name::from_static("bench/item");
const ITEM: Cell<Item> = Cell::new("item");

const VALUE_BYTES: usize = 100;

/// Most messages are for few of the values.
const SKEW: Skew = Skew { messages_percent: 90, ids_percent: 10 };

/// The first 8 bytes count, the others are there.
struct Item([u8; VALUE_BYTES]);

pub(super) async fn run(job: &Job) -> anyhow::Result<Outcome> {
    let tally = Arc::new(Tally::default());
    let host = Host::start(app(&tally), job)?;
    let (ids, name, one) = (job.ids, FUNCTION, 1_i64.into_value()?);
    let (ended, all, first) = (tally.clone(), name.clone(), one.clone());
    let make = move |id| (at(&all, id), first.clone());
    feed(&host, "bench/first", ids, move || ended.ended.get(), make).await?;
    // Everything is durable and may leave memory.
    host.probe(0).await?;

    let ended = tally.clone();
    let over = move || ended.ended.get() - ids;
    let make = move |number| (at(&name, SKEW.pick(number, ids)), one.clone());
    let engine = host.engine.clone();
    let generator = Generator::start(engine, "bench/source", Plan::endless(), over, make)?;
    let mut outcome = window(&host, &tally, job).await?;
    let taken = generator.stop(&host).await?;
    host.until("for records to be processed", || tally.ended.get() == taken + ids).await?;
    let mut counts = counts(taken, ids, |number| SKEW.pick(number, ids));
    counts.iter_mut().for_each(|count| *count += 1);
    check(&host, &tally, &FUNCTION, &counts, &mut outcome).await?;
    host.stop().await?;
    Ok(outcome)
}

fn app(tally: &Arc<Tally>) -> App {
    let tally = tally.clone();
    App::new().function(&FUNCTION, ITEM, move |ctx: &mut Context<'_>, add: i64| -> Result {
        let Item(mut bytes) = ctx.get_or_default(ITEM)?;
        let (count, _) = bytes.split_first_chunk_mut().ok_or_else(short)?;
        let seen = i64::from_le_bytes(*count);
        if add == ASK {
            tally.answers.note(number_of(&ctx.id())?, seen);
            return Ok(());
        }
        *count = (seen + add).to_le_bytes();
        ctx.set(ITEM, Item(bytes));
        tally.messages.add(1);
        tally.ended.add(1);
        Ok(())
    })
}

fn short() -> statera_sdk::Error {
    statera_sdk::Error::retry("an item is too short")
}

impl Default for Item {
    fn default() -> Item {
        let mut bytes = [b'.'; VALUE_BYTES];
        bytes[..8].fill(0);
        Item(bytes)
    }
}

impl Value for Item {
    const TYPENAME: &'static str = "bench/Item";

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend(self.0);
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<Item, BoxError> {
        Ok(Item(bytes.try_into()?))
    }

    fn to_typed_value(&self) -> Result<TypedValue, ValueError> {
        Ok(TypedValue::new(Item::TYPENAME, &self.0))
    }
}
