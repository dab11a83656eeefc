//! What a client did and does, in plain counters: everything happens on one thread.

use std::cell::Cell;
use std::rc::Rc;

/// Figures of one client, that is of one endpoint in one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Calls so far.
    pub attempts: u64,
    /// Calls that failed. A call that was dropped before its end is not among them.
    pub failures: u64,
    /// Requests repeated silently, because the server was closing the kept-alive connection they met.
    pub races: u64,
    /// Calls under way, including those that wait for a connection.
    pub in_flight: usize,
    /// Calls that wait for a connection because `pool_size` of them are in use.
    pub waiting: usize,
    /// Connections made so far.
    pub connections_made: u64,
    /// Connections that are open.
    pub connections_open: usize,
    /// HTTP/1.1 connections that are open and not in use.
    pub connections_idle: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) attempts: Cell<u64>,
    pub(crate) failures: Cell<u64>,
    pub(crate) races: Cell<u64>,
    pub(crate) in_flight: Cell<usize>,
    pub(crate) waiting: Cell<usize>,
    pub(crate) made: Cell<u64>,
    pub(crate) open: Cell<usize>,
    pub(crate) idle: Cell<usize>,
}

impl Counters {
    pub(crate) fn read(&self) -> Statistics {
        Statistics {
            attempts: self.attempts.get(),
            failures: self.failures.get(),
            races: self.races.get(),
            in_flight: self.in_flight.get(),
            waiting: self.waiting.get(),
            connections_made: self.made.get(),
            connections_open: self.open.get(),
            connections_idle: self.idle.get(),
        }
    }
}

pub(crate) fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

/// Counts one thing for as long as it exists, also when a future is dropped half-way.
pub(crate) struct Gauge {
    counters: Rc<Counters>,
    field: fn(&Counters) -> &Cell<usize>,
}

impl Gauge {
    pub(crate) fn raise(counters: &Rc<Counters>, field: fn(&Counters) -> &Cell<usize>) -> Gauge {
        let cell = field(counters);
        cell.set(cell.get() + 1);
        Gauge { counters: Rc::clone(counters), field }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        let cell = (self.field)(&self.counters);
        cell.set(cell.get() - 1);
    }
}
