//! Everything that the documents say together, and whether it fits together.
//!
//! Documents tell what they bind, serve and listen on even if something else is wrong with them, so that one mistake
//! does not look like three.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use statera_model::{FunctionType, Name};

use crate::engine::EngineReading;
use crate::kinds::Role;
use crate::problem::quoted;
use crate::reader::{At, Object};
use crate::report::{Finding, Report, Where};
use crate::scalar;
use crate::words;
use crate::{Application, Egress, Endpoint, FunctionPattern, Ingress};

/// What an id is bound to; an ingress and an egress may have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Binding {
    Ingress,
    Egress,
    Function,
}

/// A place with the path of the value there.
#[derive(Clone)]
struct Spot {
    origin: Where,
    path: String,
}

impl Spot {
    fn of(at: &At<'_>) -> Spot {
        Spot { origin: at.place().into(), path: at.path.clone() }
    }
}

#[derive(Default)]
pub(crate) struct Universe {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) ingresses: Vec<Ingress>,
    pub(crate) egresses: Vec<Egress>,
    pub(crate) engine: EngineReading,
    embedded: BTreeSet<FunctionType>,
    bindings: BTreeMap<(Binding, String), Spot>,
    listeners: Vec<(SocketAddr, Spot)>,
    outputs: BTreeMap<PathBuf, Spot>,
    patterns: Vec<FunctionPattern>,
    targets: Vec<(FunctionType, Spot)>,
    declared: Vec<Role>,
    /// Part of the input could not be read, so that nothing can be said about what is missing.
    incomplete: bool,
}

impl Universe {
    pub(crate) fn with_embedded(embedded: BTreeSet<FunctionType>) -> Universe {
        let patterns = embedded.iter().cloned().map(FunctionPattern::Exact).collect();
        Universe { embedded, patterns, ..Universe::default() }
    }

    /// A document of this role was found, whatever is in it.
    pub(crate) fn declared(&mut self, role: Role) {
        self.declared.push(role);
    }

    /// Something could not be read that may have held anything.
    pub(crate) fn incomplete(&mut self) {
        self.incomplete = true;
    }

    /// Reads the field `id` and takes note of it.
    pub(crate) fn bound(&mut self, object: &Object<'_>, binding: Binding) -> Option<Name> {
        let at = object.required("id")?;
        let id = at.scalar(scalar::name)?;
        self.bound_as(id.as_str(), binding, &at);
        Some(id)
    }

    pub(crate) fn bound_as(&mut self, id: &str, binding: Binding, at: &At<'_>) {
        let (noun, hint) = match binding {
            Binding::Ingress => ("an ingress", "give one of the two another id, or remove it"),
            Binding::Egress => ("an egress", "give one of the two another id, or remove it"),
            Binding::Function => ("an endpoint for", "keep one of the two"),
        };
        let hint = match id.starts_with("io.statefun.playground/") {
            true => "keep one of the two: an application has one playground ingress and egress",
            false => hint,
        };
        let spot = Spot { origin: at.owner.into(), ..Spot::of(at) };
        match self.bindings.get(&(binding, id.to_owned())) {
            Some(first) => {
                let message = format!("{noun} {} is defined twice", quoted(id));
                let finding = Finding::error(spot.origin, &spot.path, message).hint(hint);
                at.report.add(finding.related("first defined at", &first.origin));
            }
            None => {
                self.bindings.insert((binding, id.to_owned()), spot);
            }
        }
    }

    pub(crate) fn serves(&mut self, pattern: &FunctionPattern, at: &At<'_>) {
        let id = match pattern {
            FunctionPattern::Exact(function) => function.to_string(),
            FunctionPattern::Namespace(namespace) => format!("{namespace}/*"),
        };
        self.bound_as(&id, Binding::Function, at);
        self.patterns.push(pattern.clone());
        self.warn_of_linked(pattern, at);
    }

    /// An endpoint that is asked for less than it says, or for nothing, was probably meant to be asked.
    fn warn_of_linked(&self, pattern: &FunctionPattern, at: &At<'_>) {
        let (message, hint) = match pattern {
            FunctionPattern::Exact(function) if self.embedded.contains(function) => (
                format!(
                    "{} is linked into this program, so the endpoint is never asked",
                    quoted(function.as_str())
                ),
                "remove the endpoint, or run it with a program that does not have the function",
            ),
            FunctionPattern::Namespace(namespace) => {
                let linked = |function: &&FunctionType| function.namespace() == namespace;
                let linked = self.embedded.iter().filter(linked).count();
                let (functions, are) =
                    if linked == 1 { ("function", "is") } else { ("functions", "are") };
                if linked == 0 {
                    return;
                }
                let message = format!(
                    "{linked} {functions} of {} {are} linked into this program, so the endpoint is asked for \
                     the others alone",
                    quoted(namespace)
                );
                (message, "name the functions that the endpoint serves one by one, or remove it")
            }
            FunctionPattern::Exact(_) => return,
        };
        at.report.add(Finding::warning(at.place(), &at.path, message).hint(hint));
    }

