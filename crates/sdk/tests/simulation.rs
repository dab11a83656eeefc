//! Functions in the engine itself, with crashes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use statera_sdk::testing::Simulation;
use statera_sdk::{App, Cell, Context, Error, Message, Result};

const MINUTE: Duration = Duration::from_secs(60);

const COUNT: Cell<i64> = Cell::new("count");
const BALANCE: Cell<i64> = Cell::new("balance");
const RECENT: Cell<String> = Cell::new("recent").expires_after_write(MINUTE);

fn counter() -> App {
    App::new().function("demo/counter", COUNT, |ctx, by: i64| {
        let count = ctx.update(COUNT, |count| count + by)?;
        ctx.egress("demo/counts", count);
        Ok(count)
    })
}

/// Takes what is above 0, and sends it on; gets what is below.
fn account(ctx: &mut Context<'_>, cents: i64) -> Result {
    ctx.update(BALANCE, |balance| balance - cents)?;
    if cents > 0 {
        let number: i64 = ctx.id().parse()?;
        ctx.send(("demo/account", (number * 7 + cents).rem_euclid(6).to_string()), -cents);
    }
    Ok(())
}

/// Wakes itself every minute until there is nothing left.
fn alarm(ctx: &mut Context<'_>, left: i32) -> Result {
    ctx.egress("demo/bells", left);
    if left > 1 {
        ctx.cancel("next");
        ctx.send_after(MINUTE, ctx.this(), left - 1).token("next");
    }
    Ok(())
}

/// What a simulation that must fail says.
#[track_caller]
fn caught(simulation: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(simulation)).expect_err("it is caught");
    *panic.downcast::<String>().expect("text")
}

#[test]
fn each_message_counts_once() {
    let report = Simulation::new(counter()).run(|world| {
        for _ in 0..20 {
            world.send("demo/counter/a", 1_i64);
        }
        world.until_quiet();
        assert_eq!(world.state("demo/counter/a", COUNT), Some(20));
        let counts = world.egress("demo/counts");
        let counts: Vec<i64> = counts.iter().map(|count| count.record.get().unwrap()).collect();
        assert_eq!(counts, (1..=20).collect::<Vec<_>>());
        assert_eq!(world.call::<i64>("demo/counter/a", 1_i64), 21);
    });
    assert_eq!(report.seeds, 100);
    assert!(report.crashes > 100 && report.lost > 100, "{report:?}");
}

#[test]
fn transfers_keep_the_sum() {
    let app = App::new().function("demo/account", BALANCE, account);
    Simulation::new(app).shards(4).run(|world| {
        for _ in 0..3 {
            for _ in 0..10 {
                let (from, cents) = (world.random(6).to_string(), world.random(100) as i64 + 1);
                world.send(("demo/account", from), cents);
            }
            world.until_quiet();
            let balance = |id: i64| world.state(("demo/account", id.to_string()), BALANCE);
            assert_eq!((0..6).filter_map(balance).sum::<i64>(), 0);
        }
    });
}

#[test]
fn a_timer_wakes_itself_as_often_as_it_should() {
    let app = || App::new().function("demo/alarm", (), alarm);
    Simulation::new(app()).run(|world| {
        world.send("demo/alarm/kitchen", 5);
        world.until_quiet();
        assert_eq!(world.egress("demo/bells").len(), 5);
        assert!(world.now() >= 4 * MINUTE);
    });
    Simulation::new(app()).horizon(MINUTE / 2).run(|world| {
        world.send("demo/alarm/kitchen", 5);
        world.until_quiet();
        assert_eq!(world.delayed().len(), 1);
        assert_eq!(world.delayed()[0].token.as_deref(), Some("next"));
        world.advance(10 * MINUTE);
        assert_eq!(world.egress("demo/bells").len(), 5);
        assert!(world.delayed().is_empty());
    });
}

#[test]
fn values_expire_in_simulated_time() {
    let app = App::new().function("demo/memory", RECENT, |ctx, text: String| {
        ctx.set(RECENT, text);
        Ok(())
    });
    Simulation::new(app).seeds(0..20).run(|world| {
        world.send("demo/memory/a", "hello");
        world.until_quiet();
        assert_eq!(world.state("demo/memory/a", RECENT).as_deref(), Some("hello"));
        world.advance(MINUTE);
        assert_eq!(world.state("demo/memory/a", RECENT), None);
    });
}

#[test]
fn asynchronous_functions_are_simulated_too() {
    let app = App::new().function_async("demo/slow", COUNT, |mut ctx, by: i64| async move {
        ctx.update(COUNT, |count| count + by)
    });
    Simulation::new(app).seeds(0..20).run(|world| {
        world.send("demo/slow/a", 2_i64);
        world.until_quiet();
        assert_eq!(world.call::<i64>("demo/slow/a", 3_i64), 5);
    });
}

