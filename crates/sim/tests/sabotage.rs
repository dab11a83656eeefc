//! Each checker must see what it is there to see: worlds in which something is broken on purpose.
//!
//! What can be broken in the shell around the core is broken here, for good. What only a change of the core itself would
//! show was broken once by hand; each test says which change and what was reported.

use statera_sim::{Invariant, Plan, Sabotage, run};

/// In some of the first worlds the checker of this invariant must report the sabotage, and no other checker may be the
/// only one to see it.
#[track_caller]
fn reported(invariant: Invariant, sabotage: Sabotage, plan: fn(u64) -> Plan) {
    let mut others = Vec::new();
    for seed in 0..60 {
        match run(plan(seed).broken(sabotage)) {
            Err(failed) if failed.violation.invariant == invariant => return,
            Err(failed) => others.push(failed.violation.to_string()),
            Ok(_) => {}
        }
    }
    panic!("{sabotage:?} is not reported as {invariant:?}, only as {others:#?}");
}

#[test]
fn a_message_that_is_processed_twice_is_seen() {
    reported(Invariant::ExactlyOnce, Sabotage::DuplicateBetweenShards, Plan::new);
    reported(Invariant::ExactlyOnce, Sabotage::KeepConsumedMail, Plan::new);
}

#[test]
fn a_message_that_is_lost_is_seen() {
    reported(Invariant::ExactlyOnce, Sabotage::LoseMessagesInChannels, Plan::new);
}

#[test]
fn two_messages_that_change_places_are_seen() {
    reported(Invariant::Order, Sabotage::ReorderBetweenShards, Plan::new);
}

#[test]
fn two_invocations_at_once_are_seen() {
    reported(Invariant::Turns, Sabotage::InvokeTwice, Plan::new);
}

#[test]
fn an_invocation_with_an_old_state_is_seen() {
    reported(Invariant::Turns, Sabotage::ClaimToBeFlushed, Plan::new);
}

#[test]
fn an_acknowledgement_that_is_not_kept_is_seen() {
    reported(Invariant::Durability, Sabotage::AcknowledgeTooEarly, Plan::new);
}

#[test]
fn a_record_that_leaves_too_early_is_seen() {
    reported(Invariant::Durability, Sabotage::EmitTooEarly, Plan::new);
}

#[test]
fn a_record_that_is_lost_is_seen() {
    reported(Invariant::Durability, Sabotage::LoseOutbox, Plan::new);
}

#[test]
fn half_a_reply_is_seen() {
    reported(Invariant::AllOrNone, Sabotage::LoseOneChange, Plan::new);
}

#[test]
fn a_standstill_is_seen() {
    reported(Invariant::Progress, Sabotage::IgnoreDeadlines, Plan::new);
}

#[test]
fn memory_that_does_not_shrink_is_seen() {
    reported(Invariant::Bounds, Sabotage::NeverFlush, Plan::new);
}

#[test]
fn the_healthy_waiting_for_the_failing_is_seen() {
    reported(Invariant::Isolation, Sabotage::StopWithTheFailing, Plan::with_failing_neighbours);
}
