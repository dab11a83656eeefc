//! Lists: pages of what there is, for those who watch. A page costs memory for what is on it, and nothing waits for it longer
//! than for a look at a sixteenth of a table: other than [`Reader::scan`] it does not show one moment between two epochs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::lsm::{Lsm, Page, is_state};
use crate::table::{Latest, Table};
use crate::{Reader, StoreError};

/// Keys of one head that are passed over one by one. The rest is jumped over.
const STEPS_MAX: usize = 16;

/// What begins keys is listed: for each key group, the different beginnings of its keys.
#[derive(Clone, Copy, Debug)]
pub struct HeadQuery<'a> {
    /// Key groups from 0 up to this.
    pub key_groups: u16,
    /// The kinds of keys that count. Behind their kind all of them begin with a head.
    pub kinds: &'a [u8],
    /// Where the head of a key ends; its last byte is 0, and no longer head begins with it up to there.
    pub head_end: fn(&[u8]) -> Option<usize>,
    /// How heads begin.
    pub prefix: &'a [u8],
    /// Only heads behind this place.
    pub after: Option<&'a HeadPlace>,
    /// So many at most.
    pub limit: usize,
    /// About the most keys of files that are looked at.
    pub visits_max: usize,
}

/// A head, and where it stands: by key group first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeadPlace {
    /// The key group.
    pub group: u16,
    /// What the keys begin with, without key group and kind.
    pub head: Bytes,
}

/// A page of heads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    /// The heads, in order.
    pub heads: Vec<HeadPlace>,
    /// Behind which place to go on, if there may be more.
    pub next: Option<HeadPlace>,
}

/// What is in memory. A table may absorb while it is looked at.
struct Memory {
    open: Arc<Table>,
    sealed: Option<Arc<Table>>,
}

impl Memory {
    fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        self.open.get(key).or_else(|| self.sealed.as_ref()?.get(key))
    }

    fn is_deleted(&self, key: &[u8]) -> bool {
        let open = self.open.is_deleted(key);
        open.or_else(|| self.sealed.as_ref()?.is_deleted(key)).unwrap_or(false)
    }

    /// Visits all keys that there are, in no order, some of them twice. The last argument tells whether a key was deleted
    /// later. `visit` must not look into the tables in any other way: whoever holds a part of a table and asks for it again
    /// waits for a writer who waits for him.
    fn visit(&self, mut visit: impl FnMut(&[u8], &[u8], &dyn Fn() -> bool)) {
        self.open.visit(|Latest { key, value, .. }| {
            if let Some(value) = value {
                visit(key, value, &|| false);
            }
        });
        let Some(sealed) = &self.sealed else { return };
        // Nobody writes to this one, so that its parts can be held while those of the other are asked for.
        sealed.visit(|Latest { key, value, .. }| {
            if let Some(value) = value {
                visit(key, value, &|| self.open.is_deleted(key).unwrap_or(false));
            }
        });
    }
}

impl Reader {
    fn memory(&self) -> Memory {
        let (open, sealed) = self.tables.shown();
        Memory { open, sealed }
    }

    /// A page of the keys that begin with one of `prefixes`, sorted, with their values, as [`Reader::scan`] has them.
    ///
    /// # Errors
    /// If the files can't be read.
    pub fn page(
        &self,
        prefixes: &[Vec<u8>],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let wanted = |key: &[u8]| {
            let behind = prefixes.partition_point(|prefix| &prefix[..] <= key);
            behind > 0 && key.starts_with(&prefixes[behind - 1]) && after.is_none_or(|at| key > at)
        };
        let memory = self.memory();
        let mut found: BTreeMap<Bytes, Bytes> = BTreeMap::new();
        memory.visit(|key, value, is_deleted| {
            let full = found.len() >= limit;
            let first = || found.last_key_value().is_none_or(|(last, _)| key < &last[..]);
            if !wanted(key) || (full && !first()) || is_deleted() {
                return;
            }
            // A sealed value is older than one that is there already.
            let entry = found.entry(Bytes::copy_from_slice(key));
            entry.or_insert_with(|| Bytes::copy_from_slice(value));
            if found.len() > limit {
                found.pop_last();
            }
        });
        if let Some(lsm) = self.files.if_created() {
            let snapshot = lsm.snapshot();
            let mut left = limit;
            for prefix in prefixes {
                if left == 0 {
                    break;
                }
                let page = Page { prefix, after, limit: left };
                let stored = lsm.scan(&snapshot, page, |key| memory.is_deleted(key))?;
                left -= stored.len();
                for (key, value) in stored {
                    let latest = memory.get(&key).flatten().unwrap_or(value);
                    found.entry(key).or_insert(latest);
                }
            }
        }
        Ok(found.into_iter().take(limit).collect())
    }

