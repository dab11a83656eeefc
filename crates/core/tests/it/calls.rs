//! Requests from outside: acknowledgements, answers, idempotency keys.

use statera_core::keys::Key;
use statera_core::{Input, Limits, OnFailure, Ticket};
use statera_model::FailureKind;
use statera_ports::Refusal;

use crate::world::{Fate, Invoked, Make, World, reply};

fn answering(invoked: &Invoked) -> Make {
    let caller = invoked.callers[0].clone().expect("a caller");
    reply().send(&caller, &format!("re {}", invoked.messages[0]))
}

#[test]
fn a_request_is_accepted_when_its_epoch_is_durable() {
    let mut world = World::new();
    let ticket = world.send("a/1", "m");
    assert_eq!(world.fates(ticket), []);
    world.commit();
    assert_eq!(world.fates(ticket), [Fate::Accepted]);
    world.commit();
    assert_eq!(world.fates(ticket), [Fate::Accepted], "once");
}

#[test]
fn a_call_is_answered_by_whoever_sends_to_its_caller() {
    let mut world = World::with(3, Limits::default(), &[]);
    let ticket = world.call("a/1", "m");
    let invoked = world.invocation();
    let caller = invoked.callers[0].clone().unwrap();
    world.answer(&invoked, reply().send("b/2", &caller));
    world.commit();
    assert_eq!(world.fates(ticket), []);
    let invoked = world.waiting.pop_front().unwrap();
    world.answer(&invoked, reply().send(&caller, "answer").send(&caller, "second answer"));
    assert_eq!(world.fates(ticket), []);
    world.commit();
    assert_eq!(world.fates(ticket), [Fate::Answered("answer".to_owned())]);
    world.commit();
    assert_eq!(world.fates(ticket).len(), 1);
    assert_eq!(world.shards.iter().map(|shard| shard.figures().calls).sum::<usize>(), 0);
}

#[test]
fn an_answer_may_be_delayed() {
    let mut world = World::new();
    let ticket = world.call("a/1", "m");
    let invoked = world.invocation();
    let caller = invoked.callers[0].clone().unwrap();
    world.answer(&invoked, reply().later(100, &caller, "late"));
    world.commit();
    world.pass(100);
    world.commit();
    assert_eq!(world.fates(ticket), [Fate::Answered("late".to_owned())]);
}

#[test]
fn a_repeated_send_counts_once() {
    let mut world = World::new();
    let first = world.send_with_key("a/1", "m", "k");
    let second = world.send_with_key("a/1", "m", "k");
    world.commit();
    assert_eq!(
        (world.fates(first), world.fates(second)),
        (&[Fate::Accepted][..], &[Fate::Accepted][..])
    );
    assert_eq!(world.run(), ["m"]);
    world.restart(2);
    world.commit();
    let third = world.send_with_key("a/1", "m", "k");
    world.commit();
    assert_eq!(world.fates(third), [Fate::Accepted]);
    assert_eq!(world.run(), ["m"], "the one whose end was not durable");
    world.send_with_key("a/1", "n", "other key");
    world.send_with_key("a/2", "n", "k");
    assert_eq!(world.run(), ["n", "n"]);
}

#[test]
fn a_repeated_call_waits_for_the_same_answer() {
    let mut world = World::new();
    let first = world.call_with_key("a/1", "m", "k");
    let second = world.call_with_key("a/1", "m", "k");
    assert_eq!(world.run_with(answering), ["m"]);
    let third = world.call_with_key("a/1", "m", "k");
    world.commit();
    for ticket in [first, second, third] {
        assert_eq!(world.fates(ticket), [Fate::Answered("re m".to_owned())]);
    }
    world.restart(3);
    let fourth = world.call_with_key("a/1", "m", "k");
    world.commit();
    assert_eq!(world.fates(fourth), [Fate::Answered("re m".to_owned())]);
    world.nobody_is_invoked();
}

