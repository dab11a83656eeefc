//! Messages: callers, delays, tokens, egress.

use statera_core::keys::Key;
use statera_core::{Input, Limits, Wants};
use statera_model::TypedValue;

use crate::world::{Make, World, record, reply};

#[test]
fn the_caller_is_absent_from_outside_and_the_sender_otherwise() {
    let mut world = World::with(2, Limits::default(), &[]);
    world.send("a/1", "m");
    let invoked = world.invocation();
    assert_eq!(invoked.callers, [None]);
    world.answer(&invoked, reply().send("b/2", "m").later(10, "c/3", "m"));
    assert_eq!(world.invocation().callers, [Some("a/1".to_owned())]);
    assert_eq!(world.wait().callers, [Some("a/1".to_owned())]);
    world.deliver(vec![record(&["d/1"], "m")], "1");
    assert_eq!(world.invocation().callers, [None]);
}

#[test]
fn a_delay_counts_from_when_the_reply_is_applied() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.pass(500);
    world.answer(&invoked, reply().later(100, "b/1", "later"));
    world.pass(99);
    world.nobody_is_invoked();
    world.pass(1);
    assert_eq!(world.invocation().messages, ["later"]);
}

#[test]
fn a_delay_of_zero_is_legal_and_a_negative_one_is_not() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().later(-1, "b/1", "never").send("b/1", "never"));
    world.nobody_is_invoked();
    let invoked = world.wait();
    world.answer(&invoked, reply().later(0, "b/1", "now"));
    assert_eq!(world.wait().messages, ["now"]);
}

#[test]
fn what_is_due_at_once_comes_in_the_order_of_sending() {
    let mut world = World::new();
    world.warm("b/1");
    world.send("a/1", "m");
    let invoked = world.invocation();
    let mut batch = reply();
    for n in 0..20 {
        batch = batch.later(50, "b/1", &n.to_string());
    }
    world.answer(&invoked, batch);
    world.pass(50);
    let expected: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(world.run(), expected);
}

#[test]
fn thousands_due_at_once_all_arrive() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    let mut batch = reply();
    for n in 0..2_500 {
        batch = batch.later(50, "b/1", &n.to_string());
    }
    world.answer(&invoked, batch);
    let first = world.wait();
    world.answer(&first, reply());
    let mut count = first.messages.len();
    while world.shards[0].figures().delayed + world.waiting.len() > 0 {
        let next = world.wait();
        count += next.messages.len();
        world.answer(&next, reply());
    }
    assert_eq!(count, 2_500, "{:?}", world.shards[0].figures());
}

#[test]
fn delayed_messages_survive_and_overdue_ones_come_at_once() {
    let mut world = World::with(2, Limits::default(), &[]);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().later(100, "b/1", "first").later(300, "b/1", "second"));
    world.commit();
    world.now += 200;
    world.restart(3);
    let invoked = world.invocation();
    assert_eq!(
        (&*invoked.messages, &*invoked.callers),
        (&["first".to_owned()][..], &[Some("a/1".to_owned())][..])
    );
    world.answer(&invoked, reply());
    world.pass(99);
    world.nobody_is_invoked();
    world.pass(1);
    assert_eq!(world.invocation().messages, ["second"]);
    world.commit();
    assert_eq!(world.durable_keys(|key| matches!(key, Key::Delayed(_))), []);
}

/// Shards count for themselves: what two of them sent for the same time may have the same number.
#[test]
fn delayed_messages_of_several_shards_all_survive_a_restart_with_fewer() {
    let mut world = World::with(4, Limits::default(), &[]);
    for id in 0..40 {
        world.send(&format!("a/{id}"), "m");
    }
    world.run_with(|invoked| match invoked.target.starts_with('a') {
        true => reply().cancellable("t", 100, "b/1", &invoked.target),
        false => reply(),
    });
    world.pass(0);
    while world.shards.iter().map(|shard| shard.figures().delayed).sum::<usize>() < 40 {
        let invoked = world.wait();
        let target = invoked.target.clone();
        world.answer(&invoked, reply().cancellable("t", 100, "b/1", &target));
    }
    world.commit();
    let stored = world.durable_keys(|key| matches!(key, Key::Delayed(_))).len();
    assert_eq!(stored, 40);
    world.restart(1);
    assert_eq!(world.shards[0].figures().delayed, 40);
    world.pass(2_000);
    let mut messages = world.run();
    messages.sort();
    messages.dedup();
    assert_eq!(messages.len(), 40);
}

