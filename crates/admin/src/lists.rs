//! What runs, and how it does: lists of functions, endpoints, ingresses, egresses, epochs, and the graph.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use statera_config::{Application, FunctionPattern, Transport};
use statera_core::keys::Halt;
use statera_core::values::Paused;
use statera_core::{Answers, End, FunctionFigures, Inspection};
use statera_model::{Expiration, FunctionType, Millis, Name, TypedValue};
use statera_ports::{SourceId, SourceUnit};
use statera_runtime::figures::{FunctionReading, Readings, STALL_MIN};
use statera_runtime::{Engine, QueryError, RecentEpoch, endpoint_name};

use crate::rates::{Rates, latency};
use crate::time::rfc3339;
use crate::{answers, api, value};

/// Edges that are told.
const EDGES_MAX: usize = 2_000;

/// Function types that are looked at for the health of endpoints.
const TYPES_MAX: usize = 10_000;

/// The rates of each list since somebody looked at it last.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    functions: Rates,
    ingresses: Rates,
    egresses: Rates,
    graph: Rates,
}

pub(crate) type Halts = Arc<BTreeMap<Halt, Paused>>;

pub(crate) fn pause(halts: &Halts, halt: &Halt) -> Option<api::Pause> {
    halts.get(halt).map(paused)
}

pub(crate) fn paused(paused: &Paused) -> api::Pause {
    api::Pause {
        since: Some(rfc3339(paused.since)),
        reason: Some(paused.reason.to_string()).filter(|reason| !reason.is_empty()),
    }
}

pub(crate) fn health(answers: Answers) -> api::Health {
    match answers {
        Answers::NotYet => api::Health::Unknown,
        Answers::Yes => api::Health::Up,
        Answers::No { .. } => api::Health::Down,
    }
}

/// Which types are wanted.
pub(crate) struct Page<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) after: Option<&'a str>,
    pub(crate) limit: usize,
}

/// A page of function types.
pub(crate) async fn functions(
    engine: &Engine,
    looks: &Looks,
    page: Page<'_>,
) -> Result<api::Functions, QueryError> {
    // One more than the page holds, to know whether there is another page.
    let limit = page.limit + 1;
    let seen = engine.inspect_functions(page.prefix, page.after, limit).await?;
    let mut seen: BTreeMap<String, Inspection> =
        seen.into_iter().map(|inspection| (inspection.name.to_string(), inspection)).collect();
    let mut names: BTreeSet<String> =
        configured(&engine.application()).map(|name| name.to_string()).collect();
    names.retain(|name| {
        name.starts_with(page.prefix) && page.after.is_none_or(|after| &name[..] > after)
    });
    names.extend(seen.keys().cloned());
    let readings = engine.readings().await;
    let figures: BTreeMap<&str, &FunctionReading> =
        readings.functions.iter().map(|reading| (reading.name.as_str(), reading)).collect();
    let counters = readings.functions.iter().flat_map(|reading| {
        let FunctionFigures { received, out_local, out_remote, .. } = reading.figures;
        let name = &reading.name;
        [(format!("in {name}"), received), (format!("out {name}"), out_local + out_remote)]
    });
    let rates = looks.functions.of(Instant::now(), counters.collect());
    let halts = engine.halts();
    let mut functions = Vec::new();
    for text in names.iter().take(page.limit) {
        let inspection = seen.remove(text);
        let reading = figures.get(&text[..]).copied();
        let mut form = function(engine, &halts, text, inspection, reading);
        form.rate_in = rates.get(&format!("in {text}")).copied();
        form.rate_out = rates.get(&format!("out {text}")).copied();
        functions.push(form);
    }
    let next = (names.len() > page.limit).then(|| functions.last().map(|last| last.name.clone()));
    Ok(api::Functions { functions, next: next.flatten() })
}

/// The types that the configuration names.
fn configured(application: &Application) -> impl Iterator<Item = &FunctionType> {
    let exact = application.endpoints.iter().filter_map(|endpoint| match &endpoint.functions {
        FunctionPattern::Exact(function) => Some(function),
        FunctionPattern::Namespace(_) => None,
    });
    application.embedded.iter().chain(exact)
}

