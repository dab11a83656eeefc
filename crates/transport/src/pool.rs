//! The connections to one origin: most recently used first, at most so many, and a queue for those who wait.
//!
//! While anybody waits, no connection is idle and all places are taken: what is given back goes to the first in the
//! queue at once. An HTTP/1.1 connection keeps its place while it is idle; an HTTP/2 connection is shared, and each of
//! the requests on it takes a place.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use tokio::sync::oneshot;

use crate::life::Life;
use crate::statistics::Counters;

pub(crate) type Body = Full<Bytes>;

pub(crate) struct Http1 {
    pub(crate) sender: http1::SendRequest<Body>,
    pub(crate) life: Rc<Life>,
}

#[derive(Clone)]
pub(crate) struct Http2 {
    pub(crate) sender: http2::SendRequest<Body>,
    pub(crate) life: Rc<Life>,
}

pub(crate) enum Connection {
    Http1(Http1),
    Http2(Http2),
}

pub(crate) struct Pool {
    places: usize,
    counters: Rc<Counters>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// Connections in use, idle or being made; for HTTP/2 the requests under way.
    taken: usize,
    /// The most recently used last.
    idle: Vec<Http1>,
    shared: Option<Http2>,
    waiters: VecDeque<oneshot::Sender<Lease>>,
}

/// A place in the pool, given back when dropped, together with its connection if that can be used again.
pub(crate) struct Lease {
    /// `None` only while it is being taken apart.
    pool: Option<Rc<Pool>>,
    /// `None`: the holder may make one.
    pub(crate) connection: Option<Connection>,
}

pub(crate) enum Acquired {
    Now(Lease),
    /// All places are taken; this delivers one in turn.
    Later(oneshot::Receiver<Lease>),
}

impl State {
    fn live_shared(&self) -> Option<Http2> {
        let shared = self.shared.as_ref().filter(|shared| shared.sender.is_ready())?;
        shared.life.used.set(true);
        Some(shared.clone())
    }
}

impl Pool {
    pub(crate) fn new(places: usize, counters: Rc<Counters>) -> Pool {
        Pool { places, counters, state: RefCell::default() }
    }

    pub(crate) fn acquire(self: &Rc<Self>) -> Acquired {
        let mut state = self.state.borrow_mut();
        while let Some(connection) = state.idle.pop() {
            self.idle_changed(-1);
            // The server may have closed it without its driver having had the time to tell.
            if connection.sender.is_ready() {
                connection.life.used.set(true);
                return Acquired::Now(self.lease(Some(Connection::Http1(connection))));
            }
            state.taken -= 1;
        }
        if state.taken < self.places {
            state.taken += 1;
            let shared = state.live_shared().map(Connection::Http2);
            return Acquired::Now(self.lease(shared));
        }
        // Those who gave up waiting did so in order, for all wait equally long.
        while state.waiters.front().is_some_and(oneshot::Sender::is_closed) {
            state.waiters.pop_front();
        }
        let (waiter, granted) = oneshot::channel();
        state.waiters.push_back(waiter);
        Acquired::Later(granted)
    }

    fn lease(self: &Rc<Self>, connection: Option<Connection>) -> Lease {
        Lease { pool: Some(Rc::clone(self)), connection }
    }

    /// The HTTP/2 connection, if there is one that can be used.
    pub(crate) fn shared(&self) -> Option<Http2> {
        self.state.borrow().live_shared()
    }

    pub(crate) fn share(&self, connection: Http2) {
        self.state.borrow_mut().shared = Some(connection);
    }

    /// The connection is closed, or no longer to be used. If it is leased, its lease will notice.
    pub(crate) fn forget(&self, life: &Rc<Life>) {
        let mut state = self.state.borrow_mut();
        if let Some(index) = state.idle.iter().position(|idle| Rc::ptr_eq(&idle.life, life)) {
            state.idle.remove(index);
            state.taken -= 1;
            self.idle_changed(-1);
        }
        if state.shared.as_ref().is_some_and(|shared| Rc::ptr_eq(&shared.life, life)) {
            state.shared = None;
        }
    }

    fn give_back(self: &Rc<Self>, mut connection: Option<Connection>) {
        while let Some(waiter) = self.next_waiter() {
            match waiter.send(self.lease(connection)) {
                Ok(()) => return,
                Err(mut refused) => connection = refused.take_apart(),
            }
        }
        let mut state = self.state.borrow_mut();
        match connection {
            Some(Connection::Http1(connection)) => {
                state.idle.push(connection);
                self.idle_changed(1);
            }
            Some(Connection::Http2(_)) | None => state.taken -= 1,
        }
    }

    fn idle_changed(&self, difference: isize) {
        let idle = &self.counters.idle;
        idle.set(idle.get().saturating_add_signed(difference));
    }

    fn next_waiter(&self) -> Option<oneshot::Sender<Lease>> {
        self.state.borrow_mut().waiters.pop_front()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let idle = &self.counters.idle;
        idle.set(idle.get() - self.state.get_mut().idle.len());
    }
}

impl Lease {
    /// Leaves nothing to be given back.
    fn take_apart(&mut self) -> Option<Connection> {
        self.pool = None;
        self.connection.take()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(pool) = self.pool.take() else { return };
        let reusable = self.connection.take().filter(|connection| match connection {
            // Not ready: closed, or its response has not been read to the end.
            Connection::Http1(connection) => {
                connection.sender.is_ready() && !connection.life.over.get()
            }
            Connection::Http2(_) => false,
        });
        pool.give_back(reusable);
    }
}
