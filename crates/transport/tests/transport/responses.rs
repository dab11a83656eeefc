//! What becomes of each kind of response.

use std::io::{BufReader, Read};
use std::rc::Rc;

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http_body_util::Full;
use hyper::Response;
use statera_config::{AsyncTransport, Transport};
use statera_model::{Failure, FailureKind};

use crate::server::*;

/// The outcome of one call to a server that always answers the same.
async fn outcome(transport: Transport, answer: Response<Full<Bytes>>) -> Result<Bytes, Failure> {
    let server = Server::new(move |_| {
        let answer = answer.clone();
        async { answer }
    });
    let client = client(&format!("http://{}/fn", server.tcp().await), transport);
    call(&client, "request").await
}

async fn check_rejected(transport: Transport, answer: Response<Full<Bytes>>, words: &[&str]) {
    check_kind(transport, answer, FailureKind::Rejected, words).await;
}

async fn check_kind(
    transport: Transport,
    answer: Response<Full<Bytes>>,
    kind: FailureKind,
    words: &[&str],
) {
    let failure = outcome(transport, answer).await.unwrap_err();
    assert_eq!(failure.kind, kind, "{failure}");
    for word in words {
        assert!(failure.reason.contains(word), "`{word}` is missing in: {failure}");
    }
}

#[test]
fn statuses_are_failures_of_their_kinds() {
    run(async {
        use FailureKind::{Fatal, Rejected, TooLarge, Unavailable};
        for (code, as_async, as_okhttp) in [
            (301, Rejected, Fatal),
            (400, Rejected, Fatal),
            (404, Rejected, Fatal),
            (408, Rejected, Rejected),
            (413, TooLarge, TooLarge),
            (422, Fatal, Fatal),
            (429, Unavailable, Unavailable),
            (500, Rejected, Rejected),
            (502, Unavailable, Unavailable),
            (503, Unavailable, Unavailable),
            (504, Unavailable, Unavailable),
        ] {
            let number = code.to_string();
            for (transport, kind) in [(asynchronous(), as_async), (okhttp(), as_okhttp)] {
                let answer = status(code, &[], "");
                check_kind(transport, answer, kind, &[&number, "http://127.0.0.1:", "/fn"]).await;
            }
        }
    });
}

#[test]
fn the_reason_quotes_a_text() {
    run(async {
        let answer = status(500, &[("content-type", "text/plain")], "first line\nsecond line");
        check_rejected(asynchronous(), answer, &["500", ": `first line\\nsecond line`"]).await;

        let mut long = status(500, &[], "");
        *long.body_mut() = Full::new("x".repeat(100_000).into());
        let failure = outcome(asynchronous(), long).await.unwrap_err();
        assert!(failure.reason.contains(&format!("`{}…`", "x".repeat(300))), "{failure}");

        let mut packed = status(500, &[("content-encoding", "gzip")], "");
        *packed.body_mut() = Full::new(gzip(b"packed text").into());
        check_rejected(asynchronous(), packed, &["`packed text`"]).await;
    });
}

#[test]
fn any_2xx_is_an_answer() {
    run(async {
        for code in [200, 201, 202, 299] {
            let answer = status(code, &[("content-type", "application/octet-stream")], "yes");
            assert_eq!(outcome(asynchronous(), answer).await.unwrap(), "yes", "{code}");
        }
    });
}

#[test]
fn content_types_are_compared_leniently() {
    run(async {
        for good in [
            "application/octet-stream",
            "Application/Octet-Stream",
            "application/octet-stream; a=b",
        ] {
            let answer = status(200, &[("content-type", good)], "yes");
            assert_eq!(outcome(asynchronous(), answer).await.unwrap(), "yes", "{good}");
        }
        for (transport, kind) in
            [(asynchronous(), FailureKind::Rejected), (okhttp(), FailureKind::Fatal)]
        {
            let answer = status(200, &[("content-type", "text/html")], "<h1>no</h1>");
            check_kind(transport.clone(), answer, kind, &["`text/html`", "<h1>no</h1>"]).await;
            let answer = status(200, &[], "no");
            check_kind(transport, answer, kind, &["no content type", "application/octet-stream"])
                .await;
        }
    });
}

#[test]
fn an_empty_answer_needs_no_content_type() {
    run(async {
        for headers in [[].as_slice(), &[("content-type", "text/plain")]] {
            for code in [200, 204] {
                let answer = status(code, headers, "");
                assert_eq!(outcome(asynchronous(), answer).await.unwrap(), "");
            }
        }
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        let (address, _) = raw(move |_, mut connection| async move {
            connection.request().await;
            connection.send(chunked).await;
            connection.hold().await;
        })
        .await;
        let client = client(&format!("http://{address}/"), asynchronous());
        assert_eq!(call(&client, "request").await.unwrap(), "");
    });
}

fn all(mut encoder: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoder.read_to_end(&mut bytes).unwrap();
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    all(GzEncoder::new(bytes, Compression::default()))
}

fn encoded(encoding: &str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = octets(body);
    answer.headers_mut().insert("content-encoding", encoding.parse().unwrap());
    answer
}

#[test]
fn encoded_bodies_are_decoded() {
    run(async {
        let text = b"hello hello hello".as_slice();
        let level = Compression::default();
        for (encoding, body) in [
            ("gzip", gzip(text)),
            ("x-gzip", gzip(text)),
            ("deflate", all(ZlibEncoder::new(text, level))),
            ("deflate", all(DeflateEncoder::new(text, level))),
            ("identity", text.to_vec()),
        ] {
            for transport in [asynchronous(), okhttp()] {
                let answer = encoded(encoding, body.clone());
                assert_eq!(outcome(transport, answer).await.unwrap(), text, "{encoding}");
            }
        }
    });
}

