//! Where records leave.

use crate::kinds::ingress::{PLAYGROUND_HOST, field, playground_address};
use crate::kinds::{Kind, Role};
use crate::reader::{At, Field, Form, Need, Unknown};
use crate::scalar;
use crate::universe::{Binding, Universe};
use crate::{Egress, FileEgress, PlaygroundEgress, StdoutEgress};

pub(crate) const FILE: Kind = Kind {
    name: "io.statera.v1/file-egress",
    role: Role::Egress,
    about: "A line of JSON for each record, exactly once.",
    fields: FILE_FIELDS,
    read: file,
};

pub(crate) const STDOUT: Kind = Kind {
    name: "io.statera.v1/stdout-egress",
    role: Role::Egress,
    about: "A line of JSON on standard output for each record, at least once.",
    fields: STDOUT_FIELDS,
    read: stdout,
};

pub(crate) const PLAYGROUND: Kind = Kind {
    name: "io.statefun.playground.v1/egress",
    role: Role::Egress,
    about: "The egress of the StateFun playground: `GET /<topic>` takes one record. Its id is `io.statefun.playground/egress`.",
    fields: PLAYGROUND_FIELDS,
    read: playground,
};

static FILE_FIELDS: &[Field] = &[
    field("id", "name", Need::Required("<namespace>/<name>"), "Its id."),
    field("path", "path", Need::Required("output.jsonl"), "The file."),
];

static STDOUT_FIELDS: &[Field] =
    &[field("id", "name", Need::Required("<namespace>/<name>"), "Its id.")];

static PLAYGROUND_FIELDS: &[Field] = &[
    field("port", "port", Need::Required("8091"), "Where it listens. 0 is any that is free."),
    PLAYGROUND_HOST,
    Field {
        name: "topics",
        form: Form::Many("text"),
        need: Need::Required("[greetings]"),
        about: "The topics that functions may write to.",
    },
];

fn file(at: &At<'_>, universe: &mut Universe) {
    let Some(object) = at.object(FILE_FIELDS, Unknown::Refused) else { return };
    let id = universe.bound(&object, Binding::Egress);
    let path = object.scalar("path", scalar::path);
    if let (Some(path), Some(at)) = (&path, object.child("path")) {
        universe.writes_to(path, &at);
    }
    let egress = id.zip(path).map(|(id, path)| Egress::File(FileEgress { id, path }));
    universe.egresses.extend(egress);
}

fn stdout(at: &At<'_>, universe: &mut Universe) {
    let Some(object) = at.object(STDOUT_FIELDS, Unknown::Refused) else { return };
    let id = universe.bound(&object, Binding::Egress);
    universe.egresses.extend(id.map(|id| Egress::Stdout(StdoutEgress { id })));
}

fn playground(at: &At<'_>, universe: &mut Universe) {
    let Some(object) = at.object(PLAYGROUND_FIELDS, Unknown::Ignored) else { return };
    universe.bound_as("io.statefun.playground/egress", Binding::Egress, at);
    let address = playground_address(&object, at, universe);
    let topics = object.required("topics").and_then(|at| at.scalars(scalar::text));
    let egress = address.zip(topics).map(|(address, topics)| {
        let topics = topics.into_iter().map(|(topic, _)| topic).collect();
        Egress::Playground(PlaygroundEgress { address, topics })
    });
    universe.egresses.extend(egress);
}
