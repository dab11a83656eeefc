//! The shard: mailboxes, timers, tokens, dedupe, outbox, epochs; pure.
