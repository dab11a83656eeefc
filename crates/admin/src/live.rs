//! Live figures: one event each second, made once for all who listen, and only while somebody does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use statera_core::keys::Halt;
use statera_core::{FunctionFigures, Inspection};
use statera_model::{Millis, Name};
use statera_ports::SourceUnit;
use statera_runtime::figures::{FunctionReading, Histogram, Readings};
use statera_runtime::{Engine, IngressFigures, QueryError, SinkTrouble};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::lists::{Halts, health};
use crate::problem::{Code, Problem};
use crate::rates::{latency, rate};
use crate::time::rfc3339;
use crate::{answers, api};

/// How many may listen at once.
const LISTENERS_MAX: usize = 32;

/// Events that wait for someone who does not read.
const WAITING_MAX: usize = 4;

/// Between two events.
const INTERVAL: Duration = Duration::from_secs(1);

/// Function types in an event.
const FUNCTIONS_MAX: usize = 200;

/// Who listens, and who tells them.
pub(crate) struct Live {
    engine: Engine,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    listeners: Vec<mpsc::Sender<Bytes>>,
    /// Those who will listen once their first event is made.
    coming: usize,
    teller: Option<JoinHandle<()>>,
    closed: bool,
}

impl Live {
    pub(crate) fn new(engine: Engine) -> Live {
        Live { engine, state: Mutex::default() }
    }

    /// Begins to listen: the first event, which has no rates, and the others as they come.
    pub(crate) async fn listen(
        self: &Arc<Live>,
    ) -> Result<(Bytes, mpsc::Receiver<Bytes>), Problem> {
        let coming = Coming::new(self)?;
        let first = Sample::take(&self.engine).await?.event(None);
        drop(coming);
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let mut state = self.lock();
        if state.closed {
            return Err(Problem::stopping());
        }
        state.listeners.push(sender);
        if state.teller.as_ref().is_none_or(JoinHandle::is_finished) {
            state.teller = Some(tokio::spawn(self.clone().tell()));
        }
        Ok((first, receiver))
    }

    /// Tells everybody, until nobody listens.
    async fn tell(self: Arc<Live>) {
        let mut before = None;
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // An error means that the engine is stopping. Then this server ends soon, too.
            let Ok(sample) = Sample::take(&self.engine).await else { return self.close() };
            // The first look is only there for the rates of the second.
            if let Some(before) = &before {
                let event = sample.event(Some(before));
                let mut state = self.lock();
                state.listeners.retain(|listener| listener.try_send(event.clone()).is_ok());
                if state.listeners.is_empty() {
                    state.teller = None;
                    return;
                }
            }
            before = Some(sample);
        }
    }

    /// Ends all streams.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.listeners.clear();
        if let Some(teller) = state.teller.take() {
            teller.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a place for someone who will listen.
struct Coming<'a>(&'a Live);

impl Coming<'_> {
    fn new(live: &Live) -> Result<Coming<'_>, Problem> {
        let mut state = live.lock();
        state.listeners.retain(|listener| !listener.is_closed());
        if state.listeners.len() + state.coming >= LISTENERS_MAX {
            return Err(Problem::new(
                Code::TooManyListeners,
                format!("{LISTENERS_MAX} listen to events already"),
                "close other dashboards, or ask for /v1/status from time to time",
            ));
        }
        state.coming += 1;
        Ok(Coming(live))
    }
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.0.lock().coming -= 1;
    }
}

/// What there was at one moment.
struct Sample {
    at: Instant,
    time: Millis,
    engine: Engine,
    readings: Readings,
    functions: Vec<Inspection>,
    ingresses: BTreeMap<Name, IngressFigures>,
    troubles: BTreeMap<Name, SinkTrouble>,
    halts: Halts,
}

