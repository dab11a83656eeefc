//! Where messages come in.

use std::net::SocketAddr;

use crate::kinds::{Kind, Role};
use crate::reader::{At, Field, Form, Need, Object, Unknown};
use crate::report::Wrong;
use crate::scalar;
use crate::universe::{Binding, Universe};
use crate::{FileIngress, FileRecord, HttpIngress, Ingress, PlaygroundIngress};

pub(crate) const HTTP: Kind = Kind {
    name: "io.statera.v1/http-ingress",
    role: Role::Ingress,
    about: "Messages and calls over HTTP. They are acknowledged when they are durable.",
    fields: HTTP_FIELDS,
    read: http,
};

pub(crate) const FILE: Kind = Kind {
    name: "io.statera.v1/file-ingress",
    role: Role::Ingress,
    about: "A message for each line of a file of JSON values, exactly once.",
    fields: FILE_FIELDS,
    read: file,
};

pub(crate) const PLAYGROUND: Kind = Kind {
    name: "io.statefun.playground.v1/ingress",
    role: Role::Ingress,
    about: "The ingress of the StateFun playground: `PUT /<namespace>/<name>/<id>`. Its id is `io.statefun.playground/ingress`.",
    fields: PLAYGROUND_FIELDS,
    read: playground,
};

pub(crate) const fn field(
    name: &'static str,
    word: &'static str,
    need: Need,
    about: &'static str,
) -> Field {
    Field { name, form: Form::One(word), need, about }
}

/// Where the playground listens, by default only on this machine.
pub(crate) const PLAYGROUND_HOST: Field = field(
    "address",
    "IP address",
    Need::Default("127.0.0.1"),
    "Where to listen. Not a field of StateFun, which listens everywhere.",
);

static HTTP_FIELDS: &[Field] = &[
    field("id", "name", Need::Required("<namespace>/<name>"), "Its id."),
    field(
        "address",
        "address",
        Need::Default("127.0.0.1:8080"),
        "Where it listens. Port 0 is any that is free.",
    ),
    field("bodyMaxBytes", "size", Need::Default("16MiB"), "The largest request body."),
    field(
        "requestsMax",
        "integer",
        Need::Default("16384"),
        "The most requests waiting at once; more are answered with 503.",
    ),
    field(
        "callTimeout",
        "duration",
        Need::Default("30s"),
        "How long a call waits if it does not say.",
    ),
];

static FILE_FIELDS: &[Field] = &[
    field("id", "name", Need::Required("<namespace>/<name>"), "Its id."),
    field("path", "path", Need::Required("input.jsonl"), "The file."),
    field(
        "follow",
        "boolean",
        Need::Default("false"),
        "Whether to wait for more at the end of the file.",
    ),
    field("lineMaxBytes", "size", Need::Default("16MiB"), "The longest line."),
    Field {
        name: "records",
        form: Form::Objects(RECORD_FIELDS),
        need: Need::Required(
            "\n  - valueType: <namespace>/<name>\n    key: /user\n    targets: [<namespace>/<name>]",
        ),
        about: "What becomes of each line. At least one.",
    },
];

static RECORD_FIELDS: &[Field] = &[
    field(
        "valueType",
        "name",
        Need::Required("<namespace>/<name>"),
        "The typename of the message; its value is the line as it is.",
    ),
    field(
        "key",
        "JSON pointer",
        Need::Required("/user"),
        "The string or integer within the line that is the id of the target.",
    ),
    Field {
        name: "targets",
        form: Form::Many("name"),
        need: Need::Required("[<namespace>/<name>]"),
        about: "The functions that receive it. At least one.",
    },
];

static PLAYGROUND_FIELDS: &[Field] = &[
    field("port", "port", Need::Required("8090"), "Where it listens. 0 is any that is free."),
    PLAYGROUND_HOST,
];

fn http(at: &At<'_>, universe: &mut Universe) {
    let Some(object) = at.object(HTTP_FIELDS, Unknown::Refused) else { return };
    let id = universe.bound(&object, Binding::Ingress);
    let address = object.scalar("address", scalar::socket_address);
    if let Some(address) = address {
        universe.listens(address, &object.child("address").unwrap_or_else(|| at.clone()));
    }
    let body_max_bytes = object.scalar("bodyMaxBytes", scalar::size);
    let requests_max = object.scalar("requestsMax", scalar::count);
    let call_timeout = object.scalar("callTimeout", scalar::positive_duration);
    let ingress = || {
        Some(HttpIngress {
            id: id?,
            address: address?,
            body_max_bytes: body_max_bytes?,
            requests_max: requests_max?,
            call_timeout: call_timeout?,
        })
    };
    universe.ingresses.extend(ingress().map(Ingress::Http));
}

fn file(at: &At<'_>, universe: &mut Universe) {
    let Some(object) = at.object(FILE_FIELDS, Unknown::Refused) else { return };
    let id = universe.bound(&object, Binding::Ingress);
    let path = object.scalar("path", scalar::path);
    let follow = object.scalar("follow", scalar::boolean);
    let line_max_bytes = object.scalar("lineMaxBytes", scalar::size);
    let records = object.required("records").and_then(|at| {
        let read: Vec<_> = some(&at, "record")?.iter().map(|at| record(at, universe)).collect();
        read.into_iter().collect::<Option<Vec<_>>>()
    });
    let ingress = || {
        Some(FileIngress {
            id: id?,
            path: path?,
            follow: follow?,
            records: records?,
            line_max_bytes: line_max_bytes?,
        })
    };
    universe.ingresses.extend(ingress().map(Ingress::File));
}

fn record(at: &At<'_>, universe: &mut Universe) -> Option<FileRecord> {
    let object = at.object(RECORD_FIELDS, Unknown::Refused)?;
    let value_type = object.scalar("valueType", scalar::name);
    let key = object.scalar("key", scalar::json_pointer);
    let targets = object.required("targets").and_then(|at| {
        some(&at, "target")?;
        at.scalars(scalar::function)
    });
    for (target, at) in targets.iter().flatten() {
        universe.sends_to(target, at);
    }
    let targets = targets?.into_iter().map(|(target, _)| target).collect();
    Some(FileRecord { value_type: value_type?, key: key?, targets })
}

/// The items of a list that may not be empty.
pub(crate) fn some<'t>(at: &At<'t>, noun: &str) -> Option<Vec<At<'t>>> {
    let items = at.items()?;
    if items.is_empty() {
        at.add(Wrong::new("the list is empty", format!("add at least one {noun}")));
        return None;
    }
    Some(items)
}

fn playground(at: &At<'_>, universe: &mut Universe) {
    let Some(object) = at.object(PLAYGROUND_FIELDS, Unknown::Ignored) else { return };
    let address = playground_address(&object, at, universe);
    let ingress = address.map(|address| Ingress::Playground(PlaygroundIngress { address }));
    universe.bound_as("io.statefun.playground/ingress", Binding::Ingress, at);
    universe.ingresses.extend(ingress);
}

/// Where a playground kind listens.
pub(crate) fn playground_address(
    object: &Object<'_>,
    at: &At<'_>,
    universe: &mut Universe,
) -> Option<SocketAddr> {
    let port = object.scalar("port", scalar::port);
    let host = object.scalar("address", scalar::host_address);
    let address = SocketAddr::new(host?, port?);
    universe.listens(address, &object.child("port").unwrap_or_else(|| at.clone()));
    Some(address)
}
