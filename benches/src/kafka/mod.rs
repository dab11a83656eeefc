//! From Kafka through a function behind HTTP to Kafka, exactly once.
//!
//! The broker is a real one on the same machine, and so takes processor time from everybody else. A record's key is the id of a
//! counter, which emits the record's value; the value says when the record was due, so that the delay is known when a consumer
//! that reads what is committed sees it again.

mod clients;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use statera_test_kafka::{Artifacts, Cluster, Options, VARIABLE};

use crate::functions::{RECEIPT, RECEIPTS, RECEIPTS_TOPIC};
use crate::process::Usage;
use crate::subject::{Setup, Subject};
use crate::table::{mebibytes, quantile_ms, thousands};
use crate::{Common, disk, functions};
use clients::{Consumer, Producer, Seen};

const RECORDS_TOPIC: &str = "records";

/// How long all receipts may take.
const RECEIPTS_MAX: Duration = Duration::from_secs(600);

/// As Kafka's own start script runs a broker.
const JAVA: [&str; 8] = [
    "-Xmx1g",
    "-Xms1g",
    "-XX:TieredStopAtLevel=4",
    "-XX:-UseSerialGC",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];

const NO_KAFKA: &str = "no Kafka is named; hint: `cargo xtask components` installs it, and tells which variable to set";

#[derive(Args)]
pub(crate) struct Kafka {
    #[command(flatten)]
    common: Common,
    /// The folder of the jars of Apache Kafka; `cargo xtask components` installs and names it
    #[arg(long, env = VARIABLE, value_name = "DIR")]
    kafka: Option<PathBuf>,
    /// Records a second while latency is measured
    #[arg(long, default_value_t = 1000)]
    rate: u64,
    /// How long latency is measured
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// How long records flow before that; Java is slow until it has compiled the broker's code
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    warm_up: u64,
    /// Records that wait in the topic when throughput is measured
    #[arg(long, default_value_t = 200_000)]
    backlog: u64,
    /// Counters addressed, at random
    #[arg(long, default_value_t = 1000)]
    ids: u32,
    /// Partitions of both topics
    #[arg(long, default_value_t = 8)]
    partitions: u16,
    /// The size of a record's value
    #[arg(long, default_value_t = 100)]
    value_bytes: usize,
    /// The delivery semantic of the egress: `exactly-once`, `at-least-once`, `none`
    #[arg(long, default_value = "exactly-once")]
    delivery: String,
}

impl Kafka {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let program = self.common.program()?;
        let (median, p99) = disk::sync_latency(&self.common.dir)?;
        println!(
            "disk: 4 KiB into preallocated blocks and fdatasync: p50 {:.2} ms, p99 {:.2} ms",
            median.as_secs_f64() * 1e3,
            p99.as_secs_f64() * 1e3
        );
        self.latency(&program)?;
        self.throughput(&program)
    }

    fn latency(&self, program: &Path) -> anyhow::Result<()> {
        let world = World::start(self)?;
        let origin = Instant::now();
        let consumer = world.consumer(self, origin)?;
        let subject = world.setup.start(program)?;
        let mut producer = world.producer(self, origin)?;
        let warm_up = self.rate * self.warm_up;
        producer.send_paced(warm_up, self.rate)?;
        consumer.wait_for(warm_up, RECEIPTS_MAX)?;
        let count = self.rate * self.seconds;
        let before = world.snapshot(Some(&subject), &consumer)?;
        producer.send_paced(count, self.rate)?;
        let seen = consumer.wait_for(count, RECEIPTS_MAX)?;
        let micros = |seen: &Seen| u32::try_from(seen.delay.as_micros()).unwrap_or(u32::MAX);
        let mut delays: Vec<u32> = seen.iter().map(micros).collect();
        delays.sort_unstable();
        let quantile = |per_mille| quantile_ms(&delays, per_mille);
        println!(
            "latency at {} records/s, {}: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, \
             longest {:.1} ms",
            thousands(self.rate as f64),
            self.delivery,
            quantile(500),
            quantile(900),
            quantile(990),
            quantile(999),
            quantile(1000)
        );
        let after = world.snapshot(Some(&subject), &consumer)?;
        self.print_costs(count, &before, &after);
        subject.stop()?;
        Ok(())
    }

    fn throughput(&self, program: &Path) -> anyhow::Result<()> {
        let world = World::start(self)?;
        let origin = Instant::now();
        let mut producer = world.producer(self, origin)?;
        producer.send_at_once(self.backlog)?;
        drop(producer);
        let consumer = world.consumer(self, origin)?;
        let before = world.snapshot(None, &consumer)?;
        let subject = world.setup.start(program)?;
        let started = origin.elapsed();
        let seen = consumer.wait_for(self.backlog, RECEIPTS_MAX)?;
        let after = world.snapshot(Some(&subject), &consumer)?;
        let times = seen.iter().map(|seen| seen.due + seen.delay);
        let (first, last) = times.clone().min().zip(times.max()).context("no receipts")?;
        println!(
            "throughput, {}: {} records at {} records/s from the first receipt to the last, which was \
             seen {:.1} s after the start; {} MiB",
            self.delivery,
            thousands(self.backlog as f64),
            thousands(self.backlog as f64 / (last - first).as_secs_f64()),
            (last - started).as_secs_f64(),
            mebibytes(subject.usage()?.rss_max_bytes)
        );
        self.print_costs(self.backlog, &before, &after);
        subject.stop()?;
        Ok(())
    }

    fn print_costs(&self, records: u64, before: &Snapshot, after: &Snapshot) {
        let per_record = |sum: f64| sum / records as f64;
        let cpu = |usage: fn(&Snapshot) -> Usage| {
            per_record(usage(after).cpu_seconds - usage(before).cpu_seconds) * 1e6
        };
        println!(
            "processor time per record: statera {:.1} us, functions {:.1} us, broker {:.1} us",
            cpu(|snapshot| snapshot.server),
            cpu(|snapshot| snapshot.functions),
            cpu(|snapshot| snapshot.broker)
        );
        let requests =
            |snapshot: &Snapshot, kind: &str| snapshot.requests.get(kind).copied().unwrap_or(0);
        let difference =
            |kind: &String| requests(after, kind).saturating_sub(requests(before, kind));
        let mut kinds: Vec<(u64, &String)> = after
            .requests
            .keys()
            .map(|kind| (difference(kind), kind))
            .filter(|(sum, _)| *sum > 0)
            .collect();
        kinds.sort_unstable_by(|a, b| b.cmp(a));
        let sum: u64 = kinds.iter().map(|(sum, _)| sum).sum();
        let listed: Vec<String> =
            kinds.iter().map(|(sum, kind)| format!("{} {kind}", thousands(*sum as f64))).collect();
        println!(
            "broker requests per record: {:.4} ({})",
            per_record(sum as f64),
            listed.join(", ")
        );
    }
}

