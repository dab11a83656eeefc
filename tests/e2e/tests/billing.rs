//! The billing example does what its README says, in one program and behind HTTP: its commands are run as they stand
//! there, with its own module files. Only ports are replaced by free ones, programs of a release by those under test, and
//! months are shorter.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use statera_e2e::{Client, Companion, Page, Statera, egress_lines, eventually, repository, words};
use tempfile::TempDir;

const EXAMPLE: &str = "examples/billing";
const ONE_PROGRAM: &str = "One program";
const BEHIND_HTTP: &str = "Functions behind HTTP";

/// Two months are waited for.
const MONTH_SECONDS: &str = "4";

#[test]
fn one_program_is_all_there_is() {
    let page = readme();
    let blocks = page.blocks(ONE_PROGRAM, "sh");
    let [start, subscribe, ask, rest] = &blocks[..] else { panic!("{blocks:#?}") };
    let mut shell = Shell::new();
    shell.run_all(&start.lines);
    let first = shell.subscribe(&page, &subscribe.lines);
    shell.stop_all();
    shell.run(start.lines.last().unwrap());
    shell.two_months_are_paid(&first);
    shell.ask_and_cancel(&ask.lines);
    let said = shell.run_all(&rest.lines);
    assert!(
        said[0].contains("Functions:\n  billing/card\n  billing/subscription\n"),
        "{}",
        said[0]
    );
    let summary =
        "2 functions (billing/card, billing/subscription), 0 endpoints, 1 ingress, 1 egress";
    assert_eq!(said[1], format!("ok: {summary}\n"));
}

#[test]
fn functions_behind_http_do_the_same() {
    let page = readme();
    let blocks = page.blocks(ONE_PROGRAM, "sh");
    let [_, subscribe, ask, _] = &blocks[..] else { panic!("{blocks:#?}") };
    let programs: Vec<String> =
        page.blocks(BEHIND_HTTP, "sh").into_iter().flat_map(|block| block.lines).collect();
    assert_eq!(programs.len(), 2, "{programs:#?}");
    let mut shell = Shell::new();
    shell.run_all(&programs);
    let first = shell.subscribe(&page, &subscribe.lines);
    shell.stop_all();
    shell.run_all(&programs);
    shell.two_months_are_paid(&first);
    shell.ask_and_cancel(&ask.lines);
}

/// Whatever is added to the page is either run above or runs by itself.
#[test]
fn every_command_is_understood() {
    let page = readme();
    let mut count = 0;
    for line in page.lines("sh") {
        assert!(
            ["cd ", "curl ", "tail ", "cargo ", "BILLING_"].iter().any(|it| line.starts_with(it)),
            "{line}"
        );
        count += 1;
    }
    assert_eq!(count, 12);
    let tests = page.blocks("Tests", "sh");
    assert_eq!(tests[0].lines, ["cargo test -p billing-example"], "it is part of all tests");
}

fn readme() -> Page {
    Page::read(&format!("{EXAMPLE}/README.md"))
}

/// A folder like that of the example, and what was started in it.
struct Shell {
    folder: TempDir,
    functions_port: u16,
    statera: Option<Statera>,
    functions: Option<Companion>,
}

impl Shell {
    fn new() -> Shell {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let functions_port = listener.local_addr().unwrap().port();
        for (name, port, free) in
            [("module.yaml", 8080, 0), ("module-http.yaml", 8000, functions_port)]
        {
            let text = std::fs::read_to_string(repository().join(EXAMPLE).join(name)).unwrap();
            let (port, free) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{free}"));
            assert!(text.contains(&port), "{text}");
            std::fs::write(folder.path().join(name), text.replace(&port, &free)).unwrap();
        }
        Shell { folder, functions_port, statera: None, functions: None }
    }

