//! Connections: reused, limited, given up.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use statera_config::{AsyncTransport, Transport};
use statera_model::FailureKind;
use tokio::sync::Notify;

use crate::server::*;

/// A server that answers nobody until told to.
fn gated() -> (Server, Rc<Notify>, Log<Bytes>) {
    let gate = Rc::new(Notify::new());
    let seen = Log::<Bytes>::default();
    let (waiting, log) = (Rc::clone(&gate), Rc::clone(&seen));
    let server = Server::new(move |seen| {
        let gate = Rc::clone(&waiting);
        log.borrow_mut().push(seen.body.clone());
        async move {
            gate.notified().await;
            octets(seen.body)
        }
    });
    (server, gate, seen)
}

#[test]
fn calls_one_after_another_use_one_connection() {
    run(async {
        for transport in [asynchronous(), okhttp()] {
            let server = Server::echo();
            let client = client(&format!("http://{}/", server.tcp().await), transport);
            for _ in 0..10 {
                call(&client, "hello").await.unwrap();
            }
            assert_eq!(server.accepted(), 1);
            assert_eq!(client.statistics().connections_made, 1);
        }
    });
}

#[test]
fn empty_and_error_answers_leave_the_connection_usable() {
    run(async {
        let turn = Cell::new(0);
        let server = Server::new(move |_| {
            let answer = match turn.replace(turn.get() + 1) {
                0 => octets(""),
                1 => status(500, &[("content-type", "text/plain")], "boom"),
                2 => status(404, &[], ""),
                3 => status(200, &[("content-type", "text/plain")], "no function"),
                _ => status(204, &[], ""),
            };
            async { answer }
        });
        let client = client(&format!("http://{}/", server.tcp().await), asynchronous());
        let outcomes = [
            call(&client, "").await.is_ok(),
            call(&client, "").await.is_ok(),
            call(&client, "").await.is_ok(),
            call(&client, "").await.is_ok(),
            call(&client, "").await.is_ok(),
        ];
        assert_eq!(outcomes, [true, false, false, false, true]);
        assert_eq!(server.accepted(), 1);
        assert_eq!(client.statistics().failures, 3);
    });
}

#[test]
fn at_most_pool_size_requests_run_and_the_rest_wait_in_order() {
    run(async {
        let (server, gate, seen) = gated();
        let transport = Transport::Async(AsyncTransport { pool_size: 2, ..async_settings() });
        let client = client(&format!("http://{}/", server.tcp().await), transport);
        let done = Rc::new(RefCell::new(Vec::new()));
        for body in ["a", "b", "c", "d", "e"] {
            let (client, done) = (client.clone(), Rc::clone(&done));
            tokio::task::spawn_local(async move {
                let answer = call(&client, body).await.unwrap();
                done.borrow_mut().push(answer);
            });
        }
        until("two requests arrive", || seen.borrow().len() == 2).await;
        let statistics = client.statistics();
        assert_eq!((statistics.in_flight, statistics.waiting), (5, 3));
        for count in 1..=5 {
            gate.notify_one();
            until("one more is done", || done.borrow().len() == count).await;
            until("the next arrives", || seen.borrow().len() == (count + 2).min(5)).await;
        }
        assert_eq!(seen.borrow()[2..], ["c", "d", "e"]);
        assert_eq!(server.accepted(), 2);
        let statistics = client.statistics();
        assert_eq!((statistics.in_flight, statistics.waiting), (0, 0));
        assert_eq!(statistics.connections_idle, 2);
    });
}

#[test]
fn who_waits_too_long_for_a_connection_finds_it_unavailable() {
    run(async {
        let (server, gate, seen) = gated();
        let connect = Duration::from_millis(50);
        let transport =
            Transport::Async(AsyncTransport { pool_size: 1, connect, ..async_settings() });
        let client = client(&format!("http://{}/", server.tcp().await), transport);
        let first = tokio::task::spawn_local({
            let client = client.clone();
            async move { call(&client, "first").await }
        });
        until("the first arrives", || seen.borrow().len() == 1).await;
        check_failure(&client, FailureKind::Unavailable, &["no connection", "50ms", "all 1"]).await;
        gate.notify_one();
        assert_eq!(first.await.unwrap().unwrap(), "first");
        gate.notify_one();
        assert_eq!(call(&client, "later").await.unwrap(), "later");
        assert_eq!(server.accepted(), 1);
    });
}

