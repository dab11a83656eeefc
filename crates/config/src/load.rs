//! From the text of files to an [`Application`].

use std::collections::BTreeSet;

use statera_model::FunctionType;

use crate::engine::EngineOverrides;
use crate::interpolate::Interpolation;
use crate::kinds::{KINDS, Kind};
use crate::legacy;
use crate::problem::{Problems, quoted};
use crate::reader::{At, Field, Form, Need, Unknown};
use crate::report::{Finding, Place, Report, Where, Wrong};
use crate::scalar;
use crate::universe::Universe;
use crate::words;
use crate::yaml::{self, Content, Node};
use crate::{Application, Source};

/// A configuration that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What it says.
    pub application: Application,
    /// What it probably did not mean to say.
    pub warnings: Problems,
}

/// Merges the files into one application.
///
/// `environment` gives the values for `${NAME}`. Nothing else is read: whether files that are named exist is found out
/// by whoever opens them.
///
/// # Errors
/// Everything that is wrong, and the warnings, if anything is.
pub fn load(
    sources: &[Source],
    overrides: &EngineOverrides,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Problems> {
    load_with(sources, overrides, environment, BTreeSet::new())
}

/// As [`load`], for an application some of whose functions are linked into the process.
///
/// # Errors
/// As [`load`].
pub fn load_with(
    sources: &[Source],
    overrides: &EngineOverrides,
    environment: &dyn Fn(&str) -> Option<String>,
    embedded: BTreeSet<FunctionType>,
) -> Result<Loaded, Problems> {
    let report = Report::new(sources);
    let mut universe = Universe::with_embedded(embedded);
    let mut found = false;
    for (file, source) in sources.iter().enumerate() {
        found |= read_source(file, source, environment, &mut universe, &report);
    }
    if !found {
        let message = "there are no documents in the configuration";
        let hint = "name a file that has documents with `kind` and `spec`";
        report.add(Finding::error(Where::Nowhere, "", message).hint(hint));
        universe.incomplete();
    }
    universe.engine.apply(overrides, &report);
    let application = universe.application(&report);
    let problems = report.finish();
    match problems.has_errors() {
        true => Err(problems),
        false => Ok(Loaded { application, warnings: problems }),
    }
}

/// A part of an application, from either format.
pub(crate) struct Document {
    pub(crate) kind: String,
    pub(crate) kind_place: Place,
    pub(crate) kind_path: String,
    pub(crate) spec: Node,
    pub(crate) spec_place: Place,
    /// The path of the spec within its YAML document.
    pub(crate) path: String,
}

/// Whether there is anything in the file, if only mistakes.
fn read_source(
    file: usize,
    source: &Source,
    environment: &dyn Fn(&str) -> Option<String>,
    universe: &mut Universe,
    report: &Report<'_>,
) -> bool {
    let mut stream = yaml::parse(file, source.text(), report);
    let mut interpolation = Interpolation { environment, bytes_left: stream.bytes_left };
    let found = !stream.documents.is_empty() || !stream.complete;
    let alone = stream.documents.len() == 1;
    for root in &mut stream.documents {
        let (documents, complete) = match alone && legacy::is_legacy(root) {
            true => {
                interpolate(root, "module", &mut interpolation, report);
                legacy::documents(root, report)
            }
            false => {
                interpolate(root, "spec", &mut interpolation, report);
                let document = current(root, report);
                let complete = document.is_some();
                (document.into_iter().collect(), complete)
            }
        };
        if !complete {
            universe.incomplete();
        }
        for document in &documents {
            read_document(document, universe, report);
        }
    }
    if !stream.complete {
        universe.incomplete();
    }
    found
}

/// Replaces `${…}` below a field of a document, unless the document does not want it.
fn interpolate(
    root: &mut Node,
    field: &str,
    interpolation: &mut Interpolation<'_>,
    report: &Report<'_>,
) {
    let wanted = root.entry(INTERPOLATE.name).is_none_or(|entry| {
        let at =
            At { node: &entry.value, path: "interpolate".into(), owner: entry.key_place, report };
        at.scalar(scalar::boolean).unwrap_or(false)
    });
    if let (true, Content::Mapping(entries)) = (wanted, &mut root.content) {
        for entry in entries.iter_mut().filter(|entry| &*entry.key == field) {
            interpolation.node(&mut entry.value, field, report);
        }
    }
}

const INTERPOLATE: Field = Field {
    name: "interpolate",
    form: Form::One("boolean"),
    need: Need::Default("true"),
    about: "Whether `${NAME}` and `${NAME:-default}` in values below `spec` are replaced from the environment.",
};

/// The fields of a document.
pub(crate) static DOCUMENT: &[Field] = &[
    Field {
        name: "kind",
        form: Form::One("name"),
        need: Need::Required("io.statefun.endpoints.v2/http"),
        about: "What the document describes.",
    },
    Field {
        name: "spec",
        form: Form::Object(&[]),
        need: Need::Required("\n  …"),
        about: "Its fields, which depend on the kind.",
    },
    INTERPOLATE,
];

/// A document of the current format.
fn current(root: &Node, report: &Report<'_>) -> Option<Document> {
    let at = At { node: root, path: String::new(), owner: root.place, report };
    if !matches!(root.content, Content::Mapping(_)) {
        let message = format!(
            "a document must be a mapping with `kind` and `spec`, but this is {}",
            root.noun()
        );
        at.add(Wrong::new(
            message,
            "write `kind: <namespace>/<name>` and `spec:` with its fields below it",
        ));
        return None;
    }
    if legacy::is_legacy(root) && root.entry("module").is_some() {
        let message = "the old format with `version` and `module` must be alone in its file";
        at.add(Wrong::new(
            message,
            "move it to a file of its own, or write it as documents with `kind` and `spec`",
        ));
        return None;
    }
    let object = at.object(DOCUMENT, Unknown::Ignored)?;
    let kind_at = object.required("kind");
    let kind = kind_at.as_ref().and_then(|at| at.scalar(scalar::text));
    let nothing = object.nothing();
    let spec = match root.entry("spec") {
        // All of its fields may be left out.
        Some(entry) => {
            At { node: &entry.value, path: "spec".into(), owner: entry.key_place, report }
        }
        None => {
            object.required("spec");
            object.child_or("spec", &nothing)
        }
    };
    root.entry("spec")?;
    Some(Document {
        kind: kind?,
        kind_place: kind_at?.place(),
        kind_path: "kind".to_owned(),
        spec: spec.node.clone(),
        spec_place: spec.owner,
        path: spec.path,
    })
}

fn read_document(document: &Document, universe: &mut Universe, report: &Report<'_>) {
    let at = At {
        node: &document.spec,
        path: document.path.clone(),
        owner: document.spec_place,
        report,
    };
    let kind_error = |wrong: Wrong| report.add(wrong.at(document.kind_place, &document.kind_path));
    let Some(kind) = Kind::find(&document.kind) else {
        universe.incomplete();
        return kind_error(unknown_kind(&document.kind));
    };
    universe.declared(kind.role);
    (kind.read)(&at, universe);
}

fn unknown_kind(kind: &str) -> Wrong {
    let names = || KINDS.iter().map(|kind| kind.name);
    let message = match scalar::name(kind) {
        Ok(_) => format!("there is no kind {}", quoted(kind)),
        Err(_) => {
            format!("invalid kind {}: it must be of the form `<namespace>/<name>`", quoted(kind))
        }
    };
    let nearest = words::nearest(kind, names());
    let tolerated = nearest.first().map_or(0, |(least, _)| (least + 1).min(kind.len() / 3));
    let near: Vec<_> = nearest.iter().filter(|(distance, _)| *distance <= tolerated).collect();
    let hint = match near.as_slice() {
        [] => {
            let all: Vec<_> = KINDS.iter().map(|kind| format!("  {}", kind.name)).collect();
            format!("the kinds are\n{}", all.join("\n"))
        }
        [(_, name)] => format!("did you mean `{name}`?"),
        several => {
            let all: Vec<_> = several.iter().map(|(_, name)| format!("`{name}`")).collect();
            format!("did you mean one of {}?", all.join(", "))
        }
    };
    Wrong::new(message, hint)
}
