//! The command line.

use anyhow::{Context, bail};

/// What `cargo xtask help` prints.
pub(crate) const HELP: &str = "\
Development tasks.

Usage: cargo xtask <task> [options]

Tasks:
  test          everything that CI checks: components, format, lints, build, tests
  components    install what the tests need, and print the variables by which `cargo test` finds it
  help          this text

Options of test:
  --fast             leave out the components (Python and JavaScript SDKs), and so every test that needs them
  --filter <text>    only tests whose name holds the text; leaves out format and lints
  --long-crash <n>   let the crash tests crash n times instead of a few

Environment of both:
  CI=true               a component that cannot be installed is a failure, not a skip
  STATERA_COMPONENTS    where components are installed; default: `components` in the target directory

Tests find in their environment, where there is one:
  STATERA_BIN             the `statera` binary
  STATERA_EXAMPLES        the folder of the programs of the examples
  STATERA_PYTHON          a Python with the SDK
  STATERA_NODE_MODULES    a folder of Node modules with the SDK
  STATERA_CI              `1` if a missing component must fail a test
  STATERA_LONG_CRASH      how often the crash tests crash
A test that cannot run prints a line `SKIPPED: <name>: <why>` and succeeds; it is counted at the end.
";

/// A task with its options.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    Components,
    Test(TestOptions),
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
            Some(other) => bail!("unknown task `{other}`; hint: `cargo xtask help` lists them"),
        }
    }
}

fn parse_test(mut args: impl Iterator<Item = String>) -> anyhow::Result<Task> {
    let mut options = TestOptions::default();
    while let Some(arg) = args.next() {
        let (name, inline) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (arg.as_str(), None),
        };
        let mut value = || {
            inline
                .clone()
                .or_else(|| args.next())
                .with_context(|| format!("`{name}` needs a value"))
        };
        match name {
            "--fast" if inline.is_none() => options.fast = true,
            "--filter" => options.filter = Some(value()?),
            "--long-crash" => {
                let count = value()?;
                let count = count.parse().with_context(|| format!("`{count}` is not a number"))?;
                options.long_crash = Some(count);
            }
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
        for line in
            ["bench", "components js", "test --slow", "test --filter", "test --long-crash many"]
        {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