#[test]
fn bodies_that_cannot_be_decoded_are_rejected() {
    run(async {
        let torn = gzip(b"hello")[..12].to_vec();
        for (encoding, body, word) in [
            ("gzip", b"not gzip".to_vec(), "cannot be decoded"),
            ("gzip", torn, "cannot be decoded"),
            ("br", b"hello".to_vec(), "unknown content encoding"),
        ] {
            for transport in [asynchronous(), okhttp()] {
                check_rejected(transport, encoded(encoding, body.clone()), &[word]).await;
            }
        }
    });
}

fn at_most(payload_max_bytes: usize) -> Transport {
    Transport::Async(AsyncTransport { payload_max_bytes, ..async_settings() })
}

#[test]
fn a_gzip_bomb_is_rejected_by_its_decoded_size() {
    run(async {
        let zeros = BufReader::new(std::io::repeat(0).take(100_000_000));
        let bomb = all(GzEncoder::new(zeros, Compression::best()));
        assert!(bomb.len() < 200_000);
        let answer = encoded("gzip", bomb);
        check_rejected(at_most(200_000), answer, &["more than the allowed 200000 bytes"]).await;
    });
}

#[test]
fn the_limit_is_exact() {
    run(async {
        assert_eq!(outcome(at_most(1000), octets(vec![1; 1000])).await.unwrap().len(), 1000);
        let words = ["more than the allowed 1000 bytes"];
        check_rejected(at_most(1000), octets(vec![1; 1001]), &words).await;
    });
}

#[test]
fn an_announced_or_growing_oversize_ends_the_connection() {
    run(async {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n";
        for body in [
            "content-length: 99999999\r\n\r\nstart".to_owned(),
            format!("transfer-encoding: chunked\r\n\r\n400\r\n{}\r\n", "x".repeat(1024)),
        ] {
            let answer = Rc::new(format!("{head}{body}"));
            let (address, _) = raw(move |_, mut connection| {
                let answer = Rc::clone(&answer);
                async move {
                    connection.request().await;
                    connection.send(&answer).await;
                    connection.hold().await;
                }
            })
            .await;
            let client = client(&format!("http://{address}/"), at_most(1000));
            check_failure(&client, FailureKind::Rejected, &["allowed 1000 bytes"]).await;
            until("it is closed", || client.statistics().connections_open == 0).await;
        }
    });
}

#[test]
fn chunked_bodies_are_put_together() {
    run(async {
        let (address, accepted) = raw(|_, mut connection| async move {
            for _ in 0..2 {
                connection.request().await;
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n\
                            transfer-encoding: chunked\r\n\r\n";
                connection.send(head).await;
                for part in ["3\r\nhel\r\n", "2\r\nlo\r\n0\r\n", "\r\n"] {
                    connection.send(part).await;
                }
            }
            connection.hold().await;
        })
        .await;
        let client = client(&format!("http://{address}/"), asynchronous());
        assert_eq!(call(&client, "request").await.unwrap(), "hello");
        assert_eq!(call(&client, "request").await.unwrap(), "hello");
        assert_eq!(accepted.get(), 1);
    });
}

fn redirecting(code: u16, to: &'static str) -> Server {
    Server::new(move |seen| {
        let answer = match seen.parts.uri.path() {
            "/here" => octets(seen.body),
            _ => status(code, &[("location", to)], "moved"),
        };
        async { answer }
    })
}

#[test]
fn okhttp_repeats_the_post_for_307_and_308() {
    run(async {
        for code in [307, 308] {
            let server = redirecting(code, "/here");
            let client = client(&format!("http://{}/a/b", server.tcp().await), okhttp());
            assert_eq!(call(&client, "hello").await.unwrap(), "hello");
            assert_eq!(server.accepted(), 1, "the redirect uses the same connection");
            assert_eq!(client.statistics().attempts, 1);
        }
    });
}

#[test]
fn okhttp_follows_to_another_server() {
    run(async {
        let other = Server::echo().tcp().await;
        let server = Server::new(move |_| {
            let answer = status(307, &[("location", &format!("http://{other}/here"))], "");
            async { answer }
        });
        let client = client(&format!("http://{}/", server.tcp().await), okhttp());
        assert_eq!(call(&client, "hello").await.unwrap(), "hello");
        assert_eq!(client.statistics().connections_idle, 2);
    });
}

#[test]
fn other_redirects_are_failures() {
    run(async {
        for code in [301, 302, 303] {
            let client =
                client(&format!("http://{}/", redirecting(code, "/here").tcp().await), okhttp());
            check_failure(&client, FailureKind::Fatal, &["towards `/here`"]).await;
        }
        let client =
            client(&format!("http://{}/", redirecting(307, "/here").tcp().await), asynchronous());
        check_failure(&client, FailureKind::Rejected, &["307", "towards `/here`"]).await;
    });
}

#[test]
fn redirects_that_lead_nowhere_end() {
    run(async {
        let circle = redirecting(307, "/there");
        let client_of_circle = client(&format!("http://{}/", circle.tcp().await), okhttp());
        check_failure(&client_of_circle, FailureKind::Rejected, &["more than 20 times"]).await;
        let odd = redirecting(307, "http://a b/");
        let client = client(&format!("http://{}/", odd.tcp().await), okhttp());
        check_failure(&client, FailureKind::Rejected, &["redirects to `http://a b/`"]).await;
    });
}
