//! The command line.

use anyhow::{Context, bail};

/// What `cargo xtask help` prints.
pub(crate) const HELP: &str = "\
Development tasks.

Usage: cargo xtask <task> [options]

Tasks:
  test          everything that CI checks: components, format, lints, build, tests
  components    install what the tests need, and print the variables by which `cargo test` finds it
  kafka up      start an Apache Kafka on this machine, and print the address of its brokers
  kafka down    stop it
  kafka send    send each line of the input, `key:value`, to a topic
  kafka read    print the committed records of a topic, each as `key:value`
  help          this text

Options of test:
  --fast             leave out the components (SDKs and Apache Kafka), and so every test that needs them
  --filter <text>    only tests whose name holds the text; leaves out format and lints
  --long-crash <n>   let the crash tests crash n times instead of a few

Options of kafka up:
  --nodes <n>              1 or 3; default: 1
  --port <p>               of the first broker; default: any free one
  --topic <name>[:<n>]     make a topic with so many partitions, default 4; may be repeated

Options of kafka send and kafka read:
  <topic>                  to send to or to read
  --max <n>                end when so many records are read; default: when it is stopped

Environment:
  CI=true               a component that cannot be installed is a failure, not a skip
  STATERA_COMPONENTS    where components are installed; default: `components` in the target directory

Tests find in their environment, where there is one:
  STATERA_BIN             the `statera` binary
  STATERA_EXAMPLES        the folder of the programs of the examples
  STATERA_PYTHON          a Python with the SDK
  STATERA_NODE_MODULES    a folder of Node modules with the SDK
  STATERA_KAFKA           a folder with the jars of Apache Kafka
  STATERA_PROMTOOL        Prometheus's tool, if not `promtool` in the path; optional everywhere
  STATERA_CI              `1` if a missing component must fail a test
  STATERA_LONG_CRASH      how often the crash tests crash
  STATERA_LONG_BANK       how many transfers the bank test makes
A test that cannot run prints a line `SKIPPED: <name>: <why>` and succeeds; it is counted at the end.
";

/// A task with its options.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    Components,
    Test(TestOptions),
    Kafka(Kafka),
}

/// Options of `test`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TestOptions {
    /// Leave out components.
    pub(crate) fast: bool,
    /// Only tests whose name holds this text.
    pub(crate) filter: Option<String>,
    /// How often the crash tests crash.
    pub(crate) long_crash: Option<u32>,
}

/// What to do with the brokers on this machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kafka {
    Up(Brokers),
    Down,
    Send { topic: String },
    Read { topic: String, max: Option<u64> },
}

/// Options of `kafka up`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Brokers {
    /// How many brokers.
    pub(crate) nodes: u32,
    /// The port of the first one.
    pub(crate) port: Option<u16>,
    /// Names and partitions.
    pub(crate) topics: Vec<(String, u32)>,
}

/// As the brokers have it for topics that nobody made.
const PARTITIONS: u32 = 4;

impl Default for Brokers {
    fn default() -> Brokers {
        Brokers { nodes: 1, port: None, topics: Vec::new() }
    }
}

impl Task {
    /// Reads the arguments behind `cargo xtask`.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> anyhow::Result<Task> {
        match args.next().as_deref() {
            None | Some("help" | "--help" | "-h") => Ok(Task::Help),
            Some("components") => match args.next() {
                None => Ok(Task::Components),
                Some(arg) => bail!("unknown option `{arg}`; hint: `components` has none"),
            },
            Some("test") => parse_test(args),
            Some("kafka") => Ok(parse_kafka(args)?.map_or(Task::Help, Task::Kafka)),
            Some(other) => bail!("unknown task `{other}`; hint: `cargo xtask help` lists them"),
        }
    }
}

