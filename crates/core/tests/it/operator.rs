//! What an operator does.

use statera_core::keys::Key;
use statera_core::values::Mail;
use statera_core::{Input, Limits, OnFailure};
use statera_model::FailureKind::Fatal;
use statera_ports::{DeadLetterId, SourceRecord};

use crate::world::{Fate, World, at, record, reply, text};

fn with_dead_letter() -> (World, DeadLetterId) {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.call("a/1", "poison");
    let invoked = world.invocation();
    world.fail(&invoked, Fatal);
    world.commit();
    let id = world.dead_letters()[0].0;
    (world, id)
}

fn redrive(world: &mut World, id: DeadLetterId) -> u64 {
    let caller = Some(at("call:1.2.3"));
    let mail = vec![Mail { caller, argument: text("repaired") }];
    world.operator(0, |ticket| Input::Redrive { ticket, id, target: at("a/1"), mail })
}

#[test]
fn a_redriven_message_is_processed_and_its_letter_is_gone() {
    let (mut world, id) = with_dead_letter();
    let ticket = redrive(&mut world, id);
    let invoked = world.invocation();
    assert_eq!(
        (&*invoked.messages, &*invoked.callers),
        (&["repaired".to_owned()][..], &[None][..])
    );
    world.answer(&invoked, reply());
    world.commit();
    assert_eq!(world.fates(ticket), [Fate::Accepted]);
    assert_eq!(world.dead_letters(), []);
    assert_eq!(world.shards[0].figures().dead_letters, 0);
}

#[test]
fn what_is_not_there_is_unknown() {
    let (mut world, id) = with_dead_letter();
    redrive(&mut world, id);
    world.run();
    let again = redrive(&mut world, id);
    assert_eq!(world.fates(again), [Fate::Unknown]);
    let discard = world.operator(0, |ticket| Input::Discard { ticket, id });
    assert_eq!(world.fates(discard), [Fate::Unknown]);
    let resume = world.operator(0, |ticket| Input::Resume { ticket, address: at("a/9") });
    assert_eq!(world.fates(resume), [Fate::Unknown]);
    world.nobody_is_invoked();
}

#[test]
fn a_discarded_letter_is_gone_also_after_a_restart() {
    let (mut world, id) = with_dead_letter();
    world.restart(1);
    assert_eq!(world.shards[0].figures().dead_letters, 1);
    let ticket = world.operator(0, |ticket| Input::Discard { ticket, id });
    world.commit();
    assert_eq!(world.fates(ticket), [Fate::Accepted]);
    world.restart(1);
    assert_eq!(world.shards[0].figures().dead_letters, 0);
}

#[test]
fn a_letter_buried_and_discarded_within_an_epoch_leaves_nothing() {
    let mut world = World::failing(OnFailure::DeadLetter);
    world.send("a/1", "poison");
    world.commit();
    let invoked = world.invocation();
    world.fail(&invoked, Fatal);
    let number = world.now;
    let key_group = statera_model::KeyGroup::of("1", 128).0;
    let id = DeadLetterId { key_group, number };
    world.operator(0, |ticket| Input::Discard { ticket, id });
    world.commit();
    assert!(matches!(world.delta[..], [(Key::Mail { .. }, None)]), "{:?}", world.delta);
}

#[test]
fn letters_made_at_one_time_have_different_ids() {
    let mut world = World::with(1, Limits::default(), &[("nobody", None)]);
    world.deliver(vec![record(&["nobody/1", "nobody/1", "nobody/2"], "m")], "1");
    world.commit();
    let mut numbers: Vec<u64> = world.dead_letters().iter().map(|(id, _)| id.number).collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 3);
}

#[test]
fn a_malformed_record_goes_to_the_dead_letters_and_the_others_on() {
    let mut world = World::new();
    let malformed = SourceRecord::Malformed {
        place: "orders line 2".into(),
        reason: "not JSON".into(),
        record: "{".into(),
    };
    world.deliver(vec![record(&["a/1"], "1"), malformed, record(&["a/1"], "3")], "3");
    assert_eq!(world.run(), ["1", "3"]);
    world.commit();
    assert_eq!(&*world.dead_letters()[0].1.reason, "not JSON");
}

#[test]
fn a_resumed_address_goes_on_with_its_mail() {
    let mut world = World::failing(OnFailure::Pause);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.fail(&invoked, Fatal);
    world.send("a/1", "n");
    world.commit();
    world.restart(2);
    let shard = world.owner("1");
    let ticket = world.operator(shard, |ticket| Input::Resume { ticket, address: at("a/1") });
    assert_eq!(world.run(), ["m", "n"]);
    world.commit();
    assert_eq!(world.fates(ticket), [Fate::Accepted]);
    assert_eq!(world.durable_keys(|key| matches!(key, Key::Paused(_))), []);
}

#[test]
fn resumed_paused_and_resumed_again_within_an_epoch_is_resumed() {
    let mut world = World::failing(OnFailure::Pause);
    world.send("a/1", "m");
    let invoked = world.invocation();
    world.fail(&invoked, Fatal);
    world.commit();
    let resume = |ticket| Input::Resume { ticket, address: at("a/1") };
    world.operator(0, resume);
    let invoked = world.invocation();
    world.fail(&invoked, Fatal);
    world.operator(0, resume);
    world.commit();
    assert_eq!(world.durable_keys(|key| matches!(key, Key::Paused(_))), []);
    world.restart(1);
    assert_eq!(world.invocation().messages, ["m"]);
}
