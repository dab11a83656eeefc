//! What changes while a shard runs: who serves functions, and where records leave.

use statera_core::{Input, Limits, OnFailure, Policy};
use statera_model::FailureKind::{Rejected, Unavailable};
use statera_ports::Refusal;

use crate::world::{Fate, World, at, policy, reply, text};

const OUT: &[&str] = &["e/out"];

fn serve(world: &mut World, function: &str, policy: Option<Policy>) {
    world.policies.insert(function.to_owned(), policy);
}

#[test]
fn a_type_that_nobody_served_is_served_after_a_reload() {
    let mut world = World::with(2, Limits::default(), &[("a", None)]);
    let refused = world.send("a/1", "early");
    let uncovered = Fate::Refused(Refusal::NotCovered(at("a/1").function));
    assert_eq!(world.fates(refused), [uncovered]);
    serve(&mut world, "a", Some(policy()));
    world.reload(OUT);
    let accepted = world.send("a/1", "late");
    assert_eq!(world.run(), ["late"]);
    world.commit();
    assert_eq!(world.fates(accepted), [Fate::Accepted]);
}

#[test]
fn a_shard_that_is_behind_lets_messages_for_a_new_type_wait() {
    let mut world = World::with(2, Limits::default(), &[("b", None)]);
    let ids: Vec<String> = (0..64).map(|id| id.to_string()).collect();
    let id_of = |world: &World, shard| ids.iter().find(|id| world.owner(id) == shard).unwrap();
    let (first, second) = (id_of(&world, 0).clone(), id_of(&world, 1).clone());
    serve(&mut world, "b", Some(policy()));
    for shard in 0..2 {
        world.apply(shard, Input::AwaitReload);
    }
    world.reload_shard(0, OUT);
    world.send(&format!("a/{first}"), "x");
    let invoked = world.invocation();
    world.answer(&invoked, reply().send(&format!("b/{second}"), "early"));
    world.nobody_is_invoked();
    world.reload_shard(1, OUT);
    assert_eq!(world.run(), ["early"]);
    world.commit();
    assert!(world.dead_letters().is_empty());
}

#[test]
fn what_waits_for_a_type_that_is_gone_becomes_dead_letters() {
    let mut world = World::new();
    world.warm("a/0");
    let call = world.call("a/1", "in flight");
    world.send("a/1", "behind it");
    let invoked = world.invocation();
    serve(&mut world, "a", None);
    world.reload(OUT);
    // What is in flight has its effect.
    world.answer(&invoked, reply());
    world.nobody_is_invoked();
    world.commit();
    let letters = world.dead_letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(world.fates(call), []);
    let again = world.send("a/1", "later");
    assert!(matches!(world.fates(again), [Fate::Refused(Refusal::NotCovered(_))]));
}

#[test]
fn an_invocation_that_fails_when_its_type_is_gone_is_given_up() {
    for kind in [Unavailable, Rejected] {
        let mut world = World::failing(OnFailure::Retry);
        world.warm("a/0");
        let call = world.call("a/1", "in flight");
        let invoked = world.invocation();
        serve(&mut world, "a", None);
        world.reload(OUT);
        world.fail(&invoked, kind);
        world.nobody_is_invoked();
        world.commit();
        assert_eq!(world.fates(call), [Fate::DeadLettered(world.dead_letters()[0].0)]);
    }
}

#[test]
fn what_backs_off_is_given_up_when_its_type_is_gone() {
    let mut world = World::failing(OnFailure::Retry);
    world.warm("a/0");
    world.send("a/1", "fails");
    let invoked = world.invocation();
    world.fail(&invoked, Rejected);
    serve(&mut world, "a", None);
    world.reload(OUT);
    world.pass(1_000);
    world.nobody_is_invoked();
    world.commit();
    assert_eq!(world.dead_letters().len(), 1);
}

#[test]
fn an_address_that_is_paused_stays_so_when_its_type_goes_and_comes_back() {
    let mut world = World::new();
    world.warm("a/0");
    world.send("a/1", "in flight");
    let invoked = world.invocation();
    let reason = "wait".into();
    world.operator(0, |ticket| Input::Pause { ticket, address: at("a/1"), reason });
    world.send("a/1", "behind it");
    serve(&mut world, "a", None);
    world.reload(OUT);
    world.answer(&invoked, reply());
    serve(&mut world, "a", Some(policy()));
    world.reload(OUT);
    world.nobody_is_invoked();
    assert_eq!(world.shards[0].figures().paused, 1);
    world.operator(0, |ticket| Input::Resume { ticket, address: at("a/1") });
    assert_eq!(world.run(), ["behind it"]);
}

#[test]
fn a_new_limit_counts_for_what_begins_after_it() {
    let mut world = World::with(1, Limits::default(), &[("a", Some(policy()))]);
    world.warm("a/0");
    world.send("a/1", "x");
    world.send("a/2", "x");
    serve(&mut world, "a", Some(Policy { in_flight: 1, ..policy() }));
    world.reload(OUT);
    world.send("a/3", "x");
    assert_eq!(world.waiting.len(), 2);
    for target in ["a/1", "a/2"] {
        let invoked = world.invocation_of(target);
        world.answer(&invoked, reply());
    }
    assert_eq!(world.run(), ["x"]);
}

#[test]
fn who_did_not_answer_is_tried_at_once_after_a_reload() {
    let mut world = World::failing(OnFailure::Retry);
    world.warm("a/0");
    for id in ["a/1", "a/2", "a/3"] {
        world.send(id, "x");
    }
    for id in ["a/1", "a/2", "a/3"] {
        let invoked = world.invocation_of(id);
        world.fail(&invoked, Unavailable);
    }
    world.send("a/4", "x");
    world.nobody_is_invoked();
    world.reload(OUT);
    assert_eq!(world.invocation().target, "a/4");
}

#[test]
fn records_leave_where_the_reload_says() {
    let mut world = World::new();
    world.reload(&["e/out", "e/new"]);
    world.send("a/1", "x");
    let invoked = world.invocation();
    world.answer(&invoked, reply().emit_to("e/new", text("record")));
    world.commit();
    assert_eq!(world.egress, [("e/new".to_owned(), "record".to_owned())]);
    world.reload(&["e/out"]);
    world.send("a/1", "y");
    let invoked = world.invocation();
    world.answer(&invoked, reply().emit_to("e/new", text("record")));
    world.commit();
    assert_eq!(world.egress.len(), 1);
}
