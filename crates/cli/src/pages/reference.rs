//! `docs/reference/cli.md`, made of the commands themselves.

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};
use expect_test::expect_file;

use crate::Arguments;

#[test]
fn the_reference_is_what_the_commands_are() {
    expect_file!["../../../../docs/reference/cli.md"].assert_eq(&page(Arguments::command()));
}

const HEAD: &str = "\
<!-- Generated from the commands in crates/cli; do not edit. UPDATE_EXPECT=1 cargo test -p statera the_reference -->

# Command line

Every command, and what it takes; `statera help COMMAND` says the same. [The guide](../guides/command-line.md) shows how they are
used, and tells the exit codes. Where there is a variable, it counts if the flag is not given.

| command | what |
|---|---|
";

/// The heading, in clap, of what all commands have in common that talk to an engine.
const ENGINE: &str = "Engine";

/// Exit codes and variables are told in the guide; here is what clap knows.
fn page(mut command: Command) -> String {
    command = command.disable_help_subcommand(true);
    command.build();
    let mut page = HEAD.to_owned();
    for command in visible(&command) {
        let (name, about) = (command.get_name(), about(command));
        writeln!(page, "| [`statera {name}`](#statera-{name}) | {about} |")
            .expect("a String takes all");
    }
    let engine = visible(&command).find_map(|command| {
        let common: Vec<&Arg> = command.get_arguments().filter(|it| is_common(it)).collect();
        (!common.is_empty()).then_some(common)
    });
    page += "\n## Which engine\n\nWhat all commands take that ask an engine, besides what is said below:\n\n";
    page += &table(&engine.unwrap_or_default());
    for command in visible(&command) {
        section(command, "statera", 2, &mut page);
    }
    page
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set())
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn section(command: &Command, parent: &str, level: usize, page: &mut String) {
    let name = format!("{parent} {}", command.get_name());
    *page +=
        &format!("\n{} {name}\n\n{}.\n", "#".repeat(level), about(command).trim_end_matches('.'));
    let usage = command.clone().render_usage().to_string();
    let usage: Vec<&str> =
        usage.lines().map(|line| line.trim_start_matches("Usage:").trim()).collect();
    *page += &format!("\n```text\n{}\n```\n", usage.join("\n"));
    let arguments = command.get_arguments().filter(|it| it.get_id() != "help" && !is_common(it));
    let arguments: Vec<&Arg> = arguments.collect();
    if !arguments.is_empty() {
        *page += &format!("\n{}", table(&arguments));
    }
    visible(command).for_each(|command| section(command, &name, level + 1, page));
}

fn is_common(argument: &Arg) -> bool {
    argument.get_help_heading() == Some(ENGINE)
}

fn table(arguments: &[&Arg]) -> String {
    let rows: String = arguments.iter().map(|argument| row(argument)).collect();
    format!("| argument | what | otherwise |\n|---|---|---|\n{rows}")
}

fn row(argument: &Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default();
    let takes_value = argument.get_action().takes_values();
    let value = if takes_value { values.join(" ") } else { String::new() };
    let short = argument.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    let name = match argument.get_long() {
        Some(long) => format!("{short}--{long} {value}"),
        None => value,
    };
    let mut about = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let possible = argument.get_possible_values();
    if takes_value && !possible.is_empty() {
        let names = possible.iter().map(|value| format!("`{}`", value.get_name()));
        about += &format!(": {}", names.collect::<Vec<_>>().join(", "));
    }
    format!("| `{}` | {} | {} |\n", name.trim(), about.replace('|', "\\|"), otherwise(argument))
}

/// Where its value comes from if it is not given.
fn otherwise(argument: &Arg) -> String {
    let variable = argument.get_env().map(|name| format!("`{}`", name.to_string_lossy()));
    let defaults = argument.get_default_values().iter();
    let default = defaults.map(|value| format!("`{}`", value.to_string_lossy()));
    let parts = variable.into_iter().chain(default.filter(|value| value != "`false`"));
    parts.collect::<Vec<_>>().join(", else ")
}
