//! The key space: everything there is to know about a worker, as key-value pairs.
//!
//! A key is `[key group: u16 BE] [kind: u8] [rest]`. Texts inside a key end with `00 00`, and a zero byte inside a text is
//! written `00 FF`, so that keys sort as their texts do and a prefix of an id is a prefix of its key. Numbers are
//! big-endian. Kinds are never renumbered.
//!
//! | kind | rest | value | written |
//! |---|---|---|---|
//! | 1 state | function, id, state name | [`crate::values`]: last access, typed value | over and over |
//! | 2 mail | function, id, sequence u64 | a message that outlived a cut | once, deleted once |
//! | 3 delayed | due ms u64, sequence u64 | a delayed message; the group is its sender's | once, deleted once |
//! | 4 dedupe | function, id, idempotency key | what became of the request | twice, deleted |
//! | 5 source | ingress, partition | its position, in its own format | over and over |
//! | 6 outbox | egress, epoch u64, shard u16, index u32 | typed value | once, deleted once |
//! | 7 sink | egress | epoch u64, position | over and over |
//! | 8 dead letter | number u64 | [`crate::values::DeadLetter`] | once, deleted once |
//! | 9 paused | function, id | why, and since when | over and over, deleted |
//! | 10 halt | u8 1 function, 2 endpoint, 3 ingress; its name | as 9 | over and over, deleted |
//!
//! Only kind 1 may exceed memory: the others are read completely at start.

use std::sync::Arc;

use statera_model::{Address, EgressId, Epoch, FunctionType, Id, KeyGroup, Millis, Name};
use statera_ports::{DeadLetterId, SourceId};

/// The kind of state values, the only ones that are read on demand.
pub const STATE: u8 = 1;
const MAIL: u8 = 2;
const DELAYED: u8 = 3;
const DEDUPE: u8 = 4;
const SOURCE: u8 = 5;
const OUTBOX: u8 = 6;
const SINK: u8 = 7;
const DEAD_LETTER: u8 = 8;
const PAUSED: u8 = 9;
const HALT: u8 = 10;

/// Whether a key of this kind is put once between its making and its deletion, never over an earlier value of itself.
#[must_use]
pub fn is_written_once(kind: u8) -> bool {
    matches!(kind, MAIL | DELAYED | OUTBOX | DEAD_LETTER)
}

/// What a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A state value of an address.
    State {
        /// Whose.
        address: Address,
        /// The name of the state.
        name: Arc<str>,
    },
    /// A message waiting in a mailbox.
    Mail {
        /// Whose mailbox.
        address: Address,
        /// Its place: messages of an address are taken in this order.
        sequence: u64,
    },
    /// A delayed message.
    Delayed(DelayedKey),
    /// An idempotency key.
    Dedupe {
        /// The target of the request.
        target: Address,
        /// The key.
        key: Arc<str>,
    },
    /// Where a source stands.
    Source(SourceId),
    /// An egress record that its sink has not confirmed.
    Outbox {
        /// Where it leaves.
        egress: EgressId,
        /// The epoch it belongs to. Records of an egress leave in the order of epoch, shard, index.
        epoch: Epoch,
        /// The shard that emitted it.
        shard: u16,
        /// Its place among those of the same epoch, shard and egress.
        index: u32,
    },
    /// How far a sink has confirmed.
    Sink(EgressId),
    /// A dead letter.
    DeadLetter(DeadLetterId),
    /// An address that takes no messages until it is resumed.
    Paused(Address),
    /// A part of the application that takes nothing until it is resumed. Its key group is that of its name.
    Halt(Halt),
}

/// When a delayed message is due, and its place among those due at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DelayedKey {
    /// When it is due.
    pub due: Millis,
    /// Distinguishes and orders messages due at the same time.
    pub sequence: u64,
}

impl DelayedKey {
    /// Before all others.
    pub const FIRST: DelayedKey = DelayedKey { due: Millis(0), sequence: 0 };
}

