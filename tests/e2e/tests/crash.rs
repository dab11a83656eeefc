//! The binary under load, killed at random moments and restarted on the same data directory: nothing that was
//! acknowledged is lost, and everything has had its effect exactly once and in order. Once with functions behind HTTP, once
//! with the same ones linked into the process that is killed.
//!
//! `STATERA_LONG_CRASH=<n>` kills so many times instead of 50 and 25, `STATERA_CRASH_SEED=<n>` repeats the choices of a run (not
//! its timing).
#![allow(clippy::unwrap_used, reason = "tests")]

mod crash_world;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crash_world::{Host, Load, World};
use statera_e2e::{Mode, Random};

const KILLS_HTTP: u64 = 50;
const KILLS_LINKED: u64 = 25;

/// The time between two kills, from ready to the next kill.
const LIFE_MIN: Duration = Duration::from_millis(100);
const LIFE_MAX: Duration = Duration::from_millis(900);

/// How long what was accepted may take to be processed after the last crash.
const QUIET_TIMEOUT: Duration = Duration::from_secs(60);

/// One after the other, so that each has the machine.
#[test]
fn everything_counts_once_whatever_is_killed() {
    kill_under_load(Host::Http, KILLS_HTTP);
    kill_under_load(Host::Linked, KILLS_LINKED);
}

fn kill_under_load(host: Host, kills: u64) {
    let kills = number("STATERA_LONG_CRASH").unwrap_or(kills);
    let seed = number("STATERA_CRASH_SEED").unwrap_or_else(Random::fresh_seed);
    println!("functions {host:?}: {kills} kills, STATERA_CRASH_SEED={seed}");
    let mut random = Random::new(seed);
    let mut world = World::start(host);
    let load = Load::start(&world.shared, &mut random);

    let start = Instant::now();
    for _ in 0..kills {
        one_life(&mut world, &mut random);
    }
    let took = start.elapsed();
    world.restart(3);
    let shared = world.shared.clone();
    let book = load.finish();
    let start = Instant::now();
    book.check(&shared, QUIET_TIMEOUT);
    println!("quiet and right {:.1} s after the last start", start.elapsed().as_secs_f64());
    // Whatever came twice would come now at the latest.
    world.crash(2);
    book.check(&shared, QUIET_TIMEOUT);
    world.check_dead_letters();
    let seconds = took.as_secs_f64();
    println!("{kills} kills in {seconds:.0} s ({:.1} kills/s)", kills as f64 / seconds);
    println!("checked: {book}");
    world.starts.sort_unstable();
    let starts = [world.starts.len() / 2, world.starts.len() - 1].map(|rank| world.starts[rank]);
    println!("ready again after {:?} (median), {:?} (longest)", starts[0], starts[1]);
    println!("{} requests to the ingress were repeated", shared.repeats.load(Ordering::Relaxed));
    if let Some(functions) = &world.functions {
        println!("{} requests to functions", functions.requests());
    }
}

/// Lets the engine run for a while, troubles the function server, and kills.
fn one_life(world: &mut World, random: &mut Random) {
    let shards = 1 + random.below(4);
    if random.percent(15) {
        // Killed while it starts.
        let life = random.between(Duration::ZERO, Duration::from_millis(150));
        world.kill_while_starting(shards, life);
    }
    world.restart(shards);
    let deadline = Instant::now() + random.between(LIFE_MIN, LIFE_MAX);
    if let (Some(functions), true) = (&world.functions, random.percent(30)) {
        let mode = if random.percent(50) { Mode::Dead } else { Mode::Unavailable };
        functions.set_mode(mode);
        std::thread::sleep(random.between(Duration::from_millis(20), Duration::from_millis(150)));
        if random.percent(70) {
            functions.set_mode(Mode::Serving);
        }
    }
    std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
    if random.percent(15) {
        world.stop_or_kill(random.between(Duration::ZERO, Duration::from_millis(300)));
    } else {
        world.kill();
    }
    if let Some(functions) = &world.functions {
        functions.set_mode(Mode::Serving);
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("`{variable}` is `{value}` instead of a number")))
}
