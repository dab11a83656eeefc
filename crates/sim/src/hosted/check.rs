//! The checkers for hosted functions. As those of the seeded life they read the durable image: which attempts had their
//! effect follows from the ledgers in it, and from those where everything must be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use statera_core::keys::Key;
use statera_core::values::{Delayed, Mail, StateValue, decode_sink_position};
use statera_model::{Address, Epoch, Expiration, TypedValue};

use super::ledger::{Attempt, LEDGER, Ledger, Message, Origin, entry};
use super::{Hosted, tag};
use crate::image::{Image, Place, dead_letter, dead_message, is_call, same};
use crate::life::Life;
use crate::people::Person;
use crate::violation::{Checked, Invariant, violated};
use crate::world::World;

/// A durable image, read.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// The attempts of each address that had their effect, in order.
    logs: BTreeMap<Address, Vec<usize>>,
    /// All of them.
    effective: BTreeSet<usize>,
    places: BTreeMap<usize, Vec<Place>>,
    mail: BTreeMap<Address, Vec<usize>>,
    states: BTreeMap<Address, BTreeMap<Arc<str>, TypedValue>>,
    /// By sink: the epoch it has confirmed, and the records it has not.
    outbox: BTreeMap<String, (Epoch, Vec<usize>)>,
    /// Messages in dead letters, and why they are there.
    dead: Vec<(usize, Arc<str>)>,
}

impl Findings {
    pub(super) fn read(image: &Image, ledger: &Ledger) -> Checked<Findings> {
        let mut findings = Findings::default();
        for (key, value) in image {
            let (_, key) = Key::decode(key).expect("the core writes its own keys");
            findings.take(key, value.clone(), ledger)?;
        }
        findings.follow_ledgers(ledger)?;
        Ok(findings)
    }

    fn take(&mut self, key: Key, value: Bytes, ledger: &Ledger) -> Checked {
        match key {
            Key::State { address, name } => {
                let value = StateValue::decode(value).expect("a state value").value;
                self.states.entry(address).or_default().insert(name, value);
            }
            Key::Mail { address, .. } if !is_call(&address) => {
                let argument = Mail::decode(value).expect("mail").argument;
                let number = self.found(&argument, Place::Mail(address.clone()), ledger)?;
                self.mail.entry(address).or_default().push(number);
            }
            Key::Delayed(_) => {
                let argument = Delayed::decode(value).expect("a delayed message").argument;
                self.found(&argument, Place::Delayed, ledger)?;
            }
            Key::Outbox { egress, .. } => {
                let record = TypedValue::from_encoded(value).expect("a record");
                let number = record_number(&record, ledger)?;
                self.outbox.entry(egress.to_string()).or_default().1.push(number);
            }
            Key::Sink(egress) => {
                let position = decode_sink_position(value).expect("a sink position");
                self.outbox.entry(egress.to_string()).or_default().0 = position.epoch;
            }
            Key::DeadLetter(_) => {
                let letter = dead_letter(value);
                let (_, mail) = dead_message(letter.body).expect("there are no sources");
                let number = self.found(&mail.argument, Place::Dead, ledger)?;
                self.dead.push((number, letter.reason));
            }
            Key::Mail { .. }
            | Key::Dedupe { .. }
            | Key::Paused(_)
            | Key::Source(_)
            | Key::Halt(_) => {}
        }
        Ok(())
    }

    fn found(&mut self, argument: &TypedValue, place: Place, ledger: &Ledger) -> Checked<usize> {
        match tag::read(argument) {
            Some((number, _)) if number < ledger.messages.len() => {
                self.places.entry(number).or_default().push(place);
                Ok(number)
            }
            _ => violated(Invariant::ExactlyOnce, format!("nobody sent {argument:?}")),
        }
    }

    /// From the last attempt of each address to its first one.
    fn follow_ledgers(&mut self, ledger: &Ledger) -> Checked {
        for (address, states) in &self.states {
            let Some(last) = states.get(LEDGER) else {
                let what = format!("{address} has states, but never ran: {states:?}");
                return violated(Invariant::AllOrNone, what);
            };
            let mut log = Vec::new();
            let mut next = entry(last);
            while let Some(number) = next {
                let attempt = &ledger.attempts[number];
                if attempt.target != *address {
                    let what = format!("{address} has the ledger of {}", attempt.target);
                    return violated(Invariant::AllOrNone, what);
                }
                log.push(number);
                next = attempt.previous;
            }
            log.reverse();
            for number in &log {
                self.effective.insert(*number);
                for message in &ledger.attempts[*number].consumed {
                    let place = Place::Consumed(address.clone());
                    self.places.entry(*message).or_default().push(place);
                }
            }
            self.logs.insert(address.clone(), log);
        }
        Ok(())
    }
}

fn record_number(record: &TypedValue, ledger: &Ledger) -> Checked<usize> {
    match tag::read(record) {
        Some((number, _)) if number < ledger.records.len() => Ok(number),
        _ => violated(Invariant::ExactlyOnce, format!("nobody emitted {record:?}")),
    }
}

