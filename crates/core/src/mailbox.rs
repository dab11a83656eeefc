//! Mailboxes: the messages that wait, each address's own in order, all of a shard in one place.
//!
//! A message that is processed leaves a slot that the next one takes, so that the memory of messages is as much as waits at
//! once, and mostly in the processor's caches; an address without mail takes none.

use std::hint::black_box;

use statera_model::{Address, TypedValue};

use crate::arena::Arena;

/// A message in a mailbox.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) sequence: u64,
    pub(crate) caller: Option<Address>,
    pub(crate) argument: TypedValue,
    /// Whether it was part of a delta, so that its end must be part of one too.
    pub(crate) persisted: bool,
}

impl Message {
    /// Roughly what it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.argument.encoded().len() + size_of::<Message>() + 40
    }
}

/// The messages of one address: a list within [`Mails`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mailbox {
    first: u32,
    last: u32,
    /// The first one that may not be part of a delta yet.
    unpersisted: u32,
    length: u32,
}

/// Stands for no message.
const NONE: u32 = u32::MAX;

/// Room for so many messages is kept when all are gone.
const ROOM_KEPT: usize = 16_384;

impl Mailbox {
    pub(crate) const EMPTY: Mailbox =
        Mailbox { first: NONE, last: NONE, unpersisted: NONE, length: 0 };