#[test]
fn a_call_with_a_key_is_answered_after_a_restart() {
    let mut world = World::new();
    let before = world.call_with_key("a/1", "m", "k");
    world.commit();
    world.restart(2);
    let after = world.call_with_key("a/1", "m", "k");
    assert_eq!(world.run_with(answering), ["m"]);
    world.commit();
    assert_eq!(world.fates(before), []);
    assert_eq!(world.fates(after), [Fate::Answered("re m".to_owned())]);
}

#[test]
fn an_answer_nobody_hears_is_remembered_for_the_key() {
    let mut world = World::new();
    world.call_with_key("a/1", "m", "k");
    world.commit();
    world.restart(1);
    world.run_with(answering);
    let ticket = world.call_with_key("a/1", "m", "k");
    world.commit();
    assert_eq!(world.fates(ticket), [Fate::Answered("re m".to_owned())]);
}

#[test]
fn an_answer_between_two_shards_at_the_cut_is_not_lost() {
    let mut world = World::with(2, Limits::default(), &[]);
    let (here, there) =
        (0..99).map(|n| n.to_string()).fold((None, None), |found, id| match world.owner(&id) {
            0 => (found.0.or(Some(id)), found.1),
            _ => (found.0, found.1.or(Some(id))),
        });
    let (here, there) = (here.unwrap(), there.unwrap());
    world.call_with_key(&format!("a/{here}"), "m", "k");
    let invoked = world.invocation();
    let caller = invoked.callers[0].clone().unwrap();
    world.answer(&invoked, reply().send(&format!("b/{there}"), "pass on"));
    world.commit();
    let invoked = world.invocation();
    // The call's shard cuts first; the answer is in the channel to it.
    world.held = true;
    let cut = std::sync::Arc::new(statera_core::Cut {
        epoch: statera_model::Epoch(world.epoch + 1),
        confirmed: Vec::new(),
    });
    world.apply(0, Input::Cut(cut.clone()));
    world.answer(&invoked, reply().send(&caller, "answer"));
    world.apply(1, Input::Cut(cut));
    world.held = false;
    world.settle();
    world.end_cut();
    assert_eq!(world.durable_keys(|key| matches!(key, Key::Mail { .. })).len(), 1);
    world.restart(1);
    let ticket = world.call_with_key(&format!("a/{here}"), "m", "k");
    world.commit();
    assert_eq!(world.fates(ticket), [Fate::Answered("answer".to_owned())]);
    assert_eq!(world.durable_keys(|key| matches!(key, Key::Mail { .. })), []);
}

#[test]
fn a_key_is_for_one_kind_of_request() {
    let mut world = World::new();
    world.send_with_key("a/1", "m", "k");
    let ticket = world.call_with_key("a/1", "m", "k");
    assert_eq!(world.fates(ticket), [Fate::Refused(Refusal::KeyReused { used: "send" })]);
    world.call_with_key("a/2", "m", "k");
    let ticket = world.send_with_key("a/2", "m", "k");
    assert_eq!(world.fates(ticket), [Fate::Refused(Refusal::KeyReused { used: "call" })]);
}

#[test]
fn a_key_is_forgotten_after_its_time() {
    let limits = Limits { idempotency_retention_ms: 500, ..Limits::default() };
    let mut world = World::with(1, limits, &[]);
    world.send_with_key("a/1", "m", "k");
    world.commit();
    world.run();
    world.pass(499);
    world.send_with_key("a/1", "m", "k");
    assert_eq!(world.run(), [""; 0]);
    world.pass(1);
    assert_eq!(world.shards[0].figures().idempotency_keys, 0);
    world.commit();
    assert_eq!(world.durable_keys(|key| matches!(key, Key::Dedupe { .. })), []);
    world.send_with_key("a/1", "again", "k");
    assert_eq!(world.run(), ["again"]);
}