impl Sample {
    async fn take(engine: &Engine) -> Result<Sample, QueryError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Sample {
            at: Instant::now(),
            time: Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
            functions: engine.inspect_functions("", None, FUNCTIONS_MAX).await?,
            readings: engine.readings().await,
            ingresses: engine.ingresses(),
            troubles: engine.sink_troubles(),
            halts: engine.halts(),
            engine: engine.clone(),
        })
    }

    /// An event as it is sent.
    fn event(&self, before: Option<&Sample>) -> Bytes {
        let live = self.live(before);
        let data = serde_json::to_string(&live).expect("all keys of our forms are text");
        format!("event: figures\ndata: {data}\n\n").into()
    }

    fn live(&self, before: Option<&Sample>) -> api::Live {
        let seconds = before.map(|before| (self.at - before.at).as_secs_f64());
        let shards: Vec<_> = self.readings.shards.iter().map(|shard| shard.figures).collect();
        let (now, then) = (self.sums(), before.map(Sample::sums));
        let over = |count: fn(&FunctionFigures) -> u64| {
            let (then, seconds) = (then.as_ref()?, seconds?);
            Some(rate(count(&then.0), count(&now.0), seconds))
        };
        let released = |sample: &Sample| {
            let mut sum = sample.readings.requests.send_release;
            sum.add(&sample.readings.requests.call_release);
            sum.add(&sample.readings.requests.record_release);
            sum
        };
        api::Live {
            at: rfc3339(self.time),
            seconds: seconds.map(|seconds| (seconds * 1_000.0).round() / 1_000.0),
            total: answers::figures(&shards).0,
            rate: over(|figures| figures.received),
            latency: latency(&now.1, then.as_ref().map(|then| &then.1)),
            end_to_end: latency(&released(self), before.map(released).as_ref()),
            failure_rate: over(|figures| figures.failures.sum()),
            failing: self.functions.iter().map(|function| function.failing).sum(),
            epochs: self.epochs(before),
            functions: self.functions.iter().map(|seen| self.function(seen, before)).collect(),
            ingresses: self.live_ingresses(before),
            egresses: self.live_egresses(before),
        }
    }

    /// The sums over all function types.
    fn sums(&self) -> (FunctionFigures, Histogram) {
        let mut sums = <(FunctionFigures, Histogram)>::default();
        for reading in &self.readings.functions {
            sums.0.add(&reading.figures);
            sums.1.add(&reading.latency);
        }
        sums
    }

    fn epochs(&self, before: Option<&Sample>) -> api::LiveEpochs {
        let (now, then) = (&self.readings.epochs, before.map(|before| &before.readings.epochs));
        api::LiveEpochs {
            last: now.last.0,
            count: then.map_or(0, |then| now.durable.count() - then.durable.count()),
            duration: latency(&now.durable, then.map(|then| &then.durable)),
            bytes: then.map_or(0, |then| now.bytes - then.bytes),
        }
    }

    fn reading(&self, name: &Name) -> Option<&FunctionReading> {
        self.readings.functions.iter().find(|reading| reading.name == *name)
    }

    fn function(&self, seen: &Inspection, before: Option<&Sample>) -> api::LiveFunction {
        let reading = self.reading(&seen.name);
        let figures = reading.map(|reading| reading.figures).unwrap_or_default();
        let then = before.and_then(|before| before.reading(&seen.name));
        let seconds = before.map(|before| (self.at - before.at).as_secs_f64());
        let over = |count: fn(&FunctionFigures) -> u64| {
            let then = then.map_or(0, |then| count(&then.figures));
            seconds.map(|seconds| rate(then, count(&figures), seconds))
        };
        api::LiveFunction {
            name: seen.name.to_string(),
            health: health(seen.answers),
            rate_in: over(|figures| figures.received),
            rate_out: over(|figures| figures.out_local + figures.out_remote),
            mail: reading.map(|reading| reading.figures.backlog),
            mail_bytes: figures.backlog_bytes as usize,
            queued: figures.queued as usize,
            in_flight: figures.in_flight as usize,
            failing: seen.failing,
            latency: reading
                .and_then(|reading| latency(&reading.latency, then.map(|then| &then.latency))),
        }
    }

    fn live_ingresses(&self, before: Option<&Sample>) -> Vec<api::LiveIngress> {
        let ingress = |ingress: &statera_config::Ingress| {
            let id = &ingress.id();
            let count =
                |sample: &Sample| sample.ingresses.get(id).map_or(0, |figures| figures.messages);
            let lag = |unit: SourceUnit| {
                let sources =
                    self.readings.sources.iter().filter(|(source, _)| source.ingress == *id);
                let statuses = sources.filter_map(|(_, figures)| figures.status);
                let lags = statuses.filter(|status| status.unit == unit).map(|status| status.lag());
                let known = lags.flatten();
                match unit {
                    SourceUnit::Records | SourceUnit::Bytes => known.reduce(|sum, lag| sum + lag),
                    SourceUnit::Milliseconds => known.max(),
                }
            };
            api::LiveIngress {
                id: id.to_string(),
                rate: before.map(|before| {
                    rate(count(before), count(self), (self.at - before.at).as_secs_f64())
                }),
                lag_records: lag(SourceUnit::Records),
                lag_bytes: lag(SourceUnit::Bytes),
                lag_ms: lag(SourceUnit::Milliseconds),
                paused: self.halts.contains_key(&Halt::Ingress(id.clone())),
            }
        };
        self.engine.application().ingresses.iter().map(ingress).collect()
    }

    fn live_egresses(&self, before: Option<&Sample>) -> Vec<api::LiveEgress> {
        let egress = |(id, figures): &(Name, statera_runtime::SinkFigures)| {
            let count = |sample: &Sample| {
                let found = sample.readings.egresses.iter().find(|(found, _)| found == id);
                found.map_or(0, |(_, figures)| figures.records)
            };
            api::LiveEgress {
                id: id.to_string(),
                rate: before.map(|before| {
                    rate(count(before), count(self), (self.at - before.at).as_secs_f64())
                }),
                backlog_records: figures.backlog_records as usize,
                backlog_bytes: figures.backlog_bytes as usize,
                released_epoch: Some(figures.confirmed.0).filter(|epoch| *epoch > 0),
                failing: self.troubles.get(id).is_some_and(|trouble| trouble.failing),
            }
        };
        self.readings.egresses.iter().map(egress).collect()
    }
}
