//! The commit log: one durable record per epoch.