    /// What each of them says.
    fn run_all(&mut self, lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| self.run(line)).collect()
    }

    fn run(&mut self, line: &str) -> String {
        let words = words(line);
        let variables = words.iter().take_while(|word| word.contains('=')).count();
        let (variables, words) = words.split_at(variables);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match &words[..] {
            ["cd", folder] => assert_eq!(*folder, EXAMPLE),
            ["cargo", "run", "--release", rest @ ..] => return self.program(variables, rest),
            ["curl", rest @ ..] => return self.curl(rest),
            ["tail", "-f", file] => {
                let path = self.folder.path().join(file);
                let some = || Some(egress_lines(&path)).filter(|lines| !lines.is_empty());
                return eventually("a receipt", some)[0]["json"].to_string();
            }
            _ => panic!("what is `{line}`?"),
        }
        String::new()
    }

    fn program(&mut self, variables: &[String], words: &[&str]) -> String {
        let (program, arguments) = which(words);
        let mut command = Command::new(program.clone());
        command.args(arguments).current_dir(self.folder.path());
        command.env("STATERA_ADMIN", "127.0.0.1:0").env("STATERA_LOG_FORMAT", "json");
        command.env("BILLING_ADDRESS", format!("127.0.0.1:{}", self.functions_port));
        for variable in variables {
            let (name, value) = variable.split_once('=').unwrap();
            assert_eq!((name, value), ("BILLING_MONTH_SECONDS", "10"));
            command.env(name, MONTH_SECONDS);
        }
        if program.ends_with("billing-serve") {
            command.stdout(Stdio::null()).stderr(Stdio::null());
            self.functions = Some(Companion(command.spawn().unwrap()));
            let address = (Ipv4Addr::LOCALHOST, self.functions_port);
            eventually("the functions", || TcpStream::connect(address).ok());
        } else if arguments.first().is_none_or(|command| *command == "run") {
            let mut statera = Statera::from_command(command);
            statera.wait_until_ready();
            self.statera = Some(statera);
        } else {
            let output = command.output().unwrap();
            assert!(output.status.success(), "{words:?}: {output:?}");
            assert!(output.stderr.is_empty(), "{words:?}: {output:?}");
            return String::from_utf8(output.stdout).unwrap();
        }
        String::new()
    }

    fn curl(&self, words: &[&str]) -> String {
        let ["-X", method, "-H", header, "-d", body, url] = words else { panic!("{words:?}") };
        let path = url.strip_prefix("http://127.0.0.1:8080").expect("the address of module.yaml");
        let mut client: Client = self.statera.as_ref().unwrap().client("billing/http");
        let header = header.split_once(": ").unwrap();
        let response = client.request(method, path, &[header], body.as_bytes()).unwrap();
        assert!(matches!(response.status, 200 | 202), "{words:?}: {}", response.text());
        response.text()
    }

    /// Fills the card, subscribes, and sees the first receipt.
    fn subscribe(&mut self, page: &Page, lines: &[String]) -> Value {
        let said = self.run_all(lines);
        assert_eq!(said[1], r#"{"standing":"paying","invoices_paid":0}"#);
        let shown = page.blocks(ONE_PROGRAM, "json")[0].lines.concat();
        let first: Value = serde_json::from_str(&said[2]).unwrap();
        assert_eq!(first, serde_json::from_str::<Value>(&shown).unwrap());
        first
    }

    /// What is due after a crash is paid, and nothing twice.
    fn two_months_are_paid(&self, first: &Value) {
        let second = json!({ "customer": "ada", "number": 2, "what": "paid" });
        let receipts = eventually("the third month", || {
            let lines = egress_lines(&self.folder.path().join("receipts.jsonl"));
            let receipts: Vec<Value> = lines.iter().map(|line| line["json"].clone()).collect();
            let poor = json!("declined: 1000 cents are more than there is");
            receipts.iter().any(|receipt| receipt["what"] == poor).then_some(receipts)
        });
        let paid: Vec<&Value> = receipts.iter().filter(|it| it["what"] == "paid").collect();
        assert_eq!(paid, [first, &second], "{receipts:?}");
    }

    fn ask_and_cancel(&mut self, lines: &[String]) {
        let said = self.run_all(lines);
        assert!(said[0].contains(r#""invoices_paid":2"#), "{}", said[0]);
        assert_eq!(said[1], r#"{"standing":"ended","invoices_paid":2}"#);
    }

    /// As `kill -9`.
    fn stop_all(&mut self) {
        self.statera.take().expect("it was started").kill();
        self.functions = None;
    }
}

/// The program that `cargo run --release` would run in the folder of the example, and its arguments.
fn which<'a>(words: &'a [&'a str]) -> (PathBuf, &'a [&'a str]) {
    let (cargo, arguments) = match words.iter().position(|word| *word == "--") {
        Some(at) => (&words[..at], &words[at + 1..]),
        None => (words, &[][..]),
    };
    let program = match cargo {
        // `default-run` of the package.
        [] => Statera::example("billing-example", "billing-example"),
        ["--bin", name] => Statera::example("billing-example", name),
        ["-p", "statera"] => Statera::binary(),
        _ => panic!("what is `cargo run {cargo:?}`?"),
    };
    (program, arguments)
}
