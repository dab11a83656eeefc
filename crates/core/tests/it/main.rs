//! Scenarios of the shard, one behaviour each. `world` is the vocabulary they are written in.
#![expect(clippy::unwrap_used, reason = "a scenario that cannot go on fails")]

mod calls;
mod epochs;
mod failures;
mod figures;
mod inspect;
mod limits;
mod messages;
mod news;
mod operator;
mod reload;
mod state;
mod traces;
mod turns;
mod world;
