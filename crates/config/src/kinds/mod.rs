//! The kinds of documents: one table that says what each is for, which fields it has, and who reads it.

use crate::reader::{At, Field};
use crate::universe::Universe;

pub(crate) mod egress;
pub(crate) mod endpoint;
pub(crate) mod ingress;
pub(crate) mod kafka;
pub(crate) mod kinesis;
pub(crate) mod streams;
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
    /// Reads its `spec`. Adds what it finds to the application, even if something is wrong with the rest.
    pub(crate) read: fn(&At<'_>, &mut Universe),
}

/// What a document contributes to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Endpoint,
    Ingress,
    Egress,
    Engine,
}

/// All kinds.
pub(crate) static KINDS: &[Kind] = &[
    endpoint::V2,
    endpoint::V1,
    ingress::HTTP,
    ingress::FILE,
    kafka::INGRESS,
    kinesis::INGRESS,
    ingress::PLAYGROUND,
    egress::FILE,
    egress::STDOUT,
    kafka::EGRESS,
    kinesis::EGRESS,
    egress::PLAYGROUND,
    crate::engine::KIND,
];

impl Kind {
    pub(crate) fn find(name: &str) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| kind.name == name)
    }
}
