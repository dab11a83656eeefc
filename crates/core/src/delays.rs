//! Delayed messages, and the tokens that cancel them.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use statera_model::Millis;

use crate::keys::DelayedKey;
use crate::values::Delayed;

#[derive(Debug)]
pub(crate) struct Delays {
    queue: BTreeMap<DelayedKey, Delayed>,
    /// By sender id and token: all function types with one id share their tokens, as in StateFun.
    tokens: HashMap<(Arc<str>, Arc<str>), DelayedKey, FixedState>,
}

impl Delays {
    pub(crate) fn new(hash_seed: u64) -> Delays {
        Delays {
            queue: BTreeMap::new(),
            tokens: HashMap::with_hasher(FixedState::with_seed(hash_seed)),
        }
    }

    pub(crate) fn add(&mut self, key: DelayedKey, message: Delayed) {
        if let Some(token) = &message.token {
            let old = self.tokens.insert((message.sender.id.clone(), token.clone()), key);
            assert!(old.is_none(), "a reply with a pending token is refused");
        }
        self.queue.insert(key, message);
    }

    pub(crate) fn is_pending(&self, sender_id: &Arc<str>, token: &Arc<str>) -> bool {
        self.tokens.contains_key(&(sender_id.clone(), token.clone()))
    }

    /// Takes out the message sent with this token, if it is still pending.
    pub(crate) fn cancel(
        &mut self,
        sender_id: &Arc<str>,
        token: &Arc<str>,
    ) -> Option<(DelayedKey, Delayed)> {
        let key = self.tokens.remove(&(sender_id.clone(), token.clone()))?;
        let message = self.queue.remove(&key).expect("a token names a pending message");
        Some((key, message))
    }

    /// Takes out the next message that is due.
    pub(crate) fn pop_due(&mut self, now: Millis) -> Option<(DelayedKey, Delayed)> {
        let first = self.queue.first_entry().filter(|entry| entry.key().due <= now)?;
        let (key, message) = first.remove_entry();
        if let Some(token) = &message.token {
            self.tokens.remove(&(message.sender.id.clone(), token.clone()));
        }
        Some((key, message))
    }

    pub(crate) fn next_due(&self) -> Option<Millis> {
        self.queue.first_key_value().map(|(key, _)| key.due)
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
}
