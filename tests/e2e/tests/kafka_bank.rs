//! The bank example under load while everything it consists of is killed: the sum of the money stays the same, each transfer
//! has exactly one receipt for a consumer that reads what is committed, and receipts of an account are in order. Kafka's own
//! consumer is the judge.
//!
//! `STATERA_LONG_BANK=<n>` makes so many transfers instead of 5,000, `STATERA_BANK_SEED=<n>` repeats the choices of a run (not its
//! timing).
#![allow(clippy::unwrap_used, reason = "tests")]

mod bank_world;

use std::time::{Duration, Instant};

use bank_world::{Book, World};
use statera_e2e::{Random, skipped};

const ACCOUNTS: u64 = 1000;
const TRANSFERS: usize = 5000;
const PER_SECOND: u64 = 200;
/// Faster if there are many.
const PER_SECOND_LONG: u64 = 1000;

/// The time between two kills, from ready to the next kill.
const LIFE_MIN: Duration = Duration::from_millis(1000);
const LIFE_MAX: Duration = Duration::from_millis(4000);

/// The longest that a broker stays away.
const ABSENCE_MAX: Duration = Duration::from_secs(2);

/// Receipts after which something is killed beside Statera.
const UNDER_WAY: usize = 100;

/// What may pass until some receipts are there, beside the time that sending takes, whatever is killed meanwhile.
const DELAY_MAX: Duration = Duration::from_secs(180);

#[test]
fn money_is_safe_whatever_is_killed() {
    let transfers = number("STATERA_LONG_BANK").map_or(TRANSFERS, |number| number as usize);
    let per_second = if transfers > TRANSFERS { PER_SECOND_LONG } else { PER_SECOND };
    let (mut world, book, mut random) = match begin(1, transfers) {
        Ok(begun) => begun,
        Err(why) => return skipped("kafka bank", &why),
    };
    let load = world.send(&book, per_second);
    let mut kills = 0;
    for (part, trouble) in TROUBLES.iter().enumerate() {
        let [begin, end] = [part, part + 1].map(|part| book.len() * part / TROUBLES.len());
        load.allow(end);
        world.wait_for_receipts(begin + UNDER_WAY, DELAY_MAX);
        match trouble {
            Trouble::BrokerCrashes => {
                world.crash_broker(random.between(Duration::ZERO, ABSENCE_MAX));
            }
            Trouble::FunctionsCrash => world.restart_functions(),
            Trouble::BrokerStops => world.restart_broker_and_statera(),
            Trouble::None => {}
        }
        let sending = Duration::from_secs((end - begin) as u64 / per_second);
        let deadline = Instant::now() + sending + DELAY_MAX;
        while world.receipts.count() < end {
            std::thread::sleep(random.between(LIFE_MIN, LIFE_MAX));
            world.restart();
            kills += 1;
            let count = world.receipts.count();
            assert!(Instant::now() < deadline, "{count} receipts instead of {end}, {trouble:?}");
        }
    }
    load.finish();
    println!("{transfers} transfers, {kills} kills of Statera, {TROUBLES:?}");
    finish(world, &book);
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    BrokerCrashes,
    FunctionsCrash,
    BrokerStops,
    None,
}

/// Each in its part of the transfers, while they run and Statera is killed.
const TROUBLES: [Trouble; 4] =
    [Trouble::BrokerCrashes, Trouble::FunctionsCrash, Trouble::BrokerStops, Trouble::None];

const FAILOVER_TRANSFERS: usize = 3000;

#[test]
fn a_cluster_may_lose_its_leaders() {
    let (mut world, book, _) = match begin(3, FAILOVER_TRANSFERS) {
        Ok(begun) => begun,
        Err(why) => return skipped("kafka failover", &why),
    };
    let load = world.send(&book, PER_SECOND);
    let half = book.len() / 2;
    for (begin, topic) in [(0, "transfers"), (half, "receipts")] {
        let leader = world.kafka.leader(topic, 0).unwrap().expect("it has a leader");
        let end = begin + half;
        load.allow(end);
        world.wait_for_receipts(begin + UNDER_WAY, DELAY_MAX);
        world.kafka.node(leader).kill();
        let (start, seen) = (Instant::now(), world.receipts.count());
        assert!(seen < end, "the load is over too early");
        world.wait_for_receipts(end, DELAY_MAX);
        println!(
            "{} receipts in {:.1} s without node {leader}, which led `{topic}`",
            end - seen,
            start.elapsed().as_secs_f64()
        );
        world.kafka.start_all().unwrap();
    }
    load.finish();
    finish(world, &book);
}

/// Starts everything, and decides what is to be done.
fn begin(nodes: u32, transfers: usize) -> Result<(World, Book, Random), String> {
    let seed = number("STATERA_BANK_SEED").unwrap_or_else(Random::fresh_seed);
    println!("STATERA_BANK_SEED={seed}");
    let mut random = Random::new(seed);
    let book = Book::new(transfers, ACCOUNTS, &mut random);
    Ok((World::start(nodes)?, book, random))
}

fn finish(mut world: World, book: &Book) {
    let start = Instant::now();
    world.check(book);
    println!("right, as was found out in {:.1} s", start.elapsed().as_secs_f64());
    world.starts.sort_unstable();
    let starts = [world.starts.len() / 2, world.starts.len() - 1].map(|rank| world.starts[rank]);
    println!("ready again after {:?} (median), {:?} (longest)", starts[0], starts[1]);
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("`{variable}` is `{value}` instead of a number")))
}
