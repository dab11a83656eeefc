//! What a shard thread is told, by whom it may be.

use std::sync::{Arc, Mutex, PoisonError};

use statera_core::{Cut, Input, PeerItem, RequestKind, Ticket};
use statera_model::Epoch;
use statera_ports::{Answer, Refusal, Request, SourceBatch};
use tokio::sync::{Notify, oneshot};

/// Something for a shard thread.
pub(crate) enum Event {
    Request {
        ticket: Ticket,
        request: Request,
        kind: RequestKind,
        waiter: Waiter,
    },
    Forget(Ticket),
    Deliver {
        batch: SourceBatch,
        taken: oneshot::Sender<()>,
    },
    /// An operator's input, which carries this ticket.
    Operate {
        ticket: Ticket,
        input: Input,
        waiter: Waiter,
    },
    Peer {
        from: u16,
        items: Vec<PeerItem>,
    },
    Cut(Arc<Cut>),
    Durable(Epoch),
    Flushed(Epoch),
    Stop,
}

/// Who waits for a ticket.
pub(crate) enum Waiter {
    Send(oneshot::Sender<Result<(), Refusal>>),
    Call(oneshot::Sender<Result<Answer, Refusal>>),
    /// Told whether what was named was there.
    Operator(oneshot::Sender<bool>),
}

/// The events of one shard thread, and what wakes it.
///
/// Whoever may add to it is limited elsewhere: requests by their ingress, sources by one batch at a time, peers by
/// what they have admitted. So it has no limit of its own, and nobody who adds to it ever waits.
#[derive(Default)]
pub(crate) struct Inbox {
    events: Mutex<Vec<Event>>,
    wake: Notify,
}

impl Inbox {
    pub(crate) fn push(&self, event: Event) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = events.is_empty();
        events.push(event);
        drop(events);
        if was_empty {
            self.wake.notify_one();
        }
    }

    /// Moves all events into `into`, which must be empty.
    pub(crate) fn take(&self, into: &mut Vec<Event>) {
        debug_assert!(into.is_empty());
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *events, into);
    }

    /// Wakes the thread for something that is not an event.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until there is something to take, or somebody called [`Inbox::wake`].
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}