fn after(replies: Vec<Make>) -> Vec<String> {
    let mut world = World::new();
    for reply in replies {
        world.send("a/1", "m");
        let invoked = world.invocation();
        world.answer(&invoked, reply);
    }
    world.pass(1_000);
    world.run()
}

#[test]
fn a_cancelled_message_does_not_come() {
    let send = || reply().cancellable("t", 100, "b/1", "x");
    assert_eq!(after(vec![send()]), ["x"]);
    assert_eq!(after(vec![send(), reply().cancel("t")]), [""; 0]);
    assert_eq!(after(vec![send(), reply().cancel("other")]), ["x"]);
}

#[test]
fn entries_are_applied_as_listed() {
    let send = |message: &str| reply().cancellable("t", 100, "b/1", message);
    assert_eq!(after(vec![send("x").cancel("t")]), [""; 0]);
    let again = reply().cancel("t").cancellable("t", 100, "b/1", "y");
    assert_eq!(after(vec![send("x"), again]), ["y"]);
    let twice = send("x").cancel("t").cancellable("t", 100, "b/1", "y");
    assert_eq!(after(vec![twice]), ["y"]);
}

#[test]
fn a_pending_token_may_not_be_used_again() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    let twice = reply().cancellable("t", 9, "b/1", "x").cancellable("t", 9, "b/1", "y");
    world.answer(&invoked, twice);
    world.nobody_is_invoked();
    let invoked = world.wait();
    world.answer(&invoked, reply().cancellable("t", 100, "b/1", "x"));
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().cancellable("t", 100, "b/1", "y").send("b/2", "leaked"));
    world.nobody_is_invoked();
    let invoked = world.wait();
    world.answer(&invoked, reply());
    assert_eq!(world.wait().messages, ["x"]);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().cancellable("t", 100, "b/2", "z"));
    world.pass(100);
    assert_eq!(world.wait().messages, ["z"], "after delivery the token is free");
}

#[test]
fn a_cancellation_needs_a_token() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().cancel("").send("b/1", "leaked"));
    world.nobody_is_invoked();
}

#[test]
fn a_token_belongs_to_an_id_of_all_types() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().cancellable("t", 100, "b/1", "x"));
    world.send("c/2", "m");
    let other_id = world.invocation();
    world.answer(&other_id, reply().cancel("t"));
    assert_eq!(world.shards[0].figures().delayed, 1);
    world.send("d/1", "m");
    let other_type = world.invocation();
    world.answer(&other_type, reply().cancel("t"));
    assert_eq!(world.shards[0].figures().delayed, 0);
}

#[test]
fn a_token_survives_a_restart_and_so_does_a_cancellation() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    let two = reply().cancellable("t", 100, "b/1", "x").cancellable("u", 100, "b/1", "y");
    world.answer(&invoked, two);
    world.commit();
    world.restart(2);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().cancel("t"));
    world.commit();
    world.restart(1);
    world.pass(100);
    assert_eq!(world.run(), ["y"]);
}

#[test]
fn a_token_that_is_too_long_is_refused() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().cancellable(&"t".repeat(2_000), 100, "b/1", "x"));
    assert_eq!(world.shards[0].figures().delayed, 0);
}

#[test]
fn an_address_that_is_too_long_is_refused() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().send(&format!("b/{}", "x".repeat(9_000)), "m"));
    world.nobody_is_invoked();
    assert_eq!(world.wait().messages, ["m"]);
}

#[test]
fn records_leave_in_order_when_their_epoch_is_durable() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().emit("1").emit("2"));
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().emit("3"));
    assert_eq!(world.egress, []);
    world.commit();
    let texts: Vec<&str> = world.egress.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["1", "2", "3"]);
}

#[test]
fn an_egress_must_exist_and_take_the_value() {
    let bad = [
        reply().emit_to("e/unknown", TypedValue::new("v/text", b"x")),
        reply().emit_to("e/out", TypedValue::new("v/other", b"x")),
    ];
    for bad in bad {
        let mut world = World::new();
        world.send("a/1", "m");
        let invoked = world.invocation();
        world.answer(&invoked, bad.emit("good").send("b/1", "leaked"));
        world.nobody_is_invoked();
        world.commit();
        assert_eq!(world.egress, []);
    }
}

