//! The book: what was acknowledged, and so what must be found at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use statera_e2e::{crash::bucket, egress_lines};

use super::Shared;

#[derive(Default)]
pub(crate) struct Book {
    /// Balance and moves of each account.
    accounts: BTreeMap<String, (i64, i64)>,
    transfers: u64,
    /// Messages from sender to receiver.
    sequences: BTreeMap<(String, String), u64>,
    /// How often each ring id was passed.
    passed: BTreeMap<String, u64>,
    /// Tokens that come exactly once.
    tokens: BTreeSet<String>,
    /// Tokens that come once or never.
    perhaps: BTreeSet<String>,
    /// Tokens that never come.
    never: BTreeSet<String>,
    /// Records of each emitter.
    emitted: BTreeMap<String, u64>,
    /// Answers of the counters: by key, the id and the count.
    answers: BTreeMap<String, (String, u64)>,
    /// Lines for each key.
    lines: BTreeMap<String, u64>,
}

impl Book {
    pub(crate) fn transfer(&mut self, from: &str, to: &str, amount: i64) {
        self.transfers += 1;
        for (id, change) in [(from, -amount), (to, amount)] {
            let account = self.accounts.entry(id.to_owned()).or_default();
            account.0 += change;
            account.1 += 1;
        }
    }

    pub(crate) fn sequence(&mut self, from: &str, to: &str, count: u64) {
        *self.sequences.entry((from.to_owned(), to.to_owned())).or_default() += count;
    }

    pub(crate) fn ring(&mut self, ids: &[String], hops: u64, token: &str) {
        for step in 0..=hops as usize {
            *self.passed.entry(ids[step % ids.len()].clone()).or_default() += 1;
        }
        self.tokens.insert(token.to_owned());
    }

    pub(crate) fn fires(&mut self, token: &str) {
        self.tokens.insert(token.to_owned());
    }

    pub(crate) fn may_fire(&mut self, token: &str) {
        self.perhaps.insert(token.to_owned());
    }

    pub(crate) fn never_fires(&mut self, token: &str) {
        self.never.insert(token.to_owned());
    }

    pub(crate) fn emits(&mut self, id: &str, count: u64) {
        *self.emitted.entry(id.to_owned()).or_default() += count;
    }

    pub(crate) fn answered(&mut self, id: &str, key: &str, count: u64) {
        self.answers.insert(key.to_owned(), (id.to_owned(), count));
    }

    pub(crate) fn answer_to(&self, key: &str) -> Option<(String, u64)> {
        self.answers.get(key).cloned()
    }

    /// The number of the next line for a key.
    pub(crate) fn line(&mut self, key: &str) -> u64 {
        let count = self.lines.entry(key.to_owned()).or_default();
        *count += 1;
        *count
    }

