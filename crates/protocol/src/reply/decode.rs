//! Reading replies.

use std::sync::Arc;

use bytes::Bytes;
use statera_model::{
    Delayed, Egress, Expiration, Mutation, Outcome, Outgoing, Reply, StateChange, StateSpec,
    UNSET_TYPENAME,
};

use super::{AFTER_INVOKE, AFTER_WRITE, DELETE, MODIFY};
use crate::decoder::Decoder;
use crate::error::{At, DecodeError, Problem};
use crate::message::{self, RawAddress, RawValue};
use crate::wire::{Field, Fields};

/// Reads the body of a reply, an encoded `FromFunction`. An empty body is a reply without effects. Use
/// [`Decoder::reply`] to read many.
///
/// # Errors
/// If the bytes are not such a message, a state change is of an unknown kind, or a typename of a declared state is not
/// of the form `namespace/name`.
pub fn decode_reply(body: Bytes) -> Result<Outcome, DecodeError> {
    Decoder::new().reply(body)
}

pub(crate) fn decode(decoder: &mut Decoder, body: &Bytes) -> Result<Outcome, DecodeError> {
    Reader { decoder, body }.outcome().at("FromFunction")
}

/// Reads one body. Each method reads one message.
struct Reader<'r> {
    decoder: &'r mut Decoder,
    body: &'r Bytes,
}

