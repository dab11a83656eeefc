//! Delayed messages, and the tokens that cancel them.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use statera_model::{KeyGroup, Millis};

use crate::keys::DelayedKey;
use crate::values::Delayed;

#[derive(Debug)]
pub(crate) struct Delays {
    queue: BTreeMap<Place, Delayed>,
    /// By sender id and token: all function types with one id share their tokens, as in StateFun.
    tokens: HashMap<(Arc<str>, Arc<str>), Place, FixedState>,
}

/// The key group is that of the sender. Without it two messages would be taken for one: shards count their messages
/// each for itself, and after a restart one shard may have those of several.
type Place = (DelayedKey, KeyGroup);

impl Delays {
    pub(crate) fn new(hash_seed: u64) -> Delays {
        Delays {
            queue: BTreeMap::new(),
            tokens: HashMap::with_hasher(FixedState::with_seed(hash_seed)),
        }
    }

    pub(crate) fn add(&mut self, key: DelayedKey, group: KeyGroup, message: Delayed) {
        if let Some(token) = &message.token {
            let name = (message.sender.id.clone(), token.clone());
            let old = self.tokens.insert(name, (key, group));
            assert!(old.is_none(), "a reply with a pending token is refused");
        }
        let old = self.queue.insert((key, group), message);
        assert!(old.is_none(), "sequences are unique within a key group");
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
        let place = self.tokens.remove(&(sender_id.clone(), token.clone()))?;
        let message = self.queue.remove(&place).expect("a token names a pending message");
        Some((place.0, message))
    }

    /// Takes out the next message that is due.
    pub(crate) fn pop_due(&mut self, now: Millis) -> Option<(Place, Delayed)> {
        let first = self.queue.first_entry().filter(|entry| entry.key().0.due <= now)?;
        let (place, message) = first.remove_entry();
        if let Some(token) = &message.token {
            self.tokens.remove(&(message.sender.id.clone(), token.clone()));
        }
        Some((place, message))
    }

    pub(crate) fn next_due(&self) -> Option<Millis> {
        self.queue.first_key_value().map(|((key, _), _)| key.due)
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
}