    /// A page of the different heads of keys.
    ///
    /// # Errors
    /// If the files can't be read.
    pub fn heads(&self, query: &HeadQuery<'_>) -> Result<Heads, StoreError> {
        let memory = self.memory();
        let mut found = heads_in_memory(query, &memory);
        let mut stopped = None;
        if let Some(lsm) = self.files.if_created() {
            let mut files = FileHeads::new(query, lsm, &memory);
            files.run()?;
            stopped = files.stopped;
            found.extend(files.found);
        }
        if let Some(stopped) = &stopped {
            found.retain(|place| place <= stopped);
        }
        let mut heads: Vec<HeadPlace> = found.into_iter().collect();
        // As many as were wanted: nobody has looked whether there are more.
        let more = heads.len() >= query.limit;
        heads.truncate(query.limit);
        let next = if more { heads.last().cloned() } else { stopped };
        Ok(Heads { heads, next })
    }
}

/// The first heads of keys in memory.
fn heads_in_memory(query: &HeadQuery<'_>, memory: &Memory) -> BTreeSet<HeadPlace> {
    let mut found: BTreeSet<HeadPlace> = BTreeSet::new();
    memory.visit(|key, _, is_deleted| {
        let Some(([high, low, kind], rest)) = key.split_first_chunk() else { return };
        if !query.kinds.contains(kind) || !rest.starts_with(query.prefix) {
            return;
        }
        let group = u16::from_be_bytes([*high, *low]);
        let is_full = found.len() >= query.limit;
        // Most keys are of key groups that come much later, or earlier.
        if query.after.is_some_and(|after| group < after.group)
            || (is_full && found.last().is_some_and(|last| group > last.group))
        {
            return;
        }
        let Some(end) = (query.head_end)(key) else { return };
        let place = (group, &key[3..end]);
        let is_before = |other: &HeadPlace| place < (other.group, &other.head[..]);
        let is_behind = |other: &HeadPlace| place > (other.group, &other.head[..]);
        let full = is_full && !found.last().is_some_and(is_before);
        if full || !query.after.is_none_or(is_behind) || is_deleted() {
            return;
        }
        found.insert(HeadPlace { group: place.0, head: Bytes::copy_from_slice(place.1) });
        if found.len() > query.limit {
            found.pop_last();
        }
    });
    found
}

/// The first heads of keys in files.
struct FileHeads<'a> {
    query: &'a HeadQuery<'a>,
    lsm: &'a Lsm,
    snapshot: fjall::Snapshot,
    memory: &'a Memory,
    found: Vec<HeadPlace>,
    visits: usize,
    /// Where it stopped because it had looked at enough.
    stopped: Option<HeadPlace>,
}

