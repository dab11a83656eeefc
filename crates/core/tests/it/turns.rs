//! Who runs when: one at a time for each address, in order, in batches, behind a gate.

use statera_core::{Limits, Policy};
use statera_model::FailureKind;

use crate::world::{World, policy, reply, state};

#[test]
fn the_first_message_goes_alone_and_the_backlog_as_one() {
    let mut world = World::new();
    for message in ["1", "2", "3", "4"] {
        world.send("a/1", message);
    }
    let invoked = world.invocation();
    assert_eq!(invoked.messages, ["1"]);
    world.answer(&invoked, reply());
    let invoked = world.invocation();
    assert_eq!(invoked.messages, ["2", "3", "4"]);
    world.answer(&invoked, reply());
    world.nobody_is_invoked();
}

#[test]
fn a_backlog_is_split_by_count_and_by_bytes() {
    let few = Some(Policy { batch_messages: 2, ..policy() });
    let limits = Limits { batch_bytes: 2_000, ..Limits::default() };
    let mut world = World::with(1, limits, &[("a", few)]);
    for message in ["1", "2", "3", "4"] {
        world.send("a/1", message);
    }
    world.run();
    let long = "x".repeat(900);
    for target in ["b/1", "b/1", "b/1", "b/1", "b/1"] {
        world.send(target, &long);
    }
    let mut batches = Vec::new();
    while let Some(invoked) = world.waiting.pop_front() {
        batches.push(invoked.messages.len());
        world.answer(&invoked, reply());
    }
    assert_eq!(batches, [1, 1, 1, 1, 1], "two have more than 2000 bytes with what they cost");
    world.send("b/1", "m");
    for _ in 0..3 {
        world.send("b/1", &"x".repeat(500));
    }
    world.send("b/1", &"x".repeat(5_000));
    world.send("b/1", "m");
    let mut batches = Vec::new();
    while let Some(invoked) = world.waiting.pop_front() {
        batches.push(invoked.messages.len());
        world.answer(&invoked, reply());
    }
    assert_eq!(batches, [1, 3, 1, 1], "a message that is too long goes alone");
}

#[test]
fn a_split_backlog_keeps_its_order() {
    let few = Some(Policy { batch_messages: 3, ..policy() });
    let mut world = World::with(1, Limits::default(), &[("a", few)]);
    let sent: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    for message in &sent {
        world.send("a/1", message);
    }
    assert_eq!(world.run(), sent);
}

#[test]
fn messages_to_oneself_queue_behind_those_that_wait() {
    let mut world = World::new();
    world.send("a/1", "1");
    world.send("a/1", "2");
    let invoked = world.invocation();
    world.answer(&invoked, reply().send("a/1", "own"));
    assert_eq!(world.invocation().messages, ["2", "own"]);
}

#[test]
fn one_sender_and_one_target_keep_their_order_across_shards_and_replies() {
    let mut world = World::with(4, Limits::default(), &[]);
    world.warm("b/9");
    world.send("a/1", "go");
    let invoked = world.invocation();
    world.answer(&invoked, reply().send("b/9", "1").send("b/8", "x").send("b/9", "2"));
    world.send("a/1", "go");
    let invoked = world.invocation_of("a/1");
    world.answer(&invoked, reply().send("b/9", "3"));
    let mut got = Vec::new();
    while let Some(invoked) = world.waiting.pop_front() {
        if invoked.target == "b/9" {
            got.extend(invoked.messages.clone());
        }
        world.answer(&invoked, reply());
    }
    assert_eq!(got, ["1", "2", "3"]);
}

#[test]
fn the_first_of_a_type_goes_ahead_until_its_states_are_known() {
    let mut world = World::new();
    for id in ["1", "2", "3"] {
        world.send(&format!("a/{id}"), "m");
    }
    world.send("b/1", "m");
    let first = world.invocation_of("a/1");
    let _ = world.invocation_of("b/1");
    world.nobody_is_invoked();
    world.ask_for(&first, vec![state("x")]);
    let first = world.invocation();
    world.nobody_is_invoked();
    world.answer(&first, reply());
    assert_eq!(world.waiting.len(), 2);
    assert!(world.waiting.iter().all(|invoked| invoked.states.len() == 1));
}

#[test]
fn a_slow_first_one_holds_up_the_others_for_a_second_only() {
    let mut world = World::new();
    world.send("a/1", "m");
    let _slow = world.invocation();
    world.send("a/2", "m");
    world.pass(999);
    world.nobody_is_invoked();
    world.pass(1);
    assert_eq!(world.invocation().target, "a/2");
}

#[test]
fn a_gate_is_open_after_any_answer() {
    let mut world = World::new();
    world.send("a/1", "m");
    world.send("a/2", "m");
    let first = world.invocation();
    world.fail(&first, FailureKind::Rejected);
    assert_eq!(world.invocation().target, "a/2");
}

#[test]
fn a_type_has_so_many_places_and_no_more() {
    let two = Some(Policy { in_flight: 2, ..policy() });
    let mut world = World::with(1, Limits::default(), &[("a", two)]);
    world.warm("a/0");
    for id in ["1", "2", "3", "4"] {
        world.send(&format!("a/{id}"), "m");
    }
    assert_eq!(world.waiting.len(), 2);
    let invoked = world.invocation_of("a/1");
    world.answer(&invoked, reply());
    assert_eq!(world.waiting.len(), 2);
    let invoked = world.invocation_of("a/2");
    world.fail(&invoked, FailureKind::Rejected);
    assert_eq!(world.waiting.len(), 2, "who waits for another try has no place");
}

#[test]
fn a_shard_has_so_many_places_and_types_take_turns() {
    let limits = Limits { invocations_in_flight: 3, ..Limits::default() };
    let mut world = World::with(1, limits, &[]);
    world.warm("a/0");
    world.warm("b/0");
    for n in 0..40 {
        world.send(&format!("a/{n}"), "m");
    }
    world.send("b/1", "m");
    let mut steps = 0;
    while let Some(invoked) = world.waiting.pop_front() {
        if invoked.target == "b/1" {
            break;
        }
        assert!(world.shards[0].figures().in_flight <= 3);
        world.answer(&invoked, reply());
        steps += 1;
    }
    assert!(steps <= 20, "b waited for {steps} of a");
}

#[test]
fn addresses_with_long_backlogs_take_turns() {
    let one = Some(Policy { batch_messages: 1, in_flight: 1, ..policy() });
    let mut world = World::with(1, Limits::default(), &[("a", one)]);
    world.warm("a/0");
    for _ in 0..3 {
        world.send("a/1", "m");
    }
    world.send("a/2", "m");
    let mut order = Vec::new();
    while let Some(invoked) = world.waiting.pop_front() {
        order.push(invoked.target.clone());
        world.answer(&invoked, reply());
    }
    assert_eq!(order, ["a/1", "a/2", "a/1", "a/1"]);
}

#[test]
fn an_answer_that_comes_too_late_changes_nothing() {
    let mut world = World::new();
    world.send("a/1", "m");
    let first = world.invocation();
    world.fail(&first, FailureKind::Rejected);
    let second = world.wait();
    world.answer(&first, reply().send("b/1", "late"));
    world.fail(&first, FailureKind::Fatal);
    world.nobody_is_invoked();
    world.answer(&second, reply().send("b/1", "in time"));
    assert_eq!(world.invocation().messages, ["in time"]);
    world.answer(&second, reply().send("b/1", "twice"));
    world.nobody_is_invoked();
}
