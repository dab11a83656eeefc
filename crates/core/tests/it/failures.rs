//! Failures: repeated, isolated, given up or parked, without harm to others.

use statera_core::keys::Key;
use statera_core::values::DeadBody;
use statera_core::{Limits, OnFailure, Policy};
use statera_model::FailureKind::{Fatal, Rejected, TooLarge, Unavailable};

use crate::world::{Fate, World, policy, reply};

/// Lets everybody answer, except that a batch with a message of this name fails.
fn run_with_poison(
    world: &mut World,
    poison: &str,
    kind: statera_model::FailureKind,
) -> Vec<String> {
    let mut done = Vec::new();
    for _ in 0..10_000 {
        let Some(invoked) = world.waiting.pop_front() else {
            if world.shards[0].figures().mail == 0 {
                return done;
            }
            let invoked = world.wait();
            world.waiting.push_front(invoked);
            continue;
        };
        if invoked.messages.iter().any(|message| message == poison) {
            world.fail(&invoked, kind);
        } else {
            done.extend(invoked.messages.clone());
            world.answer(&invoked, reply());
        }
    }
    panic!("it goes on for ever");
}

fn backlog(world: &mut World, count: usize) {
    world.send("a/1", "first");
    for n in 0..count {
        world.send("a/1", &n.to_string());
    }
    let first = world.invocation();
    world.answer(&first, reply());
}

#[test]
fn the_delay_between_attempts_doubles_up_to_its_limit() {
    let mut world = World::failing(OnFailure::Retry);
    world.send("a/1", "m");
    let mut invoked = world.invocation();
    let mut delays = Vec::new();
    for _ in 0..7 {
        let failed_at = world.now;
        world.fail(&invoked, Rejected);
        world.nobody_is_invoked();
        invoked = world.wait();
        delays.push(world.now - failed_at);
    }
    assert_eq!(delays, [4, 8, 16, 32, 64, 64, 64]);
}

#[test]
fn success_forgets_what_failed_before() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.fail(&invoked, Rejected);
    let invoked = world.wait();
    world.answer(&invoked, reply());
    world.pass(10_000);
    world.send("a/1", "n");
    let invoked = world.invocation();
    assert_eq!(invoked.remaining_ms, 1_000);
    let failed_at = world.now;
    world.fail(&invoked, Rejected);
    let invoked = world.wait();
    assert_eq!((invoked.messages, world.now - failed_at), (vec!["n".to_owned()], 4));
}

#[test]
fn a_reply_that_is_refused_leaves_its_exact_request_in_the_dead_letter() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.send("a/1", "m");
    let mut invoked = world.invocation();
    for _ in 0..100 {
        world.answer(&invoked, reply().set("undeclared", "1"));
        if world.shards[0].figures().dead_letters == 1 {
            break;
        }
        invoked = world.wait();
    }
    world.commit();
    let letters = world.dead_letters();
    let DeadBody::Invocation { request, .. } = &letters[0].1.body else { panic!() };
    assert_eq!(request, "request [\"m\"]");
    assert!(letters[0].1.reason.contains("`undeclared`"), "{}", letters[0].1.reason);
}

#[test]
fn a_message_that_fails_for_its_budget_is_given_up_with_its_request() {
    let mut world = World::failing(OnFailure::DeadLetter);
    let begin = world.now;
    world.send("a/1", "m");
    assert_eq!(run_with_poison(&mut world, "m", Rejected), [""; 0]);
    assert!((1_000..1_100).contains(&(world.now - begin)));
    world.commit();
    let letters = world.dead_letters();
    assert_eq!(letters.len(), 1);
    let DeadBody::Invocation { request, .. } = &letters[0].1.body else { panic!() };
    assert_eq!(request, "request [\"m\"]");
    assert!(letters[0].1.attempts > 10);
    assert_eq!(world.shards[0].figures().dead_letters, 1);
}

#[test]
fn only_the_one_that_fails_is_given_up_and_the_others_keep_their_order() {
    for count in [1, 2, 3, 7, 64] {
        for poison in [0, count / 2, count - 1] {
            for kind in [Rejected, Fatal] {
                let mut world = World::failing(OnFailure::DeadLetter);
                backlog(&mut world, count);
                let done = run_with_poison(&mut world, &poison.to_string(), kind);
                let expected: Vec<String> =
                    (0..count).filter(|n| *n != poison).map(|n| n.to_string()).collect();
                assert_eq!(done, expected, "{poison} of {count}, {kind:?}");
                world.commit();
                assert_eq!(world.dead_letters().len(), 1);
            }
        }
    }
}

#[test]
fn a_fatal_failure_is_given_up_at_once() {
    let mut world = World::failing(OnFailure::DeadLetter);
    let begin = world.now;
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.fail(&invoked, Fatal);
    assert_eq!((world.shards[0].figures().dead_letters, world.now), (1, begin));
}

