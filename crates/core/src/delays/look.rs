//! Looking at pending messages without taking any.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use statera_model::{Address, Name};

use super::Delays;
use super::queues::Place;
use super::record::Record;
use crate::shard::{TimerPlace, TimerQuery};
use crate::values::{AddressParts, Delayed};

impl Delays {
    /// Pending messages that fit, soonest first, and the last one that was looked at if there may be more.
    pub(crate) fn look(
        &self,
        query: &TimerQuery,
    ) -> (Vec<(TimerPlace, Delayed)>, Option<TimerPlace>) {
        let after = query.after.map(|TimerPlace { key, group }| Place { group, key });
        let mut queues: Vec<_> = [&self.pending.fresh, &self.pending.stored]
            .into_iter()
            .flat_map(|queues| queues.iters_behind(after, query.group))
            .collect();
        // The next one of each queue, the soonest on top.
        let mut nexts: BinaryHeap<_> = BinaryHeap::new();
        let next = |queue: usize, queues: &mut Vec<_>| {
            let (place, record): (Place, &[u8]) = Iterator::next(&mut queues[queue])?;
            Some(Reverse((place.key, place.group, queue, record)))
        };
        for queue in 0..queues.len() {
            nexts.extend(next(queue, &mut queues));
        }
        let mut found = Vec::new();
        let mut visited = 0;
        while let Some(Reverse((key, group, queue, record))) = nexts.pop() {
            nexts.extend(next(queue, &mut queues));
            visited += 1;
            let (place, record) = (TimerPlace { key, group }, Record::read(record));
            let parts = record.parts(&self.names);
            let from_there = match query.exact {
                true => is(&parts.sender, &query.sender),
                false => begins(&parts.sender, &query.sender),
            };
            if from_there && begins(&parts.target, &query.target) {
                let argument = record.due(&self.names).argument;
                let token = Some(parts.token).filter(|token| !token.is_empty());
                let (sender, target) = (owned(&parts.sender), owned(&parts.target));
                found.push((
                    place,
                    Delayed { sender, target, token: token.map(Into::into), argument },
                ));
            }
            let enough = found.len() >= query.limit || visited >= query.visits_max;
            if enough && !nexts.is_empty() {
                return (found, Some(place));
            }
            if enough {
                break;
            }
        }
        (found, None)
    }
}

fn owned(address: &AddressParts<'_>) -> Address {
    Address::new(Name::from_parts(address.namespace, address.name), address.id)
}

/// Whether an address, written as text, begins so.
fn begins(address: &AddressParts<'_>, prefix: &str) -> bool {
    rest(address, prefix).is_some()
}

/// Whether an address is written so.
fn is(address: &AddressParts<'_>, text: &str) -> bool {
    rest(address, text) == Some("")
}

/// What follows the prefix in the last part that it reaches; something if it does not reach the last one.
fn rest<'a>(address: &AddressParts<'a>, prefix: &str) -> Option<&'a str> {
    let mut prefix = prefix;
    for part in [address.namespace, "/", address.name, "/"] {
        match prefix.strip_prefix(part) {
            Some(behind) => prefix = behind,
            None => return part.starts_with(prefix).then_some("more"),
        }
    }
    address.id.strip_prefix(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_begins_as_its_text_does() {
        let address = AddressParts { namespace: "a.b", name: "cart", id: "x/1" };
        for prefix in ["", "a", "a.b", "a.b/", "a.b/ca", "a.b/cart/", "a.b/cart/x/", "a.b/cart/x/1"]
        {
            assert!(begins(&address, prefix), "{prefix}");
            assert_eq!(is(&address, prefix), prefix == "a.b/cart/x/1", "{prefix}");
        }
        for prefix in ["b", "a.b/b", "a.b//", "a.b/cart/y", "a.b/cart/x/12", "a.b/carts"] {
            assert!(!begins(&address, prefix), "{prefix}");
        }
    }
}