/// A part of an application that takes nothing until it is resumed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Halt {
    /// The functions of a type.
    Function(FunctionType),
    /// The functions of an endpoint, by what it serves: `namespace/type`, or `namespace/*`.
    Endpoint(Name),
    /// An ingress.
    Ingress(Name),
}

/// The bytes are not a key of this key space.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key of the key space: {0:02x?}")]
pub struct CorruptKey(pub Vec<u8>);

impl Key {
    /// The bytes of this key in a key group.
    #[must_use]
    pub fn encode(&self, group: KeyGroup) -> Vec<u8> {
        match self {
            Key::State { address, name } => state(group, address, name),
            Key::Mail { address, sequence } => mail(group, address, *sequence),
            Key::Delayed(key) => delayed(group, *key),
            Key::Dedupe { target, key } => {
                let mut out = start(group, DEDUPE);
                push_address(&mut out, target);
                push_text(&mut out, key);
                out
            }
            Key::Source(source) => {
                let mut out = start(group, SOURCE);
                push_text(&mut out, source.ingress.as_str());
                push_text(&mut out, &source.partition);
                out
            }
            Key::Outbox { egress, epoch, shard, index } => {
                let mut out = start(group, OUTBOX);
                push_text(&mut out, egress.as_str());
                out.extend(epoch.0.to_be_bytes());
                out.extend(shard.to_be_bytes());
                out.extend(index.to_be_bytes());
                out
            }
            Key::Sink(egress) => {
                let mut out = start(group, SINK);
                push_text(&mut out, egress.as_str());
                out
            }
            Key::DeadLetter(id) => {
                let mut out = start(group, DEAD_LETTER);
                out.extend(id.number.to_be_bytes());
                out
            }
            Key::Paused(address) => {
                let mut out = start(group, PAUSED);
                push_address(&mut out, address);
                out
            }
            Key::Halt(halt) => {
                let mut out = start(group, HALT);
                let (what, name) = match halt {
                    Halt::Function(name) => (1, name),
                    Halt::Endpoint(name) => (2, name),
                    Halt::Ingress(name) => (3, name),
                };
                out.push(what);
                push_text(&mut out, name.as_str());
                out
            }
        }
    }

    /// Reads a key.
    ///
    /// # Errors
    /// [`CorruptKey`] if the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<(KeyGroup, Key), CorruptKey> {
        let mut reader = Reader { rest: bytes };
        match reader.key() {
            Some(key) if reader.rest.is_empty() => Ok(key),
            _ => Err(CorruptKey(bytes.to_vec())),
        }
    }
}

/// The key of a state value.
#[must_use]
pub fn state(group: KeyGroup, address: &Address, name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    push_state(&mut out, group, address, name);
    out
}

fn push_state(out: &mut Vec<u8>, group: KeyGroup, address: &Address, name: &str) {
    push_start(out, group, STATE);
    push_address(out, address);
    push_text(out, name);
}

/// A part of many keys, as they have it.
#[derive(Debug)]
pub(crate) struct KeyPart {
    /// At least [`PART_BYTES`], zero behind its end.
    bytes: Box<[u8]>,
    length: usize,
}

/// A copy of a known length is quick; most parts are not longer than this.
const PART_BYTES: usize = 32;

impl KeyPart {
    pub(crate) fn function(function: &FunctionType) -> KeyPart {
        let mut out = Vec::new();
        push_text(&mut out, function.namespace());
        push_text(&mut out, function.name());
        KeyPart::of(out)
    }

    pub(crate) fn state_name(name: &str) -> KeyPart {
        let mut out = Vec::new();
        push_text(&mut out, name);
        KeyPart::of(out)
    }

    fn of(mut bytes: Vec<u8>) -> KeyPart {
        let length = bytes.len();
        bytes.resize(length.max(PART_BYTES), 0);
        KeyPart { bytes: bytes.into(), length }
    }