#[test]
fn a_batch_that_is_too_large_is_split_at_once() {
    let mut world = World::failing(OnFailure::Pause);
    let begin = world.now;
    backlog(&mut world, 16);
    let mut done = Vec::new();
    while let Some(invoked) = world.waiting.pop_front() {
        if invoked.messages.len() > 3 {
            world.fail(&invoked, TooLarge);
        } else {
            done.extend(invoked.messages.clone());
            world.answer(&invoked, reply());
        }
    }
    let expected: Vec<String> = (0..16).map(|n| n.to_string()).collect();
    assert_eq!((done, world.now), (expected, begin));
}

#[test]
fn a_single_message_that_is_too_large_is_given_up() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.fail(&invoked, TooLarge);
    assert_eq!(world.shards[0].figures().dead_letters, 1);
}

/// One attempt says little: it may have hit a restart of the endpoint.
#[test]
fn an_innocent_message_is_not_given_up_for_one_failure_while_the_guilty_one_is_sought() {
    for kind in [Unavailable, Rejected] {
        let mut world = World::failing(OnFailure::DeadLetter);
        backlog(&mut world, 4);
        let mut flaky = true;
        let mut done = Vec::new();
        while world.shards[0].figures().mail > 0 {
            let invoked = world.wait();
            if invoked.messages.iter().any(|message| message == "3") {
                world.fail(&invoked, Rejected);
            } else if std::mem::take(&mut flaky) {
                world.fail(&invoked, kind);
            } else {
                flaky = invoked.messages.len() > 1;
                done.extend(invoked.messages.clone());
                world.answer(&invoked, reply());
            }
        }
        assert_eq!(done, ["0", "1", "2"]);
        assert_eq!(world.shards[0].figures().dead_letters, 1);
    }
}

#[test]
fn nobody_is_given_up_during_an_outage() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.warm("a/0");
    for id in ["1", "2", "3"] {
        world.send(&format!("a/{id}"), id);
    }
    let end = world.now + 20_000;
    while world.now < end {
        let invoked = world.wait();
        world.fail(&invoked, Unavailable);
    }
    assert_eq!(world.shards[0].figures().dead_letters, 0);
    let mut done = Vec::new();
    while world.shards[0].figures().mail > 0 {
        let invoked = world.wait();
        done.extend(invoked.messages.clone());
        world.answer(&invoked, reply());
    }
    done.sort();
    assert_eq!(done, ["1", "2", "3"]);
}

/// An answer that was under way when the outage began does not show that the endpoint lives.
#[test]
fn an_answer_at_the_beginning_of_an_outage_changes_nothing() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.warm("a/0");
    world.send("a/1", "m");
    world.send("a/2", "n");
    let (one, two) = (world.invocation_of("a/1"), world.invocation_of("a/2"));
    world.fail(&one, Unavailable);
    world.answer(&two, reply());
    let end = world.now + 20_000;
    while world.now < end {
        let invoked = world.wait();
        world.fail(&invoked, Unavailable);
    }
    assert_eq!(world.shards[0].figures().dead_letters, 0);
}

/// One answer is one sign of life, also if it comes in the same millisecond as a failure.
#[test]
fn late_answers_at_the_time_of_failures_do_not_speak_against_a_message() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.warm("a/0");
    for id in ["1", "2", "3"] {
        world.send(&format!("a/{id}"), "m");
    }
    let [one, two, three] = ["a/1", "a/2", "a/3"].map(|address| world.invocation_of(address));
    world.answer(&two, reply());
    world.fail(&one, Unavailable);
    let again = world.wait();
    assert_eq!(again.target, "a/1");
    world.fail(&again, Unavailable);
    world.answer(&three, reply());
    let end = world.now + 20_000;
    while world.now < end {
        let invoked = world.wait();
        world.fail(&invoked, Unavailable);
    }
    assert_eq!(world.shards[0].figures().dead_letters, 0);
}

#[test]
fn who_alone_gets_no_answer_while_others_do_is_given_up() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.warm("a/0");
    world.send("a/1", "killer");
    let end = world.now + 5_000;
    while world.now < end && world.shards[0].figures().dead_letters == 0 {
        let invoked = world.wait();
        if invoked.target == "a/1" {
            world.fail(&invoked, Unavailable);
            world.send("a/2", "m");
        } else {
            world.answer(&invoked, reply());
        }
    }
    assert_eq!(world.shards[0].figures().dead_letters, 1);
}