/// A broker, functions, and an application.
struct World {
    cluster: Cluster,
    functions: functions::Running,
    setup: Setup,
    _folder: tempfile::TempDir,
}

/// Everything at one moment.
struct Snapshot {
    server: Usage,
    functions: Usage,
    broker: Usage,
    /// By kind, without those of the consumer that measures.
    requests: BTreeMap<String, u64>,
}

impl World {
    fn start(options: &Kafka) -> anyhow::Result<World> {
        let folder = tempfile::tempdir_in(&options.common.dir)?;
        let settings =
            Options { java: JAVA.map(str::to_owned).to_vec(), figures: true, ..Options::default() };
        let artifacts = Artifacts::new(options.kafka.clone().context(NO_KAFKA)?);
        let cluster = Cluster::start(&artifacts, folder.path(), &settings)?;
        let partitions = u32::from(options.partitions);
        cluster.create_topics(&[(RECORDS_TOPIC, partitions), (RECEIPTS_TOPIC, partitions)])?;
        let functions = functions::Running::start(None)?;
        let setup = Setup::new(&options.common, &[(functions::NAMESPACE, &functions)], "fsync")?;
        setup.add(&documents(&cluster.bootstrap(), &options.delivery))?;
        Ok(World { cluster, functions, setup, _folder: folder })
    }

    fn producer(&self, options: &Kafka, origin: Instant) -> anyhow::Result<Producer> {
        let bootstrap = self.cluster.bootstrap();
        Producer::start(&bootstrap, RECORDS_TOPIC, origin, options.ids, options.value_bytes)
    }

    fn consumer(&self, options: &Kafka, origin: Instant) -> anyhow::Result<Consumer> {
        let bootstrap = self.cluster.bootstrap();
        Consumer::start(&bootstrap, RECEIPTS_TOPIC, options.partitions, origin)
    }

    fn snapshot(&self, subject: Option<&Subject>, consumer: &Consumer) -> anyhow::Result<Snapshot> {
        let mut requests = self.cluster.requests()?;
        // The sum of fetches by consumers and by other brokers, which are there as well.
        requests.remove("Fetch");
        for (kind, count) in consumer.requests() {
            if let Some(sum) = requests.get_mut(&kind) {
                *sum = sum.saturating_sub(count);
            }
        }
        let broker = self.cluster.pid(1).context("the broker has ended")?;
        Ok(Snapshot {
            server: subject.map(Subject::usage).transpose()?.unwrap_or_default(),
            functions: Usage::of(self.functions.pid())?,
            broker: Usage::of(broker)?,
            requests,
        })
    }
}

fn documents(bootstrap: &str, delivery: &str) -> String {
    let timeout = if delivery == "exactly-once" { "\n    transactionTimeout: 1min" } else { "" };
    format!(
        "kind: io.statefun.kafka.v1/ingress
spec:
  id: bench/records
  address: {bootstrap}
  consumerGroupId: bench
  startupPosition:
    type: earliest
  topics:
    - topic: {RECORDS_TOPIC}
      valueType: {}
      targets:
        - {}/{RECEIPT}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: {}/{RECEIPTS}
  address: {bootstrap}
  deliverySemantic:
    type: {delivery}{timeout}
",
        functions::ADD,
        functions::NAMESPACE,
        functions::NAMESPACE
    )
}
