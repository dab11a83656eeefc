//! The load: one thread for each kind of request. Every request has an idempotency key and is repeated until it is
//! acknowledged; then it goes into the book.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use statera_e2e::{Client, Random, Target};

use super::{Book, Shared, TYPE};

/// A client pauses so long between two requests, so that the machine has time for the engine.
const PAUSE: Duration = Duration::from_millis(4);

/// How long to wait before a request is repeated.
const REPEAT_PAUSE: Duration = Duration::from_millis(10);

/// How long a request may fail before that is a failure of the engine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The ids of each kind of function: enough to have some on each shard.
const IDS: u64 = 8;

/// Tokens of one thread that are tallied in one place.
const TOKENS_TOGETHER: u64 = 50;

type Kind = fn(&mut Requester, u64);

/// The running load.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    book: Arc<Mutex<Book>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(shared: &Arc<Shared>, random: &mut Random) -> Load {
        let kinds: [Kind; 9] =
            [transfers, transfers, sequences, rings, timers, timers, records, counts, counts];
        let stop = Arc::new(AtomicBool::new(false));
        let book = Arc::new(Mutex::new(Book::default()));
        let mut threads = Vec::new();
        for (index, kind) in kinds.into_iter().enumerate() {
            let mut requester = Requester {
                shared: shared.clone(),
                book: book.clone(),
                random: Random::new(random.below(u64::MAX)),
                client: None,
                name: format!("t{index}"),
            };
            let stop = stop.clone();
            threads.push(std::thread::spawn(move || {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    kind(&mut requester, number);
                    std::thread::sleep(PAUSE);
                }
            }));
        }
        let random = Random::new(random.below(u64::MAX));
        let (path, stopped, lines) =
            (shared.folder.join("lines.jsonl"), stop.clone(), book.clone());
        threads.push(std::thread::spawn(move || write_lines(&path, &stopped, &lines, random)));
        Load { stop, book, threads }
    }

    /// Lets every thread finish what it is at; returns the book.
    pub(crate) fn finish(self) -> Book {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("the load did not fail");
        }
        std::mem::take(&mut self.book.lock().unwrap())
    }
}

/// Makes requests, one after another.
struct Requester {
    shared: Arc<Shared>,
    book: Arc<Mutex<Book>>,
    random: Random,
    client: Option<Client>,
    /// Makes keys and tokens its own.
    name: String,
}

impl Requester {
    fn id(&mut self) -> String {
        format!("i{}", self.random.below(IDS))
    }

    fn key(&self, number: u64) -> String {
        format!("{}-{number}", self.name)
    }

    /// A token that is tallied together with others that are made about now.
    fn token(&self, kind: &str, number: u64) -> String {
        format!("{kind}{}-{}", number / TOKENS_TOGETHER, self.key(number))
    }

    fn send(&mut self, function: &str, id: &str, key: &str, message: &Value) {
        self.repeat("send", function, id, key, message);
    }

    fn call(&mut self, function: &str, id: &str, key: &str, message: &Value) -> Value {
        self.repeat("call", function, id, key, message)
    }

    /// Repeats a request until it is acknowledged.
    fn repeat(
        &mut self,
        verb: &str,
        function: &str,
        id: &str,
        key: &str,
        message: &Value,
    ) -> Value {
        let function = format!("crash/{function}");
        let target = Target { function: &function, id };
        let body = message.to_string();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.once(verb, target, key, body.as_bytes());
            if let Some(answer) = answer {
                return answer;
            }
            assert!(Instant::now() < deadline, "{verb} {target:?} {key} fails for {PATIENCE:?}");
            self.shared.repeats.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(REPEAT_PAUSE);
        }
    }

    fn once(&mut self, verb: &str, target: Target<'_>, key: &str, body: &[u8]) -> Option<Value> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => self.shared.client()?,
        };
        let response = match verb {
            "send" => client.send(target, TYPE, Some(key), body),
            _ => client.call(target, TYPE, Some(key), body),
        };
        let response = response.ok()?;
        self.client = Some(client);
        match (verb, response.status) {
            ("send", 202) => Some(Value::Null),
            ("call", 200) => Some(response.json()),
            (_, 503) => None,
            (_, status) => {
                panic!("{verb} {target:?} was answered with {status}: {}", response.text())
            }
        }
    }

    fn book(&self, note: impl FnOnce(&mut Book)) {
        note(&mut self.book.lock().unwrap());
    }
}

