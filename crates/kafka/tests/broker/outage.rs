//! A broker that goes away, and connections that break.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use statera_test_kafka::{Options, Reader};
use tokio::net::TcpListener;

use crate::egress::{EXACTLY_ONCE, batch, egress, recover, values};
use crate::proxy::Proxy;
use crate::world::{Broker, Running, Sent, artifacts, soon};

/// A broker whose clients come through a proxy.
async fn broker_behind_a_proxy(test: &str) -> Option<(Broker, Proxy)> {
    let artifacts = artifacts(test)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let settings = vec![format!("advertised.listeners=PLAINTEXT://127.0.0.1:{port}")];
    let options = Options { settings, ..Options::default() };
    let started = tokio::task::spawn_blocking(move || Broker::start(&artifacts, &options));
    let mut broker = started.await.unwrap();
    let direct: SocketAddr = broker.bootstrap.parse().unwrap();
    let proxy = Proxy::start(listener, direct);
    broker.bootstrap = format!("127.0.0.1:{port}");
    Some((broker, proxy))
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_connections_neither_lose_nor_repeat_anything() {
    let test = "broken_connections_neither_lose_nor_repeat_anything";
    let Some((broker, proxy)) = broker_behind_a_proxy(test).await else { return };
    const EPOCHS: u64 = 100;
    broker.create_topic("cut", 1).await;
    broker.create_topic("in", 2).await;
    let mut running = Running::start(&broker.ingress("in"));
    let mut sink = egress(
        &broker.bootstrap,
        EXACTLY_ONCE,
        &[
            ("reconnect.backoff.ms", "1"),
            ("reconnect.backoff.max.ms", "20"),
            ("retry.backoff.ms", "5"),
        ],
    )
    .sink;
    recover(&mut sink, "cut").await;
    let cutting = async {
        // Not a round number of the time that a transaction takes.
        for round in 0_u64.. {
            tokio::time::sleep(Duration::from_millis(7 + round * 37 % 500)).await;
            proxy.cut();
        }
    };
    let writing = async {
        let mut failures = 0;
        for epoch in 1..=EPOCHS {
            let (a, b) = (format!("{epoch}a"), format!("{epoch}b"));
            while let Err(error) = sink.write(batch(epoch, "cut", &[&a, &b])).await {
                println!(
                    "{epoch}: {error}: {:?}",
                    std::error::Error::source(&error).map(ToString::to_string)
                );
                failures += 1;
            }
        }
        failures
    };
    let failures = tokio::select! {
        failures = tokio::time::timeout(Duration::from_secs(240), writing) => failures.expect("it ends"),
        () = cutting => unreachable!("it goes on for ever"),
    };
    println!("{failures} writes failed");
    let reader = Reader::start(&broker.cluster.lock().unwrap(), "cut").unwrap();
    let read = tokio::task::spawn_blocking(move || {
        reader.wait_for(2 * EPOCHS as usize).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        values(&reader.records())
    });
    let expected: Vec<String> =
        (1..=EPOCHS).flat_map(|epoch| [format!("{epoch}a"), format!("{epoch}b")]).collect();
    assert_eq!(read.await.unwrap(), expected);

    broker.produce("in", &[Sent::new(0, "k", "a"), Sent::new(1, "k", "b")]);
    let read: BTreeSet<_> = running.wait_for(2).await.into_iter().collect();
    assert_eq!(read, ["k=a", "k=b"].map(str::to_owned).into());
    running.stop().await;
}

#[tokio::test]
async fn a_broker_that_comes_back_is_used_again() {
    let test = "a_broker_that_comes_back_is_used_again";
    let Some(artifacts) = artifacts(test) else { return };
    let broker = Broker::start(&artifacts, &Options::default());
    broker.create_topic("away", 1).await;
    let mut running = Running::start(&broker.ingress("away"));
    let mut sink = egress(&broker.bootstrap, EXACTLY_ONCE, &[]).sink;
    recover(&mut sink, "away").await;
    sink.write(batch(1, "away", &["a"])).await.unwrap();
    running.wait_for(1).await;

    broker.cluster.lock().unwrap().node(1).kill();
    let mut write = sink.write(batch(2, "away", &["b"]));
    assert!(
        tokio::time::timeout(Duration::from_secs(2), &mut write).await.is_err(),
        "nobody is there"
    );
    broker.cluster.lock().unwrap().node(1).start().unwrap();
    if soon("a write", write).await.is_err() {
        soon("a write", async { while sink.write(batch(2, "away", &["b"])).await.is_err() {} })
            .await;
    }
    assert_eq!(running.wait_for(2).await, ["k=a", "k=b"]);
    running.stop().await;
}
