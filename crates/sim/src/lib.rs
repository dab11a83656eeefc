//! Seeded simulation of whole worlds of shards, with crashes and a checker for each invariant.
