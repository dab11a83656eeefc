//! The examples on Kafka do what their README says: its commands are run as they stand there, with the module and the functions of
//! the example. Only ports are replaced by free ones, and the broker is that of the test.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use statera_e2e::kafka::{Artifacts, Kafka};
use statera_e2e::{
    App, Block, Companion, Page, Statera, eventually, python, repository, skipped, within, words,
};

const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

#[test]
fn the_bank_runs_as_its_readme_says() {
    run("kafka-bank", "bank.py");
}

#[test]
fn the_shop_runs_as_its_readme_says() {
    run("shopping-cart", "shop.py");
}

fn run(example: &str, script: &'static str) {
    let mut shell = match Shell::new(example, script) {
        Ok(shell) => shell,
        Err(why) => return skipped(example, &why),
    };
    let page = Page::read(&format!("examples/{example}/README.md"));
    let mut shown = 0;
    for block in page.all() {
        match &*block.language {
            "sh" => shell.run_block(block),
            "text" => {
                assert_eq!(sorted(&shell.said), sorted(&block.lines));
                shown += 1;
            }
            language => panic!("what is `{language}`?"),
        }
    }
    assert!(shown > 0, "has the form of the page changed?");
    assert!(shell.kafka.is_none(), "the page ends with the end of the broker");
}

fn sorted(lines: &[String]) -> Vec<&String> {
    let mut lines: Vec<&String> = lines.iter().collect();
    lines.sort();
    lines
}

/// A folder like that of the example, and what was started in it.
struct Shell {
    example: PathBuf,
    script: &'static str,
    port: u16,
    python: PathBuf,
    artifacts: Artifacts,
    app: Option<App>,
    kafka: Option<Kafka>,
    functions: Option<Companion>,
    statera: Option<Statera>,
    /// What the last command that reads has printed.
    said: Vec<String>,
}

impl Shell {
    fn new(example: &str, script: &'static str) -> Result<Shell, String> {
        let (python, artifacts) = (python()?, Artifacts::from_environment()?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Ok(Shell {
            example: repository().join("examples").join(example),
            script,
            port: listener.local_addr().unwrap().port(),
            python,
            artifacts,
            app: None,
            kafka: None,
            functions: None,
            statera: None,
            said: Vec::new(),
        })
    }

    fn run_block(&mut self, block: &Block) {
        let mut lines = block.lines.iter();
        while let Some(line) = lines.next() {
            match line.strip_suffix(" <<'END'") {
                Some(line) => {
                    let input: Vec<&str> = lines
                        .by_ref()
                        .take_while(|line| *line != "END")
                        .map(|line| &**line)
                        .collect();
                    self.run(line, &input.join("\n"));
                }
                None => self.run(line, ""),
            }
        }
    }

    fn run(&mut self, line: &str, input: &str) {
        let words = words(line);
        match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["cargo", "xtask", "kafka", "up", "--port", "9092", topics @ ..] => self.up(topics),
            ["cargo", "xtask", "kafka", "send", topic] => {
                self.console(self.artifacts.send_command(&self.bootstrap(), topic), input);
            }
            ["cargo", "xtask", "kafka", "read", topic, "--max", max] => {
                let max = max.parse().unwrap();
                let said = self
                    .console(self.artifacts.read_command(&self.bootstrap(), topic, Some(max)), "");
                self.said = said.lines().map(str::to_owned).collect();
            }
            ["cargo", "xtask", "kafka", "down"] => {
                self.kafka.take().expect("it was started");
            }
            [
                "python3",
                "-m",
                "venv",
                ".venv",
                "&&",
                install @ ..,
                "&&",
                ".venv/bin/python",
                script,
            ] => {
                assert_eq!(install, [".venv/bin/pip", "install", "-r", "requirements.txt"]);
                assert_eq!(*script, self.script);
                self.start_functions();
            }
            ["statera", "run", "-f", "module.yaml"] => {
                self.statera = Some(self.app.as_ref().unwrap().start());
            }
            ["STATERA_LONG_BANK=100000", "cargo", "xtask", "test", "--filter", test] => {
                let tests = repository().join("tests/e2e/tests/kafka_bank.rs");
                let name = format!("fn {test}");
                assert!(std::fs::read_to_string(tests).unwrap().contains(&name), "{line}");
            }
            _ => panic!("what is `{line}`?"),
        }
    }

    /// Starts a broker, and makes the folder, which says where that is.
    fn up(&mut self, options: &[&str]) {
        let kafka = Kafka::start(1).unwrap();
        let topics: Vec<(&str, u32)> = options
            .chunks(2)
            .map(|option| {
                assert_eq!(option[0], "--topic");
                let (name, partitions) = option[1].split_once(':').unwrap_or((option[1], "4"));
                (name, partitions.parse().unwrap())
            })
            .collect();
        kafka.create_topics(&topics).unwrap();
        let module = std::fs::read_to_string(self.example.join("module.yaml")).unwrap();
        let module = replaced(&module, "localhost:8000", &format!("localhost:{}", self.port));
        self.app = Some(App::new(&replaced(&module, "127.0.0.1:9092", &kafka.bootstrap())));
        self.kafka = Some(kafka);
    }

    fn bootstrap(&self) -> String {
        self.kafka.as_ref().expect("the broker is started first").bootstrap()
    }

    fn start_functions(&mut self) {
        let script = std::fs::read_to_string(self.example.join(self.script)).unwrap();
        let copy = self.app.as_ref().unwrap().path(self.script);
        std::fs::write(&copy, replaced(&script, "port=8000", &format!("port={}", self.port)))
            .unwrap();
        let mut command = Command::new(&self.python);
        command.arg(copy).stdout(Stdio::null()).stderr(Stdio::null());
        self.functions = Some(Companion(command.spawn().unwrap()));
        let address = format!("localhost:{}", self.port);
        eventually("the functions", || TcpStream::connect(&address).ok());
    }

    /// What one of Kafka's programs prints.
    fn console(&self, mut command: Command, input: &str) -> String {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut program = Companion(command.spawn().unwrap());
        let Child { stdin, stdout, .. } = &mut program.0;
        let (mut stdin, mut stdout) = (stdin.take().unwrap(), stdout.take().unwrap());
        stdin.write_all(format!("{input}\n").as_bytes()).unwrap();
        drop(stdin);
        let status = within(COMMAND_TIMEOUT, "Kafka's program", || program.0.try_wait().unwrap());
        assert!(status.success(), "{status}");
        // Little enough to have waited in the pipe.
        let mut said = String::new();
        std::io::Read::read_to_string(&mut stdout, &mut said).unwrap();
        said
    }
}

fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "`{old}` in {text}");
    text.replace(old, new)
}
