//! What is counted for each function type.

use statera_core::{FunctionFigures, Limits, OnFailure, Policy};
use statera_model::FailureKind::{Fatal, Rejected, Unavailable};

use crate::world::{Make, World, policy, record, reply};

/// The figures of a type, of all shards together.
fn figures(world: &World, name: &str) -> FunctionFigures {
    let mut sum = FunctionFigures::default();
    for shard in &world.shards {
        for (function, figures) in shard.function_figures() {
            if function.name() == name {
                sum.add(&figures);
            }
        }
    }
    sum
}

/// An id that lives in this shard.
fn id_in(world: &World, shard: usize) -> String {
    let mut ids = (0..).map(|n| n.to_string());
    ids.find(|id| world.owner(id) == shard).unwrap()
}

#[test]
fn a_message_through_two_functions_is_counted_where_it_comes_and_where_it_goes() {
    let mut world = World::new();
    world.send("a/1", "m");
    let waiting = figures(&world, "a");
    assert_eq!((waiting.received, waiting.backlog, waiting.in_flight), (1, 1, 1));
    assert!(waiting.backlog_bytes > 0);
    let invoked = world.invocation();
    world.answer(&invoked, reply().send("b/1", "n").send("b/2", "n").emit("out"));
    world.run();
    let (a, b) = (figures(&world, "a"), figures(&world, "b"));
    let sent = FunctionFigures {
        received: 1,
        out_local: 2,
        out_egress: 1,
        invocations: 1,
        ..FunctionFigures::default()
    };
    assert_eq!(a, sent);
    let received = FunctionFigures { received: 2, invocations: 2, ..FunctionFigures::default() };
    assert_eq!(b, received);
}

#[test]
fn messages_to_other_shards_are_told_apart() {
    let mut world = World::with(2, Limits::default(), &[]);
    let [here, there] = [0, 1].map(|shard| id_in(&world, shard));
    world.send(&format!("a/{here}"), "m");
    let invoked = world.invocation();
    let answer = |make: Make, id: &str| make.send(&format!("b/{id}"), "n");
    let sent = answer(answer(answer(reply(), &here), &there), &there);
    world.answer(&invoked, sent);
    world.run();
    let a = figures(&world, "a");
    assert_eq!((a.out_local, a.out_remote), (1, 2));
    let shards = world.shards.iter().map(|shard| {
        let b = shard.function_figures().find(|(function, _)| function.name() == "b");
        b.map_or(0, |(_, figures)| figures.received)
    });
    assert_eq!(shards.collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn delayed_messages_count_when_they_are_sent_and_where_they_arrive() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(
        &invoked,
        reply().later(10, "b/1", "n").cancellable("t", 10, "b/1", "n").cancel("t"),
    );
    world.pass(20);
    world.run();
    let (a, b) = (figures(&world, "a"), figures(&world, "b"));
    assert_eq!((a.out_delayed, a.out_local), (2, 0));
    assert_eq!(b.received, 1);
}

#[test]
fn failures_and_retries_are_counted_until_the_message_is_given_up() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.warm("a/0");
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.fail(&invoked, Unavailable);
    assert_eq!(figures(&world, "a").backing_off, 1);
    let invoked = world.wait();
    world.fail(&invoked, Rejected);
    let invoked = world.wait();
    world.fail(&invoked, Fatal);
    let a = figures(&world, "a");
    assert_eq!((a.failures.unavailable, a.failures.rejected, a.failures.fatal), (1, 1, 1));
    assert_eq!((a.failures.sum(), a.retries, a.dead_letters), (3, 2, 1));
    assert_eq!((a.backing_off, a.backlog, a.in_flight), (0, 0, 0));
}

#[test]
fn a_reply_that_is_refused_is_a_failure() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().set("undeclared", "1"));
    let a = figures(&world, "a");
    assert_eq!((a.failures.rejected, a.retries), (1, 1));
}

#[test]
fn a_type_that_nobody_serves_has_dead_letters() {
    let mut world = World::with(1, Limits::default(), &[("a", None)]);
    world.deliver(vec![record(&["a/1", "a/2"], "m")], "1");
    let a = figures(&world, "a");
    assert_eq!((a.received, a.dead_letters, a.backlog), (2, 2, 0));
}

#[test]
fn a_paused_address_is_counted_until_it_goes_on_also_over_a_restart() {
    let mut world = World::failing(OnFailure::Pause);
    world.warm("a/0");
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.fail(&invoked, Fatal);
    assert_eq!(figures(&world, "a").paused, 1);
    world.commit();
    world.restart(2);
    let a = figures(&world, "a");
    assert_eq!((a.paused, a.backlog, a.received), (1, 1, 0), "a start receives nothing");
    let shard = world.owner("1");
    let address = crate::world::at("a/1");
    world.operator(shard, |ticket| statera_core::Input::Resume { ticket, address });
    assert_eq!(figures(&world, "a").paused, 0);
    world.run();
    assert_eq!(figures(&world, "a").backlog, 0);
}

#[test]
fn an_outage_and_those_who_wait_for_its_end_are_told() {
    let one = Policy { in_flight: 1, ..policy() };
    let mut world = World::with(1, Limits::default(), &[("a", Some(one))]);
    world.warm("a/0");
    for id in 1..=5 {
        world.send(&format!("a/{id}"), "m");
    }
    let a = figures(&world, "a");
    assert_eq!((a.in_flight, a.queued, a.outages), (1, 4, 0));
    for _ in 0..3 {
        let invoked = world.invocation();
        world.fail(&invoked, Unavailable);
    }
    let a = figures(&world, "a");
    assert_eq!((a.outages, a.backing_off, a.queued), (1, 3, 2));
}
