//! What the engine knows, in the forms of the API.

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use statera_config::{Application, Egress, FunctionPattern, Ingress, StreamRoute};
use statera_core::Figures;
use statera_core::values::DeadBody;
use statera_model::{Address, Millis};
use statera_runtime::{Letter, State};

use crate::time::rfc3339;
use crate::{api, value};

/// A whole answer.
pub(crate) type Response = hyper::Response<Full<Bytes>>;

/// An answer that holds a form.
pub(crate) fn json(status: StatusCode, form: &impl Serialize) -> Response {
    let mut body = serde_json::to_vec(form).expect("all keys of our forms are text");
    body.push(b'\n');
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// How full each shard is, and their sums.
pub(crate) fn figures(shards: &[Figures]) -> (api::Figures, Vec<api::Figures>) {
    let shards: Vec<_> = shards.iter().map(shard).collect();
    let total = shards.iter().fold(api::Figures::default(), |sum, shard| api::Figures {
        instances: sum.instances + shard.instances,
        state_bytes: sum.state_bytes + shard.state_bytes,
        mail: sum.mail + shard.mail,
        mail_bytes: sum.mail_bytes + shard.mail_bytes,
        in_flight: sum.in_flight + shard.in_flight,
        delayed: sum.delayed + shard.delayed,
        outbox: sum.outbox + shard.outbox,
        dead_letters: sum.dead_letters + shard.dead_letters,
        paused: sum.paused + shard.paused,
        calls: sum.calls + shard.calls,
        idempotency_keys: sum.idempotency_keys + shard.idempotency_keys,
    });
    (total, shards)
}

fn shard(figures: &Figures) -> api::Figures {
    api::Figures {
        instances: figures.instances,
        state_bytes: figures.state_bytes,
        mail: figures.mail,
        mail_bytes: figures.mail_bytes,
        in_flight: figures.in_flight,
        delayed: figures.delayed,
        outbox: figures.outbox,
        dead_letters: figures.dead_letters,
        paused: figures.paused,
        calls: figures.calls,
        idempotency_keys: figures.idempotency_keys,
    }
}

pub(crate) fn endpoints(application: &Application) -> Vec<api::Endpoint> {
    let endpoint = |endpoint: &statera_config::Endpoint| api::Endpoint {
        functions: match &endpoint.functions {
            FunctionPattern::Exact(function) => function.to_string(),
            FunctionPattern::Namespace(namespace) => format!("{namespace}/*"),
        },
        url: endpoint.url.text.clone(),
    };
    application.endpoints.iter().map(endpoint).collect()
}

pub(crate) fn ingresses(application: &Application) -> Vec<api::Connector> {
    let ingress = |ingress: &Ingress| {
        let (kind, place) = match ingress {
            Ingress::Http(http) => ("http", http.address.to_string()),
            Ingress::File(file) => ("file", file.path.display().to_string()),
            Ingress::Playground(playground) => ("playground", playground.address.to_string()),
            Ingress::Kafka(kafka) => ("kafka", names(&kafka.topics)),
            Ingress::Kinesis(kinesis) => ("kinesis", names(&kinesis.streams)),
        };
        connector(ingress.id().to_string(), kind, Some(place))
    };
    application.ingresses.iter().map(ingress).collect()
}

pub(crate) fn egresses(application: &Application) -> Vec<api::Connector> {
    let egress = |egress: &Egress| {
        let (kind, place) = match egress {
            Egress::File(file) => ("file", Some(file.path.display().to_string())),
            Egress::Stdout(_) => ("stdout", None),
            Egress::Playground(playground) => ("playground", Some(playground.address.to_string())),
            Egress::Kafka(kafka) => ("kafka", kafka.properties.get("bootstrap.servers").cloned()),
            Egress::Kinesis(_) => ("kinesis", None),
        };
        connector(egress.id().to_string(), kind, place)
    };
    application.egresses.iter().map(egress).collect()
}

fn names(routes: &[StreamRoute]) -> String {
    routes.iter().map(|route| route.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn connector(id: String, kind: &str, place: Option<String>) -> api::Connector {
    api::Connector { id, kind: kind.to_owned(), place }
}

pub(crate) fn states(address: &Address, states: &[State]) -> api::States {
    let state = |state: &State| api::State {
        name: state.name.to_string(),
        value: value::typed(&state.value.value),
        last_access: Some(state.value.last_access).filter(|at| *at != Millis(0)).map(rfc3339),
    };
    api::States { address: address.to_string(), states: states.iter().map(state).collect() }
}

pub(crate) fn dead_letter(Letter { id, letter }: &Letter) -> api::DeadLetter {
    let (kind, target, place) = match &letter.body {
        DeadBody::Invocation { target, .. } => (api::Kind::Invocation, Some(target), None),
        DeadBody::Message { target, .. } => (api::Kind::Message, Some(target), None),
        DeadBody::Record { place, .. } => (api::Kind::Record, None, Some(place)),
    };
    api::DeadLetter {
        id: id.to_string(),
        at: rfc3339(letter.at),
        kind,
        target: target.map(Address::to_string),
        place: place.map(|place| place.to_string()),
        attempts: letter.attempts,
        reason: letter.reason.to_string(),
    }
}

pub(crate) fn dead_letter_detail(letter: &Letter) -> api::DeadLetterDetail {
    let mut detail = api::DeadLetterDetail {
        letter: dead_letter(letter),
        caller: None,
        message: None,
        states: Vec::new(),
        request: None,
        record: None,
    };
    match &letter.letter.body {
        DeadBody::Invocation { request, .. } => add_request(&mut detail, request),
        DeadBody::Message { mail, .. } => {
            detail.caller = mail.caller.as_ref().map(Address::to_string);
            detail.message = Some(value::typed(&mail.argument));
        }
        DeadBody::Record { record, .. } => detail.record = Some(value::raw("", record)),
    }
    detail
}

fn add_request(detail: &mut api::DeadLetterDetail, request: &Bytes) {
    detail.request = Some(value::base64(request));
    // Written by ourselves, so it can be read; if not, the bytes are still there to be looked at.
    let Ok(request) = statera_protocol::decode_request(request.clone()) else { return };
    if let Some(message) = request.invocations.first() {
        detail.caller = message.caller.as_ref().map(Address::to_string);
        detail.message = Some(value::typed(&message.argument));
    }
    let state = |state: &statera_protocol::PersistedValue| {
        let value = value::typed(state.value.as_ref()?);
        Some(api::State { name: state.name.to_string(), value, last_access: None })
    };
    detail.states = request.states.iter().filter_map(state).collect();
}
