//! The format of StateFun before 3.1: one document with `version: "3.0"` that holds everything. It becomes the
//! documents that the current format would have.

use std::rc::Rc;

use crate::load::Document;
use crate::problem::quoted;
use crate::reader::{At, Field, Form, Need, Object, Unknown};
use crate::report::{Finding, Report, Wrong};
use crate::scalar::{self, Parsed};
use crate::yaml::{Content, Entry, Node};

const fn mapping(name: &'static str) -> Field {
    Field { name, form: Form::Object(&[]), need: Need::Required("\n  …"), about: "" }
}

const fn text(name: &'static str, example: &'static str) -> Field {
    Field { name, form: Form::One("text"), need: Need::Required(example), about: "" }
}

const fn list(name: &'static str) -> Field {
    Field { name, form: Form::Objects(&[]), need: Need::Optional(""), about: "" }
}

static ROOT: &[Field] = &[text("version", "\"3.0\""), mapping("module")];
static MODULE: &[Field] = &[text("meta", "{ type: remote }"), mapping("spec")];
static META: &[Field] = &[text("type", "remote")];
static LISTS: &[Field] = &[list("endpoints"), list("ingresses"), list("egresses")];
static ENDPOINT: &[Field] = &[text("meta", "{ kind: http }"), mapping("spec")];
static IO: &[Field] =
    &[text("meta", "{ type: io.statefun.kafka/ingress, id: <namespace>/<name> }"), mapping("spec")];
static ENDPOINT_META: &[Field] = &[text("kind", "http")];
static IO_META: &[Field] =
    &[text("type", "io.statefun.kafka/ingress"), text("id", "<namespace>/<name>")];

/// What a list holds: its name, the key of each item, what is below it, the fields of `meta`, and the one that says the kind.
struct Part {
    list: &'static str,
    item: &'static [Field],
    component: &'static [Field],
    meta: &'static [Field],
    kind: &'static str,
}

static PARTS: &[Part] = &[
    Part {
        list: "endpoints",
        item: &[mapping("endpoint")],
        component: ENDPOINT,
        meta: ENDPOINT_META,
        kind: "kind",
    },
    Part {
        list: "ingresses",
        item: &[mapping("ingress")],
        component: IO,
        meta: IO_META,
        kind: "type",
    },
    Part {
        list: "egresses",
        item: &[mapping("egress")],
        component: IO,
        meta: IO_META,
        kind: "type",
    },
];

static KINDS: &[(&str, &str)] = &[
    ("http", "io.statefun.endpoints.v1/http"),
    ("io.statefun.kafka/ingress", "io.statefun.kafka.v1/ingress"),
    ("io.statefun.kafka/egress", "io.statefun.kafka.v1/egress"),
    ("io.statefun.kinesis/ingress", "io.statefun.kinesis.v1/ingress"),
    ("io.statefun.kinesis/egress", "io.statefun.kinesis.v1/egress"),
];

/// Whether a file of one document is in this format.
pub(crate) fn is_legacy(root: &Node) -> bool {
    root.entry("version").is_some() && root.entry("kind").is_none()
}

/// The documents of a file in this format, and whether all could be found.
pub(crate) fn documents(root: &Node, report: &Report<'_>) -> (Vec<Document>, bool) {
    let at = At { node: root, path: String::new(), owner: root.place, report };
    let mut documents = Vec::new();
    let complete = read(&at, &mut documents).is_some();
    (documents, complete)
}

/// `None` if part of it could not be understood, which is reported.
fn read(at: &At<'_>, documents: &mut Vec<Document>) -> Option<()> {
    let root = at.object(ROOT, Unknown::Ignored)?;
    // Whatever the version is, the rest is worth a look.
    let version = root.required("version").and_then(|at| version(&at));
    if let (Some(()), Some(entry)) = (version, at.node.entry("version")) {
        let message = "this file is in the old format 3.0, which is still read";
        let hint = "the current format has a document with `kind` and `spec` for each endpoint, ingress and egress";
        at.report.add(Finding::warning(entry.key_place, "version", message).hint(hint));
    }
    let module = root.required("module")?.object(MODULE, Unknown::Ignored)?;
    let meta = root.child("module").and_then(|_| module_type(&module));
    let lists = module.required("spec")?.object(LISTS, Unknown::Ignored)?;
    let mut complete = version.is_some() && meta.is_some();
    for part in PARTS {
        let Some(list) = lists.child(part.list) else { continue };
        for item in list.items()? {
            match component(&item, part) {
                Some(document) => documents.push(document),
                None => complete = false,
            }
        }
    }
    complete.then_some(())
}

fn version(at: &At<'_>) -> Option<()> {
    if let Content::Scalar(scalar) = &at.node.content
        && scalar.plain
        && scalar.text.parse::<f64>().is_ok()
    {
        let message =
            format!("the version must be text, but `{}` without quotes is a number", scalar.text);
        at.add(Wrong::new(message, "write `version: \"3.0\"`"));
        return None;
    }
    at.scalar(supported)
}

fn supported(text: &str) -> Parsed<()> {
    match text {
        "3.0" => Ok(()),
        "1.0" | "2.0" => Err(Wrong::new(
            format!("format version {} is not supported", quoted(text)),
            "only 3.0 and later are; write `version: \"3.0\"` and adapt the module to it",
        )),
        _ => Err(Wrong::new(
            format!("unrecognized format version {}", quoted(text)),
            "write `version: \"3.0\"`, or use the current format: documents with `kind` and `spec`",
        )),
    }
}

fn module_type(module: &Object<'_>) -> Option<()> {
    let meta = module.required("meta")?.object(META, Unknown::Ignored)?;
    meta.scalar("type", |text| match text.eq_ignore_ascii_case("remote") {
        true => Ok(()),
        false => {
            let message = format!("unknown module type {}", quoted(text));
            Err(Wrong::new(message, "write `type: remote`"))
        }
    })
}

fn component(at: &At<'_>, part: &Part) -> Option<Document> {
    let holder = at.object(part.item, Unknown::Ignored)?;
    let component = holder.required(part.item[0].name)?.object(part.component, Unknown::Ignored)?;
    let meta = component.required("meta").and_then(|at| at.object(part.meta, Unknown::Ignored));
    let spec = component.required("spec");
    let meta = meta?;
    let kind_at = meta.required(part.kind)?;
    let kind = kind_at.scalar(scalar::text)?;
    let kind =
        KINDS.iter().find(|(old, _)| *old == kind).map_or(kind, |(_, new)| (*new).to_owned());
    let spec = spec?;
    let mut node = spec.node.clone();
    let id = match part.meta.iter().any(|field| field.name == "id") {
        true => Some(meta.required("id")?),
        false => None,
    };
    if let (Some(id), Content::Mapping(entries)) = (id, &mut node.content) {
        entries.retain(|entry| &*entry.key != "id");
        let entry = Entry { key: Rc::from("id"), key_place: id.owner, value: id.node.clone() };
        entries.push(entry);
    }
    Some(Document {
        kind,
        kind_place: kind_at.place(),
        kind_path: kind_at.path,
        spec: node,
        spec_place: spec.owner,
        path: spec.path,
    })
}
