//! Events, and TLS: what lasts as long as its connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use statera_admin::{AdminError, AdminServer, Settings, Tls, api};
use statera_model::TypedValue;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::world::{soon, world};

/// A stream of events.
struct Events(BufReader<TcpStream>);

impl Events {
    /// Begins to listen; returns the status, too.
    async fn open(address: SocketAddr) -> (StatusCode, Events) {
        soon("events", async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
            let mut events = Events(BufReader::new(stream));
            let status = events.line().await.unwrap();
            let status = status.split(' ').nth(1).unwrap().parse::<u16>().unwrap();
            (StatusCode::from_u16(status).unwrap(), events)
        })
        .await
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = soon("a line", self.0.read_line(&mut line)).await.unwrap_or(0);
        (read > 0).then_some(line)
    }

    /// The next event; none at the end of the stream.
    async fn next(&mut self) -> Option<api::Live> {
        loop {
            let line = self.line().await?;
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    }
}

#[tokio::test]
async fn events_tell_what_happens() {
    let world = world().await;
    let (status, mut events) = Events::open(world.admin).await;
    assert_eq!(status, StatusCode::OK);
    let first = events.next().await.unwrap();
    assert_eq!((first.seconds, first.rate), (None, None));
    // What came before the first look of the one who tells is not part of a rate.
    let mut epochs = 0;
    let event = loop {
        world.send("example/cart", "1", TypedValue::new("example/message", b"m")).await;
        let event = events.next().await.unwrap();
        epochs += event.epochs.count;
        if event.rate.unwrap() > 0.0 && event.latency.is_some() {
            break event;
        }
    };
    assert_eq!(event.ingresses[0].id, "example/in");
    assert_eq!(event.egresses[0].id, "example/out");
    let function = event.functions.iter().find(|found| found.name == "example/cart").unwrap();
    assert!(function.rate_in.unwrap() > 0.0 && function.mail.is_some());
    assert!(epochs > 0);
}

#[tokio::test]
async fn events_end_with_the_server() {
    let world = world().await;
    let (_, mut events) = Events::open(world.admin).await;
    events.next().await.unwrap();
    world.stop.send_replace(true);
    // A stop waits for requests in flight; events are not among them.
    let stopped = tokio::time::timeout(Duration::from_millis(1_500), world.running).await;
    stopped.expect("at once").unwrap().unwrap();
    while events.next().await.is_some() {}
}

#[tokio::test]
async fn only_so_many_listen() {
    let world = world().await;
    let mut all = Vec::new();
    for _ in 0..32 {
        let (status, mut events) = Events::open(world.admin).await;
        assert_eq!(status, StatusCode::OK);
        events.next().await.unwrap();
        all.push(events);
    }
    assert_eq!(Events::open(world.admin).await.0, StatusCode::SERVICE_UNAVAILABLE);
    all.pop();
    soon("a free place", async {
        while Events::open(world.admin).await.0 != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn over_tls_the_certificate_is_shown() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let tls =
        Tls { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::write(&tls.certificate, cert.pem()).unwrap();
    std::fs::write(&tls.key, signing_key.serialize_pem()).unwrap();
    let settings = Settings { tls: Some(tls.clone()), ..Settings::at(([127, 0, 0, 1], 0).into()) };
    let server = AdminServer::open(settings.clone(), world.engine.clone()).unwrap();
    let address = server.local_addr();
    let running = tokio::spawn(server.run(Box::pin(std::future::pending())));

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(cert.der().to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let answer = soon("an answer", async {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, stream).await.unwrap();
        let request = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    })
    .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    running.abort();

    std::fs::write(&tls.key, "nothing").unwrap();
    let refused = AdminServer::open(settings, world.engine.clone());
    assert!(matches!(refused, Err(AdminError::Tls { .. })));
}
