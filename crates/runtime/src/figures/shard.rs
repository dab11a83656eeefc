//! What a shard's thread counts beside what its core does, and what it tells when it is asked.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use statera_config::{Application, Endpoint, FunctionPattern};
use statera_core::{Figures, FunctionFigures, RequestKind, Shard};
use statera_model::{Epoch, FunctionType};
use statera_ports::Refusal;
use statera_transport::Statistics;

use super::{FUNCTION_TYPES_TOLD_MAX, Histogram};

/// Of the functions that run on the shard's thread one in so many invocations is timed, and counts for all of them: to
/// read the clock twice takes as long as a twentieth of a short one. A prime, so that types that take turns all have theirs.
pub(crate) const TIMED_ONE_IN: u64 = 61;

/// Batches of sources that wait for their epoch, each with a time of its own. Others count with the last of these.
const DELIVERIES_MAX: usize = 4_096;

/// Why a request was refused: the reason, and the limit that was reached or nothing.
pub type RefusalReason = (&'static str, &'static str);

/// Everything a shard tells.
#[derive(Clone, Debug)]
pub(crate) struct ShardReport {
    pub(crate) at: Instant,
    pub(crate) figures: Figures,
    /// The first types that it was told of.
    pub(crate) functions: Vec<(FunctionType, FunctionFigures, Histogram)>,
    /// All further types.
    pub(crate) others: (FunctionFigures, Histogram),
    /// How many types there are.
    pub(crate) function_types: usize,
    /// Those of the application that the shard runs, in its order.
    pub(crate) endpoints: Vec<(FunctionPattern, EndpointFigures)>,
    pub(crate) requests: RequestFigures,
}

/// The figures of an endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct EndpointFigures {
    /// What its clients did and do.
    pub client: Statistics,
    /// How long requests took, failed ones included.
    pub latency: Histogram,
    /// Requests to an address whose last one failed.
    pub retries: u64,
    /// Function types for which it does not answer, counted in each shard.
    pub outages: u64,
}

/// Requests, and how long it took until what came in was released.
#[derive(Clone, Debug, Default)]
pub struct RequestFigures {
    /// Messages that came as requests.
    pub sends: u64,
    /// Calls.
    pub calls: u64,
    /// Those of both that were refused.
    pub refused: BTreeMap<RefusalReason, u64>,
    /// From the request until the message was durable.
    pub send_release: Histogram,
    /// From the request until the answer was durable.
    pub call_release: Histogram,
    /// From the delivery of a record until it was durable, each record counted.
    pub record_release: Histogram,
}

impl EndpointFigures {
    pub(super) fn add(&mut self, other: &EndpointFigures) {
        let (sum, other_client) = (&mut self.client, &other.client);
        sum.attempts += other_client.attempts;
        sum.failures += other_client.failures;
        sum.races += other_client.races;
        sum.in_flight += other_client.in_flight;
        sum.waiting += other_client.waiting;
        sum.connections_made += other_client.connections_made;
        sum.connections_open += other_client.connections_open;
        sum.connections_idle += other_client.connections_idle;
        self.latency.add(&other.latency);
        self.retries += other.retries;
        self.outages += other.outages;
    }
}

impl RequestFigures {
    pub(crate) fn came(&mut self, kind: RequestKind) {
        *match kind {
            RequestKind::Send => &mut self.sends,
            RequestKind::Call => &mut self.calls,
        } += 1;
    }

    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        *self.refused.entry(reason(refusal)).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &RequestFigures) {
        self.sends += other.sends;
        self.calls += other.calls;
        for (reason, count) in &other.refused {
            *self.refused.entry(*reason).or_default() += count;
        }
        self.send_release.add(&other.send_release);
        self.call_release.add(&other.call_release);
        self.record_release.add(&other.record_release);
    }
}

/// A refusal as a figure tells it.
fn reason(refusal: &Refusal) -> RefusalReason {
    match refusal {
        Refusal::NotCovered(_) => ("not covered", ""),
        Refusal::Full { limit } => ("full", limit),
        Refusal::TooLong { .. } => ("too long", ""),
        Refusal::KeyReused { .. } => ("key reused", ""),
        Refusal::Stopping => ("stopping", ""),
        Refusal::Paused => ("paused", ""),
        Refusal::Interrupted => ("interrupted", ""),
    }
}

/// What the thread of a shard counts.
#[derive(Debug, Default)]
pub(crate) struct ShellFigures {
    pub(crate) requests: RequestFigures,
    deliveries: VecDeque<Delivery>,
    timed_in: u64,
}

/// Records that were taken and are not durable.
#[derive(Debug)]
struct Delivery {
    epoch: Epoch,
    at: Instant,
    records: u64,
}

impl ShellFigures {
    /// Whether the next function on this thread is to be timed.
    #[inline]
    pub(crate) fn is_timed(&mut self) -> bool {
        if self.timed_in == 0 {
            self.timed_in = TIMED_ONE_IN;
        }
        self.timed_in -= 1;
        self.timed_in == 0
    }

    /// Records came, which will be durable with this epoch.
    pub(crate) fn delivered(&mut self, epoch: Epoch, records: usize, at: Instant) {
        let records = records as u64;
        let full = self.deliveries.len() >= DELIVERIES_MAX;
        match self.deliveries.back_mut() {
            Some(last) if full && last.epoch == epoch => last.records += records,
            _ => self.deliveries.push_back(Delivery { epoch, at, records }),
        }
    }