    /// Waits until everything in the book is found, and finds nothing else.
    pub(crate) fn check(&self, shared: &Shared, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        loop {
            let differences = self.differences(shared);
            if differences.is_empty() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{} differences, of which:\n{}",
                differences.len(),
                differences[..differences.len().min(40)].join("\n")
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn differences(&self, shared: &Shared) -> Vec<String> {
        let mut found = Vec::new();
        let get = json!({});
        let mut compare = |what: String, is: Value, should: Value| {
            if is != should {
                found.push(format!("{what} is {is} instead of {should}"));
            }
        };
        for (id, (balance, moves)) in &self.accounts {
            compare(
                format!("account {id}"),
                shared.ask("account", id, &get),
                json!([balance, moves]),
            );
        }
        for (id, next) in self.sequences_by(|(from, to)| (from, to)) {
            compare(format!("sender {id}"), shared.ask("sender", id, &get), next);
        }
        for (id, last) in self.sequences_by(|(from, to)| (to, from)) {
            compare(
                format!("receiver {id}"),
                shared.ask("receiver", id, &get),
                json!([last, null]),
            );
        }
        for (id, passed) in &self.passed {
            compare(format!("ring {id}"), shared.ask("ring", id, &get), json!(passed));
        }
        for (id, count) in &self.emitted {
            compare(format!("emitter {id}"), shared.ask("emitter", id, &get), json!(count));
        }
        for (id, count) in &self.lines {
            compare(format!("lines {id}"), shared.ask("line", id, &get), json!([count, null]));
        }
        for (id, counts) in self.counts() {
            let all: Vec<u64> = (1..=counts.len() as u64).collect();
            compare(format!("answers of counter {id}"), json!(counts), json!(all));
            compare(format!("counter {id}"), shared.ask("counter", id, &get), json!(counts.len()));
        }
        self.compare_tokens(shared, &mut compare);
        self.compare_records(shared, &mut compare);
        found
    }

    /// For each id on one side, how many messages were exchanged with each on the other side.
    fn sequences_by<'a>(
        &'a self,
        sides: impl Fn(&'a (String, String)) -> (&'a String, &'a String),
    ) -> BTreeMap<&'a String, Value> {
        let mut by_id: BTreeMap<&String, Value> = BTreeMap::new();
        for (pair, count) in &self.sequences {
            let (id, other) = sides(pair);
            by_id.entry(id).or_default()[other.as_str()] = json!(count);
        }
        by_id
    }

    /// The answers of each counter, sorted.
    fn counts(&self) -> BTreeMap<&String, Vec<u64>> {
        let mut by_id: BTreeMap<&String, Vec<u64>> = BTreeMap::new();
        for (id, count) in self.answers.values() {
            by_id.entry(id).or_default().push(*count);
        }
        by_id.values_mut().for_each(|counts| counts.sort_unstable());
        by_id
    }

    fn compare_tokens(&self, shared: &Shared, compare: &mut impl FnMut(String, Value, Value)) {
        let tokens = self.tokens.iter().chain(&self.perhaps).chain(&self.never);
        let buckets: BTreeSet<&str> = tokens.map(|token| bucket(token)).collect();
        for id in buckets {
            let mut is = shared.ask("tally", id, &json!({}));
            if is.is_null() {
                is = json!({});
            }
            let come = self.tokens.iter().filter(|token| bucket(token) == id);
            let mut should: Value = come.map(|token| (token.clone(), json!(1))).collect();
            for token in self.perhaps.iter().filter(|token| bucket(token) == id) {
                if is.get(token).is_some() {
                    should[token] = json!(1);
                }
            }
            if is != should {
                // Whole buckets are too long to be read.
                let (is, should) = (is.as_object().unwrap(), should.as_object().unwrap());
                for token in is.keys().chain(should.keys()).collect::<BTreeSet<_>>() {
                    let count =
                        |counts: &serde_json::Map<String, Value>| counts.get(token).cloned();
                    let count = (count(is).unwrap_or_default(), count(should).unwrap_or_default());
                    compare(format!("token {token}"), count.0, count.1);
                }
            }
        }
    }

    /// Each record stands in the file once, and those of an emitter in order.
    fn compare_records(&self, shared: &Shared, compare: &mut impl FnMut(String, Value, Value)) {
        let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for line in egress_lines(&shared.folder.join("out.jsonl")) {
            let id = line["json"]["emitter"].as_str().unwrap().to_owned();
            found.entry(id).or_default().push(line["json"]["seq"].as_u64().unwrap());
        }
        for id in found.keys().chain(self.emitted.keys()).collect::<BTreeSet<_>>() {
            let is = found.get(id).cloned().unwrap_or_default();
            let count = self.emitted.get(id).copied().unwrap_or(0);
            let first_wrong = (0..).zip(1..).find(|(index, seq)| is.get(*index) != Some(seq));
            let right_until = first_wrong.map_or(0, |(index, _)| index as u64);
            compare(format!("records of emitter {id}"), json!(is.len()), json!(count));
            compare(format!("records in order of emitter {id}"), json!(right_until), json!(count));
        }
    }
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
        write!(
            f,
            "{} transfers, {} ordered messages, {} ring steps, {} tokens ({} that must not come), \
             {} egress records, {} calls, {} lines",
            self.transfers,
            self.sequences.values().sum::<u64>(),
            sum(&self.passed),
            self.tokens.len() + self.perhaps.len(),
            self.never.len(),
            sum(&self.emitted),
            self.answers.len(),
            sum(&self.lines)
        )
    }
}
