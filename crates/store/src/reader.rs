//! Reading from the store.

use std::sync::Arc;

use bytes::Bytes;

use crate::StoreError;
use crate::lsm::{Files, Page, is_state};
use crate::tables::Tables;

/// Reads what was absorbed, from any thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    pub(crate) files: Arc<Files>,
    pub(crate) tables: Arc<Tables>,
}

impl Reader {
    pub(crate) fn new(files: Arc<Files>, tables: Arc<Tables>) -> Reader {
        Reader { files, tables }
    }

    /// The value of a key, in an allocation of its own. May read from disk.
    ///
    /// # Errors
    /// If the files can't be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        // Memory first: what is taken out of it is in the files before.
        match self.tables.get(key) {
            Some(latest) => Ok(latest),
            None => self.files.if_created().map_or(Ok(None), |lsm| lsm.get(key)),
        }
    }

    /// Up to `limit` keys that begin with one of `prefixes`, sorted, with their values; only those behind `after`, if
    /// given. No prefix begins with another, and they are sorted too. For paging: each call sees the store as it is then.
    /// Looks at everything that is not yet in files, and absorbing waits so long: not for the hot path.
    ///
    /// # Errors
    /// If the files can't be read.
    pub fn scan(
        &self,
        prefixes: &[Vec<u8>],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let wanted = |key: &[u8]| {
            let behind = prefixes.partition_point(|prefix| &prefix[..] <= key);
            behind > 0 && key.starts_with(&prefixes[behind - 1]) && after.is_none_or(|at| key > at)
        };
        let lsm = self.files.if_created();
        let (changed, snapshot) =
            self.tables.changed(wanted, || lsm.map(|lsm| (lsm, lsm.snapshot())));
        let mut found = Vec::new();
        if let Some((lsm, snapshot)) = snapshot {
            for prefix in prefixes {
                if found.len() >= limit {
                    break;
                }
                let page = Page { prefix, after, limit: limit - found.len() };
                found.extend(lsm.scan(&snapshot, page, |key| changed.contains_key(key))?);
            }
        }
        // Both together may be too many: what sorts last goes.
        found.extend(changed.into_iter().filter_map(|(key, value)| Some((key, value?))));
        found.sort_unstable();
        found.truncate(limit);
        Ok(found)
    }

    /// Visits every key that is not function state, sorted, with its value, as they were when the call began.
    ///
    /// # Errors
    /// If the files can't be read, or `visit` fails.
    pub fn scan_work<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let is_work = |key: &[u8]| !is_state(key);
        let lsm = self.files.if_created();
        let (changed, snapshot) =
            self.tables.changed(is_work, || lsm.map(|lsm| (lsm, lsm.snapshot())));
        let mut changed = changed.into_iter().peekable();
        if let Some((lsm, snapshot)) = snapshot {
            lsm.scan_work(&snapshot, |key, value| {
                while let Some((changed, latest)) = changed.next_if(|(changed, _)| changed < key) {
                    latest.map_or(Ok(()), |value| visit(&changed, &value))?;
                }
                match changed.next_if(|(changed, _)| changed == key) {
                    Some((_, latest)) => latest.map_or(Ok(()), |value| visit(key, &value)),
                    None => visit(key, value),
                }
            })?;
        }
        changed
            .filter_map(|(key, latest)| Some((key, latest?)))
            .try_for_each(|(key, value)| visit(&key, &value))
    }
}
