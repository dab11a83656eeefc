//! What a call sends, and how it gets to its server.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use statera_model::{FailureKind, FunctionType};
use statera_transport::{HttpClient, Statistics, TransportError};
use tokio::net::{TcpListener, UnixListener};

use crate::server::*;

#[test]
fn a_call_gets_the_body_of_its_answer() {
    run(async {
        for transport in [asynchronous(), okhttp()] {
            let address = Server::echo().tcp().await;
            let client = client(&format!("http://{address}/"), transport);
            assert_eq!(call(&client, "hello").await.unwrap(), "hello");
            let expected = Statistics {
                attempts: 1,
                connections_made: 1,
                connections_open: 1,
                connections_idle: 1,
                ..Statistics::default()
            };
            assert_eq!(client.statistics(), expected);
        }
    });
}

#[test]
fn the_request_is_that_of_the_transport() {
    async fn check(transport: statera_config::Transport, expected: &[(&str, Option<&str>)]) {
        let seen = Log::<Seen>::default();
        let log = seen.clone();
        let server = Server::new(move |seen| {
            log.borrow_mut().push(seen);
            async { octets("") }
        });
        let address = server.tcp().await;
        let client = client(&format!("http://{address}/fn/{{function.name}}?a=b"), transport);
        call(&client, "hello").await.unwrap();
        let seen = seen.borrow();
        assert_eq!(seen[0].parts.method, "POST");
        assert_eq!(seen[0].parts.uri, "/fn/greeter?a=b");
        assert_eq!(seen[0].header("host"), Some(address.to_string().as_str()));
        assert_eq!(seen[0].header("content-type"), Some("application/octet-stream"));
        assert_eq!(seen[0].header("content-length"), Some("5"));
        assert!(seen[0].header("user-agent").unwrap().starts_with("statera/"));
        for (name, value) in expected {
            assert_eq!(seen[0].header(name), *value, "{name}");
        }
    }
    run(async {
        let octet_stream = Some("application/octet-stream");
        check(
            asynchronous(),
            &[("accept", octet_stream), ("accept-encoding", Some("gzip,deflate"))],
        )
        .await;
        check(okhttp(), &[("accept", None), ("accept-encoding", Some("gzip"))]).await;
    });
}

#[test]
fn large_bodies_go_both_ways() {
    run(async {
        let address = Server::echo().tcp().await;
        let client = client(&format!("http://{address}/"), asynchronous());
        let body: Bytes = (0..5_000_000_u32).map(|n| n as u8).collect();
        let answer = client.call(&function(), body.clone(), DEADLINE, None).await.unwrap();
        assert!(answer == body, "{} bytes came back", answer.len());
        assert_eq!(client.statistics().connections_idle, 1);
    });
}

#[test]
fn an_ipv6_literal_is_called() {
    run(async {
        let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await else {
            eprintln!("skipped: no IPv6 here");
            return;
        };
        let port = Server::echo().listen(listener).port();
        let client = client(&format!("http://[::1]:{port}/"), asynchronous());
        assert_eq!(call(&client, "hello").await.unwrap(), "hello");
    });
}

#[test]
fn a_unix_socket_is_called() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("x.sock");
        let server = Server::new(async |seen| octets(seen.parts.uri.to_string()));
        server.unix(UnixListener::bind(&socket).unwrap());
        for transport in [asynchronous(), okhttp()] {
            let url = format!("http+unix://{}/a/b?c", socket.display());
            let client = client(&url, transport);
            assert_eq!(call(&client, "hello").await.unwrap(), "/a/b?c");
            assert_eq!(call(&client, "hello").await.unwrap(), "/a/b?c");
        }
        assert_eq!(server.accepted(), 2);
    });
}

#[test]
fn a_refused_connection_is_unavailable() {
    run(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let url = format!("http://{address}/x");
        for transport in [asynchronous(), okhttp()] {
            let client = client(&url, transport);
            let words = ["cannot connect", "refused", url.as_str()];
            check_failure(&client, FailureKind::Unavailable, &words).await;
            assert_eq!(
                client.statistics(),
                Statistics { attempts: 1, failures: 1, ..Statistics::default() }
            );
        }
    });
}

#[test]
fn a_name_that_does_not_resolve_is_unavailable() {
    run(async {
        let client = client("http://no-such-host.invalid/", asynchronous());
        check_failure(&client, FailureKind::Unavailable, &["no-such-host.invalid:80"]).await;
    });
}

#[test]
fn a_function_whose_name_makes_no_url_fails_for_good() {
    run(async {
        let client = client("http://localhost/{function.name}", asynchronous());
        let odd = FunctionType::from_parts("example", "a b");
        let failure =
            client.call(&odd, Bytes::new(), Duration::from_secs(1), None).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Fatal, "{failure}");
    });
}

#[test]
fn a_template_that_yields_no_url_is_refused_at_once() {
    for url in ["ftp://localhost/", "http://localhost/{what}", "http+unix:///no/socket"] {
        let refused = HttpClient::new(&endpoint(url, asynchronous()));
        assert!(matches!(refused, Err(TransportError::Url { .. })), "{url}: {refused:?}");
    }
}

#[test]
fn functions_whose_names_are_hosts_have_connections_of_their_own() {
    run(async {
        let server = Server::new(async |seen| octets(seen.header("host").unwrap().to_owned()));
        let port = server.tcp().await.port();
        let client = client(&format!("http://{{function.name}}:{port}/"), asynchronous());
        for _ in 0..2 {
            for host in ["127.0.0.1", "localhost"] {
                let function = FunctionType::from_parts("example", host);
                let answer = client.call(&function, Bytes::new(), DEADLINE, None).await.unwrap();
                assert_eq!(answer, format!("{host}:{port}"));
            }
        }
        assert_eq!(client.statistics().connections_made, 2);
        assert_eq!(client.statistics().connections_idle, 2);
    });
}
