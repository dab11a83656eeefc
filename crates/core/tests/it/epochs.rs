//! Epochs: what a delta holds, what is released with it, and what a restart finds.

use statera_core::keys::Key;
use statera_core::{Input, Limits, Wants};
use statera_model::{EgressId, Epoch};
use statera_ports::SinkPosition;

use crate::world::{World, record, reply, state};

fn ids_of_both_shards(world: &World) -> (String, String) {
    let owned = |shard| (0..).map(|n| n.to_string()).find(|id| world.owner(id) == shard).unwrap();
    (owned(0), owned(1))
}

#[test]
fn a_value_that_changes_often_appears_once() {
    let mut world = World::new();
    world.declare("a/1", vec![state("x"), state("y")]);
    for n in 0..50 {
        world.send("a/1", "m");
        world.run_with(|_| reply().set("x", &n.to_string()));
    }
    world.commit();
    assert_eq!(world.delta.len(), 1, "{:?}", world.delta);
    assert!(matches!(&world.delta[0].0, Key::State { name, .. } if &**name == "x"));
}

#[test]
fn a_message_sent_and_consumed_within_an_epoch_does_not_appear() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.answer(
        &invoked,
        reply().send("b/1", "m").later(0, "c/1", "m").cancellable("t", 9, "d/1", "m").cancel("t"),
    );
    world.pass(0);
    world.run();
    world.commit();
    assert_eq!(world.delta, []);
}

#[test]
fn a_message_that_outlives_a_cut_is_written_once_and_deleted_once() {
    let mut world = World::new();
    world.send("a/1", "m");
    let is_mail = |key: &Key| matches!(key, Key::Mail { .. });
    world.commit();
    assert!(world.delta.len() == 1 && is_mail(&world.delta[0].0) && world.delta[0].1.is_some());
    world.commit();
    assert_eq!(world.delta, []);
    world.run();
    world.commit();
    assert!(world.delta.len() == 1 && is_mail(&world.delta[0].0) && world.delta[0].1.is_none());
    assert_eq!(world.durable.len(), 0);
}

#[test]
fn at_rest_nobody_wants_a_cut() {
    let mut world = World::new();
    assert_eq!(world.shards[0].wants(), Wants::Nothing);
    world.send("a/1", "m");
    assert_eq!(world.shards[0].wants(), Wants::Now, "somebody waits for it");
    world.commit();
    assert_eq!(world.shards[0].wants(), Wants::Nothing);
    world.run();
    assert_eq!(world.shards[0].wants(), Wants::Soon);
    world.commit();
    assert_eq!(world.shards[0].wants(), Wants::Nothing);
    assert_eq!(world.shards[0].next_deadline(), None);
}

#[test]
fn an_invocation_in_flight_at_the_cut_is_sent_again_after_a_restart() {
    let mut world = World::new();
    world.declare("a/1", vec![state("x")]);
    world.send("a/1", "m");
    let before = world.invocation();
    world.commit();
    world.answer(&before, reply().set("x", "lost").send("b/1", "lost").emit("lost"));
    world.restart(2);
    let again = world.invocation();
    assert_eq!((&*again.target, &*again.messages), ("a/1", &["m".to_owned()][..]));
    world.commit();
    assert_eq!(world.egress, []);
}

#[test]
fn a_backlog_keeps_its_order_across_restarts_with_other_numbers_of_shards() {
    let mut world = World::with(3, Limits::default(), &[]);
    let sent: Vec<String> = (0..30).map(|n| n.to_string()).collect();
    for (n, message) in sent.iter().enumerate() {
        world.send("a/1", message);
        if n % 7 == 0 {
            world.commit();
            world.restart([1, 4, 2, 3][n % 4]);
        }
    }
    assert_eq!(world.run(), sent);
    world.commit();
    world.restart(1);
    world.nobody_is_invoked();
    assert_eq!(world.durable.len(), 0);
}