#[test]
fn a_dropped_call_closes_its_connection_and_frees_its_place() {
    run(async {
        let (server, gate, seen) = gated();
        let transport = Transport::Async(AsyncTransport { pool_size: 1, ..async_settings() });
        let client = client(&format!("http://{}/", server.tcp().await), transport);
        let first = tokio::task::spawn_local({
            let client = client.clone();
            async move { call(&client, "first").await }
        });
        until("the first arrives", || seen.borrow().len() == 1).await;
        let waiter = tokio::task::spawn_local({
            let client = client.clone();
            async move { call(&client, "second").await }
        });
        until("the second waits", || client.statistics().waiting == 1).await;
        first.abort();
        until("the second arrives", || seen.borrow().len() == 2).await;
        gate.notify_waiters();
        assert_eq!(waiter.await.unwrap().unwrap(), "second");
        until("the first connection is closed", || client.statistics().connections_open == 1).await;
        assert_eq!(server.accepted(), 2);
        assert_eq!(client.statistics().in_flight, 0);
    });
}

#[test]
fn a_place_granted_to_a_call_that_was_dropped_goes_to_the_next() {
    run(async {
        let (server, gate, seen) = gated();
        let transport = Transport::Async(AsyncTransport { pool_size: 1, ..async_settings() });
        let client = client(&format!("http://{}/", server.tcp().await), transport);
        let calls: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .map(|body| {
                let client = client.clone();
                tokio::task::spawn_local(async move { call(&client, body).await })
            })
            .collect();
        until("two wait", || client.statistics().waiting == 2 && seen.borrow().len() == 1).await;
        calls[1].abort();
        gate.notify_one();
        until("the third arrives", || seen.borrow().len() == 2).await;
        assert_eq!(seen.borrow()[1], "c");
        gate.notify_one();
        until("it is done", || client.statistics().connections_idle == 1).await;
        assert_eq!(server.accepted(), 1);
    });
}

#[test]
fn a_connection_is_closed_when_its_time_is_over() {
    run(async {
        let server = Server::echo();
        let pool_ttl = Some(Duration::from_millis(1));
        let transport = Transport::Async(AsyncTransport { pool_ttl, ..async_settings() });
        let client = client(&format!("http://{}/", server.tcp().await), transport);
        call(&client, "hello").await.unwrap();
        assert_eq!(server.open(), 1);
        until("it is closed", || server.open() == 0).await;
        assert_eq!(client.statistics().connections_idle, 0);
        call(&client, "hello").await.unwrap();
        assert_eq!(server.accepted(), 2);
        assert_eq!(client.statistics().races, 0);
    });
}

#[test]
fn a_call_outlives_the_time_of_its_connection() {
    run(async {
        let gate = Rc::new(Notify::new());
        let waiting = Rc::clone(&gate);
        let server = Server::new(move |seen| {
            let gate = Rc::clone(&waiting);
            async move {
                if seen.body == "long" {
                    gate.notified().await;
                }
                octets(seen.body)
            }
        });
        let pool_ttl = Some(Duration::from_millis(1));
        let transport = Transport::Async(AsyncTransport { pool_ttl, ..async_settings() });
        let client = client(&format!("http://{}/", server.tcp().await), transport);
        let long = tokio::task::spawn_local({
            let client = client.clone();
            async move { call(&client, "long").await }
        });
        until("it runs", || server.open() == 1).await;
        // The second connection is given more time than the first: when it is closed, the first one's is over too.
        call(&client, "short").await.unwrap();
        assert_eq!(server.open(), 2);
        until("the other is closed", || server.open() == 1).await;
        gate.notify_one();
        assert_eq!(long.await.unwrap().unwrap(), "long");
        until("its own is closed", || server.open() == 0).await;
    });
}

#[test]
fn connections_of_a_runtime_that_is_gone_are_forgotten() {
    let server = Server::echo();
    let mut kept = None;
    for round in 1..=2 {
        run(async {
            let address = server.tcp().await;
            let client = kept.get_or_insert_with(|| {
                // The second round finds another server, if any, at the old address.
                client(&format!("http://{address}/"), asynchronous())
            });
            let outcome = call(client, "hello").await;
            assert_eq!(outcome.is_ok(), round == 1, "{outcome:?}");
        });
        let statistics = kept.as_ref().unwrap().statistics();
        assert_eq!((statistics.connections_open, statistics.connections_idle), (0, 0));
    }
}

#[test]
fn a_dropped_client_closes_its_connections() {
    run(async {
        let server = Server::echo();
        let client = client(&format!("http://{}/", server.tcp().await), asynchronous());
        call(&client, "hello").await.unwrap();
        drop(client);
        until("it is closed", || server.open() == 0).await;
    });
}
