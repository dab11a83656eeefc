//! The changes of the epoch that is being built, except state values and mail, which instances carry themselves.

use std::collections::BTreeMap;

use crate::delta::DeltaWriter;

#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Changes of keys that change only once in this epoch, as the delta will have them.
    written: Vec<u8>,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.written.is_empty() && self.changes.is_empty()
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

    /// Deletes a key that is written once in its life and was part of an earlier delta: nothing else happens to it.
    pub(crate) fn delete_written(&mut self, key: impl FnOnce(&mut Vec<u8>)) {
        DeltaWriter::new(&mut self.written).delete_with(key);
    }

    /// Makes the changes a delta to which others may be added. `room` is how long it may become.
    pub(crate) fn drain(&mut self, room: usize) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.written);
        bytes.reserve(room.saturating_sub(bytes.len()));
        let mut delta = DeltaWriter::new(&mut bytes);
        for (key, value) in std::mem::take(&mut self.changes) {
            match value {
                Some(value) => delta.put(&key, &value),
                None => delta.delete(&key),
            }
        }
        bytes
    }
}