#[test]
fn what_is_in_a_channel_at_the_cut_belongs_to_it() {
    let mut world = World::with(2, Limits::default(), &[]);
    let (here, there) = ids_of_both_shards(&world);
    world.warm(&format!("b/{there}"));
    world.send(&format!("a/{here}"), "m");
    world.commit();
    let invoked = world.invocation();
    world.held = true;
    // The receiver cuts first, the sender sends before its own cut.
    let cut =
        std::sync::Arc::new(statera_core::Cut { epoch: Epoch(world.epoch + 1), confirmed: vec![] });
    world.apply(1, Input::Cut(cut.clone()));
    world.answer(&invoked, reply().send(&format!("b/{there}"), "in the channel"));
    world.apply(0, Input::Cut(cut));
    world.held = false;
    world.settle();
    // It is consumed before the part is even durable.
    assert_eq!(world.run(), ["in the channel"]);
    world.end_cut();
    let mail = |world: &World| world.durable_keys(|key| matches!(key, Key::Mail { .. })).len();
    assert_eq!(mail(&world), 1);
    let durable = world.durable.clone();
    world.commit();
    assert_eq!(mail(&world), 0, "its end belongs to the epoch after");
    world.durable = durable;
    world.restart(1);
    assert_eq!(world.run(), ["in the channel"]);
}

#[test]
fn what_is_sent_after_a_cut_arrives_in_the_epoch_after() {
    let mut world = World::with(2, Limits::default(), &[]);
    let (here, there) = ids_of_both_shards(&world);
    world.send(&format!("a/{here}"), "m");
    world.commit();
    let invoked = world.invocation();
    world.held = true;
    let cut =
        std::sync::Arc::new(statera_core::Cut { epoch: Epoch(world.epoch + 1), confirmed: vec![] });
    world.apply(0, Input::Cut(cut.clone()));
    world.answer(&invoked, reply().send(&format!("b/{there}"), "after"));
    world.held = false;
    // The marker overtakes the coordinator's word.
    world.settle();
    world.apply(1, Input::Cut(cut));
    world.end_cut();
    let mail = world.durable_keys(|key| matches!(key, Key::Mail { .. }));
    assert_eq!(mail.len(), 1, "the message that was in flight: {mail:?}");
    world.restart(2);
    assert_eq!(world.invocation().messages, ["m"]);
}

#[test]
fn records_are_kept_until_the_sink_confirms_and_then_forgotten_in_one_epoch() {
    let mut world = World::with(2, Limits::default(), &[]);
    for id in 0..6 {
        world.send(&format!("a/{id}"), "m");
    }
    world.pass(2_000);
    world.run_with(|invoked| reply().emit(&invoked.target));
    world.commit();
    let outbox = |world: &World| world.durable_keys(|key| matches!(key, Key::Outbox { .. })).len();
    assert_eq!(outbox(&world), 6);
    world.restart(3);
    assert_eq!(world.shards.iter().map(|shard| shard.figures().outbox).sum::<usize>(), 6);
    world.send("a/1", "m");
    world.run_with(|_| reply().emit("new"));
    world.commit();
    assert_eq!(outbox(&world), 7);
    let position = SinkPosition { epoch: Epoch(1), position: "17".into() };
    world.commit_with(vec![(EgressId::parse("e/out").unwrap(), position)]);
    assert_eq!(outbox(&world), 1, "the one of the later epoch");
    let sinks = world.durable_keys(|key| matches!(key, Key::Sink(_)));
    let stored = statera_core::values::decode_sink_position(sinks[0].1.clone()).unwrap();
    assert_eq!((sinks.len(), stored.epoch, &stored.position[..]), (1, Epoch(1), &b"17"[..]));
}

#[test]
fn a_position_and_what_was_read_up_to_it_are_durable_together() {
    let mut world = World::with(2, Limits::default(), &[]);
    world.deliver(vec![record(&["a/1", "a/2", "a/3"], "m")], "1");
    world.deliver(vec![record(&["a/1"], "n")], "2");
    world.commit();
    world.deliver(vec![record(&["a/1"], "lost")], "3");
    world.restart(1);
    let source = world.durable_keys(|key| matches!(key, Key::Source(_)));
    assert_eq!((source.len(), &source[0].1[..]), (1, &b"2"[..]));
    world.pass(2_000);
    let mut done = world.run();
    done.sort();
    assert_eq!(done, ["m", "m", "m", "n"]);
}

#[test]
fn an_epoch_that_was_not_written_leaves_nothing() {
    let mut world = World::new();
    world.send_with_key("a/1", "m", "k");
    let invoked = world.invocation();
    world.answer(&invoked, reply().send("b/1", "x").later(5, "c/1", "y").emit("z"));
    world.restart(1);
    world.pass(100);
    world.nobody_is_invoked();
    let again = world.send_with_key("a/1", "m", "k");
    assert_eq!(world.run(), ["m"], "the key was lost with the message");
    world.commit();
    assert_eq!(world.fates(again).len(), 1);
}
