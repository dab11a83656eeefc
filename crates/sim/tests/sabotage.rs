//! Each checker must see what it is there to see: worlds in which something is broken on purpose.
//!
//! What can be broken in the shell around the core is broken here, for good. What only a change of the core itself would
//! show was broken once by hand, and forty worlds of `all_invariants_hold_in_many_worlds` were run with it:
//!
//! | change of the core | reported as |
//! |---|---|
//! | messages that arrive after the cut and before the marker are not recorded | 1 |
//! | consumed mail is not deleted | 1 |
//! | the position of a source is not written | 1 |
//! | idempotency keys are not restored | 1 |
//! | delayed messages of two shards with one number are taken for one after a restart | 1, and an assertion |
//! | some changed state values are left out of the delta | 1, 3 and 4 |
//! | an instance is evicted before the store has its state | 3 |
//! | what is released after a cut leaves with it | 4 |
//! | records of a confirmed epoch are kept | 4 |
//! | messages of a reply are sent before the reply is checked | 5 |
//! | delays and tokens are not checked | 5 and 3, and an assertion |
//! | an address does not go on with its backlog | 6 |
//! | a closed gate lets nobody probe | 6 |
//! | the answer to a call is not remembered for its key | 6 |
//! | an outage counts against the messages | 8 |
//! | a single failure counts against the messages while a failing one is sought | 8 |
//! | a type may take all places of a shard | 8, in `those_who_fail_do_not_stop_the_others` |
//! | a cut leaves out what gathered while functions run on the spot | 1 |
//! | what gathered while functions run on the spot is received in another order | 2 |
//! | a function on the spot reads the first message of a batch over and over | 1 |
//! | the places of states are mixed up | 3 |
//! | a reply that is refused is not emptied, and used again | 5 |

mod broken;

use statera_sim::{Invariant, Plan, Sabotage, run};

/// In one of the first worlds the checker of this invariant is the one that reports the sabotage.
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
    reported(Invariant::ExactlyOnce, Sabotage::LoseMail, Plan::new);
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
fn an_epoch_that_is_not_on_disk_is_seen() {
    reported(Invariant::Durability, Sabotage::SkipTheLog, Plan::new);
}

#[test]
fn a_record_that_leaves_too_early_is_seen() {
    reported(Invariant::Durability, Sabotage::EmitTooEarly, Plan::new);
}

#[test]
fn a_record_that_is_lost_is_seen() {
    reported(Invariant::Durability, Sabotage::LoseOutbox, Plan::new);
}

/// What the quick way into the core does wrong is seen, too: here no function takes another one.
#[test]
fn a_broken_engine_is_seen_by_linked_functions_alone() {
    for (invariant, sabotage) in broken::ANYWHERE {
        reported(invariant, sabotage, Plan::with_linked_functions);
    }
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