fn function(
    engine: &Engine,
    halts: &Halts,
    text: &str,
    inspection: Option<Inspection>,
    reading: Option<&FunctionReading>,
) -> api::Function {
    let name = match &inspection {
        Some(inspection) => inspection.name.clone(),
        None => Name::parse(text).expect("what is configured has a name"),
    };
    let application = engine.application();
    let figures = reading.map(|reading| reading.figures).unwrap_or_default();
    let endpoint = engine.endpoint_of(&name);
    let endpoint =
        endpoint.map(|index| endpoint_name(&application.endpoints[index].functions).to_string());
    let at = |at: Millis| rfc3339(at);
    api::Function {
        name: text.to_owned(),
        endpoint,
        linked: application.embedded.contains(&name),
        health: inspection.as_ref().map_or(api::Health::Unknown, |seen| health(seen.answers)),
        paused: pause(halts, &Halt::Function(name)),
        last_success: inspection.as_ref().and_then(|seen| seen.last_success).map(at),
        instances: None,
        in_flight: figures.in_flight as usize,
        queued: figures.queued as usize,
        failing: inspection.as_ref().map_or(0, |seen| seen.failing),
        paused_addresses: reading.map(|reading| reading.figures.paused),
        mail: reading.map(|reading| reading.figures.backlog),
        mail_bytes: figures.backlog_bytes as usize,
        messages_in: figures.received,
        messages_out: figures.out_local + figures.out_remote,
        failures: reading.map(|reading| reading.figures.failures.sum()),
        rate_in: None,
        rate_out: None,
        latency: reading.and_then(|reading| latency(&reading.latency, None)),
        states: inspection.map(|seen| seen.states).unwrap_or_default().iter().map(state).collect(),
    }
}

fn state(spec: &statera_model::StateSpec) -> api::DeclaredState {
    let (expires, ttl_ms) = match spec.expiration {
        Expiration::Never => (api::Expiry::Never, None),
        Expiration::AfterWrite { ttl_ms } => (api::Expiry::AfterWrite, Some(ttl_ms)),
        Expiration::AfterInvoke { ttl_ms } => (api::Expiry::AfterInvoke, Some(ttl_ms)),
    };
    api::DeclaredState {
        name: spec.name.to_string(),
        typename: spec.typename.to_string(),
        expires,
        ttl_ms: ttl_ms.map(i64::unsigned_abs),
    }
}

/// All endpoints.
pub(crate) async fn endpoints(engine: &Engine) -> Result<api::Endpoints, QueryError> {
    let seen = engine.inspect_functions("", None, TYPES_MAX).await?;
    let readings = engine.readings().await;
    let halts = engine.halts();
    let endpoint = |(index, endpoint): (usize, &statera_config::Endpoint)| {
        let types: Vec<&Inspection> =
            seen.iter().filter(|seen| engine.endpoint_of(&seen.name) == Some(index)).collect();
        let answers = types.iter().map(|seen| seen.answers).max().unwrap_or(Answers::NotYet);
        let reading = readings.endpoints.get(index).map(|reading| &reading.figures);
        let name = endpoint_name(&endpoint.functions);
        api::EndpointStatus {
            functions: name.to_string(),
            url: endpoint.url.text.clone(),
            transport: match endpoint.transport {
                Transport::Async(_) => "async".to_owned(),
                Transport::OkHttp(_) => "okhttp".to_owned(),
            },
            health: health(answers),
            next_probe: match answers {
                Answers::No { next_probe } => Some(rfc3339(next_probe)),
                Answers::NotYet | Answers::Yes => None,
            },
            paused: pause(&halts, &Halt::Endpoint(name)),
            last_success: types.iter().filter_map(|seen| seen.last_success).max().map(rfc3339),
            types: types.len(),
            in_flight: reading.map_or(0, |figures| figures.client.in_flight),
            failing: types.iter().map(|seen| seen.failing).sum(),
            attempts: reading.map(|figures| figures.client.attempts),
            failures: reading.map(|figures| figures.client.failures),
            latency: reading.and_then(|figures| latency(&figures.latency, None)),
        }
    };
    let endpoints = engine.application().endpoints.iter().enumerate().map(endpoint).collect();
    Ok(api::Endpoints { endpoints })
}

