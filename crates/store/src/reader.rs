//! Reading from the store.

use std::sync::Arc;

use bytes::Bytes;

use crate::StoreError;
use crate::lsm::Files;

/// Reads what is flushed, from any thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    files: Arc<Files>,
}

impl Reader {
    pub(crate) fn new(files: Arc<Files>) -> Reader {
        Reader { files }
    }

    /// The value of a key, in an allocation of its own. May read from disk.
    ///
    /// # Errors
    /// If the files can't be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.files.if_created().map_or(Ok(None), |lsm| lsm.get(key))
    }

    /// Up to `limit` keys that begin with `prefix`, sorted, with their values; only those behind `after`, if given. For
    /// paging: each call sees the store as it is then.
    ///
    /// # Errors
    /// If the files can't be read.
    pub fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.files.if_created().map_or(Ok(Vec::new()), |lsm| lsm.scan(prefix, after, limit))
    }

    /// Visits every key that is not function state, sorted, with its value, as they were when the call began.
    ///
    /// # Errors
    /// If the files can't be read, or `visit` fails.
    pub fn scan_work<E: From<StoreError>>(
        &self,
        visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.files.if_created().map_or(Ok(()), |lsm| lsm.scan_work(visit))
    }
}
