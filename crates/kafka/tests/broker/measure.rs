use crate::egress::{EXACTLY_ONCE, batch, egress, recover};
use crate::world::{Broker, Running, Sent, artifacts};
use statera_config::Delivery;
use statera_test_kafka::Options;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn measure() {
    let Some(artifacts) = artifacts("measure") else { return };
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).init();
    let broker = Broker::start(&artifacts, &Options::default());
    broker.create_topic("m", 4).await;
    broker.create_topic("o", 4).await;
    for (name, delivery) in [("eo", EXACTLY_ONCE), ("alo", Delivery::AtLeastOnce)] {
        let mut sink = egress(&broker.bootstrap, delivery, &[]).sink;
        recover(&mut sink, name).await;
        let mut times = vec![];
        for epoch in 1..=300 {
            let began = Instant::now();
            sink.write(batch(epoch, "o", &["x"])).await.unwrap();
            times.push(began.elapsed());
        }
        times.sort();
        println!(
            "{name}: write of 1 record: p50 {:?} p99 {:?} max {:?}",
            times[150], times[297], times[299]
        );
        let values = vec!["x".repeat(100); 10_000];
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let began = Instant::now();
        for epoch in 301..=330 {
            sink.write(batch(epoch, "o", &values)).await.unwrap();
        }
        println!("{name}: 300000 records in {:?}", began.elapsed());
    }
    let value = "x".repeat(100);
    let records: Vec<Sent<'_>> = (0..500_000).map(|i| Sent::new(i % 4, "key", &value)).collect();
    broker.produce("m", &records);
    let mut running = Running::start(&broker.ingress("m"));
    let began = Instant::now();
    running.wait_for(1).await;
    println!("first after {:?}", began.elapsed());
    let began = Instant::now();
    while running.records.len() < 500_000 {
        running.wait_for(running.records.len() + 1).await;
    }
    println!("500000 records in {:?}", began.elapsed());
    // Latency: from produce to deliver.
    running.records.clear();
    let mut times = vec![];
    let producer: rdkafka::producer::ThreadedProducer<rdkafka::producer::DefaultProducerContext> = {
        let mut c = rdkafka::ClientConfig::new();
        c.set("bootstrap.servers", &broker.bootstrap).set("linger.ms", "0");
        c.create().unwrap()
    };
    for i in 0..300 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let began = Instant::now();
        producer
            .send(
                rdkafka::producer::BaseRecord::<str, str>::to("m")
                    .partition(i % 4)
                    .key("k")
                    .payload("v"),
            )
            .map_err(|e| e.0)
            .unwrap();
        running.wait_for(running.records.len() + 1).await;
        times.push(began.elapsed());
    }
    times.sort();
    println!("produce to deliver: p50 {:?} p99 {:?} max {:?}", times[150], times[297], times[299]);
    // idle cpu
    let cpu = || {
        let s = std::fs::read_to_string("/proc/self/stat").unwrap();
        let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
        f[11].parse::<u64>().unwrap() + f[12].parse::<u64>().unwrap()
    };
    let before = cpu();
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!("idle: {} ms of processor in 5 s", (cpu() - before) * 10);
    println!("--- broker away");
    let mut sink = egress(&broker.bootstrap, EXACTLY_ONCE, &[]).sink;
    recover(&mut sink, "eo2").await;
    broker.cluster.lock().unwrap().node(1).kill();
    let before = cpu();
    tokio::time::sleep(Duration::from_secs(20)).await;
    println!("away: {} ms of processor in 20 s", (cpu() - before) * 10);
    println!("--- stop while away");
    let began = Instant::now();
    running.stop().await;
    println!("stopped in {:?}", began.elapsed());
    let began = Instant::now();
    drop(sink);
    println!("dropped in {:?}", began.elapsed());
}