/// `None` if help is wanted.
fn parse_kafka(mut args: impl Iterator<Item = String>) -> anyhow::Result<Option<Kafka>> {
    let command = args.next().unwrap_or_default();
    let (mut brokers, mut topic, mut max) = (Brokers::default(), None, None);
    while let Some(arg) = args.next() {
        let (name, inline) = split(&arg);
        let mut value = || {
            let value = inline.clone().or_else(|| args.next());
            value.with_context(|| format!("`{name}` needs a value"))
        };
        match (&*command, name) {
            (_, "--help" | "-h") => return Ok(None),
            ("up", "--nodes") => brokers.nodes = number(&value()?)?,
            ("up", "--port") => brokers.port = Some(number(&value()?)?),
            ("up", "--topic") => brokers.topics.push(topic_of(&value()?)?),
            ("read", "--max") => max = Some(number(&value()?)?),
            ("send" | "read", _) if topic.is_none() && !name.starts_with('-') => topic = Some(arg),
            _ => bail!("unknown option `{arg}`; hint: `cargo xtask help` lists them"),
        }
    }
    anyhow::ensure!([1, 3].contains(&brokers.nodes), "`--nodes` is neither 1 nor 3");
    let topic = topic.context("which topic?");
    Ok(Some(match &*command {
        "up" => Kafka::Up(brokers),
        "down" => Kafka::Down,
        "send" => Kafka::Send { topic: topic? },
        "read" => Kafka::Read { topic: topic?, max },
        _ => bail!("unknown task `kafka {command}`; hint: `cargo xtask help` lists them"),
    }))
}

/// `name` or `name:partitions`.
fn topic_of(text: &str) -> anyhow::Result<(String, u32)> {
    match text.split_once(':') {
        Some((name, partitions)) => Ok((name.to_owned(), number(partitions)?)),
        None => Ok((text.to_owned(), PARTITIONS)),
    }
}

/// An option's name, and its value if it is written as `--name=value`.
fn split(arg: &str) -> (&str, Option<String>) {
    match arg.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (arg, None),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> anyhow::Result<T> {
    text.parse().ok().with_context(|| format!("`{text}` is not a number, or too large"))
}

fn parse_test(mut args: impl Iterator<Item = String>) -> anyhow::Result<Task> {
    let mut options = TestOptions::default();
    while let Some(arg) = args.next() {
        let (name, inline) = split(&arg);
        let mut value = || {
            inline
                .clone()
                .or_else(|| args.next())
                .with_context(|| format!("`{name}` needs a value"))
        };
        match name {
            "--fast" if inline.is_none() => options.fast = true,
            "--filter" => options.filter = Some(value()?),
            "--long-crash" => options.long_crash = Some(number(&value()?)?),
            "--help" | "-h" => return Ok(Task::Help),
            _ => bail!("unknown option `{arg}`; hint: `cargo xtask help` lists them"),
        }
    }
    Ok(Task::Test(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> anyhow::Result<Task> {
        Task::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read_in_both_forms() {
        let wanted =
            TestOptions { fast: true, filter: Some("epoch".to_owned()), long_crash: Some(50) };
        let task = parse("test --fast --filter epoch --long-crash=50").unwrap();
        assert_eq!(task, Task::Test(wanted));
        let wanted = Brokers {
            nodes: 3,
            port: Some(9092),
            topics: vec![("in".to_owned(), 8), ("out".to_owned(), 4)],
        };
        let task = parse("kafka up --nodes 3 --port=9092 --topic in:8 --topic out").unwrap();
        assert_eq!(task, Task::Kafka(Kafka::Up(wanted)));
        assert_eq!(parse("kafka up").unwrap(), Task::Kafka(Kafka::Up(Brokers::default())));
        assert_eq!(parse("kafka down").unwrap(), Task::Kafka(Kafka::Down));
        let read = Kafka::Read { topic: "out".to_owned(), max: Some(3) };
        assert_eq!(parse("kafka read out --max 3").unwrap(), Task::Kafka(read));
        assert_eq!(parse("components").unwrap(), Task::Components);
        assert_eq!(parse("test").unwrap(), Task::Test(TestOptions::default()));
    }

    #[test]
    fn help_is_given_when_asked_and_without_a_task() {
        for line in ["", "help", "--help", "test --help"] {
            assert_eq!(parse(line).unwrap(), Task::Help, "{line:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "bench",
            "components js",
            "test --slow",
            "test --filter",
            "test --long-crash many",
            "kafka",
            "kafka down now",
            "kafka up --nodes 2",
            "kafka up --port 99999",
            "kafka up --topic in:many",
            "kafka send",
            "kafka send a b",
            "kafka send --max 3 a",
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