impl<'a> FileHeads<'a> {
    fn new(query: &'a HeadQuery<'a>, lsm: &'a Lsm, memory: &'a Memory) -> FileHeads<'a> {
        let snapshot = lsm.snapshot();
        FileHeads { query, lsm, snapshot, memory, found: Vec::new(), visits: 0, stopped: None }
    }

    fn run(&mut self) -> Result<(), StoreError> {
        let first = self.query.after.map_or(0, |after| after.group);
        for group in first..self.query.key_groups {
            self.group(group)?;
            if self.stopped.is_some() || self.found.len() >= self.query.limit {
                return Ok(());
            }
            if self.visits >= self.query.visits_max && group + 1 < self.query.key_groups {
                self.stopped = Some(HeadPlace { group: group + 1, head: Bytes::new() });
                return Ok(());
            }
        }
        Ok(())
    }

    /// Goes through the kinds of a key group side by side.
    fn group(&mut self, group: u16) -> Result<(), StoreError> {
        let after = self.query.after.filter(|after| after.group == group);
        let mut kinds = Vec::new();
        for kind in self.query.kinds {
            let [high, low] = group.to_be_bytes();
            let begin = [&[high, low, *kind], self.query.prefix].concat();
            let from = match after.filter(|after| after.head[..] > *self.query.prefix) {
                Some(after) => behind(&[&begin[..3], &after.head[..]].concat()),
                None => begin.clone(),
            };
            let mut kind = Kind { begin, keys: self.keys(&from), head: None };
            self.advance(&mut kind, &[])?;
            kinds.push(kind);
        }
        loop {
            let Some(head) = kinds.iter().filter_map(|kind| kind.head.as_ref()).min().cloned()
            else {
                return Ok(());
            };
            let place = HeadPlace { group, head: head.clone() };
            self.found.push(place.clone());
            if self.found.len() >= self.query.limit {
                return Ok(());
            }
            if self.visits >= self.query.visits_max {
                self.stopped = Some(place);
                return Ok(());
            }
            for kind in kinds.iter_mut().filter(|kind| kind.head.as_ref() == Some(&head)) {
                self.advance(kind, &head)?;
            }
        }
    }

    fn keys(&mut self, from: &[u8]) -> fjall::Iter {
        self.visits += 1;
        self.lsm.keys_from(&self.snapshot, from)
    }

    /// Moves on to the next head behind `head`.
    fn advance(&mut self, kind: &mut Kind, head: &[u8]) -> Result<(), StoreError> {
        let mut steps = 0;
        kind.head = None;
        while let Some(key) = kind.keys.next() {
            let key = self.lsm.key(key)?;
            self.visits += 1;
            if !key.starts_with(&kind.begin) {
                return Ok(());
            }
            let Some(end) = (self.query.head_end)(&key) else { continue };
            if key[3..end] == *head {
                steps += 1;
                if steps == STEPS_MAX {
                    kind.keys = self.keys(&behind(&key[..end]));
                }
                continue;
            }
            if !self.memory.is_deleted(&key) {
                kind.head = Some(Bytes::copy_from_slice(&key[3..end]));
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The keys of a kind in a key group.
struct Kind {
    /// How all of them begin.
    begin: Vec<u8>,
    keys: fjall::Iter,
    /// The next head.
    head: Option<Bytes>,
}

/// Behind all keys that begin with this, whose last byte is 0.
fn behind(head: &[u8]) -> Vec<u8> {
    let mut behind = head.to_vec();
    *behind.last_mut().expect("a head is not empty") = 1;
    debug_assert!(behind.len() > 3 && is_state(head) == is_state(&behind));
    behind
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use statera_core::delta::DeltaWriter;

    use super::*;

    #[test]
    fn what_is_visited_can_be_asked_about_while_a_change_waits_for_it() {
        let mut delta = Vec::new();
        DeltaWriter::new(&mut delta).put(b"key", b"value");
        let open = Arc::new(Table::default());
        open.absorb(&delta).unwrap();
        let (done, visited) = mpsc::channel();
        std::thread::spawn(move || {
            let memory = Memory { open: open.clone(), sealed: Some(Arc::default()) };
            memory.visit(|key, _, is_deleted| {
                let (writing, delta) = (open.clone(), delta.clone());
                std::thread::spawn(move || writing.absorb(&delta).map(drop));
                while !open.is_wanted(key) {
                    std::thread::yield_now();
                }
                assert!(!is_deleted());
            });
            done.send(()).unwrap();
        });
        visited.recv_timeout(Duration::from_secs(30)).expect("nobody waits for ever");
    }
}
