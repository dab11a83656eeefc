//! The client against servers in the same process: well-behaved ones, and ones that misbehave byte by byte.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod calls;
mod misbehaviour;
mod pool;
mod responses;
mod server;
mod tls;