#[test]
fn a_call_whose_key_is_forgotten_is_answered_all_the_same() {
    let limits = Limits { idempotency_retention_ms: 500, ..Limits::default() };
    let mut world = World::with(1, limits, &[]);
    let ticket = world.call_with_key("a/1", "m", "k");
    world.pass(500);
    world.run_with(answering);
    world.commit();
    assert_eq!(world.fates(ticket), [Fate::Answered("re m".to_owned())]);
    assert_eq!(world.shards[0].figures().idempotency_keys, 0);
}

#[test]
fn the_time_of_a_key_goes_on_during_downtime() {
    let limits = Limits { idempotency_retention_ms: 500, ..Limits::default() };
    let mut world = World::with(1, limits, &[]);
    world.call_with_key("a/1", "m", "k");
    world.commit();
    world.now += 500;
    world.restart(1);
    assert_eq!(world.shards[0].figures().idempotency_keys, 0);
    assert_eq!(world.shards[0].figures().calls, 0);
}

#[test]
fn who_gave_up_waiting_is_not_answered_but_the_message_stays() {
    let mut world = World::new();
    let ticket = world.call("a/1", "m");
    world.apply(0, Input::Forget(Ticket(ticket)));
    assert_eq!(world.shards[0].figures().calls, 0);
    assert_eq!(world.run_with(answering), ["m"]);
    world.commit();
    assert_eq!(world.fates(ticket), []);
    let first = world.call_with_key("a/1", "n", "k");
    world.apply(0, Input::Forget(Ticket(first)));
    let second = world.call_with_key("a/1", "n", "k");
    world.run_with(answering);
    world.commit();
    assert_eq!(world.fates(first), []);
    assert_eq!(world.fates(second), [Fate::Answered("re n".to_owned())]);
    world.apply(0, Input::Forget(Ticket(second)));
}

#[test]
fn a_given_up_call_is_remembered_for_its_key() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.call_with_key("a/1", "m", "k");
    let invoked = world.invocation();
    world.fail(&invoked, FailureKind::Fatal);
    world.commit();
    world.restart(2);
    let ticket = world.call_with_key("a/1", "m", "k");
    world.commit();
    let id = world.dead_letters()[0].0;
    assert_eq!(world.fates(ticket), [Fate::DeadLettered(id)]);
}

#[test]
fn an_answer_to_a_call_of_an_earlier_start_reaches_nobody_else() {
    let mut world = World::new();
    world.call("a/1", "old");
    world.commit();
    world.restart(1);
    let new = world.call("b/1", "new");
    let invoked = world.invocation_of("a/1");
    world.answer(&invoked, answering(&invoked));
    world.commit();
    assert_eq!(world.fates(new), []);
}

#[test]
fn nobody_can_call_what_nobody_serves() {
    let mut world = World::with(1, Limits::default(), &[("nobody", None)]);
    let ticket = world.send("nobody/1", "m");
    let Fate::Refused(Refusal::NotCovered(function)) = &world.fates(ticket)[0] else { panic!() };
    assert_eq!(function.as_str(), "t/nobody");
    world.commit();
    assert_eq!(world.fates(ticket).len(), 1);
    let ticket = world.send("call:1.2.3", "forged");
    assert!(matches!(world.fates(ticket), [Fate::Refused(Refusal::NotCovered(_))]));
}

#[test]
fn what_is_too_long_is_refused() {
    let mut world = World::new();
    let id = format!("a/{}", "x".repeat(10_000));
    let ticket = world.send(&id, "m");
    assert!(matches!(world.fates(ticket), [Fate::Refused(Refusal::TooLong { .. })]));
    let ticket = world.send_with_key("a/1", "m", &"k".repeat(2_000));
    assert!(matches!(world.fates(ticket), [Fate::Refused(Refusal::TooLong { .. })]));
    world.commit();
    assert_eq!(world.delta, []);
}
