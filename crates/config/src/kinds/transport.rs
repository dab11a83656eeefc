//! How endpoints are called: the two transports of StateFun with all their settings.

use std::time::Duration;

use crate::problem::quoted;
use crate::reader::{At, Field, Form, Need, Object, Unknown};
use crate::report::{Finding, Wrong};
use crate::scalar::{self, Parsed};
use crate::words;
use crate::yaml::Content;
use crate::{AsyncTransport, ClientCertificate, OkHttpTransport, Tls, Transport};

pub(crate) const ASYNC: &str = "io.statefun.transports.v1/async";
pub(crate) const OKHTTP: &str = "io.statefun.transports.v1/okhttp";

pub(crate) static TRANSPORTS: &[(&str, &[Field])] =
    &[(ASYNC, ASYNC_FIELDS), (OKHTTP, OKHTTP_FIELDS)];

const fn field(name: &'static str, word: &'static str, need: Need, about: &'static str) -> Field {
    Field { name, form: Form::One(word), need, about }
}

static ASYNC_FIELDS: &[Field] = &[
    field("type", "name", Need::Default(ASYNC), "The transport."),
    field("call", "duration", Need::Default("2min"), "The budget of a batch over all attempts."),
    field("connect", "duration", Need::Default("20s"), "The longest wait for a connection."),
    field(
        "pool_ttl",
        "duration",
        Need::Default("15s"),
        "How long a connection is used. 0 is for ever.",
    ),
    field(
        "pool_size",
        "integer",
        Need::Default("1024"),
        "The most connections, and so requests at once.",
    ),
    field("payload_max_bytes", "integer", Need::Default("33554432"), "The largest response."),
    field(
        "trust_cacerts",
        "location",
        Need::Optional("the built-in authorities"),
        "PEM file of the authorities to trust.",
    ),
    field(
        "client_cert",
        "location",
        Need::Optional(""),
        "PEM chain to show to the server. Needs `client_key`.",
    ),
    field("client_key", "location", Need::Optional(""), "PKCS#8 PEM file of its key."),
    field(
        "client_key_password",
        "location",
        Need::Optional(""),
        "File that holds the password of the key.",
    ),
    Field {
        name: "timeouts",
        form: Form::Object(ASYNC_TIMEOUTS),
        need: Need::Optional(""),
        about: "For compatibility. If it is there, it replaces `call` and `connect`, also where it leaves one out.",
    },
];

static ASYNC_TIMEOUTS: &[Field] = &[
    field("call", "duration", Need::Default("1min"), "As `call`."),
    field("connect", "duration", Need::Default("10s"), "As `connect`."),
];

static OKHTTP_FIELDS: &[Field] =
    &[field("type", "name", Need::Required(OKHTTP), "The transport."), TIMEOUTS];

/// Also the field of v1 endpoints, which always use this transport.
pub(crate) const TIMEOUTS: Field = Field {
    name: "timeouts",
    form: Form::Object(OKHTTP_TIMEOUTS),
    need: Need::Optional("the defaults of its fields"),
    about: "How long to wait. None may be longer than `call`.",
};

static OKHTTP_TIMEOUTS: &[Field] = &[
    field("call", "duration", Need::Default("1min"), "The budget of a batch over all attempts."),
    field("connect", "duration", Need::Default("10s"), "The longest wait for a connection."),
    field(
        "read",
        "duration",
        Need::Default("10s"),
        "The longest silence while a response is read.",
    ),
    field(
        "write",
        "duration",
        Need::Default("10s"),
        "The longest wait while a request is written.",
    ),
];

const UNDER_TIMEOUTS: &str = "the okhttp transport reads it from `timeouts`; move it there";
const ONLY_ASYNC: &str = "only the transport `io.statefun.transports.v1/async` has it";

/// What stands elsewhere than one may think.
const OKHTTP_ELSEWHERE: &[(&str, &str)] = &[
    ("call", UNDER_TIMEOUTS),
    ("connect", UNDER_TIMEOUTS),
    ("read", UNDER_TIMEOUTS),
    ("write", UNDER_TIMEOUTS),
    ("pool_ttl", ONLY_ASYNC),
    ("pool_size", ONLY_ASYNC),
    ("payload_max_bytes", ONLY_ASYNC),
    ("trust_cacerts", ONLY_ASYNC),
    ("client_cert", ONLY_ASYNC),
    ("client_key", ONLY_ASYNC),
    ("client_key_password", ONLY_ASYNC),
];
const ASYNC_ELSEWHERE: &[(&str, &str)] = &[
    ("read", "the async transport has no such timeout"),
    ("write", "the async transport has no such timeout"),
];

/// The `transport` of a v2 endpoint.
pub(crate) fn transport(at: &At<'_>) -> Option<Transport> {
    if let Content::Scalar(scalar) = &at.node.content {
        let message = "the transport is expected to be a mapping, not a single value";
        let known = transport_type(&scalar.text).unwrap_or(ASYNC);
        at.add(Wrong::new(message, format!("write `transport: {{ type: {known} }}`")));
        return None;
    }
    if let Some(name) = at.node.entry("type") {
        let known = at.below(name).scalar(transport_type)?;
        if known == OKHTTP {
            let object = at.object_but(OKHTTP_FIELDS, Unknown::Ignored, OKHTTP_ELSEWHERE)?;
            return okhttp(&object).map(Transport::OkHttp);
        }
    }
    asynchronous(at).map(Transport::Async)
}

