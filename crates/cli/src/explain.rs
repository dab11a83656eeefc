//! `statera explain`: what a code means, and what to do about it. The pages are those of `docs/errors`.

use std::io::{IsTerminal, Write, stdout};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use statera_model::codes::{self, Code};

/// Characters of a line, for people.
const LINE_CHARS: usize = 88;

#[derive(Args)]
pub(crate) struct Explain {
    /// A code, such as `ST2001`; without one all are listed
    code: Option<Code>,
}

impl Explain {
    pub(crate) fn execute(self) -> anyhow::Result<ExitCode> {
        let text = match self.code {
            Some(code) if stdout().is_terminal() => for_people(page(code)),
            Some(code) => page(code).to_owned(),
            None => list(),
        };
        stdout().write_all(text.as_bytes()).context("cannot write the page")?;
        Ok(ExitCode::SUCCESS)
    }
}

macro_rules! pages {
    ($($number:literal),* $(,)?) => {
        [$((
            $number,
            include_str!(concat!("../../../docs/errors/ST", $number, ".md")),
        )),*]
    };
}

#[rustfmt::skip]
static PAGES: [(&str, &str); 46] = pages![
    "1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008", "1009", "1010", "1011", "1012",
    "1013", "2001", "2002", "2003", "2004", "2005", "2006", "3001", "3002", "3003", "3004", "3005",
    "3006", "3007", "4001", "4002", "4003", "4004", "5001", "5002", "5003", "5004", "5005", "6001",
    "6002", "6003", "6004", "7001", "7002", "7003", "7004", "7005", "7006", "7007",
];

fn page(code: Code) -> &'static str {
    let number = format!("{:04}", code.number);
    let found = PAGES.iter().find(|(of, _)| *of == number);
    found.map(|(_, page)| *page).expect("a test holds that every code has a page")
}

fn list() -> String {
    codes::ALL.iter().map(|code| format!("{code}  {}\n", code.meaning)).collect()
}

/// The page without its marks, in lines that are easy to read.
fn for_people(page: &str) -> String {
    let mut text = String::new();
    for line in page.lines() {
        let line = without_links(&line.replace("**", ""));
        let mut length = 0;
        for word in line.trim_start_matches("# ").split(' ') {
            let chars = word.chars().count();
            if length > 0 && length + 1 + chars > LINE_CHARS {
                text.push('\n');
                length = 0;
            }
            if length > 0 {
                text.push(' ');
                length += 1;
            }
            text.push_str(word);
            length += chars;
        }
        text.push('\n');
    }
    text
}

/// `[the guide](../guides/reload.md)` becomes `the guide (docs/guides/reload.md)`.
fn without_links(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('[')
        && let Some((name, after)) = after.split_once("](")
        && let Some((target, after)) = after.split_once(')')
    {
        let target = match target.strip_prefix("../") {
            Some(path) => format!(" (docs/{path})"),
            None => String::new(),
        };
        text += &format!("{before}{name}{target}");
        rest = after;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use expect_test::expect_file;

    use super::*;

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let numbers: Vec<String> =
            codes::ALL.iter().map(|it| format!("{:04}", it.number)).collect();
        let pages: Vec<&str> = PAGES.iter().map(|(number, _)| *number).collect();
        assert_eq!(pages, numbers);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        let mut files: Vec<String> = files.map(|name| name.into_string().unwrap()).collect();
        files.sort();
        let names = numbers.iter().map(|number| format!("ST{number}.md"));
        let mut expected: Vec<String> = ["README.md".to_owned()].into_iter().chain(names).collect();
        expected.sort();
        assert_eq!(files, expected);
    }

    #[test]
    fn every_page_says_what_happened_what_is_done_and_what_to_do() {
        for code in codes::ALL {
            let page = page(*code);
            assert!(page.starts_with(&format!("# {code}: {}\n\n", code.meaning)), "{code}");
            let parts =
                ["\n**What happened.** ", "\n**What Statera does.** ", "\n**What to do.** "];
            let places: Vec<usize> = parts.iter().filter_map(|part| page.find(part)).collect();
            assert!(places.len() == parts.len() && places.is_sorted(), "{code}");
        }
    }

    #[test]
    fn the_index_names_all_pages() {
        let mut index = "\
<!-- Generated from crates/model/src/codes.rs; do not edit. UPDATE_EXPECT=1 cargo test -p statera the_index -->

# Codes

Every warning and every error that Statera logs carries a code, and so do the errors with which it ends. `statera explain ST2001` shows
the page of one. A code never changes its meaning. [The guide](../guides/logs.md) tells how the log looks.
"
        .to_owned();
        let areas = [
            "Start and configuration",
            "Endpoints and functions",
            "Ingresses",
            "Egresses",
            "Log and store",
            "Admin API and traces",
            "Kafka and Kinesis",
        ];
        for (area, name) in areas.into_iter().enumerate() {
            index += &format!("\n## {name}\n\n| code | what |\n|---|---|\n");
            for code in codes::ALL.iter().filter(|code| usize::from(code.number / 1000) == area + 1)
            {
                index += &format!("| [{code}]({code}.md) | {} |\n", code.meaning);
            }
        }
        expect_file!["../../../docs/errors/README.md"].assert_eq(&index);
    }

    #[test]
    fn pages_are_for_people_on_a_terminal() {
        let page = "# ST1: it\n\n**What.** See [the guide](../guides/a.md), [ST2](ST2.md).\n";
        assert_eq!(for_people(page), "ST1: it\n\nWhat. See the guide (docs/guides/a.md), ST2.\n");
        let long = for_people(&"word ".repeat(40));
        assert!(long.lines().count() > 2 && long.lines().all(|line| line.len() <= LINE_CHARS));
    }
}
