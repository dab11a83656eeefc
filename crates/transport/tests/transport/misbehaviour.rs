//! Servers that close, hang and babble.

use std::time::Duration;

use bytes::Bytes;
use statera_config::{OkHttpTransport, Transport};
use statera_model::FailureKind;

use crate::server::*;

const HELLO: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 5\r\n\r\nhello";

#[test]
fn a_kept_alive_connection_that_closes_before_the_answer_is_replaced_silently() {
    run(async {
        for reset in [false, true] {
            for transport in [asynchronous(), okhttp()] {
                // Takes a second request on the first connection, and closes it without a word.
                let (address, accepted) = raw(move |_, mut connection| async move {
                    connection.request().await;
                    connection.send(HELLO).await;
                    connection.request().await;
                    if reset {
                        connection.reset();
                    }
                })
                .await;
                let client = client(&format!("http://{address}/"), transport);
                assert_eq!(call(&client, "first").await.unwrap(), "hello");
                assert_eq!(call(&client, "second").await.unwrap(), "hello");
                assert_eq!(accepted.get(), 2);
                let statistics = client.statistics();
                assert_eq!((statistics.attempts, statistics.failures), (2, 0));
                assert_eq!(statistics.races, 1);
            }
        }
    });
}

#[test]
fn a_connection_closed_while_idle_is_not_used_again() {
    run(async {
        let (address, accepted) = raw(|_, mut connection| async move {
            connection.request().await;
            connection.send(HELLO).await;
        })
        .await;
        let client = client(&format!("http://{address}/"), asynchronous());
        for count in 1..=3 {
            assert_eq!(call(&client, "request").await.unwrap(), "hello");
            until("it is dropped", || client.statistics().connections_open == 0).await;
            assert_eq!(client.statistics().connections_idle, 0);
            assert_eq!(accepted.get(), count);
        }
        assert_eq!(client.statistics().races, 0);
    });
}

#[test]
fn a_new_connection_that_closes_before_the_answer_is_a_failure() {
    run(async {
        for reset in [false, true] {
            let (address, accepted) = raw(move |_, mut connection| async move {
                connection.request().await;
                if reset {
                    connection.reset();
                }
            })
            .await;
            let client = client(&format!("http://{address}/"), asynchronous());
            let words = ["closed the connection instead of answering"];
            check_failure(&client, FailureKind::Unavailable, &words).await;
            assert_eq!(accepted.get(), 1);
        }
    });
}

#[test]
fn the_silent_repetition_happens_once() {
    run(async {
        let (address, accepted) = raw(|number, mut connection| async move {
            connection.request().await;
            if number == 0 {
                connection.send(HELLO).await;
                connection.request().await;
            }
        })
        .await;
        let client = client(&format!("http://{address}/"), asynchronous());
        call(&client, "first").await.unwrap();
        check_failure(&client, FailureKind::Unavailable, &["closed the connection"]).await;
        assert_eq!(accepted.get(), 2);
    });
}

#[test]
fn a_close_after_the_first_byte_is_a_failure_also_on_a_kept_alive_connection() {
    run(async {
        for part in ["H", "HTTP/1.1 200 OK\r\ncontent-le", &HELLO[..HELLO.len() - 1]] {
            let (address, accepted) = raw(move |_, mut connection| async move {
                connection.request().await;
                connection.send(HELLO).await;
                connection.request().await;
                connection.send(part).await;
            })
            .await;
            let client = client(&format!("http://{address}/"), asynchronous());
            call(&client, "first").await.unwrap();
            check_failure(&client, FailureKind::Unavailable, &["closed the connection"]).await;
            assert_eq!((accepted.get(), client.statistics().races), (1, 0), "{part}");
        }
    });
}

