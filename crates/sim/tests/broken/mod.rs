//! Ways to break the engine that are seen whoever runs in it.

use statera_sim::{Invariant, Sabotage};

/// As what each of them is reported.
pub(crate) const ANYWHERE: [(Invariant, Sabotage); 13] = [
    (Invariant::ExactlyOnce, Sabotage::DuplicateBetweenShards),
    (Invariant::ExactlyOnce, Sabotage::KeepConsumedMail),
    (Invariant::ExactlyOnce, Sabotage::LoseMail),
    (Invariant::Order, Sabotage::ReorderBetweenShards),
    (Invariant::Turns, Sabotage::InvokeTwice),
    (Invariant::Turns, Sabotage::ClaimToBeFlushed),
    (Invariant::Durability, Sabotage::AcknowledgeTooEarly),
    (Invariant::Durability, Sabotage::EmitTooEarly),
    (Invariant::Durability, Sabotage::LoseOutbox),
    (Invariant::Durability, Sabotage::SkipTheLog),
    (Invariant::AllOrNone, Sabotage::LoseOneChange),
    (Invariant::Progress, Sabotage::IgnoreDeadlines),
    (Invariant::Bounds, Sabotage::NeverFlush),
];
