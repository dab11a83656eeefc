//! Scenarios of the shard, one behaviour each. `world` is the vocabulary they are written in.
#![allow(clippy::needless_pass_by_value, reason = "scenarios hand over what they made")]

mod calls;
mod epochs;
mod failures;
mod limits;
mod messages;
mod operator;
mod state;
mod turns;
mod world;
