//! State: how it is declared, changed, forgotten, and brought back.

use statera_core::OnFailure;
use statera_core::keys::Key;
use statera_core::values::DeadBody;
use statera_model::{Expiration, StateSpec, TypedValue, UNSET_TYPENAME};

use crate::world::{World, expiring, reply, state, text};

const AFTER_WRITE: Expiration = Expiration::AfterWrite { ttl_ms: 100 };
const AFTER_INVOKE: Expiration = Expiration::AfterInvoke { ttl_ms: 100 };

#[test]
fn the_same_messages_are_sent_again_with_the_declared_states() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    assert_eq!((invoked.messages.len(), invoked.states.len()), (1, 0));
    world.ask_for(&invoked, vec![state("x"), state("y")]);
    let again = world.invocation();
    assert_eq!(again.messages, ["m"]);
    assert_eq!(again.states, [("x".to_owned(), None), ("y".to_owned(), None)]);
}

#[test]
fn states_may_be_declared_one_after_the_other() {
    let mut world = World::new();
    world.send("a/1", "m");
    for name in ["x", "y", "z"] {
        let invoked = world.invocation();
        world.ask_for(&invoked, vec![state(name)]);
    }
    let invoked = world.invocation();
    assert_eq!(invoked.states.len(), 3);
    world.answer(&invoked, reply().set("z", "1"));
    world.send("a/1", "n");
    assert_eq!(world.invocation().state("z"), Some("1"));
}

#[test]
fn states_are_shared_by_all_instances_of_a_type_and_by_no_other() {
    let mut world = World::new();
    world.declare("a/1", vec![state("x")]);
    world.send("a/2", "m");
    assert_eq!(world.invocation().states.len(), 1);
    world.send("b/1", "m");
    assert_eq!(world.invocation().states.len(), 0);
}

#[test]
fn a_function_that_asks_for_what_it_was_sent_fails() {
    let mut world = World::new();
    world.declare("a/1", vec![state("x")]);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.ask_for(&invoked, vec![state("x")]);
    world.nobody_is_invoked();
    let again = world.wait();
    world.ask_for(&again, Vec::new());
    world.nobody_is_invoked();
    assert_eq!(world.wait().messages, ["m"]);
}

#[test]
fn what_another_instance_declared_meanwhile_is_progress() {
    let mut world = World::new();
    world.warm("a/0");
    world.send("a/1", "m");
    world.send("a/2", "n");
    let (one, two) = (world.invocation_of("a/1"), world.invocation_of("a/2"));
    world.ask_for(&one, vec![state("x")]);
    world.ask_for(&two, vec![state("x")]);
    assert_eq!(world.invocation_of("a/2").states.len(), 1);
}

#[test]
fn a_state_keeps_its_type_and_its_first_expiration() {
    let mut world = World::new();
    world.declare("a/1", vec![state("x")]);
    world.warm("a/2");
    world.send("a/1", "m");
    let invoked = world.invocation();
    let typename = "v/other".into();
    world.ask_for(&invoked, vec![StateSpec { typename, ..state("x") }]);
    world.nobody_is_invoked();
    let invoked = world.wait();
    world.ask_for(&invoked, vec![expiring("x", AFTER_WRITE), state("y")]);
    let invoked = world.invocation();
    world.answer(&invoked, reply().set("x", "1"));
    world.pass(1_000);
    world.send("a/1", "n");
    assert_eq!(world.invocation().state("x"), Some("1"), "it does not expire");
}

#[test]
fn an_expiration_must_be_positive() {
    let mut world = World::new();
    world.send("a/1", "m");
    for ttl_ms in [0, -1] {
        let invoked = world.wait();
        world.ask_for(&invoked, vec![expiring("x", Expiration::AfterWrite { ttl_ms })]);
        world.nobody_is_invoked();
        let invoked = world.wait();
        world.ask_for(&invoked, vec![expiring("x", Expiration::AfterInvoke { ttl_ms })]);
        world.nobody_is_invoked();
    }
}

