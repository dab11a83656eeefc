//! What those who watch are told, and what they may stop.

use std::sync::Arc;

use statera_core::keys::{Halt, Key};
use statera_core::values::Paused;
use statera_core::{Activity, Answers, Edge, End, Halted, Input, TimerQuery};
use statera_model::FailureKind::{Rejected, Unavailable};
use statera_model::{FunctionType, KeyGroup, Millis};

use crate::world::{Fate, World, at, reply};

fn activity(world: &World, address: &str) -> Option<(Activity, usize)> {
    let shard = world.owner(&at(address).id);
    let presence = world.shards[shard].presences(&[at(address)])[0]?;
    Some((presence.activity, presence.mail))
}

fn pause(world: &mut World, address: &str) -> u64 {
    let shard = world.owner(&at(address).id);
    let address = at(address);
    world.operator(shard, |ticket| Input::Pause { ticket, address, reason: "by hand".into() })
}

fn resume(world: &mut World, address: &str) -> u64 {
    let shard = world.owner(&at(address).id);
    let address = at(address);
    world.operator(shard, |ticket| Input::Resume { ticket, address })
}

#[test]
fn an_address_is_inspected_with_its_first_messages() {
    let mut world = World::new();
    world.warm("a/0");
    assert_eq!(activity(&world, "a/1"), None);
    for message in ["m", "n", "o"] {
        world.send("a/1", message);
    }
    let inspected = world.shards[0].inspect(&at("a/1"), 2).unwrap();
    assert_eq!((inspected.presence.activity, inspected.presence.mail), (Activity::Running, 3));
    assert_eq!(inspected.mailbox.len(), 2);
    assert_eq!(inspected.failing, None);
    world.run();
    assert_eq!(activity(&world, "a/1"), Some((Activity::Idle, 0)));
}

#[test]
fn who_fails_says_why_and_when_it_is_tried_again() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.fail(&invoked, Rejected);
    let failing = world.shards[0].inspect(&at("a/1"), 9).unwrap().failing.unwrap();
    assert_eq!((failing.attempts, failing.since), (1, Millis(world.now)));
    assert_eq!(Some(failing.next_attempt.unwrap()), world.shards[0].next_deadline());
    assert_eq!(world.shards[0].inspect_functions("", None, 9)[0].failing, 1);
    let invoked = world.wait();
    assert_eq!(activity(&world, "a/1"), Some((Activity::Running, 1)));
    world.answer(&invoked, reply());
    assert_eq!(world.shards[0].inspect(&at("a/1"), 9).unwrap().failing, None);
    assert_eq!(world.shards[0].inspect_functions("", None, 9)[0].failing, 0);
}

#[test]
fn function_types_are_listed_by_name_page_by_page() {
    let mut world = World::new();
    for target in ["c/1", "a/1", "b/1"] {
        world.call(target, "m");
    }
    let names = |prefix: &str, after: Option<&str>, limit| -> Vec<String> {
        let found = world.shards[0].inspect_functions(prefix, after, limit);
        found.into_iter().map(|found| found.name.name().to_owned()).collect()
    };
    assert_eq!(names("", None, 2), ["a", "b"]);
    let second = at("b/1").function.to_string();
    assert_eq!(names("", Some(&second), 2), ["c"]);
    assert_eq!(names(&second, None, 9), ["b"]);
    assert_eq!(world.shards[0].inspect_functions("", None, 1)[0].answers, Answers::NotYet);
}

#[test]
fn an_idle_address_is_paused_at_once_and_resumed() {
    let mut world = World::new();
    let ticket = pause(&mut world, "a/1");
    let again = pause(&mut world, "a/1");
    world.send("a/1", "m");
    world.nobody_is_invoked();
    assert_eq!(activity(&world, "a/1"), Some((Activity::Paused, 1)));
    world.commit();
    assert_eq!(
        (world.fates(ticket), world.fates(again)),
        (&[Fate::Accepted][..], &[Fate::Unknown][..])
    );
    world.restart(1);
    world.nobody_is_invoked();
    resume(&mut world, "a/1");
    assert_eq!(world.run(), ["m"]);
    world.commit();
    assert_eq!(world.durable_keys(|key| matches!(key, Key::Paused(_))), []);
    assert_eq!(world.shards[0].figures().paused, 0);
}

#[test]
fn an_address_in_flight_is_paused_when_its_invocation_has_ended() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    pause(&mut world, "a/1");
    assert_eq!(activity(&world, "a/1"), Some((Activity::Paused, 1)));
    assert_eq!(world.shards[0].figures().paused, 1);
    world.send("a/1", "n");
    world.answer(&invoked, reply());
    world.nobody_is_invoked();
    world.shards[0].check();
    resume(&mut world, "a/1");
    assert_eq!(world.run(), ["n"]);
    assert_eq!(world.shards[0].figures().paused, 0);
}

#[test]
fn who_is_resumed_before_its_invocation_has_ended_goes_on_as_if_nothing_was() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    pause(&mut world, "a/1");
    world.send("a/1", "n");
    resume(&mut world, "a/1");
    world.answer(&invoked, reply());
    assert_eq!(world.run(), ["n"]);
    world.commit();
    assert_eq!(world.durable_keys(|key| matches!(key, Key::Paused(_))), []);
}