/// All ingresses.
pub(crate) async fn ingresses(engine: &Engine, looks: &Looks) -> api::Ingresses {
    let (readings, brought, halts) = (engine.readings().await, engine.ingresses(), engine.halts());
    let counters = brought.iter().map(|(id, figures)| (id.to_string(), figures.messages));
    let rates = looks.ingresses.of(Instant::now(), counters.collect());
    let ingress = |connector: api::Connector| {
        let id = Name::parse(&connector.id).expect("ids are names");
        let figures = brought.get(&id);
        api::Ingress {
            paused: pause(&halts, &Halt::Ingress(id.clone())),
            messages: figures.map_or(0, |figures| figures.messages),
            rate: rates.get(&connector.id).copied(),
            sources: sources(engine, &readings, &id, figures),
            id: connector.id,
            kind: connector.kind,
            place: connector.place,
        }
    };
    let all = answers::ingresses(&engine.application());
    api::Ingresses { ingresses: all.into_iter().map(ingress).collect() }
}

/// The sources of an ingress: those that stood somewhere at the start, and those that have delivered.
fn sources(
    engine: &Engine,
    readings: &Readings,
    ingress: &Name,
    figures: Option<&statera_runtime::IngressFigures>,
) -> Vec<api::Source> {
    let mut found: BTreeMap<Arc<str>, api::Source> = BTreeMap::new();
    let source = |partition: &Arc<str>, position: &[u8], taken_at: Option<Millis>| api::Source {
        partition: partition.to_string(),
        position: value::raw("", position),
        taken_at: taken_at.map(rfc3339),
        lag_records: None,
        lag_bytes: None,
        lag_ms: None,
    };
    let first = SourceId { ingress: ingress.clone(), partition: "".into() };
    for (id, position) in engine.positions_at_start().range(first..) {
        if id.ingress != *ingress {
            break;
        }
        found.insert(id.partition.clone(), source(&id.partition, position, None));
    }
    for (partition, (position, at)) in figures.iter().flat_map(|figures| &figures.positions) {
        found.insert(partition.clone(), source(partition, position, Some(*at)));
    }
    for (id, figures) in &readings.sources {
        let Some(found) = found.get_mut(&id.partition).filter(|_| id.ingress == *ingress) else {
            continue;
        };
        let Some(status) = figures.status else { continue };
        match status.unit {
            SourceUnit::Records => found.lag_records = status.lag(),
            SourceUnit::Bytes => found.lag_bytes = status.lag(),
            SourceUnit::Milliseconds => found.lag_ms = status.lag(),
        }
    }
    found.into_values().collect()
}

/// All egresses.
pub(crate) async fn egresses(engine: &Engine, looks: &Looks) -> api::Egresses {
    let (readings, troubles) = (engine.readings().await, engine.sink_troubles());
    let counters = readings.egresses.iter().map(|(id, figures)| (id.to_string(), figures.records));
    let rates = looks.egresses.of(Instant::now(), counters.collect());
    let egress = |connector: api::Connector| {
        let id = Name::parse(&connector.id).expect("ids are names");
        let figures = readings.egresses.iter().find(|(found, _)| *found == id);
        let figures = figures.map(|(_, figures)| *figures).unwrap_or_default();
        let trouble = troubles.get(&id).cloned().unwrap_or_default();
        api::Egress {
            released_epoch: Some(figures.confirmed.0).filter(|epoch| *epoch > 0),
            released_at: trouble.confirmed_at.map(rfc3339),
            backlog_records: figures.backlog_records as usize,
            backlog_bytes: figures.backlog_bytes as usize,
            records: figures.records,
            rate: rates.get(&connector.id).copied(),
            failures: figures.failures,
            failing: trouble.failing,
            last_failure: trouble
                .last
                .map(|(at, reason)| api::EgressFailure { at: rfc3339(at), reason }),
            id: connector.id,
            kind: connector.kind,
            place: connector.place,
        }
    };
    let all = answers::egresses(&engine.application());
    api::Egresses { egresses: all.into_iter().map(egress).collect() }
}