fn transfers(load: &mut Requester, number: u64) {
    let (from, to) = (load.id(), load.id());
    let amount = load.random.below(100) as i64;
    load.send("account", &from, &load.key(number), &json!({ "to": to, "amount": amount }));
    load.book(|book| book.transfer(&from, &to, amount));
}

fn sequences(load: &mut Requester, number: u64) {
    let from = load.id();
    let to: Vec<String> = (0..3).map(|_| load.id()).collect();
    let burst = 1 + load.random.below(4);
    load.send("sender", &from, &load.key(number), &json!({ "burst": burst, "to": to }));
    load.book(|book| to.iter().for_each(|to| book.sequence(&from, to, burst)));
}

fn rings(load: &mut Requester, number: u64) {
    let hops = load.random.below(12);
    let first = load.random.below(IDS);
    let ids: Vec<String> = (0..3).map(|step| format!("i{}", (first + step * 3) % IDS)).collect();
    let token = load.token("ring", number);
    let message = json!({ "ids": ids, "hops": hops, "token": token });
    load.send("ring", &ids[0], &load.key(number), &message);
    load.book(|book| book.ring(&ids, hops, &token));
}

fn timers(load: &mut Requester, number: u64) {
    // One token belongs to one id, so that it can be cancelled.
    let (id, key) = (load.id(), load.key(number));
    let token = load.token("timer", number);
    let delay = load.random.below(1500);
    match load.random.below(5) {
        // It fires.
        0 | 1 => {
            load.send("timer", &id, &key, &json!({ "arm": token, "delay_ms": delay }));
            load.book(|book| book.fires(&token));
        }
        // Cancelled in the reply that sent it.
        2 => {
            let message = json!({ "arm": token, "delay_ms": delay, "cancel_after": token });
            load.send("timer", &id, &key, &message);
            load.book(|book| book.never_fires(&token));
        }
        // Cancelled later, but long before its time; or perhaps too late.
        3 => {
            let delay = if load.random.percent(70) { 3_600_000 } else { load.random.below(20) };
            load.send("timer", &id, &key, &json!({ "arm": token, "delay_ms": delay }));
            load.send("timer", &id, &format!("{key}-cancel"), &json!({ "cancel": token }));
            load.book(|book| match delay {
                3_600_000 => book.never_fires(&token),
                _ => book.may_fire(&token),
            });
        }
        // Put off, then called forward: it fires once.
        _ => {
            load.send("timer", &id, &key, &json!({ "arm": token, "delay_ms": 3_600_000 }));
            let forward = json!({ "cancel": token, "arm": token, "delay_ms": delay });
            load.send("timer", &id, &format!("{key}-forward"), &forward);
            load.book(|book| book.fires(&token));
        }
    }
}

fn records(load: &mut Requester, number: u64) {
    let id = load.id();
    let count = 1 + load.random.below(5);
    load.send("emitter", &id, &load.key(number), &json!({ "emit": count }));
    load.book(|book| book.emits(&id, count));
}

fn counts(load: &mut Requester, number: u64) {
    let (id, key) = (load.id(), load.key(number));
    let answer = load.call("counter", &id, &key, &json!({ "add": 1 }));
    let count = answer.as_u64().expect("a count");
    load.book(|book| book.answered(&id, &key, count));
    // Asked again, the answer is the same, also when there was a crash in between.
    let earlier = load.random.below(number) + 1;
    let known = {
        let book = load.book.lock().unwrap();
        book.answer_to(&load.key(earlier))
    };
    if let Some((id, count)) = known {
        let again = load.call("counter", &id, &load.key(earlier), &json!({ "add": 1 }));
        assert_eq!(again, count, "the answer to {} was another one before", load.key(earlier));
    }
}

/// Appends lines to the file of the file ingress, sometimes in pieces.
fn write_lines(path: &std::path::Path, stop: &AtomicBool, book: &Mutex<Book>, mut random: Random) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    while !stop.load(Ordering::Relaxed) {
        let mut text = String::new();
        for _ in 0..random.below(12) {
            let key = format!("i{}", random.below(IDS));
            let seq = book.lock().unwrap().line(&key);
            text += &format!("{}\n", json!({ "key": key, "seq": seq }));
        }
        let (first, second) = text.split_at(random.below(text.len() as u64 + 1) as usize);
        for piece in [first, second] {
            file.write_all(piece.as_bytes()).unwrap();
            std::thread::sleep(PAUSE * 2);
        }
    }
}