#[test]
fn who_waits_for_another_attempt_is_paused_without_one() {
    for resumed in [false, true] {
        let mut world = World::new();
        world.send("a/1", "m");
        let invoked = world.invocation();
        world.fail(&invoked, Rejected);
        pause(&mut world, "a/1");
        world.pass(3_600_000);
        world.nobody_is_invoked();
        world.shards[0].check();
        if resumed {
            resume(&mut world, "a/1");
            assert_eq!(world.run(), ["m"]);
        }
    }
}

fn halt(world: &mut World, name: &str, on: bool) -> u64 {
    let function = at(&format!("{name}/1")).function;
    let owner = KeyGroup::of(function.as_str(), 128).shard(world.shards.len(), 128);
    let halted = || {
        let function = function.clone();
        Halted(Arc::new(move |asked: &FunctionType| on && *asked == function))
    };
    let paused = on.then(|| Paused { since: Millis(1), reason: "by hand".into() });
    let mut accepted = 0;
    for shard in 0..world.shards.len() {
        let (halted, halt) = (halted(), Halt::Function(function.clone()));
        if shard == owner {
            let paused = paused.clone();
            accepted = world.operator(shard, |ticket| Input::Halt {
                halted,
                record: Some((ticket, halt, paused)),
            });
        } else {
            world.apply(shard, Input::Halt { halted, record: None });
        }
    }
    accepted
}

#[test]
fn a_halted_type_begins_nothing_and_others_go_on() {
    let mut world = World::new();
    world.warm("a/0");
    world.send("a/1", "m");
    let invoked = world.invocation();
    let ticket = halt(&mut world, "a", true);
    world.send("a/2", "n");
    world.send("b/1", "other");
    assert_eq!(world.run(), ["other"]);
    world.answer(&invoked, reply());
    world.nobody_is_invoked();
    world.commit();
    assert_eq!(world.fates(ticket), [Fate::Accepted]);
    assert_eq!(world.durable_keys(|key| matches!(key, Key::Halt(_))).len(), 1);
    halt(&mut world, "a", false);
    assert_eq!(world.run(), ["n"]);
    world.commit();
    assert_eq!(world.durable_keys(|key| matches!(key, Key::Halt(_))), []);
}

#[test]
fn a_type_is_halted_before_it_is_known() {
    let mut world = World::new();
    halt(&mut world, "a", true);
    world.send("a/1", "m");
    world.nobody_is_invoked();
    world.pass(60_000);
    world.nobody_is_invoked();
    halt(&mut world, "a", false);
    assert_eq!(world.run(), ["m"]);
}

#[test]
fn a_halted_type_in_an_outage_does_not_probe() {
    let mut world = World::new();
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.fail(&invoked, Unavailable);
    halt(&mut world, "a", true);
    world.pass(60_000);
    world.nobody_is_invoked();
    halt(&mut world, "a", false);
    world.pass(60_000);
    assert_eq!(world.run(), ["m"]);
}

#[test]
fn who_sent_to_whom_is_counted() {
    let mut world = World::new();
    world.call("a/1", "m");
    let invoked = world.invocation();
    world.answer(&invoked, reply().send("b/1", "n").send("b/2", "n").emit("out"));
    world.run();
    let function = |name: &str| End::Function(at(&format!("{name}/1")).function);
    let (mut edges, all) = world.shards[0].edges(100);
    edges.sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
    assert!(all);
    let edge = |from: End, to: End, messages| Edge { from, to, messages };
    assert_eq!(
        edges[..2],
        [edge(End::Outside, function("a"), 1), edge(function("a"), function("b"), 2)]
    );
    assert!(matches!(&edges[2], Edge { to: End::Egress(_), messages: 1, .. }));
    assert!(!world.shards[0].edges(1).1);
}

#[test]
fn delayed_messages_are_looked_at_soonest_first() {
    let mut world = World::new();
    for round in 0..3 {
        for id in 0..40 {
            world.send(&format!("a/{id}"), "m");
            let delay = 10_000 + i64::from((id * 7 + round) % 20);
            let make = |_: &crate::world::Invoked| reply().later(delay, &format!("b/{id}"), "x");
            world.run_with(make);
        }
        // Those of the last round are not part of a delta yet.
        if round < 2 {
            world.commit();
        }
    }
    let all = TimerQuery { limit: 1000, visits_max: 1000, ..TimerQuery::default() };
    let page = world.shards[0].inspect_timers(&all);
    assert_eq!((page.timers.len(), page.total, page.next), (120, 120, None));
    assert!(page.timers.is_sorted_by(|a, b| a.0 < b.0));
    let mut found = Vec::new();
    let mut query = TimerQuery { limit: 7, visits_max: 10, ..TimerQuery::default() };
    query.target = at("b/1").function.to_string() + "/1";
    loop {
        let page = world.shards[0].inspect_timers(&query);
        found.extend(page.timers.into_iter().map(|(place, _)| place));
        query.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    let wanted = page.timers.iter().filter(|(_, timer)| timer.target.id.starts_with('1'));
    assert_eq!(found, wanted.map(|(place, _)| *place).collect::<Vec<_>>());
    let exact = TimerQuery {
        group: Some(KeyGroup::of("1", 128)),
        sender: at("a/1").function.to_string() + "/1",
        exact: true,
        ..all
    };
    assert_eq!(world.shards[0].inspect_timers(&exact).timers.len(), 3);
}
