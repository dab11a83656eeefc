//! The state store: the log materialised in an embedded LSM tree.
