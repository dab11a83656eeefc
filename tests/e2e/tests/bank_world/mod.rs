//! The world of the bank test: Kafka, the files of `examples/kafka-bank` as they are but for addresses, and an engine that
//! comes and goes.

mod book;
mod load;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use book::Book;
pub(crate) use load::Load;
use statera_e2e::kafka::{Kafka, Producer, Reader};
use statera_e2e::{App, Companion, Statera, dead_letters, eventually, python, repository};

const EXAMPLE: &str = "examples/kafka-bank";

/// A silence after which a topic is read.
const SILENCE: Duration = Duration::from_secs(3);

/// How long the accounts may take to agree with the receipts.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long an account may take to tell its balance.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct World {
    // Dropped in this order.
    statera: Option<Statera>,
    functions: Option<Companion>,
    pub(crate) receipts: Reader,
    balances: Reader,
    questions: Producer,
    pub(crate) kafka: Kafka,
    app: App,
    python: PathBuf,
    port: u16,
    /// How long each start took until it was ready.
    pub(crate) starts: Vec<Duration>,
}

impl World {
    /// Starts everything.
    ///
    /// # Errors
    /// What is not installed.
    pub(crate) fn start(nodes: u32) -> Result<World, String> {
        let python = python()?;
        let kafka = Kafka::start(nodes)?;
        let topics = [("transfers", 8), ("questions", 4), ("receipts", 8), ("balances", 4)];
        kafka.create_topics(&topics).unwrap();
        let receipts = Reader::start(&kafka, "receipts").unwrap();
        let balances = Reader::start(&kafka, "balances").unwrap();
        let questions = Producer::start(&kafka, "questions").unwrap();
        let port = free_port();
        let app = copy_of_example(&kafka.bootstrap(), port);
        let mut world = World {
            statera: None,
            functions: None,
            receipts,
            balances,
            questions,
            kafka,
            app,
            python,
            port,
            starts: Vec::new(),
        };
        world.restart_functions();
        world.restart();
        Ok(world)
    }

    /// Kills Statera and starts it again.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let (statera, took) = Statera::time_to_ready(|| self.app.spawn());
        self.starts.push(took);
        self.statera = Some(statera);
    }

    /// As a crash would.
    pub(crate) fn kill(&mut self) {
        let Some(mut statera) = self.statera.take() else { return };
        if !statera.is_running() {
            let (status, log) = statera.wait_for_end();
            panic!("it ended by itself with {status}: {log}");
        }
        statera.kill();
        let log = statera.log().join("\n");
        assert!(!log.contains("panicked"), "{log}");
    }

    /// Kills the function server and starts it again on the same port.
    pub(crate) fn restart_functions(&mut self) {
        self.functions = None;
        let mut command = Command::new(&self.python);
        command.arg(self.app.path("bank.py")).stdout(Stdio::null()).stderr(Stdio::null());
        self.functions = Some(Companion(command.spawn().unwrap()));
        let address = format!("localhost:{}", self.port);
        eventually("the function server", || TcpStream::connect(&address).ok());
    }

    /// The broker crashes, stays away for a while, and comes back.
    pub(crate) fn crash_broker(&mut self, absence: Duration) {
        self.kafka.node(1).kill();
        std::thread::sleep(absence);
        self.kafka.node(1).start().unwrap();
    }

    /// The broker is stopped in order. Statera crashes and starts while it is away.
    pub(crate) fn restart_broker_and_statera(&mut self) {
        self.kafka.node(1).stop().unwrap();
        self.kill();
        let statera = self.app.spawn();
        self.kafka.node(1).start().unwrap();
        let (statera, took) = Statera::time_to_ready(|| statera);
        self.starts.push(took);
        self.statera = Some(statera);
    }

    /// Sends transfers of the book as they are allowed, so many in a second.
    pub(crate) fn send(&self, book: &Book, per_second: u64) -> Load {
        Load::start(Producer::start(&self.kafka, "transfers").unwrap(), book, per_second)
    }

    /// Waits until so many receipts have been seen.
    pub(crate) fn wait_for_receipts(&self, count: usize, timeout: Duration) {
        self.receipts.wait_until(timeout, |records| records.len() >= count).unwrap();
    }

    /// Every transfer had its effect and one receipt, in order; nothing is left open.
    pub(crate) fn check(&mut self, book: &Book) {
        self.check_balances(book);
        let mut statera = self.statera.take().unwrap();
        let letters = dead_letters(statera.admin().expect("the admin API listens"));
        assert!(letters.is_empty(), "{letters:?}");
        assert_eq!(statera.stop(), Some(0));

        // Another consumer, now that nobody writes any more.
        let records = Reader::read_all(&self.kafka, "receipts", book.len(), SILENCE).unwrap();
        let balances = book.check(&records);
        assert_eq!(balances.values().sum::<i64>(), book.money());
        let open = self.kafka.transactions().unwrap();
        let open: Vec<_> = open.into_iter().filter(|transaction| transaction.is_open()).collect();
        assert!(open.is_empty(), "{open:?}");
        let hanging = self.kafka.hanging_transactions().unwrap();
        assert!(hanging.is_empty(), "{hanging:?}");
    }

    /// Asks all accounts until their balances are those that follow from the receipts: deposits may be on their way.
    fn check_balances(&mut self, book: &Book) {
        let wanted = book.check(&self.receipts.records());
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        for round in 1.. {
            for account in wanted.keys() {
                let question = format!("{{\"round\": {round}}}");
                self.questions.send(Some(account), Some(&question), &[]).unwrap();
            }
            self.questions.flush().unwrap();
            let answers = wanted.len() * round;
            let all = |records: &[_]| records.len() >= answers;
            let records = self.balances.wait_until(ANSWER_TIMEOUT, all).unwrap();
            let told = book::balances(&records, round);
            if told == wanted {
                return;
            }
            let differing: Vec<_> = wanted
                .iter()
                .filter(|(account, wanted)| told.get(*account) != Some(wanted))
                .collect();
            assert!(
                Instant::now() < deadline,
                "accounts that differ from their receipts: {differing:?} in {told:?}"
            );
        }
    }
}

/// A folder with the files of the example, which differ in addresses only.
fn copy_of_example(bootstrap: &str, port: u16) -> App {
    let example = repository().join(EXAMPLE);
    let read = |name: &str| std::fs::read_to_string(example.join(name)).unwrap();
    let port = port.to_string();
    let module = replaced(&read("module.yaml"), "localhost:8000", &format!("localhost:{port}"));
    let app = App::new(&replaced(&module, "127.0.0.1:9092", bootstrap));
    write(&app.path("bank.py"), &replaced(&read("bank.py"), "port=8000", &format!("port={port}")));
    app
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "`{old}` in {text}");
    text.replace(old, new)
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
