//! The changes of the epoch that is being built, except state values and mail, which instances carry themselves.

use std::collections::BTreeMap;

use crate::delta::DeltaWriter;

#[derive(Debug, Default)]
pub(crate) struct Pending {
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.insert(key, Some(value));
    }

    pub(crate) fn delete(&mut self, key: Vec<u8>) {
        self.changes.insert(key, None);
    }

    /// Deletes a key that is written once in its life: if that was in this epoch, nothing of it remains.
    pub(crate) fn delete_once(&mut self, key: Vec<u8>) {
        if !matches!(self.changes.remove(&key), Some(Some(_))) {
            self.changes.insert(key, None);
        }
    }

    /// Moves the changes into a delta, in the order of their keys.
    pub(crate) fn drain_into(&mut self, delta: &mut DeltaWriter<'_>) {
        for (key, value) in std::mem::take(&mut self.changes) {
            match value {
                Some(value) => delta.put(&key, &value),
                None => delta.delete(&key),
            }
        }
    }
}