    /// Somebody wants to listen there.
    pub(crate) fn listens(&mut self, address: SocketAddr, at: &At<'_>) {
        let taken = self.listeners.iter().find(|(other, _)| collide(*other, address));
        if let Some((_, first)) = taken {
            let message = format!("two documents listen on port {}", address.port());
            let finding = Finding::error(at.place(), &at.path, message);
            at.report.add(finding.related("first used at", &first.origin).hint("use another port"));
        }
        self.listeners.push((address, Spot::of(at)));
    }

    /// Somebody writes this file.
    pub(crate) fn writes_to(&mut self, path: &Path, at: &At<'_>) {
        if let Some(first) = self.outputs.get(path) {
            let message = format!("two egresses write to {}", quoted(&path.to_string_lossy()));
            let finding = Finding::error(at.place(), &at.path, message);
            at.report
                .add(finding.related("first written at", &first.origin).hint("use another file"));
            return;
        }
        self.outputs.insert(path.to_owned(), Spot::of(at));
    }

    /// An ingress sends messages to this function.
    pub(crate) fn sends_to(&mut self, target: &FunctionType, at: &At<'_>) {
        self.targets.push((target.clone(), Spot::of(at)));
    }

    /// Checks what only all documents together can tell. `None` if anything at all is missing.
    pub(crate) fn application(self, report: &Report) -> Application {
        if !self.incomplete {
            self.check_presence(report);
            self.check_targets(report);
        }
        Application {
            embedded: self.embedded,
            endpoints: self.endpoints,
            ingresses: self.ingresses,
            egresses: self.egresses,
            engine: self.engine.settings(report),
        }
    }

    fn check_presence(&self, report: &Report) {
        if !self.declared.contains(&Role::Endpoint) && self.embedded.is_empty() {
            let hint = "add a document such as\n\
                        kind: io.statefun.endpoints.v2/http\n\
                        spec:\n  functions: example/*\n  urlPathTemplate: http://localhost:8000/statefun";
            let message = "no endpoint is defined, so there are no functions";
            report.add(Finding::error(Where::Nowhere, "", message).hint(hint));
        }
        if !self.declared.contains(&Role::Ingress) {
            let hint = "add a document such as\n\
                        kind: io.statera.v1/http-ingress\n\
                        spec:\n  id: example/ingress";
            let message = "no ingress is defined, so no message can come in";
            report.add(Finding::error(Where::Nowhere, "", message).hint(hint));
        }
    }

    fn check_targets(&self, report: &Report) {
        if self.patterns.is_empty() {
            return;
        }
        for (target, spot) in &self.targets {
            let served = self.patterns.iter().any(|pattern| match pattern {
                FunctionPattern::Exact(function) => function == target,
                FunctionPattern::Namespace(namespace) => namespace == target.namespace(),
            });
            if !served {
                let message = format!("no endpoint serves {}", quoted(target.as_str()));
                let finding = Finding::error(spot.origin.clone(), &spot.path, message);
                report.add(finding.hint(self.how_to_serve(target)));
            }
        }
    }

    fn how_to_serve(&self, target: &FunctionType) -> String {
        let namespaces = self.patterns.iter().filter_map(|pattern| match pattern {
            FunctionPattern::Namespace(namespace) => Some(namespace.as_str()),
            FunctionPattern::Exact(_) => None,
        });
        let functions = self.patterns.iter().filter_map(|pattern| match pattern {
            FunctionPattern::Exact(function) => Some(function.as_str()),
            FunctionPattern::Namespace(_) => None,
        });
        let add = format!("add an endpoint with `functions: {}/*`", target.namespace());
        if let Some(near) = words::meant(target.namespace(), namespaces) {
            format!("did you mean `{near}/{}`? Else {add}", target.name())
        } else if let Some(near) = words::meant(target.as_str(), functions) {
            format!("did you mean `{near}`? Else {add}")
        } else {
            add
        }
    }
}

/// Whether both cannot be listened on at once. Port 0 is always another one.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let everything = |address: SocketAddr, other: SocketAddr| {
        address.ip().is_unspecified() && (address.is_ipv6() || other.is_ipv4())
    };
    a.port() == b.port()
        && a.port() != 0
        && (a.ip() == b.ip() || everything(a, b) || everything(b, a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_collide_if_both_cannot_be_bound() {
        for (a, b, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("[::1]:80", "0.0.0.0:80", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!((collide(a, b), collide(b, a)), (expected, expected), "{a} {b}");
        }
    }
}
