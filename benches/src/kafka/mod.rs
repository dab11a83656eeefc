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
use clients::{Consumer, Producer};

const RECORDS_TOPIC: &str = "records";

/// Before latencies count.
const WARM_UP: Duration = Duration::from_secs(3);

/// How long the last receipts may take.
const LAST_RECEIPTS_MAX: Duration = Duration::from_secs(60);

/// As a broker for others than tests is run.
const JAVA: [&str; 2] = ["-Xmx1g", "-XX:TieredStopAtLevel=4"];

#[derive(Args)]
pub(crate) struct Kafka {
    #[command(flatten)]
    common: Common,
    /// The folder of the jars of Apache Kafka; `cargo xtask components` installs and names it
    #[arg(long, env = VARIABLE, value_name = "DIR")]
    kafka: PathBuf,
    /// Records a second while latency is measured
    #[arg(long, default_value_t = 1000)]
    rate: u64,
    /// How long latency is measured
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Records that wait in the topic when throughput is measured
    #[arg(long, default_value_t = 200_000)]
    backlog: u64,
    /// Counters addressed, at random
    #[arg(long, default_value_t = 1000)]
    ids: u32,
    /// Partitions of both topics
    #[arg(long, default_value_t = 8)]
    partitions: u32,
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
        let bootstrap = world.cluster.bootstrap();
        let consumer = Consumer::start(&bootstrap, RECEIPTS_TOPIC, origin)?;
        let subject = world.setup.start(program)?;
        let count = self.rate * (self.seconds + WARM_UP.as_secs());
        let producer =
            Producer::start(&bootstrap, RECORDS_TOPIC, origin, self.ids, self.value_bytes)?;
        let start = Instant::now();
        producer.send_paced(count, self.rate)?;
        let seen = consumer.wait_for(count, LAST_RECEIPTS_MAX)?;
        let measured = seen.iter().filter(|seen| seen.due >= start - origin + WARM_UP);
        let mut delays: Vec<u32> = measured
            .map(|seen| u32::try_from(seen.delay.as_micros()).unwrap_or(u32::MAX))
            .collect();
        delays.sort_unstable();
        let quantile = |per_mille| quantile_ms(&delays, per_mille);
        println!(
            "latency at {} records/s, {}: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, \
             longest {:.1} ms, of {} records",
            thousands(self.rate as f64),
            self.delivery,
            quantile(500),
            quantile(900),
            quantile(990),
            quantile(999),
            quantile(1000),
            thousands(delays.len() as f64)
        );
        subject.stop()?;
        Ok(())
    }

    fn throughput(&self, program: &Path) -> anyhow::Result<()> {
        let world = World::start(self)?;
        let origin = Instant::now();
        let bootstrap = world.cluster.bootstrap();
        let producer =
            Producer::start(&bootstrap, RECORDS_TOPIC, origin, self.ids, self.value_bytes)?;
        producer.send_at_once(self.backlog)?;
        let consumer = Consumer::start(&bootstrap, RECEIPTS_TOPIC, origin)?;
        let subject = world.setup.start(program)?;
        let before = world.snapshot(&subject, &consumer)?;
        let seen = consumer.wait_for(self.backlog, Duration::from_secs(600))?;
        let after = world.snapshot(&subject, &consumer)?;
        let times = seen.iter().map(|seen| seen.due + seen.delay);
        let (first, last) = (times.clone().min(), times.max());
        let took = first.zip(last).context("no receipts")?;
        let seconds = (took.1 - took.0).as_secs_f64();
        println!(
            "throughput, {}: {} records in {seconds:.1} s, {} records/s from the first receipt to the last; {} MiB",
            self.delivery,
            thousands(self.backlog as f64),
            thousands(self.backlog as f64 / seconds),
            mebibytes(subject.usage()?.rss_max_bytes)
        );
        self.print_costs(&before, &after);
        subject.stop()?;
        Ok(())
    }

    fn print_costs(&self, before: &Snapshot, after: &Snapshot) {
        let per_record = |sum: f64| sum / self.backlog as f64;
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
        let artifacts = Artifacts::new(&options.kafka);
        let cluster = Cluster::start(&artifacts, folder.path(), &settings)?;
        let partitions = options.partitions;
        cluster.create_topics(&[(RECORDS_TOPIC, partitions), (RECEIPTS_TOPIC, partitions)])?;
        let functions = functions::Running::start(None)?;
        let setup = Setup::new(&options.common, &[(functions::NAMESPACE, &functions)], "fsync")?;
        setup.add(&documents(&cluster.bootstrap(), &options.delivery))?;
        Ok(World { cluster, functions, setup, _folder: folder })
    }

    fn snapshot(&self, subject: &Subject, consumer: &Consumer) -> anyhow::Result<Snapshot> {
        let mut requests = self.cluster.requests()?;
        for (kind, count) in consumer.requests() {
            if let Some(sum) = requests.get_mut(&kind) {
                *sum = sum.saturating_sub(count);
            }
        }
        let broker = self.cluster.pid(1).context("the broker has ended")?;
        Ok(Snapshot {
            server: subject.usage()?,
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