/// What the checkers know.
pub(super) struct Check<'a> {
    world: &'a World<Hosted>,
    ledger: &'a Ledger,
    findings: Findings,
}

impl<'a> Check<'a> {
    pub(super) fn new(world: &'a World<Hosted>) -> Checked<Check<'a>> {
        let ledger = &world.life.ledger;
        Ok(Check { world, ledger, findings: Findings::read(&world.durable, ledger)? })
    }

    /// What must hold at any time.
    pub(super) fn always(&self) -> Checked {
        let cancels = self.cancels();
        for (number, message) in self.ledger.messages.iter().enumerate() {
            self.check_exactly_once(number, message, &cancels)?;
        }
        self.check_states()?;
        self.check_order()?;
        self.check_egress()?;
        self.check_answers()?;
        self.check_dead_letters()
    }

    /// What must hold when everything has come to rest (6).
    pub(super) fn at_rest(&self) -> Checked {
        for (number, places) in &self.findings.places {
            if let Some(Place::Mail(address)) = places.first() {
                let what = format!("{} waits in the mailbox of {address}", self.show(*number));
                return violated(Invariant::Progress, what);
            }
        }
        let waiting: usize = self.findings.outbox.values().map(|(_, records)| records.len()).sum();
        if waiting > 0 {
            return violated(Invariant::Progress, format!("{waiting} egress records wait"));
        }
        Ok(())
    }

    /// By the id of the sender and the token: the attempts that cancelled it.
    fn cancels(&self) -> BTreeMap<(&str, &str), Vec<usize>> {
        let mut cancels: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for number in &self.findings.effective {
            let attempt = &self.ledger.attempts[*number];
            for token in &attempt.cancels {
                cancels.entry((&attempt.target.id, token)).or_default().push(*number);
            }
        }
        cancels
    }

    /// Each message is in one place (1), acknowledged ones included (4).
    fn check_exactly_once(
        &self,
        number: usize,
        message: &Message,
        cancels: &BTreeMap<(&str, &str), Vec<usize>>,
    ) -> Checked {
        if is_call(&message.target) {
            return Ok(());
        }
        let places = self.findings.places.get(&number).map_or(&[][..], Vec::as_slice);
        let (least, most) = match message.origin {
            Origin::Person(person) => (usize::from(self.world.people[person].acknowledged), 1),
            Origin::Attempt(sender) if !self.findings.effective.contains(&sender) => (0, 0),
            Origin::Attempt(sender) => self.expected_of(sender, message, places, cancels),
        };
        let misplaced = places.iter().any(|place| match place {
            Place::Consumed(address) | Place::Mail(address) => *address != message.target,
            Place::Delayed => message.delay.is_none(),
            Place::Dead => false,
        });
        if (least..=most).contains(&places.len()) && !misplaced {
            return Ok(());
        }
        let invariant = match message.origin {
            Origin::Person(_) if places.is_empty() => Invariant::Durability,
            Origin::Attempt(_) if most == 0 && message.delay.is_none() => Invariant::AllOrNone,
            _ => Invariant::ExactlyOnce,
        };
        let what = format!(
            "{} should be {least} to {most} times, but is at {places:?}: {message:?}",
            self.show(number)
        );
        violated(invariant, what)
    }

    /// How often a message must be there whose sender had its effect.
    fn expected_of(
        &self,
        sender: usize,
        message: &Message,
        places: &[Place],
        cancels: &BTreeMap<(&str, &str), Vec<usize>>,
    ) -> (usize, usize) {
        let Some(delay) = &message.delay else { return (1, 1) };
        let Some(token) = &delay.token else { return (1, 1) };
        if delay.cancelled {
            return (0, 0);
        }
        let address = &self.ledger.attempts[sender].target;
        let by: &[usize] = cancels.get(&(&*address.id, &**token)).map_or(&[], Vec::as_slice);
        let mut least = 1;
        for other in by {
            let same_address = self.ledger.attempts[*other].target == *address;
            // Of two attempts of one address the later one has the greater number.
            if *other == sender || same_address && *other < sender {
                continue;
            }
            least = 0;
            // It may have arrived before, but it can't wait any more.
            if same_address && places.contains(&Place::Delayed) {
                return (0, 0);
            }
        }
        (least, 1)
    }

    /// The states of an address are what its attempts made of them, one after the other (1, 5).
    fn check_states(&self) -> Checked {
        for (address, log) in &self.findings.logs {
            let mut expected: BTreeMap<&str, &TypedValue> = BTreeMap::new();
            for number in log {
                for (name, change) in &self.ledger.attempts[*number].changes {
                    match change {
                        Some(value) => drop(expected.insert(name, value)),
                        None => drop(expected.remove(&**name)),
                    }
                }
            }
            let found = &self.findings.states[address];
            for (name, value) in found {
                let equal = expected.get(&**name).is_some_and(|expected| same(expected, value));
                if **name != *LEDGER && !equal {
                    let expected = expected.get(&**name);
                    let what = format!("{address} has {name} = {value:?}, not {expected:?}");
                    return violated(Invariant::AllOrNone, what);
                }
            }
            let specs = self.world.life.states(&address.function);
            for spec in specs.iter().filter(|spec| spec.expiration == Expiration::Never) {
                if expected.contains_key(&*spec.name) && !found.contains_key(&spec.name) {
                    let what = format!("{address} has no {}, though it was set", spec.name);
                    return violated(Invariant::AllOrNone, what);
                }
            }
        }
        Ok(())
    }

    /// What one sender sent to one target is consumed in order, and waits in order (2).
    fn check_order(&self) -> Checked {
        let places = &self.findings.places;
        let nothing = Vec::new();
        for (sender, log) in &self.findings.logs {
            let mut sent: BTreeMap<&Address, Vec<usize>> = BTreeMap::new();
            for number in log.iter().flat_map(|number| &self.ledger.attempts[*number].sent) {
                let message = &self.ledger.messages[*number];
                let alive = places.get(number).is_some_and(|places| places[0] != Place::Dead);
                if alive && message.delay.is_none() {
                    sent.entry(&message.target).or_default().push(*number);
                }
            }
            for (target, sent) in sent {
                let mine: BTreeSet<usize> = sent.iter().copied().collect();
                let log = self.findings.logs.get(target).unwrap_or(&nothing);
                let consumed =
                    log.iter().flat_map(|number| &self.ledger.attempts[*number].consumed);
                let mail = self.findings.mail.get(target).unwrap_or(&nothing);
                let got = consumed.chain(mail).filter(|number| mine.contains(number));
                let got: Vec<usize> = got.copied().collect();
                if got != sent {
                    let what = format!("{sender} sent {sent:?} to {target}, which got {got:?}");
                    return violated(Invariant::Order, what);
                }
            }
        }
        Ok(())
    }

    /// What is confirmed and what waits is what was emitted, once and in order (4).
    fn check_egress(&self) -> Checked {
        let nothing = (Epoch::ZERO, Vec::new());
        let mut left: BTreeMap<(&str, &Address), Vec<usize>> = BTreeMap::new();
        for (egress, endpoint) in self.world.egresses.iter().zip(&self.world.endpoints) {
            let (confirmed, waiting) =
                self.findings.outbox.get(egress.as_str()).unwrap_or(&nothing);
            let mut numbers = Vec::new();
            for (_, records) in endpoint.written.iter().filter(|(epoch, _)| epoch <= confirmed) {
                for record in records {
                    numbers.push(record_number(record, self.ledger)?);
                }
            }
            for number in numbers.into_iter().chain(waiting.iter().copied()) {
                let sender = self.ledger.emitter(number);
                left.entry((egress.as_str(), sender)).or_default().push(number);
            }
        }
        let mut emitted: BTreeMap<(&str, &Address), Vec<usize>> = BTreeMap::new();
        for (sender, log) in &self.findings.logs {
            for number in log.iter().flat_map(|number| &self.ledger.attempts[*number].emitted) {
                let door = &self.ledger.records[*number].egress;
                let door = self.world.egresses[super::door(door)].as_str();
                emitted.entry((door, sender)).or_default().push(*number);
            }
        }
        if left != emitted {
            let what = format!("{left:?} left, but {emitted:?} was emitted");
            return violated(Invariant::Durability, what);
        }
        Ok(())
    }

    /// What a person was told comes from an attempt that had its effect (4).
    fn check_answers(&self) -> Checked {
        for Person { name, answer, .. } in &self.world.people {
            let Some(statera_ports::Answer::Value(value)) = answer else { continue };
            let number = tag::read(value).map(|(number, _)| number);
            let message = number.and_then(|number| self.ledger.messages.get(number));
            let true_answer = message.is_some_and(|message| match message.origin {
                Origin::Person(_) => false,
                Origin::Attempt(sender) => {
                    is_call(&message.target) && self.findings.effective.contains(&sender)
                }
            });
            if !true_answer {
                let what = format!("{name} was answered {value:?}, which nobody said");
                return violated(Invariant::Durability, what);
            }
        }
        Ok(())
    }

    /// Only what fails is given up (8).
    fn check_dead_letters(&self) -> Checked {
        for (number, reason) in &self.findings.dead {
            let message = &self.ledger.messages[*number];
            let served = self.world.life.serves(&message.target.function);
            let to_blame = !served || message.answered || !message.failures.is_empty();
            if !to_blame {
                let what = format!("{} was given up: {reason}; {message:?}", self.show(*number));
                return violated(Invariant::Isolation, what);
            }
        }
        Ok(())
    }

    fn show(&self, number: usize) -> String {
        let message = &self.ledger.messages[number];
        match message.origin {
            Origin::Person(person) => self.world.people[person].name.clone(),
            Origin::Attempt(sender) => {
                let Attempt { target, .. } = &self.ledger.attempts[sender];
                format!("message {number} from {target} to {}", message.target)
            }
        }
    }
}