    #[inline]
    fn append_to(&self, out: &mut Vec<u8>) {
        match self.bytes.first_chunk::<PART_BYTES>() {
            Some(few) if self.length <= PART_BYTES => {
                let end = out.len() + self.length;
                out.extend_from_slice(few);
                out.truncate(end);
            }
            _ => out.extend_from_slice(&self.bytes),
        }
    }
}

/// Appends the key of a message in a mailbox, whose function type is known.
#[inline]
pub(crate) fn push_known_mail(
    out: &mut Vec<u8>,
    group: KeyGroup,
    function: &KeyPart,
    id: &Id,
    sequence: u64,
) {
    push_start(out, group, MAIL);
    function.append_to(out);
    push_id(out, id);
    out.extend_from_slice(&sequence.to_be_bytes());
}

/// Appends the key of a state value, whose function type and name are known.
#[inline]
pub(crate) fn push_known_state(
    out: &mut Vec<u8>,
    group: KeyGroup,
    function: &KeyPart,
    id: &Id,
    state: &KeyPart,
) {
    push_start(out, group, STATE);
    function.append_to(out);
    push_id(out, id);
    state.append_to(out);
}

/// The prefix of all state values of an address.
#[must_use]
pub fn state_prefix(group: KeyGroup, address: &Address) -> Vec<u8> {
    let mut out = start(group, STATE);
    push_address(&mut out, address);
    out
}

/// The kinds of keys that stand for an instance: it has state, mail, or is paused. Behind key group and kind they begin with
/// the address.
pub const OF_INSTANCES: [u8; 3] = [STATE, MAIL, PAUSED];

/// What the keys of all addresses that, as `namespace/type/id`, begin with this text have behind key group and kind.
#[must_use]
pub fn address_prefix(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut parts = text.splitn(3, '/').peekable();
    while let Some(part) = parts.next() {
        push_text(&mut out, part);
        if parts.peek().is_none() {
            out.truncate(out.len() - 2);
        }
    }
    out
}

/// How much of a key names its address, key group and kind included; `None` if it is not one of [`OF_INSTANCES`].
#[must_use]
pub fn address_end(key: &[u8]) -> Option<usize> {
    let kind = key.get(2)?;
    let mut reader = Reader { rest: key.get(3..)? };
    if !OF_INSTANCES.contains(kind) {
        return None;
    }
    for _ in 0..3 {
        reader.skip_text()?;
    }
    Some(key.len() - reader.rest.len())
}

/// The address that a key begins with, as far as [`address_end`] says, without key group and kind.
///
/// # Errors
/// [`CorruptKey`] if the bytes are not one.
pub fn decode_address(bytes: &[u8]) -> Result<Address, CorruptKey> {
    let mut reader = Reader { rest: bytes };
    match reader.address() {
        Some(address) if reader.rest.is_empty() => Ok(address),
        _ => Err(CorruptKey(bytes.to_vec())),
    }
}

/// The prefix of all dead letters of a key group.
#[must_use]
pub fn dead_letter_prefix(group: KeyGroup) -> Vec<u8> {
    start(group, DEAD_LETTER)
}

/// The key of a message in a mailbox.
#[must_use]
pub fn mail(group: KeyGroup, address: &Address, sequence: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    push_mail(&mut out, group, address, sequence);
    out
}

/// Appends the key of a message in a mailbox.
pub(crate) fn push_mail(out: &mut Vec<u8>, group: KeyGroup, address: &Address, sequence: u64) {
    push_start(out, group, MAIL);
    push_address(out, address);
    out.extend(sequence.to_be_bytes());
}

/// The key of a delayed message whose sender is in `group`.
#[must_use]
pub fn delayed(group: KeyGroup, key: DelayedKey) -> Vec<u8> {
    let mut out = start(group, DELAYED);
    out.extend(key.due.0.to_be_bytes());
    out.extend(key.sequence.to_be_bytes());
    out
}

