use std::collections::BTreeMap;

use proptest::prelude::*;
use statera_model::{Address, Name, TypedValue};

use super::*;
use crate::delta::changes;
use crate::keys::Key;
use crate::values::Delayed;

/// What [`Delays`] must be to those who use it, as plainly as it can be said.
#[derive(Default)]
struct Model {
    pending: BTreeMap<(DelayedKey, KeyGroup), Delayed>,
    /// What the last cuts made durable.
    durable: BTreeMap<Vec<u8>, Bytes>,
}

#[derive(Clone, Debug)]
enum Step {
    Send { due: u64, sender: u8, target: u8, token: Option<u8>, length: usize },
    Cancel { sender: u8, token: u8 },
    Pass(u64),
    Cut,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![8 => 0..60usize, 2 => 60..1_000usize, 1 => 1_000..9_000usize];
    let send = (0..500u64, 0..4u8, 0..6u8, proptest::option::of(0..4u8), length);
    prop_oneof![
        12 => send.prop_map(|(due, sender, target, token, length)| {
            Step::Send { due, sender, target, token, length }
        }),
        4 => (0..4u8, 0..4u8).prop_map(|(sender, token)| Step::Cancel { sender, token }),
        3 => (0..30u64).prop_map(Step::Pass),
        2 => Just(Step::Cut),
        1 => Just(Step::Restart),
    ]
}

/// Senders 0 and 1 have one id, and so do 2 and 3; targets 0 to 3 are those.
fn address(number: u8) -> Address {
    let name = Name::from_parts("types", &format!("t{}", number % 3));
    Address::new(name, format!("id of {}", number / 2))
}

fn parts(message: &Delayed) -> DelayedParts<'_> {
    DelayedParts {
        sender: (&message.sender).into(),
        target: (&message.target).into(),
        token: message.token.as_deref().unwrap_or_default(),
        argument: message.argument.encoded(),
    }
}

fn cut(delays: &mut Delays, durable: &mut BTreeMap<Vec<u8>, Bytes>) {
    let mut delta = Vec::new();
    delays.drain_into(&mut DeltaWriter::new(&mut delta));
    for change in changes(&delta).map(Result::unwrap) {
        match change.value {
            Some(value) => {
                let old = durable.insert(change.key.to_vec(), Bytes::copy_from_slice(value));
                assert_eq!(old, None, "written once");
            }
            None => assert!(durable.remove(change.key).is_some(), "deleted once, if written"),
        }
    }
    assert!(!delays.is_changed());
}

fn restored(durable: &BTreeMap<Vec<u8>, Bytes>) -> Delays {
    let mut delays = Delays::new(1);
    for (key, value) in durable {
        let (group, Key::Delayed(key)) = Key::decode(key).unwrap() else { panic!() };
        delays.restore(key, group, value).unwrap();
    }
    delays
}

impl Model {
    fn named(&self, sender_id: &str, token: &str) -> Option<(DelayedKey, KeyGroup)> {
        let has = |message: &Delayed| {
            &*message.sender.id == sender_id && message.token.as_deref() == Some(token)
        };
        self.pending.iter().find(|(_, message)| has(message)).map(|(place, _)| *place)
    }

    fn step(&mut self, delays: &mut Delays, step: Step, sequence: u64, now: &mut u64) {
        match step {
            Step::Send { due, sender, target, token, length } => {
                let sender = address(sender);
                let token = token.map(|token| format!("token {token}"));
                let used = token.as_ref().is_some_and(|t| self.named(&sender.id, t).is_some());
                let pending = token.as_ref().is_some_and(|t| delays.is_pending(&sender.id, t));
                assert_eq!(used, pending);
                let message = Delayed {
                    target: address(target),
                    token: token.filter(|_| !used).map(Into::into),
                    argument: TypedValue::new("some/Type", &vec![length as u8; length]),
                    sender,
                };
                // As of several shards: the same sequences in several groups.
                let key = DelayedKey { due: Millis(*now + due), sequence: sequence / 2 };
                let group = KeyGroup((sequence % 2) as u16 * 300);
                delays.send(key, group, parts(&message));
                self.pending.insert((key, group), message);
            }
            Step::Cancel { sender, token } => {
                let (id, token) = (address(sender).id, format!("token {token}"));
                delays.cancel(&id, &token);
                if let Some(place) = self.named(&id, &token) {
                    self.pending.remove(&place);
                }
            }
            Step::Pass(ms) => {
                *now += ms;
                while let Some(entry) = self.pending.first_entry() {
                    if entry.key().0.due.0 > *now {
                        break;
                    }
                    let Delayed { sender, target, argument, .. } = entry.remove();
                    let expected = Due { sender, target, argument };
                    assert_eq!(delays.pop_due(Millis(*now)), Some(expected));
                }
                assert_eq!(delays.pop_due(Millis(*now)), None);
            }
            Step::Cut => cut(delays, &mut self.durable),
            Step::Restart => {
                cut(delays, &mut self.durable);
                *delays = restored(&self.durable);
            }
        }
    }
}