impl Reader<'_> {
    fn outcome(&mut self) -> Result<Outcome, DecodeError> {
        let mut outcome = Outcome::Complete(Reply::default());
        for field in Fields::of(self.body) {
            match field? {
                (100, field) => {
                    let mut reply = match outcome {
                        Outcome::Complete(reply) => reply,
                        Outcome::Incomplete(_) => Reply::default(),
                    };
                    self.merge_result(&mut reply, field).at("invocation_result")?;
                    outcome = Outcome::Complete(reply);
                }
                (101, field) => {
                    let mut missing = match outcome {
                        Outcome::Complete(_) => Vec::new(),
                        Outcome::Incomplete(missing) => missing,
                    };
                    self.merge_missing(&mut missing, field).at("incomplete_invocation_context")?;
                    outcome = Outcome::Incomplete(missing);
                }
                _ => {}
            }
        }
        Ok(outcome)
    }

    fn merge_result(&mut self, reply: &mut Reply, message: Field<'_>) -> Result<(), DecodeError> {
        for field in Fields::of(message.bytes()?) {
            match field? {
                (1, field) => {
                    let index = reply.mutations.len();
                    let mutation = self.mutation(field).at_element("state_mutations", index)?;
                    reply.mutations.push(mutation);
                }
                (2, field) => {
                    let index = reply.messages.len();
                    let message = self.outgoing(field).at_element("outgoing_messages", index)?;
                    reply.messages.push(message);
                }
                (3, field) => {
                    let index = reply.delayed.len();
                    let delayed = self.delayed(field).at_element("delayed_invocations", index)?;
                    reply.delayed.push(delayed);
                }
                (4, field) => {
                    let index = reply.egress.len();
                    let record = self.egress(field).at_element("outgoing_egresses", index)?;
                    reply.egress.push(record);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn mutation(&mut self, message: Field<'_>) -> Result<Mutation, DecodeError> {
        let mut kind = DELETE;
        let mut name: &[u8] = b"";
        let mut value = RawValue::default();
        for field in Fields::of(message.bytes()?) {
            match field? {
                (1, field) => kind = field.number().at("mutation_type")? as i32,
                (2, field) => name = field.bytes().at("state_name")?,
                (3, field) => value.merge(self.body, field).at("state_value")?,
                _ => {}
            }
        }
        let change = match kind {
            DELETE => StateChange::Delete,
            MODIFY => StateChange::Modify(value.build_or_empty()),
            other => return Err(Problem::MutationType(other)).at("mutation_type"),
        };
        Ok(Mutation { state: self.decoder.state(name).at("state_name")?, change })
    }

    fn outgoing(&mut self, message: Field<'_>) -> Result<Outgoing, DecodeError> {
        let mut target = RawAddress::default();
        let mut argument = RawValue::default();
        for field in Fields::of(message.bytes()?) {
            match field? {
                (1, field) => target.merge(field).at("target")?,
                (2, field) => argument.merge(self.body, field).at("argument")?,
                _ => {}
            }
        }
        let target = target.build(self.decoder).at("target")?;
        Ok(Outgoing { target, argument: argument.build_or_empty() })
    }

    fn delayed(&mut self, message: Field<'_>) -> Result<Delayed, DecodeError> {
        let mut delay_ms = 0;
        let mut target = RawAddress::default();
        let mut argument = RawValue::default();
        let mut is_cancellation = false;
        let mut token = "";
        for field in Fields::of(message.bytes()?) {
            match field? {
                (1, field) => delay_ms = field.number().at("delay_in_ms")? as i64,
                (2, field) => target.merge(field).at("target")?,
                (3, field) => argument.merge(self.body, field).at("argument")?,
                (10, field) => is_cancellation = field.number().at("is_cancellation_request")? != 0,
                (11, field) => token = field.text().at("cancellation_token")?,
                _ => {}
            }
        }
        if is_cancellation {
            return Ok(Delayed::Cancel { token: token.into() });
        }
        let target = target.build(self.decoder).at("target")?;
        Ok(Delayed::Send {
            delay_ms,
            message: Outgoing { target, argument: argument.build_or_empty() },
            token: (!token.is_empty()).then(|| token.into()),
        })
    }

    fn egress(&mut self, message: Field<'_>) -> Result<Egress, DecodeError> {
        let mut namespace: &[u8] = b"";
        let mut name: &[u8] = b"";
        let mut argument = RawValue::default();
        for field in Fields::of(message.bytes()?) {
            match field? {
                (1, field) => namespace = field.bytes().at("egress_namespace")?,
                (2, field) => name = field.bytes().at("egress_type")?,
                (3, field) => argument.merge(self.body, field).at("argument")?,
                _ => {}
            }
        }
        let egress =
            message::name(self.decoder, (namespace, "egress_namespace"), (name, "egress_type"))?;
        Ok(Egress { egress, argument: argument.build_or_empty() })
    }

    fn merge_missing(
        &mut self,
        missing: &mut Vec<StateSpec>,
        message: Field<'_>,
    ) -> Result<(), DecodeError> {
        for field in Fields::of(message.bytes()?) {
            if let (1, field) = field? {
                let index = missing.len();
                missing.push(self.spec(field).at_element("missing_values", index)?);
            }
        }
        Ok(())
    }

    fn spec(&mut self, message: Field<'_>) -> Result<StateSpec, DecodeError> {
        let mut name: &[u8] = b"";
        let mut expiration = RawExpiration::default();
        let mut type_name = "";
        for field in Fields::of(message.bytes()?) {
            match field? {
                (1, field) => name = field.bytes().at("state_name")?,
                (2, field) => expiration.merge(field).at("expiration_spec")?,
                (3, field) => type_name = field.text().at("type_typename")?,
                _ => {}
            }
        }
        Ok(StateSpec {
            name: self.decoder.state(name).at("state_name")?,
            typename: typename(type_name).at("type_typename")?,
            expiration: expiration.build(),
        })
    }
}

/// The typename of a declared state as StateFun takes it: empty means "unset", else what stands between the slashes must
/// be two parts, where empty parts at the end do not count (Java's `split`). So `/b` is accepted, and `a/b/` is `a/b`.
fn typename(text: &str) -> Result<Arc<str>, Problem> {
    if text.is_empty() {
        return Ok(UNSET_TYPENAME.into());
    }
    let parts = text.trim_end_matches('/');
    if parts.matches('/').count() == 1 { Ok(parts.into()) } else { Err(Problem::typename(text)) }
}

#[derive(Default)]
struct RawExpiration {
    mode: i32,
    ttl_ms: i64,
}

impl RawExpiration {
    fn merge(&mut self, message: Field<'_>) -> Result<(), DecodeError> {
        for field in Fields::of(message.bytes()?) {
            match field? {
                (1, field) => self.mode = field.number().at("mode")? as i32,
                (2, field) => self.ttl_ms = field.number().at("expire_after_millis")? as i64,
                _ => {}
            }
        }
        Ok(())
    }

    fn build(self) -> Expiration {
        match self.mode {
            AFTER_WRITE => Expiration::AfterWrite { ttl_ms: self.ttl_ms },
            AFTER_INVOKE => Expiration::AfterInvoke { ttl_ms: self.ttl_ms },
            _ => Expiration::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typenames_are_split_as_java_does() {
        for (text, expected) in [
            ("", Some(UNSET_TYPENAME)),
            ("a/b", Some("a/b")),
            ("/b", Some("/b")),
            ("a/b/", Some("a/b")),
            ("a/b//", Some("a/b")),
            ("type.googleapis.com/x.Y", Some("type.googleapis.com/x.Y")),
            ("a", None),
            ("a/", None),
            ("/", None),
            ("//", None),
            ("//b", None),
            ("a//b", None),
            ("a/b/c", None),
        ] {
            assert_eq!(typename(text).ok().as_deref(), expected, "{text:?}");
        }
    }
}
