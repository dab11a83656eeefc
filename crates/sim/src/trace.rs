//! What happened, as lines: all of them go into a hash, the last ones are kept for people.

use std::collections::VecDeque;
use std::fmt::{self, Write};

use statera_model::Millis;

use crate::settings::BEGIN;

const TAIL_LINES: usize = 300;

#[derive(Debug)]
pub(crate) struct Trace {
    seed: u64,
    hash: u64,
    /// The last lines, and the last ones that are not about the inside of the engine.
    all: VecDeque<String>,
    story: VecDeque<String>,
}

impl Trace {
    pub(crate) fn new(seed: u64) -> Trace {
        let (all, story) = (VecDeque::new(), VecDeque::new());
        Trace { seed, hash: 0xcbf2_9ce4_8422_2325, all, story }
    }

    /// Something that those outside, or a function, can tell.
    pub(crate) fn note(&mut self, now: Millis, line: fmt::Arguments<'_>) {
        push(&mut self.story, now, line);
        self.detail(now, line);
    }

    /// Something within the engine.
    pub(crate) fn detail(&mut self, now: Millis, line: fmt::Arguments<'_>) {
        for byte in push(&mut self.all, now, line).bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn tail(&self) -> String {
        last(&self.all, TAIL_LINES)
    }

    pub(crate) fn story(&self, lines: usize) -> String {
        last(&self.story, lines)
    }
}

fn push<'a>(tail: &'a mut VecDeque<String>, now: Millis, line: fmt::Arguments<'_>) -> &'a str {
    // The oldest line lends its memory to the newest.
    let full = tail.len() == TAIL_LINES;
    let mut text = if full { tail.pop_front() } else { None }.unwrap_or_default();
    text.clear();
    write!(text, "{:>8} {line}", now.since(BEGIN)).expect("writing to a string does not fail");
    tail.push_back(text);
    tail.back().expect("just pushed")
}

fn last(tail: &VecDeque<String>, lines: usize) -> String {
    let skipped = tail.len().saturating_sub(lines);
    tail.iter().skip(skipped).map(|line| format!("{line}\n")).collect()
}

impl Drop for Trace {
    /// An assertion of the core failed: without this nobody would know the seed.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}the core panicked with seed {}", self.tail(), self.seed);
        }
    }
}