#[test]
fn the_next_invocation_sees_what_the_one_before_left() {
    let mut world = World::new();
    world.declare("a/1", vec![state("x")]);
    for (before, after) in [(None, "1"), (Some("1"), "2"), (Some("2"), "3")] {
        world.send("a/1", "m");
        let invoked = world.invocation();
        assert_eq!(invoked.state("x"), before);
        world.answer(&invoked, reply().set("x", after));
    }
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().set("x", "4").delete("x"));
    world.send("a/1", "m");
    assert_eq!(world.invocation().state("x"), None);
}

#[test]
fn has_value_does_not_matter_when_a_state_is_set_and_is_set_when_it_is_sent() {
    let mut world = World::new();
    world.declare("a/1", vec![state("x")]);
    world.send("a/1", "m");
    let invoked = world.invocation();
    let without = TypedValue::from_encoded((&b"\x0a\x06v/text\x1a\x01z"[..]).into()).unwrap();
    assert!(!without.has_value());
    world.answer(&invoked, reply().set_value("x", without));
    world.send("a/1", "m");
    let invoked = world.invocation();
    let id = invoked.id;
    let sent = world.shards[0].invocation(id).unwrap().states().next().unwrap().1.cloned();
    assert_eq!(sent, Some(text("z")));
}

#[test]
fn an_empty_value_is_a_value() {
    let mut world = World::new();
    world.declare("a/1", vec![state("x")]);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().set("x", ""));
    world.commit();
    world.restart(1);
    world.declare("a/1", vec![state("x")]);
    world.send("a/1", "m");
    assert_eq!(world.invocation().state("x"), Some(""));
}

#[test]
fn no_typename_counts_as_the_unset_one() {
    let mut world = World::new();
    let spec = StateSpec { typename: UNSET_TYPENAME.into(), ..state("x") };
    world.declare("a/1", vec![spec]);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().set_value("x", TypedValue::new("", b"1")));
    world.send("a/1", "m");
    assert_eq!(world.invocation().state("x"), Some("1"));
}

#[test]
fn changes_that_are_not_allowed_are_refused_with_the_whole_reply() {
    let refused = [
        reply().set("undeclared", "1"),
        reply().delete("undeclared"),
        reply().set_value("x", TypedValue::new("v/other", b"1")),
    ];
    for bad in refused {
        let mut world = World::new();
        world.declare("a/1", vec![state("x")]);
        world.send("a/1", "m");
        let invoked = world.invocation();
        world.answer(&invoked, bad.set("x", "2").send("b/1", "leaked").emit("leaked"));
        world.nobody_is_invoked();
        let again = world.wait();
        assert_eq!((again.target.as_str(), again.state("x")), ("a/1", None));
        world.commit();
        assert_eq!(world.egress, []);
    }
}

/// A state that another instance has declared since is known to the type, but this invocation was not sent it.
#[test]
fn a_change_of_a_state_that_was_not_sent_is_refused() {
    let mut world = World::new();
    world.warm("a/0");
    world.send("a/1", "m");
    world.send("a/2", "n");
    let (one, two) = (world.invocation_of("a/1"), world.invocation_of("a/2"));
    world.ask_for(&two, vec![state("x")]);
    world.answer(&one, reply().set("x", "1").emit("leaked"));
    world.waiting.clear();
    assert_eq!(world.wait().messages, ["m"]);
    world.commit();
    assert_eq!(world.egress, []);
}

#[test]
fn a_value_written_last_expires_unless_it_is_written_again() {
    let mut world = World::new();
    world.declare("a/1", vec![expiring("x", AFTER_WRITE)]);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().set("x", "1"));
    world.pass(99);
    world.send("a/1", "m");
    let invoked = world.invocation();
    assert_eq!(invoked.state("x"), Some("1"), "not yet");
    world.answer(&invoked, reply());
    world.pass(1);
    world.send("a/1", "m");
    let invoked = world.invocation();
    assert_eq!(invoked.state("x"), None, "expiry is inclusive, and sending does not count");
    world.answer(&invoked, reply().set("x", "2"));
    world.pass(99);
    world.send("a/1", "m");
    assert_eq!(world.invocation().state("x"), Some("2"), "writing counts");
}

