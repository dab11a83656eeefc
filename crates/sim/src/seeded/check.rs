//! The checkers. Most of what must hold can be seen in one place: the durable image, that is, what a recovery would
//! find. From the log of messages that each address holds in its state follows what it must have sent and emitted, and
//! all of that must be somewhere in the image, once, and in order.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use statera_core::keys::Key;
use statera_core::values::{Delayed, Mail, StateValue, decode_sink_position};
use statera_model::{Address, Epoch, TypedValue};

use super::book::{Book, Cancel, Entry, Origin};
use super::functions::{EGRESSES, Message, NOBODY, read_text};
use crate::image::{Image, Place, dead_letter, dead_message, is_call};
use crate::violation::{Checked, Invariant, violated};

/// A durable image, read.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    places: BTreeMap<String, Vec<Place>>,
    logs: BTreeMap<Address, Vec<String>>,
    mail: BTreeMap<Address, Vec<String>>,
    sums: BTreeMap<Address, i64>,
    /// By source: how many records are taken.
    sources: BTreeMap<String, usize>,
    /// Places of the malformed records in the dead letters.
    malformed: Vec<String>,
    /// By egress: the epoch the sink has confirmed, and what it has not.
    outbox: BTreeMap<String, (Epoch, Vec<String>)>,
}

/// What the checkers know from outside the image.
pub(crate) struct Outside<'a> {
    pub(crate) book: &'a Book,
    /// By egress: what its destination holds, epoch by epoch.
    pub(crate) destinations: Vec<&'a [(Epoch, Vec<TypedValue>)]>,
    /// Malformed records: their place, source and number.
    pub(crate) malformed: &'a [(String, usize, usize)],
}

/// The name of a source's partition, by its number.
pub(crate) fn source_name(source: usize) -> String {
    format!("s{source}")
}

impl Findings {
    pub(crate) fn read(image: &Image) -> Findings {
        let mut findings = Findings::default();
        for (key, value) in image {
            let (_, key) = Key::decode(key).expect("the core writes its own keys");
            findings.take(key, value.clone());
        }
        findings
    }

    fn take(&mut self, key: Key, value: Bytes) {
        match key {
            Key::State { address, name } => self.take_state(address, &name, value),
            Key::Mail { address, .. } if !is_call(&address) => {
                let id = id_of(&Mail::decode(value).expect("mail").argument);
                self.found(&id, Place::Mail(address.clone()));
                self.mail.entry(address).or_default().push(id);
            }
            Key::Delayed(_) => {
                let id = id_of(&Delayed::decode(value).expect("a delayed message").argument);
                self.found(&id, Place::Delayed);
            }
            Key::Source(source) => {
                let position = String::from_utf8(value.to_vec()).expect("text");
                let position = position.parse().expect("a number");
                self.sources.insert(source.partition.to_string(), position);
            }
            Key::Outbox { egress, .. } => {
                let record = TypedValue::from_encoded(value).expect("a record");
                let entry = self.outbox.entry(egress.to_string()).or_default();
                entry.1.push(read_text(&record));
            }
            Key::Sink(egress) => {
                let position = decode_sink_position(value).expect("a sink position");
                self.outbox.entry(egress.to_string()).or_default().0 = position.epoch;
            }
            Key::DeadLetter(_) => match dead_message(dead_letter(value).body) {
                Ok((_, mail)) => self.found(&id_of(&mail.argument), Place::Dead),
                Err(place) => self.malformed.push(place),
            },
            Key::Mail { .. } | Key::Dedupe { .. } | Key::Paused(_) | Key::Halt(_) => {}
        }
    }

    fn take_state(&mut self, address: Address, name: &str, value: Bytes) {
        let text = read_text(&StateValue::decode(value).expect("a state value").value);
        match name {
            "log" => {
                let log: Vec<String> = text.split(' ').map(str::to_owned).collect();
                for id in &log {
                    self.found(id, Place::Consumed(address.clone()));
                }
                self.logs.insert(address, log);
            }
            "sum" => drop(self.sums.insert(address, text.parse().expect("a number"))),
            _ => {}
        }
    }

    fn found(&mut self, id: &str, place: Place) {
        self.places.entry(id.to_owned()).or_default().push(place);
    }