#[test]
fn a_record_of_a_source_goes_to_each_target_in_order() {
    let mut world = World::with(3, Limits::default(), &[]);
    world.warm("a/1");
    world.warm("a/2");
    let records = vec![record(&["a/1", "a/2"], "1"), record(&["a/2", "a/1"], "2")];
    world.deliver(records, "2");
    let mut got = Vec::new();
    world.run_with(|invoked| {
        let messages = invoked.messages.iter();
        got.extend(messages.map(|message| (invoked.target.clone(), message.clone())));
        reply()
    });
    got.sort();
    let expected =
        [("a/1", "1"), ("a/1", "2"), ("a/2", "1"), ("a/2", "2")].map(|(a, b)| (a.into(), b.into()));
    assert_eq!(got, expected);
    world.commit();
    let positions = world.durable_keys(|key| matches!(key, Key::Source(_)));
    assert_eq!(&positions[0].1[..], b"2");
}

/// Makes that many messages due at the same millisecond, which is `now`.
fn due_at_once(count: usize) -> World {
    let mut world = World::new();
    world.warm("b/1");
    world.send("a/1", "m");
    let invoked = world.invocation();
    let batch = (0..count).fold(reply(), |batch, n| batch.later(50, "b/1", &n.to_string()));
    world.answer(&invoked, batch);
    world.commit();
    world.now += 50;
    world
}

#[test]
fn what_comes_while_100_000_are_due_at_once_goes_between() {
    let mut world = due_at_once(100_000);
    let mut before = 100_000;
    for (n, target) in ["b/2", "c/1", "b/3"].into_iter().enumerate() {
        world.apply(0, Input::Tick);
        let left = world.shards[0].figures().delayed;
        assert!(left > 90_000 && left < before, "a tick sends some of them, and leaves {left}");
        before = left;
        world.send(target, "between");
        let invoked = world.invocation_of(target);
        assert_eq!(world.shards[0].figures().delayed, left, "nobody waits behind them");
        world.answer(&invoked, reply());
        assert_eq!(world.waiting.len(), 1, "b/1 has {n} ticks full of mail");
    }
    let (mut ticks, mut cuts) = (0, 0);
    while world.shards[0].figures().delayed > 0 {
        match world.shards[0].next_deadline() {
            Some(at) => {
                assert_eq!(at.0, world.now, "at once");
                world.apply(0, Input::Tick);
                ticks += 1;
            }
            None => {
                assert_eq!(world.shards[0].wants(), Wants::Now);
                world.commit();
                cuts += 1;
            }
        }
    }
    assert!(ticks >= 97 && (12..=13).contains(&cuts), "{ticks} ticks and {cuts} cuts");
    let expected: Vec<String> = (0..100_000).map(|n| n.to_string()).collect();
    assert_eq!(world.run(), expected);
}

#[test]
fn what_waits_for_its_time_asks_for_nothing() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    let batch = (0..1_000).fold(reply(), |batch, n| batch.later(5_000 + n, "b/1", "m"));
    world.answer(&invoked, batch);
    world.commit();
    assert_eq!(world.shards[0].wants(), Wants::Nothing);
    assert_eq!(world.shards[0].next_deadline().map(|at| at.0), Some(world.now + 5_000));
}

#[test]
fn a_delayed_message_is_written_once_and_deleted_once() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    let two = reply().cancellable("t", 50, "b/1", "cancelled").later(50, "b/1", "sent");
    world.answer(&invoked, two);
    world.commit();
    let is_delayed = |key: &Key| matches!(key, Key::Delayed(_));
    assert_eq!(
        world.delta.iter().filter(|(key, value)| is_delayed(key) && value.is_some()).count(),
        2
    );
    world.commit();
    assert_eq!(world.delta, []);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().cancel("t"));
    assert_eq!(world.shards[0].wants(), Wants::Now);
    world.commit();
    assert_eq!(
        world.delta.iter().filter(|(key, value)| is_delayed(key) && value.is_none()).count(),
        1
    );
    world.pass(50);
    world.run();
    world.commit();
    assert_eq!(
        world.delta.iter().filter(|(key, value)| is_delayed(key) && value.is_none()).count(),
        1
    );
    assert!(world.shards[0].figures().delayed_bytes < 1_000);
}