/// The last epochs.
pub(crate) async fn epochs(engine: &Engine, limit: usize) -> api::Epochs {
    let last = engine.readings().await.epochs.last.0;
    let epochs: Vec<_> = engine.recent_epochs(limit).iter().map(epoch).collect();
    // Nothing may have been committed since the start.
    let last = epochs.first().map_or(last, |epoch| epoch.number);
    api::Epochs { last, epochs }
}

fn epoch(epoch: &RecentEpoch) -> api::Epoch {
    let ms = |duration: Duration| (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0;
    let steps = [
        (epoch.parts, api::StallReason::Shard),
        (epoch.append, api::StallReason::Log),
        (epoch.absorb, api::StallReason::Store),
    ];
    let longest = steps.into_iter().max_by_key(|(took, _)| *took);
    let stall = longest.filter(|(took, _)| *took > STALL_MIN).map(|(_, reason)| api::Stall {
        reason,
        shard: Some(epoch.last_shard).filter(|_| reason == api::StallReason::Shard),
    });
    api::Epoch {
        number: epoch.epoch.0,
        at: rfc3339(epoch.at),
        duration_ms: ms(epoch.parts + epoch.append + epoch.absorb),
        cut_ms: ms(epoch.parts),
        log_ms: ms(epoch.append),
        store_ms: ms(epoch.absorb),
        bytes: epoch.bytes,
        keys: Some(epoch.keys),
        stall,
    }
}

/// Who has sent to whom.
pub(crate) async fn graph(engine: &Engine, looks: &Looks) -> Result<api::Graph, QueryError> {
    let (found, complete) = engine.edges().await?;
    let mut edges: BTreeMap<(api::Node, api::Node), u64> = BTreeMap::new();
    // What came from outside, by whom.
    let mut brought: BTreeMap<FunctionType, u64> = BTreeMap::new();
    for (ingress, figures) in engine.ingresses() {
        for (target, messages) in figures.targets {
            *brought.entry(target.clone()).or_default() += messages;
            let from = node(api::NodeKind::Ingress, ingress.as_str());
            edges.insert((from, node(api::NodeKind::Function, target.as_str())), messages);
        }
    }
    let mut outside: BTreeMap<api::Node, (FunctionType, u64)> = BTreeMap::new();
    for edge in found {
        match (&edge.from, &edge.to) {
            (End::Outside, End::Function(target)) => {
                let all = outside.entry(end(&edge.to)).or_insert_with(|| (target.clone(), 0));
                all.1 += edge.messages;
            }
            (from, to) => *edges.entry((end(from), end(to))).or_default() += edge.messages,
        }
    }
    for (to, (target, messages)) in outside {
        // A dead letter that was redriven came from no ingress. What is counted at two places differs for a moment.
        if !brought.contains_key(&target) {
            edges.insert((node(api::NodeKind::Other, ""), to), messages);
        }
    }
    let truncated = !complete || edges.len() > EDGES_MAX;
    let name = |(from, to): &(api::Node, api::Node)| {
        format!("{:?} {} {:?} {}", from.kind, from.name, to.kind, to.name)
    };
    let counters = edges.iter().map(|(ends, messages)| (name(ends), *messages)).collect();
    let rates = looks.graph.of(Instant::now(), counters);
    let edges = edges.into_iter().take(EDGES_MAX).map(|(ends, messages)| api::Edge {
        rate: rates.get(&name(&ends)).copied(),
        from: ends.0,
        to: ends.1,
        messages,
    });
    Ok(api::Graph { edges: edges.collect(), truncated })
}

fn node(kind: api::NodeKind, name: &str) -> api::Node {
    api::Node { kind, name: name.to_owned() }
}

fn end(end: &End) -> api::Node {
    match end {
        End::Function(name) => node(api::NodeKind::Function, name.as_str()),
        End::Egress(name) => node(api::NodeKind::Egress, name.as_str()),
        End::Caller => node(api::NodeKind::Caller, ""),
        End::Outside | End::Other => node(api::NodeKind::Other, ""),
    }
}

/// The value of a message, in its form.
pub(crate) fn message(
    caller: Option<&statera_model::Address>,
    argument: &TypedValue,
) -> api::Message {
    api::Message { caller: caller.map(ToString::to_string), value: value::typed(argument) }
}
