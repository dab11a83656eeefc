//! What those who watch are told as it happens.

use statera_core::{Attempted, Buried, BuriedWhat, Follows, News, OnFailure};
use statera_model::FailureKind::{Fatal, Rejected, Unavailable};

use crate::world::{World, at, reply};

fn told(world: &mut World) -> Vec<News> {
    std::mem::take(&mut world.news)
}

/// Only what concerns gates.
fn gates(world: &mut World) -> Vec<&'static str> {
    let gates = told(world).into_iter().filter_map(|news| match news {
        News::Silent { .. } => Some("silent"),
        News::Answering { .. } => Some("answering"),
        News::Failed(_) | News::Buried(_) => None,
    });
    gates.collect()
}

#[test]
fn each_failure_is_told_and_then_what_was_given_up() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.fail(&invoked, Rejected);
    let [News::Failed(failed)] = &told(&mut world)[..] else { panic!() };
    let expected = Attempted { messages: 1, attempts: 1, follows: Follows::Retry };
    assert_eq!((&failed.target, failed.attempted), (&at("a/1"), expected));
    assert_eq!(failed.invocation, invoked.id);

    let invoked = world.wait();
    world.fail(&invoked, Fatal);
    let [News::Failed(failed), News::Buried(buried)] = &told(&mut world)[..] else { panic!() };
    let expected = Attempted { messages: 1, attempts: 2, follows: Follows::DeadLetter };
    assert_eq!(failed.attempted, expected);
    world.commit();
    let id = world.dead_letters()[0].0;
    let what = BuriedWhat::Message(at("a/1"));
    assert_eq!(*buried, Buried { id, what, attempts: 2, reason: failed.reason.clone() });
}

#[test]
fn an_outage_is_told_once_and_so_is_its_end() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.warm("a/0");
    for n in 0..5 {
        world.send(&format!("a/{n}"), "m");
    }
    while let Some(invoked) = world.waiting.pop_front() {
        world.fail(&invoked, Unavailable);
    }
    assert_eq!(gates(&mut world), ["silent"]);
    for _ in 0..3 {
        let invoked = world.wait();
        world.fail(&invoked, Unavailable);
    }
    assert_eq!(gates(&mut world), Vec::<&str>::new());
    let invoked = world.wait();
    world.answer(&invoked, reply());
    assert_eq!(gates(&mut world), ["answering"]);
    world.run();
    assert_eq!(told(&mut world), []);
}

#[test]
fn an_answer_that_is_an_error_ends_an_outage_too() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.fail(&invoked, Unavailable);
    let invoked = world.wait();
    world.fail(&invoked, Rejected);
    assert_eq!(gates(&mut world), ["silent", "answering"]);
}

#[test]
fn an_address_that_pauses_is_told() {
    let mut world = World::failing(OnFailure::Pause);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.fail(&invoked, Fatal);
    let [News::Failed(failed)] = &told(&mut world)[..] else { panic!() };
    assert_eq!(failed.attempted.follows, Follows::Pause);
}
