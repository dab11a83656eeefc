//! Kafka's console producer.

use std::io::{BufWriter, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, Stdio};
use std::thread::JoinHandle;

use anyhow::{Context, bail};

use crate::cluster::Cluster;

/// Properties of the client: it goes on for as long as a test takes while a broker is away. Being idempotent, as it is by
/// default, it neither repeats nor reorders what it sends again.
const PROPERTIES: [&str; 3] =
    ["delivery.timeout.ms=600000", "max.block.ms=600000", "retry.backoff.max.ms=200"];
/// Stands for what is not there.
const NULL: &str = "\\N";
const RETRIES: &str = "2147483647";
const LINGER_MS: &str = "5";

/// A producer of records of one topic. Killed when it is dropped.
#[derive(Debug)]
pub struct Producer {
    child: Child,
    input: Option<BufWriter<ChildStdin>>,
    errors: Option<JoinHandle<String>>,
}

impl Producer {
    /// Starts it without waiting.
    ///
    /// # Errors
    /// If there is no Java.
    pub fn start(cluster: &Cluster, topic: &str) -> anyhow::Result<Producer> {
        let mut command = cluster.command("org.apache.kafka.tools.ConsoleProducer");
        command.args(["--topic", topic, "--message-send-max-retries", RETRIES]);
        command.args(["--timeout", LINGER_MS, "--request-required-acks", "all"]);
        for property in PROPERTIES {
            command.args(["--command-property", property]);
        }
        let null = format!("null.marker={NULL}");
        for property in ["parse.key=true", "parse.headers=true", &null] {
            command.args(["--reader-property", property]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start `java`")?;
        let input = child.stdin.take().map(BufWriter::new);
        let errors = child.stderr.take().map(|stderr| std::thread::spawn(move || read(stderr)));
        Ok(Producer { child, input, errors })
    }

    /// Hands over a record. Its parts are text without tabs and ends of lines, other than `\N`; header names and values hold neither `,`
    /// nor `:`.
    ///
    /// # Errors
    /// If the producer has ended.
    pub fn send(
        &mut self,
        key: Option<&str>,
        value: Option<&str>,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let headers: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        let headers = if headers.is_empty() { NULL.to_owned() } else { headers.join(",") };
        let input = self.input.as_mut().context("the producer takes records until it ends")?;
        let line = format!("{headers}\t{}\t{}\n", key.unwrap_or(NULL), value.unwrap_or(NULL));
        input.write_all(line.as_bytes()).context("the producer has ended")
    }

    /// Has everything sent now that was handed over.
    ///
    /// # Errors
    /// If the producer has ended.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        let input = self.input.as_mut().context("the producer takes records until it ends")?;
        input.flush().context("the producer has ended")
    }

    /// Waits until the brokers have everything.
    ///
    /// # Errors
    /// If they did not take something.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.flush()?;
        self.input = None;
        let status = self.child.wait().context("cannot wait for the producer")?;
        let errors = self.errors.take().and_then(|errors| errors.join().ok()).unwrap_or_default();
        if !status.success() || errors.contains("ERROR") {
            bail!("the producer ended with {status}:\n{errors}");
        }
        Ok(())
    }
}

fn read(mut stderr: ChildStderr) -> String {
    let mut bytes = Vec::new();
    let _ = stderr.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Drop for Producer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