fn transport_type(text: &str) -> Parsed<&'static str> {
    let names = || TRANSPORTS.iter().map(|(name, _)| *name);
    names().find(|name| *name == text).ok_or_else(|| {
        let hint = match words::meant(text, names()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("the transports are `{ASYNC}` and `{OKHTTP}`"),
        };
        Wrong::new(format!("there is no transport {}", quoted(text)), hint)
    })
}

pub(crate) fn asynchronous(at: &At<'_>) -> Option<AsyncTransport> {
    let object = at.object_but(ASYNC_FIELDS, Unknown::Ignored, ASYNC_ELSEWHERE)?;
    let (call, connect) = match object.child("timeouts") {
        None => (timeout(&object, "call"), timeout(&object, "connect")),
        Some(timeouts) => {
            shadowed(&object);
            let timeouts = timeouts.object(ASYNC_TIMEOUTS, Unknown::Ignored)?;
            (timeout(&timeouts, "call"), timeout(&timeouts, "connect"))
        }
    };
    let pool_ttl = object.scalar("pool_ttl", pool_ttl);
    let pool_size = object.scalar("pool_size", scalar::count);
    let payload_max_bytes = object.scalar("payload_max_bytes", scalar::count);
    let tls = tls(&object);
    Some(AsyncTransport {
        call: call?,
        connect: connect?,
        pool_ttl: pool_ttl?,
        pool_size: pool_size?,
        payload_max_bytes: payload_max_bytes?,
        tls: tls?,
    })
}

/// Says that `timeouts` wins.
fn shadowed(object: &Object<'_>) {
    for name in ["call", "connect"] {
        if let Some(flat) = object.child(name) {
            let message = format!("`{name}` is ignored, because `timeouts` is there");
            let hint = format!("keep either `{name}` or `timeouts.{name}`");
            flat.report.add(Finding::warning(flat.place(), &flat.path, message).hint(hint));
        }
    }
}

/// Zero, and in the wild also what is below, stands for ever.
fn pool_ttl(text: &str) -> Parsed<Option<Duration>> {
    match scalar::integer(text) {
        Ok(number) if number <= 0 => Ok(None),
        _ => scalar::duration(text).map(|ttl| Some(ttl).filter(|ttl| !ttl.is_zero())),
    }
}

fn tls(object: &Object<'_>) -> Option<Tls> {
    let trust_cacerts = object.optional("trust_cacerts", scalar::location);
    let cert = object.optional("client_cert", scalar::location);
    let key = object.optional("client_key", scalar::location);
    let key_password = object.optional("client_key_password", scalar::location);
    for (given, missing) in [
        ("client_cert", "client_key"),
        ("client_key", "client_cert"),
        ("client_key_password", "client_key"),
    ] {
        if let (Some(at), None) = (object.child(given), object.child(missing)) {
            let message =
                format!("`{given}` is given without `{missing}`, but mutual TLS needs both");
            at.add(Wrong::new(message, format!("add `{missing}`, or remove `{given}`")));
            return None;
        }
    }
    let key_password = key_password?;
    let client = cert?.zip(key?).map(|(cert, key)| ClientCertificate { cert, key, key_password });
    Some(Tls { trust_cacerts: trust_cacerts?, client })
}

/// The okhttp transport from the `timeouts` of what holds it.
pub(crate) fn okhttp(holder: &Object<'_>) -> Option<OkHttpTransport> {
    let nothing = holder.nothing();
    let at = &holder.child_or("timeouts", &nothing);
    let object = at.object(OKHTTP_TIMEOUTS, Unknown::Ignored)?;
    let names = ["call", "connect", "read", "write"];
    let [call, connect, read, write] = names.map(|name| timeout(&object, name));
    let fits = |name: &str, wait: Option<Duration>| match (wait, call) {
        (Some(wait), Some(call)) if wait > call => {
            longer_than_call(at, &object, name);
            None
        }
        _ => wait,
    };
    let [connect, read, write] = [("connect", connect), ("read", read), ("write", write)]
        .map(|(name, wait)| fits(name, wait));
    Some(OkHttpTransport { call: call?, connect: connect?, read: read?, write: write? })
}

fn longer_than_call(at: &At<'_>, object: &Object<'_>, name: &str) {
    match object.child(name) {
        Some(wait) => wait.add(Wrong::new(
            format!("the timeout `{name}` is longer than the timeout of the whole `call`"),
            format!("lower `{name}` or raise `call`"),
        )),
        None => {
            let place = object.child("call").map_or(at.place(), |call| call.place());
            let default = object.default_text(name);
            let message = format!(
                "the timeout `call` is shorter than `{name}`, which is {default} by default"
            );
            let hint = format!("set `{name}` too, to at most `call`");
            at.report.add(Finding::error(place, &object.path("call"), message).hint(hint));
        }
    }
}

fn timeout(object: &Object<'_>, name: &str) -> Option<Duration> {
    object.scalar(name, scalar::positive_duration)
}
