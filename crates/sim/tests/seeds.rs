//! Worlds of many seeds, in which all invariants must hold.
//!
//! `SIM_SEEDS=5000` runs that many, `SIM_MINUTES=30` runs fresh ones for that long, `SIM_SEED=17` one with its report.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use statera_sim::{Linked, Plan, Report, run};

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn hold(plan: Plan) -> Report {
    run(plan).unwrap_or_else(|failed| panic!("{failed}"))
}

fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the clock is set").as_nanos() as u64
}

#[test]
fn all_invariants_hold_in_many_worlds() {
    if let Some(seed) = number("SIM_SEED") {
        println!("{:#?}", hold(Plan::new(seed)));
        return;
    }
    for seed in 0..number("SIM_SEEDS").unwrap_or(250) {
        hold(Plan::new(seed));
    }
}

#[test]
fn all_invariants_hold_in_a_world_never_seen_before() {
    let deadline =
        number("SIM_MINUTES").map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    loop {
        let seed = fresh_seed();
        println!("fresh seed {seed}");
        hold(Plan::new(seed));
        if deadline.is_none_or(|deadline| Instant::now() > deadline) {
            return;
        }
    }
}

#[test]
fn those_who_fail_do_not_stop_the_others() {
    for seed in 0..40 {
        hold(Plan::with_failing_neighbours(seed));
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 1_000_003] {
        assert_eq!(hold(Plan::new(seed)), hold(Plan::new(seed)));
    }
}

/// A simulation in which nothing happens proves nothing.
#[test]
fn the_worlds_are_eventful() {
    let reports: Vec<Report> = (0..40).map(|seed| hold(Plan::new(seed))).collect();
    let sum = |count: fn(&Report) -> u64| reports.iter().map(count).sum::<u64>();
    assert!(sum(|report| report.crashes) > 40);
    assert!(sum(|report| report.epochs) > 4_000);
    assert!(sum(|report| report.messages as u64) > 10_000);
    assert!(sum(|report| report.loads) > 1_000);
    assert!(sum(|report| report.dead_letters) > 100);
    assert!(sum(|report| report.answers) > 500);
    assert!(sum(|report| report.refusals) > 100);
}

/// The quick way into the core is taken, and with it goes everything that a function can do.
#[test]
fn functions_linked_into_the_process_are_eventful() {
    for plan in [Plan::new, Plan::with_linked_functions] {
        let reports: Vec<Linked> = (0..40).map(|seed| hold(plan(seed)).linked).collect();
        let sum = |count: fn(&Linked) -> u64| reports.iter().map(count).sum::<u64>();
        assert!(sum(|linked| linked.completed) > 5_000);
        assert!(sum(|linked| linked.refused) > 500);
        assert!(sum(|linked| linked.failed) > 1_000);
        assert!(sum(|linked| linked.incomplete) > 500);
        assert!(sum(|linked| linked.together) > 1_000);
        assert!(sum(|linked| linked.messages) > 5_000);
        assert!(sum(|linked| linked.delayed) > 1_000);
        assert!(sum(|linked| linked.cancellations) > 300);
        assert!(sum(|linked| linked.records) > 300);
        assert!(sum(|linked| linked.changes) > 10_000);
        assert!(sum(|linked| linked.rounds_cut_short) > 500);
    }
}

/// In some worlds there are functions of both kinds, in others of one.
#[test]
fn functions_are_linked_into_the_process_or_not() {
    let (mut none, mut some, mut all) = (0, 0, 0);
    for seed in 0..40 {
        let Report { invocations, linked, .. } = hold(Plan::new(seed));
        match linked.completed + linked.failed + linked.incomplete {
            0 => none += 1,
            ended if ended == invocations => all += 1,
            _ => some += 1,
        }
    }
    assert!(none > 2 && some > 10 && all > 2, "{none} {some} {all}");
}