fn start(group: KeyGroup, kind: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    push_start(&mut out, group, kind);
    out
}

fn push_start(out: &mut Vec<u8>, group: KeyGroup, kind: u8) {
    let [high, low] = group.0.to_be_bytes();
    out.extend_from_slice(&[high, low, kind]);
}

#[inline]
fn push_id(out: &mut Vec<u8>, id: &Id) {
    if id.as_bytes().contains(&0) {
        return push_bytes(out, id.as_bytes());
    }
    id.append_to(out);
    out.extend_from_slice(&[0, 0]);
}

fn push_address(out: &mut Vec<u8>, address: &Address) {
    push_text(out, address.function.namespace());
    push_text(out, address.function.name());
    push_id(out, &address.id);
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    push_bytes(out, text.as_bytes());
}

fn push_bytes(out: &mut Vec<u8>, text: &[u8]) {
    if text.contains(&0) {
        for byte in text {
            out.push(*byte);
            if *byte == 0 {
                out.push(0xff);
            }
        }
    } else {
        out.extend_from_slice(text);
    }
    out.extend_from_slice(&[0, 0]);
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn key(&mut self) -> Option<(KeyGroup, Key)> {
        let group = KeyGroup(u16::from_be_bytes(self.take()?));
        let [kind] = self.take()?;
        let key = match kind {
            STATE => Key::State { address: self.address()?, name: self.text()?.into() },
            MAIL => Key::Mail { address: self.address()?, sequence: self.u64()? },
            DELAYED => Key::Delayed(DelayedKey { due: Millis(self.u64()?), sequence: self.u64()? }),
            DEDUPE => Key::Dedupe { target: self.address()?, key: self.text()?.into() },
            SOURCE => {
                Key::Source(SourceId { ingress: self.name()?, partition: self.text()?.into() })
            }
            OUTBOX => Key::Outbox {
                egress: self.name()?,
                epoch: Epoch(self.u64()?),
                shard: u16::from_be_bytes(self.take()?),
                index: u32::from_be_bytes(self.take()?),
            },
            SINK => Key::Sink(self.name()?),
            DEAD_LETTER => {
                Key::DeadLetter(DeadLetterId { key_group: group.0, number: self.u64()? })
            }
            PAUSED => Key::Paused(self.address()?),
            HALT => Key::Halt(match self.take()? {
                [1] => Halt::Function(self.name()?),
                [2] => Halt::Endpoint(self.name()?),
                [3] => Halt::Ingress(self.name()?),
                _ => return None,
            }),
            _ => return None,
        };
        Some((group, key))
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let mut text = Vec::new();
        loop {
            let [byte] = self.take()?;
            if byte != 0 {
                text.push(byte);
                continue;
            }
            match self.take()? {
                [0] => return String::from_utf8(text).ok(),
                [0xff] => text.push(0),
                _ => return None,
            }
        }
    }

    fn skip_text(&mut self) -> Option<()> {
        loop {
            let zero = self.rest.iter().position(|byte| *byte == 0)?;
            let ends = *self.rest.get(zero + 1)? == 0;
            self.rest = &self.rest[zero + 2..];
            if ends {
                return Some(());
            }
        }
    }

    fn name(&mut self) -> Option<Name> {
        let text = self.text()?;
        let (namespace, name) = text.split_once('/')?;
        Some(Name::from_parts(namespace, name))
    }

    fn address(&mut self) -> Option<Address> {
        let function = Name::from_parts(&self.text()?, &self.text()?);
        Some(Address::new(function, self.text()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn known_parts_make_the_same_keys(
            namespace in "[a\0]{0,18}",
            name in "[a\0]{0,18}",
            state_name in "[a\0]{0,34}",
            id in "[a\0]{0,26}",
            sequence: u64,
        ) {
            let address = Address::new(Name::from_parts(&namespace, &name), id);
            let function = KeyPart::function(&address.function);
            let known_name = KeyPart::state_name(&state_name);
            let mut known = b"before".to_vec();
            push_known_state(&mut known, KeyGroup(7), &function, &address.id, &known_name);
            prop_assert_eq!(&known[6..], state(KeyGroup(7), &address, &state_name));
            known.truncate(6);
            push_known_mail(&mut known, KeyGroup(7), &function, &address.id, sequence);
            prop_assert_eq!(&known[6..], mail(KeyGroup(7), &address, sequence));
        }
    }

    fn address() -> impl Strategy<Value = Address> {
        ("[a-c\0/.]{0,4}", "[a-c\0/]{0,4}", ".{0,6}")
            .prop_map(|(ns, name, id)| Address::new(Name::from_parts(&ns, &name), id))
    }

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof![
            (address(), ".{0,5}")
                .prop_map(|(address, name)| Key::State { address, name: name.into() }),
            (address(), any::<u64>())
                .prop_map(|(address, sequence)| Key::Mail { address, sequence }),
            (any::<u64>(), any::<u64>()).prop_map(|(due, sequence)| Key::Delayed(DelayedKey {
                due: Millis(due),
                sequence
            })),
            (address(), ".{0,5}").prop_map(|(target, key)| Key::Dedupe { target, key: key.into() }),
            ".{0,5}".prop_map(|p| Key::Source(SourceId {
                ingress: Name::from_parts("in", "file"),
                partition: p.into()
            })),
            (any::<u64>(), any::<u16>(), any::<u32>()).prop_map(|(epoch, shard, index)| {
                Key::Outbox {
                    egress: Name::from_parts("out", "file"),
                    epoch: Epoch(epoch),
                    shard,
                    index,
                }
            }),
            Just(Key::Sink(Name::from_parts("out", "file"))),
            any::<u64>().prop_map(|number| Key::DeadLetter(DeadLetterId { key_group: 7, number })),
            address().prop_map(Key::Paused),
            Just(Key::Halt(Halt::Function(Name::from_parts("a", "b")))),
            Just(Key::Halt(Halt::Endpoint(Name::from_parts("a", "*")))),
            Just(Key::Halt(Halt::Ingress(Name::from_parts("in", "file")))),
        ]
    }

    proptest! {
        #[test]
        fn a_key_is_read_as_it_was_written(key in key()) {
            let bytes = key.encode(KeyGroup(7));
            prop_assert_eq!(Key::decode(&bytes), Ok((KeyGroup(7), key)));
        }

        #[test]
        fn ids_sort_as_their_keys(a in ".{0,6}", b in ".{0,6}") {
            let key = |id: &str| {
                let address = Address::new(Name::from_parts("n", "t"), id);
                Key::Paused(address).encode(KeyGroup(0))
            };
            prop_assert_eq!(a.cmp(&b), key(&a).cmp(&key(&b)));
        }

        #[test]
        fn an_address_is_found_in_a_key(key in key()) {
            let bytes = key.encode(KeyGroup(7));
            let end = address_end(&bytes);
            let address = match key {
                Key::State { address, .. } | Key::Mail { address, .. } | Key::Paused(address) => {
                    address
                }
                _ => {
                    prop_assert_eq!(end, None);
                    return Ok(());
                }
            };
            let head = &bytes[3..end.expect("an address")];
            prop_assert_eq!(decode_address(head), Ok(address.clone()));
            if !address.function.namespace().contains('/') && !address.function.name().contains('/') {
                let text = format!("{}/{}", address.function, address.id);
                for (end, _) in text.char_indices() {
                    let prefix = address_prefix(&text[..end]);
                    prop_assert!(head.starts_with(&prefix), "{:?}", &text[..end]);
                }
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Key::decode(&bytes);
            let _ = address_end(&bytes);
            let _ = decode_address(&bytes);
        }
    }
}