#[test]
fn an_endpoint_that_does_not_answer_is_tried_by_one_at_a_time() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.warm("a/0");
    for n in 0..20 {
        world.send(&format!("a/{n}"), "m");
    }
    let invocations: Vec<_> = world.waiting.drain(..).collect();
    assert_eq!(invocations.len(), 20);
    let begin = world.now;
    for invoked in &invocations {
        world.fail(invoked, Unavailable);
    }
    world.nobody_is_invoked();
    let probe = world.wait();
    assert!(world.now - begin <= 8, "many failures at once count as one: {}", world.now - begin);
    world.nobody_is_invoked();
    world.fail(&probe, Unavailable);
    world.nobody_is_invoked();
    let probe = world.wait();
    world.nobody_is_invoked();
    world.answer(&probe, reply());
    world.pass(100);
    assert_eq!(world.waiting.len(), 19, "when it answers, everybody goes on");
}

#[test]
fn probes_become_rarer_up_to_the_limit() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.send("a/1", "m");
    let mut invoked = world.invocation();
    let mut delays = Vec::new();
    for _ in 0..8 {
        let failed_at = world.now;
        world.fail(&invoked, Unavailable);
        invoked = world.wait();
        delays.push(world.now - failed_at);
    }
    assert!(delays.is_sorted(), "{delays:?}");
    assert_eq!(delays[7], 64);
}

#[test]
fn one_lost_connection_does_not_close_the_gate() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.warm("a/0");
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.fail(&invoked, Unavailable);
    world.send("a/2", "m");
    assert_eq!(world.invocation().target, "a/2");
}

#[test]
fn a_dead_endpoint_does_not_hold_up_other_types() {
    let few = Some(Policy { in_flight: 2, ..policy() });
    let limits = Limits { invocations_in_flight: 4, ..Limits::default() };
    let mut world = World::with(1, limits, &[("a", few)]);
    world.warm("a/0");
    world.warm("b/0");
    for n in 0..50 {
        world.send(&format!("a/{n}"), "m");
    }
    assert_eq!(world.waiting.len(), 2, "they hang");
    for n in 0..10 {
        world.send(&format!("b/{n}"), "m");
        let invoked = world.invocation_of(&format!("b/{n}"));
        world.answer(&invoked, reply());
    }
}

#[test]
fn a_policy_of_retry_never_gives_up() {
    let mut world = World::failing(OnFailure::Retry);
    world.send("a/1", "m");
    for kind in [Rejected, Fatal, TooLarge, Unavailable].repeat(20) {
        let invoked = world.wait();
        assert_eq!(invoked.messages, ["m"]);
        world.fail(&invoked, kind);
        world.pass(100);
    }
    assert_eq!(world.shards[0].figures().mail, 1);
}

#[test]
fn a_policy_of_pause_parks_the_address_with_its_mail() {
    let mut world = World::failing(OnFailure::Pause);
    backlog(&mut world, 3);
    let invoked = world.invocation();
    assert_eq!(invoked.messages, ["0", "1", "2"]);
    world.fail(&invoked, Fatal);
    world.send("a/1", "3");
    world.send("a/2", "other");
    assert_eq!(world.invocation().target, "a/2");
    assert_eq!(world.shards[0].figures().paused, 1);
    world.commit();
    world.restart(1);
    world.waiting.retain(|invoked| invoked.target != "a/2");
    world.pass(10_000);
    world.nobody_is_invoked();
    assert_eq!((world.shards[0].figures().paused, world.shards[0].figures().mail), (1, 5));
}

#[test]
fn mail_for_functions_that_nobody_serves_goes_to_the_dead_letters() {
    let mut world = World::with(1, Limits::default(), &[("nobody", None)]);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().send("nobody/1", "x").send("nobody/1", "y").send("b/1", "z"));
    assert_eq!(world.invocation().messages, ["z"]);
    world.commit();
    let letters = world.dead_letters();
    assert_eq!(letters.len(), 2);
    let DeadBody::Message { target, mail } = &letters[0].1.body else { panic!() };
    assert_eq!(
        (target.to_string(), crate::world::read(&mail.argument)),
        ("t/nobody/1".into(), "x".into())
    );
    assert_eq!(world.durable_keys(|key| matches!(key, Key::Mail { .. })).len(), 1);
}

#[test]
fn the_budget_that_remains_is_told() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.send("a/1", "m");
    let invoked = world.invocation();
    assert_eq!(invoked.remaining_ms, 1_000);
    world.pass(300);
    world.fail(&invoked, Rejected);
    let again = world.wait();
    assert!(again.remaining_ms < 1_000);
}

#[test]
fn a_caller_hears_that_its_message_was_given_up() {
    let mut world = World::failing(OnFailure::DeadLetter);
    let ticket = world.call("a/1", "m");
    let invoked = world.invocation();
    world.fail(&invoked, Fatal);
    assert_eq!(world.fates(ticket), []);
    world.commit();
    let id = world.dead_letters()[0].0;
    assert_eq!(world.fates(ticket), [Fate::DeadLettered(id)]);
}