    /// Everything up to this epoch is released now.
    pub(crate) fn released(&mut self, epoch: Epoch, now: Instant) {
        while let Some(delivery) = self.deliveries.pop_front_if(|oldest| oldest.epoch <= epoch) {
            let took = now - delivery.at;
            self.requests.record_release.note_many(took, delivery.records);
        }
    }
}

/// How long invocations took.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    /// By the number that the shard gives to the type; the last one is for all further types.
    functions: Vec<Histogram>,
    /// By the number of the endpoint.
    endpoints: Vec<(Histogram, u64)>,
}

impl Latencies {
    pub(crate) fn note_function(&mut self, number: u32, took: Duration, times: u64) {
        let index = (number as usize).min(FUNCTION_TYPES_TOLD_MAX);
        if index >= self.functions.len() {
            self.functions.resize(index + 1, Histogram::default());
        }
        self.functions[index].note_many(took, times);
    }

    pub(crate) fn note_endpoint(&mut self, endpoint: usize, took: Duration) {
        self.endpoint(endpoint).0.note(took);
    }

    pub(crate) fn retried(&mut self, endpoint: usize) {
        self.endpoint(endpoint).1 += 1;
    }

    fn endpoint(&mut self, endpoint: usize) -> &mut (Histogram, u64) {
        if endpoint >= self.endpoints.len() {
            self.endpoints.resize(endpoint + 1, <(Histogram, u64)>::default());
        }
        &mut self.endpoints[endpoint]
    }
}

impl ShardReport {
    /// What is told of a shard that has not begun.
    pub(crate) fn empty(figures: Figures) -> ShardReport {
        ShardReport {
            at: Instant::now(),
            figures,
            functions: Vec::new(),
            others: Default::default(),
            function_types: 0,
            endpoints: Vec::new(),
            requests: RequestFigures::default(),
        }
    }

    /// Gathers it all. `clients` are those of the endpoints, each with its number.
    pub(crate) fn of(
        shard: &Shard,
        application: &Application,
        requests: &RequestFigures,
        latencies: &Latencies,
        clients: impl Iterator<Item = (usize, Statistics)>,
    ) -> ShardReport {
        let mut report = ShardReport::empty(shard.figures());
        report.requests = requests.clone();
        let endpoint = |(endpoint, (number, client)): (&Endpoint, (usize, Statistics))| {
            let (latency, retries) = latencies.endpoints.get(number).copied().unwrap_or_default();
            let figures = EndpointFigures { client, latency, retries, outages: 0 };
            (endpoint.functions.clone(), figures)
        };
        report.endpoints = application.endpoints.iter().zip(clients).map(endpoint).collect();
        for (number, (name, figures)) in shard.function_figures().enumerate() {
            report.function_types += 1;
            if figures.outages > 0
                && let Some(endpoint) = application.endpoint_for(name)
            {
                report.endpoints[endpoint].1.outages += 1;
            }
            if number < FUNCTION_TYPES_TOLD_MAX {
                let latency = latencies.functions.get(number).copied().unwrap_or_default();
                report.functions.push((name.clone(), figures, latency));
            } else {
                report.others.0.add(&figures);
            }
        }
        if let Some(latency) = latencies.functions.get(FUNCTION_TYPES_TOLD_MAX) {
            report.others.1 = *latency;
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_so_many_is_timed() {
        let mut figures = ShellFigures::default();
        let timed = (0..TIMED_ONE_IN * 10).filter(|_| figures.is_timed()).count();
        assert_eq!(timed, 10);
    }

    #[test]
    fn records_count_once_their_epoch_is_released() {
        let mut figures = ShellFigures::default();
        let begin = Instant::now();
        let after = |ms| begin + Duration::from_millis(ms);
        figures.delivered(Epoch(1), 10, begin);
        figures.delivered(Epoch(2), 5, after(1));
        figures.released(Epoch(1), after(2));
        assert_eq!(figures.requests.record_release.count(), 10);
        figures.released(Epoch(2), after(4));
        let release = figures.requests.record_release;
        assert_eq!(release.count(), 15);
        assert!((release.sum_seconds() - (10.0 * 0.002 + 5.0 * 0.003)).abs() < 1e-9);
    }

    #[test]
    fn more_deliveries_than_are_told_apart_count_with_the_last_one() {
        let mut figures = ShellFigures::default();
        let now = Instant::now();
        for _ in 0..DELIVERIES_MAX + 100 {
            figures.delivered(Epoch(1), 1, now);
        }
        assert_eq!(figures.deliveries.len(), DELIVERIES_MAX);
        figures.released(Epoch(1), now);
        assert_eq!(figures.requests.record_release.count(), DELIVERIES_MAX as u64 + 100);
    }

    #[test]
    fn types_beyond_the_limit_share_one_histogram() {
        let mut latencies = Latencies::default();
        for number in 0..FUNCTION_TYPES_TOLD_MAX as u32 + 10 {
            latencies.note_function(number, Duration::from_micros(1), 1);
        }
        assert_eq!(latencies.functions.len(), FUNCTION_TYPES_TOLD_MAX + 1);
        assert_eq!(latencies.functions[FUNCTION_TYPES_TOLD_MAX].count(), 10);
    }
}
