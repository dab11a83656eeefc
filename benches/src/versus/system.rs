//! What both sides are asked to do, and what a side must be able to do to take part.

use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;

use crate::load::Ask;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// An instance with one state adds one to it and answers with the sum.
    Counter,
    /// An instance without state passes the call on to the counter with the same id, whose answer the client gets.
    Forward,
}

impl Work {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Work::Counter => "counter",
            Work::Forward => "forward",
        }
    }
}

/// A server with its functions, running. Everything ends when it is dropped.
pub(crate) trait System {
    /// A call that adds one.
    fn ask(work: Work) -> Ask;

    fn ingress(&self) -> SocketAddr;

    /// From the start of the server with a new data directory until it said that it is ready.
    fn start_up(&self) -> Duration;

    /// The process of the server, whose children count too.
    fn server(&self) -> u32;

    /// The process of the functions, unless they are in the server.
    fn functions(&self) -> Option<u32>;

    /// Ends the server as a loss of power would end it for the programs, and starts it again with its data. It need
    /// not be ready when this returns.
    fn kill_and_start(&mut self) -> anyhow::Result<()>;

    /// Compares what the counters hold with what was acknowledged.
    async fn check(&self, acknowledged: &[u32]) -> anyhow::Result<()>;
}
