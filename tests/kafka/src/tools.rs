//! Kafka's own commands.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::cluster::Cluster;

/// How far a consumer group has come in a partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommittedOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset of the record that comes next.
    pub offset: i64,
    /// The offset behind the last record.
    pub end: i64,
}

/// A transactional id that the brokers know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The id.
    pub id: String,
    /// `Empty`, `Ongoing`, `PrepareCommit`, `PrepareAbort`, `CompleteCommit` or `CompleteAbort`.
    pub state: String,
}

impl Transaction {
    /// Whether consumers that read what is committed wait for it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(&*self.state, "Ongoing" | "PrepareCommit" | "PrepareAbort")
    }
}

impl Cluster {
    /// Makes topics with so many partitions, unless they are there.
    ///
    /// # Errors
    /// If the command fails.
    pub fn create_topics(&self, topics: &[(&str, u32)]) -> anyhow::Result<()> {
        // All at once: Java takes its time to start.
        std::thread::scope(|scope| {
            let create = |&(topic, partitions): &(&str, u32)| {
                let partitions = partitions.to_string();
                let topic = ["--create", "--if-not-exists", "--topic", topic];
                self.topics(&[&topic[..], &["--partitions", &partitions]].concat())
            };
            let commands: Vec<_> =
                topics.iter().map(|topic| scope.spawn(move || create(topic))).collect();
            commands.into_iter().try_for_each(|it| it.join().expect("no panic").map(drop))
        })
    }

    /// Adds partitions to a topic, up to this number.
    ///
    /// # Errors
    /// If the command fails.
    pub fn grow_topic(&self, topic: &str, partitions: u32) -> anyhow::Result<()> {
        self.topics(&["--alter", "--topic", topic, "--partitions", &partitions.to_string()])
            .map(drop)
    }

    /// Removes a topic.
    ///
    /// # Errors
    /// If the command fails.
    pub fn delete_topic(&self, topic: &str) -> anyhow::Result<()> {
        self.topics(&["--delete", "--topic", topic]).map(drop)
    }

    /// The number of the node that leads a partition, if there is one.
    ///
    /// # Errors
    /// If the command fails.
    pub fn leader(&self, topic: &str, partition: i32) -> anyhow::Result<Option<u32>> {
        let said = self.topics(&["--describe", "--topic", topic])?;
        let line = said.lines().find(|line| line.contains(&format!("\tPartition: {partition}\t")));
        let line = line.with_context(|| format!("partition {partition} is not in:\n{said}"))?;
        let leader = line.split('\t').find_map(|field| field.strip_prefix("Leader: "));
        Ok(leader.and_then(|leader| leader.trim().parse().ok()))
    }

    /// What a consumer group has committed.
    ///
    /// # Errors
    /// If the command fails, as for a group that is not there.
    pub fn group_offsets(&self, group: &str) -> anyhow::Result<Vec<CommittedOffset>> {
        let class = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
        let said = self.run(class, &["--describe", "--offsets", "--group", group])?;
        let rows = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut offsets: Vec<CommittedOffset> =
            rows.filter(|row| row.first() == Some(&group)).filter_map(|row| offset(&row)).collect();
        offsets.sort();
        Ok(offsets)
    }

    /// All transactional ids and their states.
    ///
    /// # Errors
    /// If the command fails.
    pub fn transactions(&self) -> anyhow::Result<Vec<Transaction>> {
        let said = self.run(TRANSACTIONS, &["list"])?;
        let rows = table(&said).filter_map(|row| match row[..] {
            [id, _, _, state] => Some(Transaction { id: id.to_owned(), state: state.to_owned() }),
            _ => None,
        });
        Ok(rows.collect())
    }

    /// What Kafka itself calls hanging: transactions in partitions that no coordinator knows about any more. Each as a
    /// line of its command.
    ///
    /// # Errors
    /// If the command fails.
    pub fn hanging_transactions(&self) -> anyhow::Result<Vec<String>> {
        let mut hanging = Vec::new();
        for id in self.node_ids() {
            let said = self.run(TRANSACTIONS, &["find-hanging", "--broker-id", &id.to_string()])?;
            hanging.extend(table(&said).map(|row| row.join(" ")));
        }
        Ok(hanging)
    }

    /// How many requests of each kind the first node has answered, if it tells.
    ///
    /// # Errors
    /// If the command fails.
    pub fn requests(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let port = self.figures_port().context("the cluster was started without figures")?;
        let mut command = self.artifacts().java("org.apache.kafka.tools.JmxTool");
        let url = format!("service:jmx:rmi:///jndi/rmi://127.0.0.1:{port}/jmxrmi");
        command.args(["--jmx-url", &url, "--one-time", "--report-format", "properties"]);
        command.args(["--object-name", REQUESTS, "--attributes", "Count"]);
        let said = output(command, "JmxTool")?;
        let mut requests = BTreeMap::new();
        for line in said.lines() {
            // `kafka.network:type=RequestMetrics,name=RequestsPerSec,request=Produce,version=12:Count=345`
            let kind = line.split("request=").nth(1).and_then(|rest| rest.split([',', ':']).next());
            let count = line.rsplit('=').next().and_then(|count| count.parse::<u64>().ok());
            if let (Some(kind), Some(count)) = (kind, count) {
                *requests.entry(kind.to_owned()).or_default() += count;
            }
        }
        Ok(requests)
    }

    fn topics(&self, options: &[&str]) -> anyhow::Result<String> {
        self.run("org.apache.kafka.tools.TopicCommand", options)
    }

    /// What a command prints.
    fn run(&self, class: &str, options: &[&str]) -> anyhow::Result<String> {
        let mut command = self.command(class);
        command.args(options);
        output(command, &format!("{class} {}", options.join(" ")))
    }

    pub(crate) fn command(&self, class: &str) -> Command {
        let mut command = self.artifacts().java(class);
        command.args(["--bootstrap-server", &self.bootstrap()]);
        command
    }
}

const REQUESTS: &str = "kafka.network:type=RequestMetrics,name=RequestsPerSec,*";
const TRANSACTIONS: &str = "org.apache.kafka.tools.TransactionsCommand";

/// What a command prints.
fn output(mut command: Command, name: &str) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start `{name}`"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("`{name}` ended with {}:\n{said}{errors}", output.status);
    }
    Ok(said)
}

/// The rows of a table behind its titles.
fn table(said: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.skip_while(|row| !row.iter().any(|title| ["TransactionalId", "Topic"].contains(title)))
        .skip(1)
}

/// `GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET …`.
fn offset(row: &[&str]) -> Option<CommittedOffset> {
    let [_, topic, partition, offset, end, ..] = row else { return None };
    Some(CommittedOffset {
        topic: (*topic).to_owned(),
        partition: partition.parse().ok()?,
        offset: offset.parse().ok()?,
        end: end.parse().ok()?,
    })
}