    pub(crate) fn len(&self) -> usize {
        self.length as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// The messages of all addresses of a shard, and those on their way to them: a message is written once, where it will lie.
#[derive(Debug, Default)]
pub(crate) struct Mails {
    slots: Arena<Node>,
    /// Messages in mailboxes, and the bytes they take.
    length: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Node {
    message: Message,
    next: u32,
}

impl Mails {
    /// All messages in mailboxes.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Bytes they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps a message for [`Mails::push`] or [`Mails::take`]. Returns its slot.
    #[inline]
    pub(crate) fn keep(&mut self, caller: Option<Address>, argument: TypedValue) -> u32 {
        let message = Message { sequence: 0, caller, argument, persisted: false };
        self.slots.insert(Node { message, next: NONE })
    }

    /// How many messages are kept.
    pub(crate) fn kept(&self) -> usize {
        self.slots.len() - self.length
    }

    /// Takes a message that is kept, and comes to no mailbox.
    pub(crate) fn take(&mut self, slot: u32) -> Message {
        self.slots.remove(slot).expect("it is kept").message
    }

    /// Puts a message that is kept behind all others of a mailbox. `persisted` is whether it is part of a delta. Returns the
    /// message.
    #[inline]
    pub(crate) fn push(
        &mut self,
        mailbox: &mut Mailbox,
        slot: u32,
        sequence: u64,
        persisted: bool,
    ) -> &Message {
        match self.slots.get_mut(mailbox.last) {
            None => mailbox.first = slot,
            Some(last) => last.next = slot,
        }
        mailbox.last = slot;
        mailbox.length += 1;
        if !persisted && mailbox.unpersisted == NONE {
            mailbox.unpersisted = slot;
        }
        let message = &mut self.slots.get_mut(slot).expect("it is kept").message;
        (message.sequence, message.persisted) = (sequence, persisted);
        self.length += 1;
        self.bytes += message.bytes();
        message
    }

    /// Drops the first message of a mailbox that is not empty. Returns what it took in memory, and its sequence if a delta
    /// has it.
    #[inline]
    pub(crate) fn drop_first(&mut self, mailbox: &mut Mailbox) -> (usize, Option<u64>) {
        let first = mailbox.first;
        let node = self.slots.get(first).expect("it is not empty");
        let (next, bytes) = (node.next, node.message.bytes());
        let written = node.message.persisted.then_some(node.message.sequence);
        self.slots.discard(first);
        self.length -= 1;
        self.bytes -= bytes;
        mailbox.first = next;
        mailbox.length -= 1;
        if next == NONE {
            mailbox.last = NONE;
        }
        if mailbox.unpersisted == first {
            mailbox.unpersisted = next;
        }
        if self.slots.len() == 0 && self.slots.slots() > ROOM_KEPT {
            self.slots = Arena::default();
        }
        (bytes, written)
    }

    /// Looks at the first message of a mailbox, which is needed soon, and waits for nothing.
    #[inline]
    pub(crate) fn touch(&self, mailbox: &Mailbox) {
        if let Some(node) = self.node(mailbox.first) {
            black_box((node.message.sequence, node.message.argument.has_value()));
        }
    }

    pub(crate) fn first(&self, mailbox: &Mailbox) -> Option<&Message> {
        self.iter(mailbox).next()
    }

    pub(crate) fn iter<'a>(
        &'a self,
        mailbox: &Mailbox,
    ) -> impl Iterator<Item = &'a Message> + Clone + use<'a> {
        let mut next = mailbox.first;
        std::iter::from_fn(move || {
            let node = self.node(next)?;
            next = node.next;
            Some(&node.message)
        })
    }

    /// Visits the messages that no delta has yet, which from now on count as in one.
    #[inline]
    pub(crate) fn persist(&mut self, mailbox: &mut Mailbox, mut visit: impl FnMut(&Message)) {
        let mut next = std::mem::replace(&mut mailbox.unpersisted, NONE);
        while let Some(node) = self.slots.get_mut(next) {
            if !std::mem::replace(&mut node.message.persisted, true) {
                visit(&node.message);
            }
            next = node.next;
        }
    }

    /// Where the first message of a mailbox is, for [`Mails::at`].
    pub(crate) fn place_of_first(mailbox: &Mailbox) -> usize {
        mailbox.first as usize
    }

    /// Where the message behind another one is.
    pub(crate) fn place_after(&self, place: usize) -> usize {
        self.node(place as u32).map_or(place, |node| node.next as usize)
    }

    /// The message at a place that was given out and whose message has not been taken since.
    pub(crate) fn at(&self, place: usize) -> &Message {
        &self.node(place as u32).expect("it was given out").message
    }

    fn node(&self, slot: u32) -> Option<&Node> {
        self.slots.get(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(mails: &mut Mails, mailbox: &mut Mailbox, sequence: u64, persisted: bool) {
        let slot = mails.keep(None, TypedValue::new("a/b", b""));
        assert_eq!(mails.push(mailbox, slot, sequence, persisted).sequence, sequence);
    }

    fn sequences(mails: &Mails, mailbox: &Mailbox) -> Vec<u64> {
        mails.iter(mailbox).map(|message| message.sequence).collect()
    }

    #[test]
    fn each_mailbox_keeps_its_own_messages_in_order() {
        let (mut mails, mut a, mut b) = (Mails::default(), Mailbox::EMPTY, Mailbox::EMPTY);
        for sequence in 0..6 {
            push(&mut mails, if sequence % 2 == 0 { &mut a } else { &mut b }, sequence, false);
        }
        mails.drop_first(&mut a);
        push(&mut mails, &mut b, 6, false);
        assert_eq!((sequences(&mails, &a), sequences(&mails, &b)), (vec![2, 4], vec![1, 3, 5, 6]));
        assert_eq!((a.len(), b.len(), mails.len()), (2, 4, 6));
        for mailbox in [&mut a, &mut b] {
            while !mailbox.is_empty() {
                mails.drop_first(mailbox);
            }
        }
        assert!(a.is_empty() && b.is_empty());
        assert_eq!((mails.len(), mails.bytes()), (0, 0));
        push(&mut mails, &mut a, 7, false);
        assert_eq!(sequences(&mails, &a), [7]);
    }

    #[test]
    fn a_message_that_is_kept_counts_when_it_comes_to_a_mailbox() {
        let (mut mails, mut mailbox) = (Mails::default(), Mailbox::EMPTY);
        let first = mails.keep(None, TypedValue::new("a/b", b"1"));
        let second = mails.keep(None, TypedValue::new("a/b", b"2"));
        assert_eq!((mails.len(), mails.bytes()), (0, 0));
        assert_eq!(mails.take(first).argument.value(), b"1");
        mails.push(&mut mailbox, second, 1, false);
        assert_eq!((mails.len(), mails.first(&mailbox).unwrap().argument.value()), (1, &b"2"[..]));
    }

    #[test]
    fn each_message_becomes_part_of_one_delta() {
        let (mut mails, mut mailbox) = (Mails::default(), Mailbox::EMPTY);
        let persist = |mails: &mut Mails, mailbox: &mut Mailbox| {
            let mut seen = Vec::new();
            mails.persist(mailbox, |message| seen.push(message.sequence));
            seen
        };
        for (sequence, persisted) in [(0, true), (1, false), (2, true), (3, false)] {
            push(&mut mails, &mut mailbox, sequence, persisted);
        }
        assert_eq!(persist(&mut mails, &mut mailbox), [1, 3]);
        assert_eq!(persist(&mut mails, &mut mailbox), []);
        push(&mut mails, &mut mailbox, 4, false);
        push(&mut mails, &mut mailbox, 5, false);
        for written in [Some(0), Some(1), Some(2), Some(3), None] {
            assert_eq!(mails.drop_first(&mut mailbox).1, written);
        }
        assert_eq!(persist(&mut mails, &mut mailbox), [5]);
    }
}
