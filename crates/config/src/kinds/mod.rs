//! The kinds of documents: one table that says what each is for, which fields it has, and who reads it.

use crate::reader::{At, Field};
use crate::universe::Universe;

pub(crate) mod egress;
pub(crate) mod endpoint;
pub(crate) mod ingress;
pub(crate) mod transport;
pub(crate) mod url;

/// A kind of document.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    /// What it is for.
    pub(crate) about: &'static str,
    /// The fields of its `spec`.
    pub(crate) fields: &'static [Field],
    pub(crate) reader: Reader,
}

/// What a document contributes to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Endpoint,
    Ingress,
    Egress,
    Engine,
}

/// How the `spec` of a kind is read.
pub(crate) enum Reader {
    /// Adds what it finds to the application, even if something is wrong with the rest.
    Spec(fn(&At<'_>, &mut Universe)),
    /// Known, but not available.
    NotYet,
}

/// All kinds.
pub(crate) static KINDS: &[Kind] = &[
    endpoint::V2,
    endpoint::V1,
    ingress::HTTP,
    ingress::FILE,
    ingress::PLAYGROUND,
    egress::FILE,
    egress::STDOUT,
    egress::PLAYGROUND,
    crate::engine::KIND,
    not_yet("io.statefun.kafka.v1/ingress", Role::Ingress),
    not_yet("io.statefun.kafka.v1/egress", Role::Egress),
    not_yet("io.statefun.kinesis.v1/ingress", Role::Ingress),
    not_yet("io.statefun.kinesis.v1/egress", Role::Egress),
];

const fn not_yet(name: &'static str, role: Role) -> Kind {
    Kind { name, role, about: "", fields: &[], reader: Reader::NotYet }
}

impl Kind {
    pub(crate) fn find(name: &str) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| kind.name == name)
    }
}