    pub(crate) fn check(&self, outside: &Outside<'_>) -> Checked {
        self.check_no_phantoms(outside.book)?;
        self.check_all_or_none(outside.book)?;
        for (id, entry) in &outside.book.entries {
            self.check_exactly_once(id, entry, outside.book)?;
        }
        self.check_malformed(outside)?;
        self.check_order(outside.book)?;
        self.check_egress(outside)?;
        self.check_dead_letters(outside.book)
    }

    /// Of a refused reply nothing remains (5), and nothing comes from nowhere (1).
    fn check_no_phantoms(&self, book: &Book) -> Checked {
        for (id, places) in &self.places {
            if id.starts_with("phantom:") {
                let what = format!("a refused reply has left {id} at {places:?}");
                return violated(Invariant::AllOrNone, what);
            }
            if !book.entries.contains_key(id) {
                return violated(Invariant::ExactlyOnce, format!("nobody sent {id}"));
            }
        }
        Ok(())
    }

    /// The states of an address tell the same story (5).
    fn check_all_or_none(&self, book: &Book) -> Checked {
        for (address, log) in &self.logs {
            let expected: i64 = log.iter().map(|id| book.entries[id].adds).sum();
            let sum = self.sums.get(address).copied();
            if sum != Some(expected) {
                let what = format!("{address} consumed {log:?}, but its sum is {sum:?}");
                return violated(Invariant::AllOrNone, what);
            }
        }
        Ok(())
    }

    /// Each message is in one place (1), acknowledged ones included (4).
    fn check_exactly_once(&self, id: &str, entry: &Entry, book: &Book) -> Checked {
        let places = self.places.get(id).map_or(&[][..], Vec::as_slice);
        let consumed = |id: &str| {
            let places = self.places.get(id);
            places.is_some_and(|places| places.iter().any(|p| matches!(p, Place::Consumed(_))))
        };
        let discarded = book.discarded.contains(id);
        let (least, most) = match &entry.origin {
            Origin::Request if book.refused.contains(id) => (0, 0),
            Origin::Request => (usize::from(book.acknowledged.contains(id)), 1),
            Origin::Source { source, record } => {
                let taken = self.sources.get(&source_name(*source)).copied().unwrap_or(0);
                let expected = usize::from(*record < taken);
                (expected, expected)
            }
            Origin::Function { parent, .. } => {
                let expected = usize::from(consumed(parent));
                match &entry.cancel {
                    Cancel::AtOnce => (0, 0),
                    Cancel::By(other) if consumed(other) => (0, expected),
                    _ => (expected, expected),
                }
            }
        };
        let least = if discarded { 0 } else { least };
        let misplaced = places.iter().find(|place| match place {
            Place::Consumed(address) | Place::Mail(address) => *address != entry.target,
            Place::Delayed => !entry.delayed,
            Place::Dead => false,
        });
        if (least..=most).contains(&places.len()) && misplaced.is_none() {
            return Ok(());
        }
        let invariant = match entry.origin {
            Origin::Request if places.is_empty() => Invariant::Durability,
            _ => Invariant::ExactlyOnce,
        };
        let what =
            format!("{id} should be {least} to {most} times, but is at {places:?}: {entry:?}");
        violated(invariant, what)
    }

    fn check_malformed(&self, outside: &Outside<'_>) -> Checked {
        for (place, source, record) in outside.malformed {
            let found = self.malformed.iter().filter(|found| *found == place).count();
            let taken = self.sources.get(&source_name(*source)).copied().unwrap_or(0);
            let expected = usize::from(*record < taken);
            let discarded = outside.book.discarded.contains(place);
            if found != expected && !(discarded && found < expected) {
                let what = format!("{place} is {found} times in the dead letters");
                return violated(Invariant::ExactlyOnce, what);
            }
        }
        Ok(())
    }

