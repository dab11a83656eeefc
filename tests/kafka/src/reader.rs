//! Kafka's console consumer.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cluster::Cluster;
use crate::text;

/// How long [`Reader::wait_for`] waits.
const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// A record as a consumer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The partition.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// When it was made or appended, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Names and values, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
}

impl Record {
    /// The key as text.
    ///
    /// # Panics
    /// If there is none, or it is no text.
    #[must_use]
    pub fn key_text(&self) -> &str {
        std::str::from_utf8(self.key.as_deref().expect("a key")).expect("a key of text")
    }

    /// The value as text.
    ///
    /// # Panics
    /// If there is none, or it is no text.
    #[must_use]
    pub fn value_text(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().expect("a value")).expect("a value of text")
    }
}

/// A consumer of one topic from its beginning that reads what is committed (`read_committed`), and goes on until it is
/// dropped.
#[derive(Debug)]
pub struct Reader {
    child: Child,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct State {
    records: Vec<Record>,
    /// For each partition the offset behind its last record.
    next: BTreeMap<i32, i64>,
    /// Why there will be no more.
    end: Option<String>,
}

impl Reader {
    /// Starts it without waiting.
    ///
    /// # Errors
    /// If there is no Java.
    pub fn start(cluster: &Cluster, topic: &str) -> anyhow::Result<Reader> {
        let mut command = cluster.command("org.apache.kafka.tools.consumer.ConsoleConsumer");
        command.args(["--topic", topic, "--from-beginning"]);
        command.args(["--isolation-level", "read_committed"]).args(text::arguments());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("cannot start `java`")?;
        let stdout = child.stdout.take().context("it is piped")?;
        let seen = Arc::new(Seen::default());
        std::thread::spawn({
            let seen = seen.clone();
            move || seen.read(BufReader::new(stdout))
        });
        Ok(Reader { child, seen })
    }

    /// All committed records of a topic: waits for so many, a minute at most, and then for a silence of this length.
    ///
    /// # Errors
    /// If it can't be started, or prints what is no record.
    pub fn read_all(
        cluster: &Cluster,
        topic: &str,
        at_least: usize,
        silence: Duration,
    ) -> anyhow::Result<Vec<Record>> {
        let reader = Reader::start(cluster, topic)?;
        let (mut wanted, mut timeout) = (at_least, WAIT_TIMEOUT);
        loop {
            let state = reader.wait(timeout, |records| records.len() >= wanted);
            if let Some(end) = &state.end {
                bail!("the consumer of `{topic}` ended: {end}");
            }
            if state.records.len() < wanted {
                return Ok(state.records.clone());
            }
            (wanted, timeout) = (state.records.len() + 1, silence);
        }
    }

    /// How many records it has seen.
    #[must_use]
    pub fn count(&self) -> usize {
        self.seen.state().records.len()
    }

    /// All records that it has seen, in the order of each partition.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.seen.state().records.clone()
    }

    /// Waits until it has seen so many, a minute at most; returns all it has.
    ///
    /// # Errors
    /// If that takes too long, or the consumer ends.
    pub fn wait_for(&self, count: usize) -> anyhow::Result<Vec<Record>> {
        self.wait_until(WAIT_TIMEOUT, |records| records.len() >= count)
            .with_context(|| format!("waited for {count} records"))
    }

    /// Waits until what it has seen satisfies a condition; returns it.
    ///
    /// # Errors
    /// If that takes longer than `timeout`, or the consumer ends.
    pub fn wait_until(
        &self,
        timeout: Duration,
        mut enough: impl FnMut(&[Record]) -> bool,
    ) -> anyhow::Result<Vec<Record>> {
        let state = self.wait(timeout, &mut enough);
        if enough(&state.records) {
            return Ok(state.records.clone());
        }
        let count = state.records.len();
        match &state.end {
            Some(end) => bail!("the consumer ended after {count} records: {end}"),
            None => bail!("there are {count} records after {timeout:?}"),
        }
    }

    /// Waits until there are enough, there will be no more, or for this long.
    fn wait(
        &self,
        timeout: Duration,
        mut enough: impl FnMut(&[Record]) -> bool,
    ) -> MutexGuard<'_, State> {
        let going_on = |state: &mut State| state.end.is_none() && !enough(&state.records);
        let waited = self.seen.more.wait_timeout_while(self.seen.state(), timeout, going_on);
        waited.expect("readers don't panic").0
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Seen {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("readers don't panic")
    }

    fn read(&self, lines: BufReader<ChildStdout>) {
        let mut end = String::new();
        for line in lines.lines() {
            match line.context("no text").and_then(|line| text::parse(&line)) {
                Ok(record) => self.state().take(record),
                Err(error) => {
                    end = format!("{error:#}");
                    break;
                }
            }
            self.more.notify_all();
        }
        self.state().end = Some(end);
        self.more.notify_all();
    }
}

impl State {
    /// A consumer whose broker was away goes back to what it has committed last. A record is its place.
    fn take(&mut self, record: Record) {
        let next = self.next.entry(record.partition).or_default();
        if record.offset >= *next {
            *next = record.offset + 1;
            self.records.push(record);
        }
    }
}
