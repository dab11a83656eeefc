//! What delayed messages cost: `cargo run --release -p statera-core --example timers [-- count]`.
//!
//! Prints bytes for each pending message, by what the process takes and by what the shard counts, and how long it takes
//! to send, cancel, restore and fire them, in CPU time of this thread as Linux counts it, so that a busy machine does not
//! count. Ids have 24 characters, arguments 40 bytes, due times are spread over an hour.
#![expect(clippy::disallowed_types, reason = "it measures time")]
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use statera_core::delta::{DeltaWriter, changes};
use statera_core::keys::Key;
use statera_core::{
    Config, Cut, Effect, Input, Limits, OnFailure, Policy, RequestKind, Shard, Ticket,
};
use statera_model::{
    Address, Delayed, Epoch, FunctionType, Millis, Outcome, Outgoing, Reply, TypedValue,
};
use statera_ports::Request;

const HOUR_MS: u64 = 3_600_000;
const BEGIN: u64 = 1_700_000_000_000;
const AT_ONCE: usize = 100_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let count = arguments.get(1).map_or(1_000_000, |count| count.parse().unwrap());
    match arguments.get(2).map(String::as_str) {
        Some("send") => send_and_cancel(count),
        Some("fire") => fire(count),
        Some("restore") => restore(count),
        _ => ["send", "fire", "restore"].iter().for_each(|what| {
            // Each in a process of its own: memory that was freed before would not be seen.
            let mut again = Command::new(&arguments[0]);
            assert!(again.arg(count.to_string()).arg(what).status().unwrap().success());
        }),
    }
}

fn send_and_cancel(count: usize) {
    let (mut world, mut random) = (World::new(), Random(7));
    // What a turn takes without a delayed message is subtracted.
    let turn = world.send(AT_ONCE, |_| None) / AT_ONCE as u32;
    let rss = resident();
    let took = world.send(count, |_| Some((random.next() % HOUR_MS, None)));
    print_each("send", took.saturating_sub(turn * count as u32), count);
    print_bytes(count, resident() - rss, &world.shard);
    let took = world.send(AT_ONCE, |n| Some((random.next() % HOUR_MS, Some(token(n)))));
    print_each("send with token", took.saturating_sub(turn * AT_ONCE as u32), AT_ONCE);
    let before = world.shard.figures().delayed;
    let took = world.turns(AT_ONCE, |n| {
        let cancel = Delayed::Cancel { token: token(n).into() };
        Reply { delayed: vec![cancel], ..Reply::default() }
    });
    assert_eq!(world.shard.figures().delayed, before - AT_ONCE);
    print_each("cancel", took.saturating_sub(turn * AT_ONCE as u32), AT_ONCE);
}

/// Many are due at the same millisecond, each for an address of its own, while others wait.
fn fire(count: usize) {
    let (mut world, mut random) = (World::new(), Random(7));
    world.send(count, |_| Some((HOUR_MS + random.next() % HOUR_MS, None)));
    world.send(AT_ONCE, |_| Some((HOUR_MS - 1, None)));
    world.now += HOUR_MS - 1;
    let (mut ticks, begin) = (Vec::new(), busy());
    while world.shard.figures().delayed > count {
        let tick = Instant::now();
        world.apply(Input::Tick);
        ticks.push(tick.elapsed());
        world.effects.clear();
    }
    print_each("fire", busy() - begin, AT_ONCE);
    ticks.sort();
    let (median, longest) = (ticks[ticks.len() / 2], ticks[ticks.len() - 1]);
    println!("  in {} inputs, the median took {median:?}, the longest {longest:?}", ticks.len());
    let took = world.cut();
    println!("  the cut after it took {took:?}");
}

fn restore(count: usize) {
    let (mut world, mut random) = (World::new(), Random(7));
    world.keep = true;
    world.send(count, |_| Some((random.next() % HOUR_MS, None)));
    let mut pairs = std::mem::take(&mut world.pairs);
    pairs.sort();
    // One behind the other, as a store reads them.
    let mut stored = Vec::new();
    let mut writer = DeltaWriter::new(&mut stored);
    pairs.iter().for_each(|(key, value)| writer.put(key, value));
    let mut restored = World::new();
    let (rss, begin) = (resident(), busy());
    for pair in changes(&stored).map(Result::unwrap) {
        let (group, key) = Key::decode(pair.key).unwrap();
        let value = Bytes::copy_from_slice(pair.value.unwrap());
        restored.shard.restore(group, key, value).unwrap();
    }
    print_each("restore", busy() - begin, count);
    assert_eq!(restored.shard.figures().delayed, count);
    print_bytes(count, resident() - rss, &restored.shard);
}