    /// What one sender sent to one target, and what one source did, is consumed in order, and waits in order (2).
    fn check_order(&self, book: &Book) -> Checked {
        let in_place = |id: &String| {
            let entry = &book.entries[id];
            let alive = self.places.get(id).is_some_and(|places| places[0] != Place::Dead);
            alive && !entry.delayed && !book.redriven.contains(id)
        };
        let mut sent: BTreeMap<(String, &Address), Vec<&String>> = BTreeMap::new();
        for (address, log) in &self.logs {
            for child in log.iter().flat_map(|id| &book.entries[id].children) {
                if in_place(child) {
                    let pair = (address.to_string(), &book.entries[child].target);
                    sent.entry(pair).or_default().push(child);
                }
            }
        }
        let mut records: Vec<(usize, usize, &String)> = Vec::new();
        for (id, entry) in &book.entries {
            if let Origin::Source { source, record } = entry.origin
                && in_place(id)
            {
                records.push((source, record, id));
            }
        }
        records.sort();
        for (source, _, id) in records {
            let pair = (source_name(source), &book.entries[id].target);
            sent.entry(pair).or_default().push(id);
        }
        let nothing = Vec::new();
        for ((sender, target), sent) in sent {
            let mine: BTreeSet<&String> = sent.iter().copied().collect();
            let log = self.logs.get(target).unwrap_or(&nothing);
            let mail = self.mail.get(target).unwrap_or(&nothing);
            let got: Vec<&String> = log.iter().chain(mail).filter(|id| mine.contains(id)).collect();
            if got != sent {
                let what = format!("{sender} sent {sent:?} to {target}, which got {got:?}");
                return violated(Invariant::Order, what);
            }
        }
        Ok(())
    }

    /// What is confirmed and what waits is what was emitted, once and in order (4).
    fn check_egress(&self, outside: &Outside<'_>) -> Checked {
        for (egress, destination) in EGRESSES.iter().zip(&outside.destinations) {
            let nothing = (Epoch::ZERO, Vec::new());
            let (confirmed, waiting) = self.outbox.get(*egress).unwrap_or(&nothing);
            let written = destination.iter().filter(|(epoch, _)| epoch <= confirmed);
            let written: Vec<String> =
                written.flat_map(|(_, records)| records.iter().map(read_text)).collect();
            let mut left: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for record in written.iter().chain(waiting) {
                let (sender, _) = record.split_once(' ').expect("sender and id");
                left.entry(sender).or_default().push(record);
            }
            let mut emitted: BTreeMap<String, Vec<&str>> = BTreeMap::new();
            for (address, log) in &self.logs {
                let emits = log.iter().flat_map(|id| &outside.book.entries[id].emits);
                let records: Vec<&str> =
                    emits.filter(|(to, _)| to == egress).map(|(_, text)| text.as_str()).collect();
                if !records.is_empty() {
                    emitted.insert(address.to_string(), records);
                }
            }
            let emitted: BTreeMap<&str, Vec<&str>> = emitted
                .iter()
                .map(|(sender, records)| (sender.as_str(), records.clone()))
                .collect();
            if left != emitted {
                let what = format!("{egress} got {left:?}, but {emitted:?} was emitted");
                return violated(Invariant::Durability, what);
            }
        }
        Ok(())
    }

    /// Only what fails is given up (8).
    fn check_dead_letters(&self, book: &Book) -> Checked {
        for (id, places) in &self.places {
            let entry = &book.entries[id];
            let to_blame = entry.fails || entry.target.function.as_str() == NOBODY;
            if places.contains(&Place::Dead) && !to_blame {
                let what =
                    format!("{id} is in the dead letters, but could be processed: {entry:?}");
                return violated(Invariant::Isolation, what);
            }
        }
        Ok(())
    }

    /// Nothing waits any more (6).
    pub(crate) fn check_done(&self, book: &Book) -> Checked {
        for (id, places) in &self.places {
            if places.iter().any(|place| !matches!(place, Place::Consumed(_))) {
                let what = format!("{id} still is at {places:?}: {:?}", book.entries[id]);
                return violated(Invariant::Progress, what);
            }
        }
        let waiting: usize = self.outbox.values().map(|(_, records)| records.len()).sum();
        if waiting + self.malformed.len() > 0 {
            return violated(Invariant::Progress, format!("{waiting} egress records wait"));
        }
        Ok(())
    }
}

fn id_of(argument: &TypedValue) -> String {
    Message::parse(argument).id
}
