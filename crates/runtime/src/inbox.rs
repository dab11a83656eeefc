//! What a shard thread is told, by whom it may be.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use statera_config::Application;
use statera_core::{Cut, Input, PeerItem, Reload, RequestKind, Ticket};
use statera_model::{Address, Epoch};
use statera_ports::{Answer, Refusal, Request, SourceBatch};
use tokio::sync::{Notify, oneshot};

use crate::error::EngineError;
use crate::inspect::Question;
use crate::invocations::RecentInvocation;

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
        at: Instant,
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
    /// Durable, and served by the store.
    Durable(Epoch),
    /// An input that nobody waits for.
    Input(Input),
    Ask(Question),
    /// Tell what is remembered of an address, and remember more from now on.
    Look {
        address: Address,
        limit: usize,
        told: oneshot::Sender<Vec<RecentInvocation>>,
    },
    /// Make ready to run this application.
    Prepare {
        application: Arc<Application>,
        told: oneshot::Sender<Result<(), EngineError>>,
    },
    /// A switch is about to come.
    BeforeSwitch(oneshot::Sender<()>),
    /// From now on run what was prepared last.
    Switch {
        reload: Box<Reload>,
        told: oneshot::Sender<()>,
    },
    /// Tell the watch everything, and then this.
    Report(oneshot::Sender<()>),
    Stop,
}

/// Who waits for a ticket, and since when.
pub(crate) enum Waiter {
    Send(oneshot::Sender<Result<(), Refusal>>, Instant),
    Call(oneshot::Sender<Result<Answer, Refusal>>, Instant),
    /// Told whether what was named was there.
    Operator(oneshot::Sender<bool>),
}

/// The events of one shard thread, and what wakes it.
///
/// Whoever may add to it is limited elsewhere: requests by their ingress, sources by one batch at a time, peers by
/// what they have admitted. So it has no limit of its own, and nobody who adds to it ever waits.
#[derive(Default)]
pub(crate) struct Inbox {
    events: Mutex<Events>,
    wake: Notify,
}

#[derive(Default)]
struct Events {
    list: Vec<Event>,
    /// Nobody takes events any more. Those who wait for something are told by the end of their channels.
    closed: bool,
}

impl Inbox {
    pub(crate) fn push(&self, event: Event) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.closed {
            return;
        }
        let was_empty = events.list.is_empty();
        events.list.push(event);
        drop(events);
        if was_empty {
            self.wake.notify_one();
        }
    }

    /// Moves all events into `into`, which must be empty.
    pub(crate) fn take(&self, into: &mut Vec<Event>) {
        debug_assert!(into.is_empty());
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut events.list, into);
    }

    /// The thread has ended: drops what it was told, and what it will be.
    pub(crate) fn close(&self) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.closed = true;
        events.list = Vec::new();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_shard_that_has_ended_is_told_by_the_end_of_the_channel() {
        let inbox = Inbox::default();
        let event = || {
            let (sender, receiver) = oneshot::channel();
            let (input, ticket) = (Input::Tick, Ticket(1));
            (Event::Operate { ticket, input, waiter: Waiter::Operator(sender) }, receiver)
        };
        let (before, mut first) = event();
        inbox.push(before);
        inbox.close();
        let (after, mut second) = event();
        inbox.push(after);
        for receiver in [&mut first, &mut second] {
            assert_eq!(receiver.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        }
    }
}