/// A shard, and functions that answer at once.
struct World {
    shard: Shard,
    now: u64,
    effects: Vec<Effect>,
    epoch: u64,
    turn: usize,
    /// What became durable, if it is to be kept.
    pairs: Vec<(Vec<u8>, Bytes)>,
    keep: bool,
}

impl World {
    fn new() -> World {
        let policy = Policy {
            inline: false,
            batch_messages: 1_000,
            in_flight: 1_000,
            budget_ms: 60_000,
            backoff_min_ms: 4,
            backoff_max_ms: 5_000,
            on_failure: OnFailure::DeadLetter,
        };
        let limits = Limits { state_bytes: 1 << 20, ..Limits::default() };
        let shard = Shard::new(Config::alone(limits, Arc::new(move |_| Some(policy))));
        let (pairs, effects) = (Vec::new(), Vec::new());
        World { shard, now: BEGIN, effects, epoch: 0, turn: 0, pairs, keep: false }
    }

    fn apply(&mut self, input: Input) {
        self.shard.apply(input, Millis(self.now), &mut self.effects);
    }

    /// Each of `count` addresses sends one message, with this delay and token, to another address.
    fn send(
        &mut self,
        count: usize,
        mut delay: impl FnMut(usize) -> Option<(u64, Option<String>)>,
    ) -> Duration {
        let reminder = FunctionType::parse("example/reminder").unwrap();
        let argument = TypedValue::new("example/Remind", b"ten to the twentieth");
        assert_eq!(argument.encoded().len(), 40);
        self.turns(count, |n| {
            let target = Address::new(reminder.clone(), format!("target-{n:017}"));
            let send = delay(n).map(|(delay, token)| Delayed::Send {
                delay_ms: delay as i64,
                message: Outgoing { target, argument: argument.clone() },
                token: token.map(Into::into),
            });
            Reply { delayed: send.into_iter().collect(), ..Reply::default() }
        })
    }

    /// Each of `count` addresses has its turn, and there is a cut after every thousand.
    fn turns(&mut self, count: usize, mut reply: impl FnMut(usize) -> Reply) -> Duration {
        let cart = FunctionType::parse("example/cart").unwrap();
        let argument = TypedValue::new("example/Add", b"");
        let begin = busy();
        for n in 0..count {
            self.turn += 1;
            let target = Address::new(cart.clone(), format!("sender-{n:017}"));
            let request =
                Request { target, argument: argument.clone(), idempotency_key: None, trace: None };
            let (ticket, kind) = (Ticket(self.turn as u64), RequestKind::Send);
            let outcome = Outcome::Complete(reply(n));
            self.apply(Input::Request { ticket, request, kind });
            let Some(Effect::Invoke(invocation)) = self.effects.pop() else { panic!() };
            self.apply(Input::Completed { invocation, outcome, request: Bytes::new() });
            if self.turn.is_multiple_of(1_000) {
                self.cut();
            }
        }
        self.cut();
        busy() - begin
    }

    fn cut(&mut self) -> Duration {
        self.epoch += 1;
        let epoch = Epoch(self.epoch);
        let begin = busy();
        self.apply(Input::Cut(Arc::new(Cut { epoch, confirmed: Vec::new() })));
        let took = busy() - begin;
        let Some(Effect::Part(part)) = self.effects.pop() else { panic!() };
        if self.keep {
            for change in changes(&part.delta).map(Result::unwrap) {
                if let Some(value) = change.value {
                    self.pairs.push((change.key.to_vec(), Bytes::copy_from_slice(value)));
                }
            }
        }
        self.apply(Input::Flushed(epoch));
        took
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn token(n: usize) -> String {
    format!("token-{n:018}")
}

/// For how long this thread has run.
fn busy() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// Bytes of memory the process takes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

fn print_each(what: &str, took: Duration, count: usize) {
    println!("{what}: {took:?}, each {:?}", took / count as u32);
}

fn print_bytes(count: usize, resident: usize, shard: &Shard) {
    let counted = shard.figures().delayed_bytes;
    println!("  bytes each: {} resident, {} counted", resident / count, counted / count);
}
