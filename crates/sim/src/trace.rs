//! What happened, as lines: all of them go into a hash, the last ones are kept for people.

use std::collections::VecDeque;
use std::fmt::{self, Write};

use statera_model::Millis;

const TAIL_LINES: usize = 300;

#[derive(Debug)]
pub(crate) struct Trace {
    seed: u64,
    hash: u64,
    tail: VecDeque<String>,
}

impl Trace {
    pub(crate) fn new(seed: u64) -> Trace {
        Trace { seed, hash: 0xcbf2_9ce4_8422_2325, tail: VecDeque::new() }
    }

    pub(crate) fn note(&mut self, now: Millis, line: fmt::Arguments<'_>) {
        // The oldest line lends its memory to the newest.
        let full = self.tail.len() == TAIL_LINES;
        let mut text = if full { self.tail.pop_front() } else { None }.unwrap_or_default();
        text.clear();
        write!(text, "{:>8} {line}", now.0).expect("writing to a string does not fail");
        for byte in text.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        self.tail.push_back(text);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn tail(&self) -> String {
        self.tail.iter().map(|line| format!("{line}\n")).collect()
    }
}

impl Drop for Trace {
    /// An assertion of the core failed: without this nobody would know the seed.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}the core panicked with seed {}", self.tail(), self.seed);
        }
    }
}
