//! Limits: what happens at them, and that memory keeps to them.

use statera_core::Limits;
use statera_ports::Refusal;

use crate::world::{Fate, World, reply, state};

#[track_caller]
fn assert_full(world: &World, ticket: u64, limit: &'static str) {
    assert_eq!(world.fates(ticket), [Fate::Refused(Refusal::Full { limit })]);
}

#[test]
fn an_address_takes_so_many_messages() {
    let limits = Limits { mailbox_messages: 2, ..Limits::default() };
    let mut world = World::with(1, limits, &[]);
    world.send("a/1", "1");
    world.send("a/1", "2");
    let refused = world.send("a/1", "3");
    assert_full(&world, refused, "limits.mailboxMessages");
    world.send("a/2", "other");
    let invoked = world.invocation();
    world.answer(&invoked, reply());
    world.send("a/1", "4");
    let mut done = world.run();
    done.sort();
    assert_eq!(done, ["2", "4", "other"]);
}

#[test]
fn one_type_may_use_half_of_the_bytes() {
    let limits = Limits { mailbox_bytes: 20_000, ..Limits::default() };
    let mut world = World::with(1, limits, &[]);
    let long = "x".repeat(1_000);
    let accepted = |world: &mut World, target: &str| {
        (0..)
            .take_while(|_| {
                let ticket = world.send(target, &long);
                world.fates(ticket).is_empty()
            })
            .count()
    };
    let first = accepted(&mut world, "a/1");
    assert!((8..=10).contains(&first), "{first}");
    let second = accepted(&mut world, "b/1");
    assert!((8..=10).contains(&second), "{second}");
    let ticket = world.send("c/1", "m");
    assert_full(&world, ticket, "memory.mailboxBytes");
    assert!(world.shards[0].figures().mail_bytes < 20_000 + 2_000);
    world.run();
    assert_eq!(world.shards[0].figures().mail_bytes, 0);
}

/// Full mailboxes would otherwise wait for each other for ever.
#[test]
fn messages_between_functions_are_never_refused() {
    let limits = Limits { mailbox_bytes: 1_000, mailbox_messages: 1, ..Limits::default() };
    let mut world = World::with(1, limits, &[]);
    world.send("a/1", "m");
    let invoked = world.invocation();
    let mut fan = reply();
    for n in 0..100 {
        fan = fan.send("a/1", &n.to_string()).send("b/1", &n.to_string());
    }
    world.answer(&invoked, fan);
    assert_eq!(world.run().len(), 200);
}

#[test]
fn so_many_idempotency_keys_are_remembered() {
    let limits = Limits { idempotency_keys: 2, ..Limits::default() };
    let mut world = World::with(1, limits, &[]);
    world.send_with_key("a/1", "m", "1");
    world.send_with_key("a/1", "m", "2");
    let refused = world.send_with_key("a/1", "m", "3");
    assert_full(&world, refused, "limits.idempotencyKeys");
    let repeated = world.send_with_key("a/1", "m", "2");
    let without = world.send("a/1", "m");
    world.commit();
    assert_eq!(world.fates(repeated), [Fate::Accepted]);
    assert_eq!(world.fates(without), [Fate::Accepted]);
}

fn small() -> World {
    let limits = Limits { state_bytes: 3_000, ..Limits::default() };
    World::with(1, limits, &[])
}

fn set_all(world: &mut World, ids: u64) {
    world.declare("a/0", vec![state("x")]);
    for id in 0..ids {
        world.send(&format!("a/{id}"), "m");
        world.run_with(|invoked| reply().set("x", &invoked.target));
    }
}

#[test]
fn what_is_flushed_is_evicted_and_read_back() {
    let mut world = small();
    set_all(&mut world, 100);
    world.commit();
    world.flush();
    for _ in 0..50 {
        world.pass(1);
        world.apply(0, statera_core::Input::Tick);
    }
    assert!(world.shards[0].figures().state_bytes <= 3_000);
    for id in 0..100 {
        world.send(&format!("a/{id}"), "m");
        let invoked = world.invocation();
        assert_eq!(invoked.state("x"), Some(&*format!("a/{id}")));
        world.answer(&invoked, reply());
    }
}

#[test]
fn what_is_not_flushed_stays() {
    let mut world = small();
    set_all(&mut world, 100);
    for _ in 0..50 {
        world.apply(0, statera_core::Input::Tick);
    }
    assert!(world.shards[0].figures().state_bytes > 3_000);
    world.commit();
    for _ in 0..50 {
        world.apply(0, statera_core::Input::Tick);
    }
    for id in 0..100 {
        world.send(&format!("a/{id}"), "m");
        let invoked = world.invocation();
        assert_eq!(invoked.state("x"), Some(&*format!("a/{id}")), "durable, but not in the store");
        world.answer(&invoked, reply());
    }
}

#[test]
fn a_value_is_read_once_while_it_stays_in_memory() {
    let mut world = World::new();
    set_all(&mut world, 1);
    let loads = world.loads;
    for _ in 0..10 {
        world.send("a/0", "m");
        world.run_with(|_| reply().set("x", "1"));
    }
    assert_eq!(world.loads, loads);
}