#[test]
fn without_a_key_nobody_knows_what_a_crash_has_left() {
    let (mut got_through, mut accepted, mut unknown) = (0, 0, 0);
    Simulation::new(counter()).run(|world| {
        let requests: Vec<_> = (0..10).map(|_| world.send_once("demo/counter/a", 1_i64)).collect();
        world.until_quiet();
        let count = world.state("demo/counter/a", COUNT).unwrap_or(0);
        let known = requests.iter().filter(|request| world.is_accepted(**request)).count() as i64;
        assert!((known..=10).contains(&count), "{known} {count}");
        (got_through, accepted, unknown) =
            (got_through + count, accepted + known, unknown + 10 - known);
    });
    assert!(accepted < got_through && got_through < accepted + unknown);
}

#[test]
fn a_script_may_crash_the_engine() {
    Simulation::new(counter()).seeds(0..20).crashes(0).run(|world| {
        world.send("demo/counter/a", 1_i64);
        world.until_quiet();
        world.crash();
        assert_eq!(world.state("demo/counter/a", COUNT), Some(1));
        assert_eq!(world.call::<i64>("demo/counter/a", 1_i64), 2);
    });
}

#[test]
fn what_fails_for_good_is_an_error_unless_it_is_kept() {
    let app = || {
        App::new().function("demo/picky", COUNT, |ctx, by: i64| match by {
            ..0 => Err(Error::dead_letter("less than nothing")),
            _ => ctx.update(COUNT, |count| count + by),
        })
    };
    let what = caught(|| {
        Simulation::new(app()).run(|world| {
            world.send("demo/picky/a", -1_i64);
            world.until_quiet();
        });
    });
    assert!(what.contains("`demo/picky/a` did not process long -1: "), "{what}");
    let report = Simulation::new(app()).keeping_failures().run(|world| {
        world.send("demo/picky/a", -1_i64);
        world.send("demo/picky/a", 2_i64);
        world.until_quiet();
        assert_eq!(world.state("demo/picky/a", COUNT), Some(2));
        let failures = world.failures();
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].message.get::<i64>().unwrap(), -1);
        assert!(failures[0].reason.contains("less than nothing"));
    });
    assert_eq!(report.dead_letters, 100);
}

#[test]
fn messages_for_a_function_that_is_not_here_are_an_error() {
    let app = App::new().function("demo/lost", (), |ctx, _: Message| {
        ctx.send("demo/nobody/a", 1);
        Ok(())
    });
    let what = caught(|| {
        Simulation::new(app).run(|world| {
            world.send("demo/lost/a", 1);
            world.until_quiet();
        });
    });
    assert!(what.contains("no endpoint serves functions of type `demo/nobody`"), "{what}");
}

#[test]
fn a_function_that_counts_outside_of_its_cells_is_caught() {
    let count = Arc::new(AtomicI64::new(0));
    let app = App::new().function("demo/wrong", COUNT, move |ctx, by: i64| {
        ctx.set(COUNT, count.fetch_add(by, Ordering::Relaxed) + by);
        Ok(())
    });
    let what = caught(|| {
        Simulation::new(app).run(|world| {
            world.send("demo/wrong/a", 1_i64);
            world.until_quiet();
        });
    });
    assert!(what.contains("`demo/wrong/a` does not do the same when it is invoked a second time"));
    assert!(what.contains("first it sets `count` to long"), "{what}");
}

/// Mails that are sent by the function itself, beside the engine, go out as often as the function runs.
#[test]
fn a_function_that_acts_beside_the_engine_is_caught() {
    let mails = Arc::new(Mutex::new(Vec::new()));
    let sent = mails.clone();
    let app = App::new().function("demo/wrong", (), move |ctx, text: String| {
        sent.lock().unwrap().push(format!("{}: {text}", ctx.id()));
        Ok(())
    });
    let what = caught(|| {
        Simulation::new(app).run(|world| {
            mails.lock().unwrap().clear();
            world.send("demo/wrong/ada", "hello");
            world.until_quiet();
            assert_eq!(*mails.lock().unwrap(), ["ada: hello"]);
        });
    });
    assert!(what.contains("the last events"), "{what}");
    assert!(what.contains("string \"hello\""), "{what}");
    let again = "cargo test -p statera-sdk a_function_that_acts_beside_the_engine_is_caught` runs";
    assert!(what.contains("hint: `SIM_SEED=") && what.contains(again), "{what}");
}

/// Who does not know whether a message got through and sends it again without a key, sends it twice now and then.
#[test]
fn a_sender_who_guesses_is_caught() {
    let what = caught(|| {
        Simulation::new(counter()).run(|world| {
            let once = |_| world.send_once("demo/counter/a", 1_i64);
            let requests: Vec<_> = (0..10).map(once).collect();
            world.until_quiet();
            for request in requests {
                if !world.is_accepted(request) {
                    world.send("demo/counter/a", 1_i64);
                }
            }
            world.until_quiet();
            assert_eq!(world.state("demo/counter/a", COUNT), Some(10));
        });
    });
    assert!(what.contains("right: Some(10)"), "{what}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut times = Vec::new();
        let report = Simulation::new(counter()).seed(7).run(|world| {
            for _ in 0..10 {
                world.send("demo/counter/a", 1_i64);
            }
            world.until_quiet();
            times.push(world.now());
        });
        (report, times)
    };
    assert_eq!(run(), run());
}