#[test]
fn a_value_used_last_lives_on_with_every_invocation() {
    let mut world = World::new();
    world.declare("a/1", vec![expiring("x", AFTER_INVOKE)]);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().set("x", "1"));
    for _ in 0..3 {
        world.pass(99);
        world.send("a/1", "m");
        let invoked = world.invocation();
        assert_eq!(invoked.state("x"), Some("1"));
        world.answer(&invoked, reply());
    }
    world.pass(100);
    world.send("a/1", "m");
    assert_eq!(world.invocation().state("x"), None);
}

#[test]
fn a_repeated_attempt_counts_as_use() {
    let mut world = World::new();
    world.declare("a/1", vec![expiring("x", AFTER_INVOKE)]);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().set("x", "1"));
    world.pass(90);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.pass(50);
    world.ask_for(&invoked, vec![state("y")]);
    assert_eq!(world.invocation().state("x"), Some("1"));
}

#[test]
fn downtime_counts_and_the_new_duration_holds_for_old_values() {
    for (downtime, ttl_ms, expected) in
        [(99, 100, Some("1")), (100, 100, None), (150, 200, Some("1")), (60, 50, None)]
    {
        let mut world = World::new();
        world.declare("a/1", vec![expiring("x", AFTER_WRITE)]);
        world.send("a/1", "m");
        let invoked = world.invocation();
        world.answer(&invoked, reply().set("x", "1"));
        world.commit();
        world.pass(downtime);
        world.restart(1);
        world.send("a/1", "m");
        let invoked = world.invocation();
        world.ask_for(&invoked, vec![expiring("x", Expiration::AfterWrite { ttl_ms })]);
        assert_eq!(world.invocation().state("x"), expected, "{downtime} {ttl_ms}");
    }
}

/// It has no time of last access: the clock starts when that is noticed.
#[test]
fn a_value_that_never_expired_does_not_vanish_at_once_when_it_begins_to() {
    let mut world = World::new();
    world.declare("a/1", vec![state("x")]);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().set("x", "1"));
    world.commit();
    world.restart(1);
    for (pass, expected) in [(0, Some("1")), (99, Some("1")), (1, None)] {
        world.pass(pass);
        world.send("a/1", "m");
        let mut invoked = world.invocation();
        if invoked.states.is_empty() {
            world.ask_for(&invoked, vec![expiring("x", AFTER_WRITE)]);
            invoked = world.invocation();
        }
        assert_eq!(invoked.state("x"), expected);
        world.answer(&invoked, reply());
    }
}

#[test]
fn an_expired_value_is_deleted_from_the_store() {
    let mut world = World::new();
    world.declare("a/1", vec![expiring("x", AFTER_WRITE)]);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().set("x", "1"));
    world.commit();
    world.pass(100);
    world.send("a/1", "m");
    world.run();
    world.commit();
    assert_eq!(world.durable_keys(|key| matches!(key, Key::State { .. })), []);
}

#[test]
fn a_stored_value_of_another_type_is_not_sent_however_often_it_is_tried() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.declare("a/1", vec![state("x")]);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().set("x", "1"));
    world.commit();
    world.restart(1);
    let other = || StateSpec { typename: "v/other".into(), ..state("x") };
    world.send("a/1", "n");
    let invoked = world.invocation();
    world.ask_for(&invoked, vec![other()]);
    world.pass(5_000);
    world.nobody_is_invoked();
    world.commit();
    let letters = world.dead_letters();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].1.reason.contains("holds a value of type `v/text`"));
    assert!(matches!(letters[0].1.body, DeadBody::Message { .. }));
    world.send("a/2", "m");
    assert_eq!(world.invocation().state("x"), None, "others are served");
}

#[test]
fn states_survive_a_restart_with_their_addresses() {
    let mut world = World::new();
    world.declare("a/1", vec![state("x"), state("y")]);
    for id in ["1", "2", "3"] {
        world.send(&format!("a/{id}"), "m");
        world.run_with(|_| reply().set("x", id).set("y", "y"));
    }
    world.commit();
    for shards in [3, 2, 1] {
        world.restart(shards);
        for id in ["1", "2", "3"] {
            let target = format!("a/{id}");
            world.send(&target, "m");
            let mut invoked = world.wait();
            if invoked.states.is_empty() {
                world.ask_for(&invoked, vec![state("x"), state("y")]);
                invoked = world.invocation();
            }
            assert_eq!(invoked.state("x"), Some(id));
            world.answer(&invoked, reply());
        }
    }
}
