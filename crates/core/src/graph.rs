//! Who has sent to whom: what the graph of an application is drawn from.
//!
//! Counted where a message comes into a mailbox, beside what is counted there anyway. Messages mostly come from the type that
//! sent the one before, and its name is mostly the same piece of memory, so that counting one is a comparison and an addition.

use statera_model::{EgressId, FunctionType, Name};

/// Senders that are told apart for each function type; more count as [`End::Other`].
const SENDERS_MAX: usize = 64;

/// One end of an edge of the graph.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The world outside: an ingress, or a dead letter that was redriven.
    Outside,
    /// Functions of a type.
    Function(FunctionType),
    /// An egress.
    Egress(EgressId),
    /// Whoever waits for the answer of a call.
    Caller,
    /// Everybody who is not told apart.
    Other,
}

/// Messages from one end to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Who sent them.
    pub from: End,
    /// Who received them.
    pub to: End,
    /// How many.
    pub messages: u64,
}

/// Counts by the name of the one at the other end; none is the world outside.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// The place of the last one that was counted.
    last: usize,
    named: Vec<(Option<Name>, u64)>,
    other: u64,
}

impl Counts {
    #[inline(always)]
    pub(crate) fn count(&mut self, name: Option<&Name>) {
        match self.named.get_mut(self.last) {
            Some((last, count)) if last.as_ref() == name => *count += 1,
            _ => self.count_other(name),
        }
    }

    #[inline(never)]
    fn count_other(&mut self, name: Option<&Name>) {
        match self.named.iter().position(|(known, _)| known.as_ref() == name) {
            Some(place) => self.last = place,
            None if self.named.len() < SENDERS_MAX => {
                self.last = self.named.len();
                self.named.push((name.cloned(), 0));
            }
            None => return self.other += 1,
        }
        self.named[self.last].1 += 1;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<&Name>, u64)> {
        self.named.iter().map(|(name, count)| (name.as_ref(), *count))
    }

    /// How many are not told apart.
    pub(crate) fn other(&self) -> u64 {
        self.other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sender_is_counted_and_too_many_count_together() {
        let mut counts = Counts::default();
        let name = |number: usize| Name::from_parts("a", &number.to_string());
        for round in 0..3 {
            for number in 0..SENDERS_MAX + 5 {
                // Not the same piece of memory in every round.
                counts.count((number > 0).then(|| name(number)).as_ref());
                counts.count((number > 0).then(|| name(number)).as_ref());
            }
            assert_eq!(counts.other(), (round + 1) * 10);
        }
        let counted: Vec<_> = counts.iter().collect();
        assert_eq!(counted.len(), SENDERS_MAX);
        assert_eq!(counted[0], (None, 6));
        assert!(counted.iter().all(|(_, count)| *count == 6));
    }
}