#[test]
fn what_is_not_http_is_rejected() {
    run(async {
        let (address, _) = raw(|_, mut connection| async move {
            connection.request().await;
            connection.send("220 mail.example.org ESMTP\r\n").await;
            connection.hold().await;
        })
        .await;
        let client = client(&format!("http://{address}/"), asynchronous());
        check_failure(&client, FailureKind::Rejected, &["not HTTP"]).await;
    });
}

#[test]
fn the_remaining_budget_limits_an_attempt() {
    run(async {
        for part in ["", &HELLO[..10], &HELLO[..HELLO.len() - 1]] {
            let (address, _) = raw(move |_, mut connection| async move {
                connection.request().await;
                connection.send(part).await;
                connection.hold().await;
            })
            .await;
            let client = client(&format!("http://{address}/"), asynchronous());
            let remaining = Duration::from_millis(50);
            let failure =
                client.call(&function(), "request".into(), remaining, None).await.unwrap_err();
            assert_eq!(failure.kind, FailureKind::Unavailable, "{failure}");
            assert!(failure.reason.contains("did not answer within 50ms"), "{failure}");
            until("it is closed", || client.statistics().connections_open == 0).await;
        }
    });
}

#[test]
fn okhttp_has_timeouts_of_its_own() {
    async fn check(transport: OkHttpTransport, part: &'static str, words: &[&str]) {
        let (address, _) = raw(move |_, mut connection| async move {
            connection.request().await;
            connection.send(part).await;
            connection.hold().await;
        })
        .await;
        let client = client(&format!("http://{address}/"), Transport::OkHttp(transport));
        // Much smaller than the timeouts, and ignored.
        let remaining = Duration::from_nanos(1);
        let failure =
            client.call(&function(), "request".into(), remaining, None).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unavailable, "{failure}");
        for word in words {
            assert!(failure.reason.contains(word), "`{word}` is missing in: {failure}");
        }
    }
    run(async {
        let short = Duration::from_millis(60);
        let call = OkHttpTransport { call: short, ..okhttp_settings() };
        check(call, "", &["did not answer within 60ms"]).await;
        let read = OkHttpTransport { read: short, ..okhttp_settings() };
        check(read.clone(), "", &["was silent for 60ms"]).await;
        check(read, &HELLO[..HELLO.len() - 1], &["silent for 60ms", "middle of its answer"]).await;
    });
}

#[test]
fn okhttp_gives_up_when_nothing_can_be_written() {
    run(async {
        let (address, _) = raw(|_, connection| async move {
            // Reads nothing, for ever.
            let _connection = connection;
            std::future::pending::<()>().await;
        })
        .await;
        let write = Duration::from_millis(60);
        let transport = Transport::OkHttp(OkHttpTransport { write, ..okhttp_settings() });
        let client = client(&format!("http://{address}/"), transport);
        let large = Bytes::from(vec![0; 64 * 1024 * 1024]);
        let failure = client.call(&function(), large, DEADLINE, None).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unavailable, "{failure}");
        assert!(failure.reason.contains("nothing could be written for 60ms"), "{failure}");
    });
}

#[test]
fn an_error_whose_text_never_ends_is_told_by_its_status() {
    run(async {
        let (address, _) = raw(|_, mut connection| async move {
            connection.request().await;
            connection.send("HTTP/1.1 503 No\r\ncontent-length: 100\r\n\r\noverload").await;
            connection.hold().await;
        })
        .await;
        let client = client(&format!("http://{address}/"), asynchronous());
        check_failure(&client, FailureKind::Unavailable, &["503", "`overload`"]).await;
    });
}

#[test]
fn an_answer_before_the_request_was_read_is_taken() {
    run(async {
        let (address, _) = raw(|_, mut connection| async move {
            connection.head().await;
            connection.send("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n").await;
            connection.hold().await;
        })
        .await;
        let client = client(&format!("http://{address}/"), asynchronous());
        let large = Bytes::from(vec![0; 16 * 1024 * 1024]);
        let failure = client.call(&function(), large, DEADLINE, None).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::TooLarge, "{failure}");
    });
}