proptest! {
    #[test]
    fn delays_do_what_a_plain_map_does(steps in proptest::collection::vec(step(), 0..300)) {
        let (mut model, mut delays, mut now) = (Model::default(), Delays::new(7), 1_000);
        for (sequence, step) in steps.into_iter().enumerate() {
            model.step(&mut delays, step, sequence as u64, &mut now);
            delays.check();
            prop_assert_eq!(delays.len(), model.pending.len());
            let next = model.pending.first_key_value().map(|((key, _), _)| key.due);
            prop_assert_eq!(delays.next_due(), next);
        }
        cut(&mut delays, &mut model.durable);
        let durable: Vec<_> = model.durable.values().cloned().collect();
        let durable: Vec<_> = durable.into_iter().map(|v| Delayed::decode(v).unwrap()).collect();
        let mut pending: Vec<_> = model.pending.iter().collect();
        pending.sort_by_key(|((key, group), _)| (*group, *key));
        let pending: Vec<_> = pending.into_iter().map(|(_, message)| message.clone()).collect();
        prop_assert_eq!(durable, pending);
    }
}

/// Sends that many messages, the due times in this order, with ids of 24 characters and arguments of 40 bytes.
fn many(count: u64, due: impl Fn(u64) -> u64) -> Delays {
    let mut delays = Delays::new(7);
    let (sender, target) =
        (Name::from_parts("example", "cart"), Name::from_parts("example", "reminder"));
    let argument = TypedValue::new("example/Remind", b"ten to the twentieth");
    assert_eq!(argument.encoded().len(), 40);
    for sequence in 0..count {
        let message = Delayed {
            sender: Address::new(sender.clone(), format!("sender-{sequence:017}")),
            target: Address::new(target.clone(), format!("target-{sequence:017}")),
            token: None,
            argument: argument.clone(),
        };
        let key = DelayedKey { due: Millis(due(sequence)), sequence };
        delays.send(key, KeyGroup(7), parts(&message));
    }
    delays.drain_into(&mut DeltaWriter::new(&mut Vec::new()));
    delays
}

fn scattered(sequence: u64) -> u64 {
    1_700_000_000_000 + sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 3_600_000
}

#[test]
fn a_pending_message_takes_130_bytes_in_whatever_order_they_come() {
    let count = 50_000;
    let orders: [(&str, &dyn Fn(u64) -> u64); 4] = [
        ("scattered", &scattered),
        ("one after the other", &|n| n),
        ("backwards", &|n| count - n),
        ("all at once", &|_| 1),
    ];
    for (order, due) in orders {
        let delays = many(count, due);
        delays.check();
        let each = delays.bytes() / count as usize;
        assert!(each <= 130, "{order}: {each} bytes");
    }
}

#[test]
fn what_is_over_gives_its_memory_back() {
    let mut delays = many(50_000, scattered);
    let (all, mut left) = (delays.bytes(), Vec::new());
    let end = scattered(0).max(1_700_003_600_000);
    for kept in 0..50_000 {
        let due = delays.pop_due(Millis(end)).unwrap();
        left.push((kept, due));
    }
    delays.drain_into(&mut DeltaWriter::new(&mut Vec::new()));
    assert!(delays.bytes() < 10_000, "{} of {all}", delays.bytes());
}

#[test]
fn cancelled_ones_here_and_there_give_their_memory_back() {
    let mut delays = Delays::new(7);
    let address = address(0);
    let token = |n: u64| format!("token {n}");
    for n in 0..20_000 {
        let message = Delayed {
            sender: address.clone(),
            target: address.clone(),
            token: Some(token(n).into()),
            argument: TypedValue::new("some/Type", &[1; 40]),
        };
        delays.send(
            DelayedKey { due: Millis(scattered(n)), sequence: n },
            KeyGroup(1),
            parts(&message),
        );
    }
    delays.drain_into(&mut DeltaWriter::new(&mut Vec::new()));
    let all = delays.bytes();
    for n in (0..20_000).filter(|n| n % 10 != 0) {
        delays.cancel(&address.id, &token(n));
    }
    delays.drain_into(&mut DeltaWriter::new(&mut Vec::new()));
    delays.check();
    assert!(delays.bytes() < all / 5, "{} of {all}", delays.bytes());
}

#[test]
fn what_cannot_be_read_is_not_taken_back() {
    let message = Delayed {
        sender: address(0),
        target: address(1),
        token: Some("t".into()),
        argument: TypedValue::new("some/Type", b"value"),
    };
    let mut good = Vec::new();
    parts(&message).encode(&mut good);
    let mut not_text = good.clone();
    not_text[1] = 0xff;
    for bad in [&good[..good.len() - 1], &good[..3], &[], &not_text] {
        let mut delays = Delays::new(7);
        let key = DelayedKey { due: Millis(1), sequence: 1 };
        assert!(delays.restore(key, KeyGroup(1), &Bytes::copy_from_slice(bad)).is_err());
        assert_eq!((delays.len(), delays.names.is_empty()), (0, true));
    }
}
