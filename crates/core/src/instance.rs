//! Instances: the mailbox, the state values in memory, and what an address is doing.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use foldhash::fast::FixedState;
use statera_model::{Change, Epoch, Expiration, Id, KeyGroup, Millis, StateSpec, TypedValue};

use crate::arena::Arena;
use crate::index::Index;
use crate::mailbox::Mailbox;

/// One address that is in memory.
///
/// There may be millions, and each message is for any of them, so that much of what it costs is to wait for memory: this is
/// two lines of the processor's cache, one with what is looked at when a message comes, and one with the state.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Instance {
    pub(crate) id: Id,
    pub(crate) mailbox: Mailbox,
    pub(crate) phase: Phase,
    /// Index of its type in the shard's functions.
    pub(crate) function: u32,
    pub(crate) group: KeyGroup,
    pub(crate) marks: Marks,
    /// The last epoch in which it changed, as far as one byte can tell.
    changed: u8,
    /// State values, in the order of the function's declared states.
    pub(crate) cells: Cells,
}

/// What is either so or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(u8);

impl Marks {
    /// It stands in the shard's list of instances with changes.
    pub(crate) const DIRTY: Marks = Marks(1);
    /// It was used since the eviction hand came by.
    pub(crate) const REFERENCED: Marks = Marks(2);
    /// Its invocations fail: the shard knows more.
    pub(crate) const TROUBLED: Marks = Marks(4);
    /// An operator wants it to be paused when its turn comes.
    pub(crate) const HELD: Marks = Marks(8);

    #[inline]
    pub(crate) fn has(self, mark: Marks) -> bool {
        self.0 & mark.0 != 0
    }

    #[inline]
    pub(crate) fn set(&mut self, mark: Marks) {
        self.0 |= mark.0;
    }

    /// Returns whether the mark was there.
    #[inline]
    pub(crate) fn clear(&mut self, mark: Marks) -> bool {
        let had = self.has(mark);
        self.0 &= !mark.0;
        had
    }
}

/// What an address is doing. One invocation at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing: the mailbox is empty.
    Idle,
    /// It waits for its turn among the instances of its type.
    Queued,
    /// Its state is being read.
    Loading { attempt: u64 },
    /// Its function is being invoked with the first `batch` messages and the first `states` states.
    Running { attempt: u64, batch: u32, states: u16 },
    /// It will be tried again.
    Waiting { attempt: u64 },
    /// It takes no messages until it is resumed.
    Paused,
}

/// A state value.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) value: Option<TypedValue>,
    pub(crate) last_access: Millis,
    pub(crate) status: CellStatus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CellStatus {
    /// It may be in the store.
    Unread,
    /// As in the store, or in an earlier delta.
    Clean,
    /// Changed since the last cut.
    Dirty,
}

impl Cell {
    pub(crate) const UNREAD: Cell =
        Cell { value: None, last_access: Millis(0), status: CellStatus::Unread };

    #[inline]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.value.as_ref().map_or(0, TypedValue::heap_bytes)
    }
}

/// The state values of an instance. Most functions have one, which is kept where the instance is.
#[derive(Debug)]
pub(crate) enum Cells {
    None,
    One(Cell),
    Many(Vec<Cell>),
}

impl Cells {
    pub(crate) fn push(&mut self, cell: Cell) {
        *self = match mem::replace(self, Cells::None) {
            Cells::None => Cells::One(cell),
            Cells::One(first) => Cells::Many(vec![first, cell]),
            Cells::Many(mut cells) => {
                cells.push(cell);
                Cells::Many(cells)
            }
        };
    }

    /// What they take beside the instance itself.
    fn heap_bytes(&self) -> usize {
        let values = self.iter().map(Cell::heap_bytes).sum::<usize>();
        values
            + if let Cells::Many(cells) = self { size_of::<Cell>() * cells.capacity() } else { 0 }
    }
}

impl Deref for Cells {
    type Target = [Cell];

    fn deref(&self) -> &[Cell] {
        match self {
            Cells::None => &[],
            Cells::One(cell) => std::slice::from_ref(cell),
            Cells::Many(cells) => cells,
        }
    }
}

impl DerefMut for Cells {
    fn deref_mut(&mut self) -> &mut [Cell] {
        match self {
            Cells::None => &mut [],
            Cells::One(cell) => std::slice::from_mut(cell),
            Cells::Many(cells) => cells,
        }
    }
}

/// An instance whose invocations fail.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// When the batch was first tried.
    pub(crate) since: Millis,
    /// Attempts that failed.
    pub(crate) attempts: u32,
    /// Those of them with the messages that are tried now: their number is counted anew whenever it changes.
    pub(crate) tries: u32,
    /// Those of these that speak against the messages rather than against the endpoint.
    pub(crate) evidence: u32,
    /// When the last attempt failed.
    pub(crate) failed_at: Millis,
    /// How many invocations of its type had succeeded then.
    pub(crate) successes: u64,
    /// How many of the first messages are known to hold one that fails; zero while that is not being sought.
    pub(crate) suspects: usize,
    /// The most messages the endpoint may take at once, as far as its refusals of larger requests tell.
    pub(crate) batch_max: usize,
    /// The last failure.
    pub(crate) reason: Arc<str>,
}

impl Instance {
    fn new(id: Id, group: KeyGroup, function: u32) -> Instance {
        Instance {
            id,
            mailbox: Mailbox::EMPTY,
            phase: Phase::Idle,
            function,
            group,
            marks: Marks::REFERENCED,
            changed: 0,
            cells: Cells::None,
        }
    }

    /// The function has answered with changes of its states, which must be those that it declares. Each value that was there is
    /// in `changes` then, so that values are moved once. Returns what the values took before, and what they take now, beside
    /// the instance.
    #[inline]
    pub(crate) fn change(
        &mut self,
        changes: &mut [Change],
        specs: &[StateSpec],
        now: Millis,
    ) -> (usize, usize) {
        let (mut before, mut after) = (0, 0);
        for Change { place, value } in changes {
            let (spec, cell) = (&specs[*place], &mut self.cells[*place]);
            before += cell.heap_bytes();
            mem::swap(&mut cell.value, value);
            if let Some(value) = &mut cell.value
                && !value.is_plain()
            {
                *value = stored(value, spec);
            }
            after += cell.heap_bytes();
            cell.last_access = match spec.expiration {
                Expiration::Never => Millis(0),
                Expiration::AfterWrite { .. } | Expiration::AfterInvoke { .. } => now,
            };
            cell.status = CellStatus::Dirty;
        }
        (before, after)
    }

    /// How many of so many states are not read.
    #[inline]
    pub(crate) fn unread(&self, states: usize) -> usize {
        states - self.cells.iter().filter(|cell| cell.status != CellStatus::Unread).count()
    }

    /// Itself with how many messages and states its function is being invoked with, if it is.
    #[inline]
    pub(crate) fn running(&self) -> Option<(&Instance, usize, usize)> {
        match self.phase {
            Phase::Running { batch, states, .. } => Some((self, batch as usize, states.into())),
            _ => None,
        }
    }

    /// What it takes in memory, roughly.
    pub(crate) fn measured(&self) -> usize {
        size_of::<Instance>() + INDEX_BYTES + self.id.heap_bytes() + self.cells.heap_bytes()
    }

    /// It changes in this epoch. Returns whether that is news.
    #[inline]
    pub(crate) fn mark_dirty(&mut self, epoch: Epoch) -> bool {
        let news = !self.marks.has(Marks::DIRTY);
        if news {
            self.marks.set(Marks::DIRTY);
            self.changed = epoch.0 as u8;
        }
        news
    }

    /// Whether nothing would be lost if it were dropped from memory, given what the store serves. One that changed long ago
    /// may be taken for one that changed lately; it is looked at again later.
    fn is_evictable(&self, epoch: Epoch, flushed: Epoch) -> bool {
        let unflushed = epoch.0 - flushed.0;
        let age = u64::from((epoch.0 as u8).wrapping_sub(self.changed));
        self.phase == Phase::Idle
            && self.mailbox.is_empty()
            && !self.marks.has(Marks::DIRTY)
            && !self.marks.has(Marks::HELD)
            && unflushed < u64::from(u8::MAX)
            && age >= unflushed
    }
}

/// A value as it is stored and sent back: `has_value` is ignored when it is set, and always set when it is sent.
#[cold]
fn stored(value: &TypedValue, spec: &StateSpec) -> TypedValue {
    if value.has_value() && !value.is("") {
        value.clone().detached()
    } else {
        TypedValue::new(&spec.typename, value.value())
    }
}

/// What the index takes for an instance, roughly.
const INDEX_BYTES: usize = 14;

/// All instances in memory.
#[derive(Debug)]
pub(crate) struct Instances {
    slots: Arena<Instance>,
    index: Index,
    hasher: FixedState,
    bytes: usize,
    /// Where eviction goes on.
    hand: u32,
}

impl Instances {
    pub(crate) fn new(hash_seed: u64) -> Instances {
        let hasher = FixedState::with_seed(hash_seed);
        Instances { slots: Arena::default(), index: Index::new(), hasher, bytes: 0, hand: 0 }
    }

    /// The instance of this function type with this id.
    #[inline]
    pub(crate) fn find(&self, function: u32, id: &Id) -> Option<u32> {
        self.find_hashed(self.hash(function, id), function, id)
    }

    /// As [`Instances::find`], with the hash of what is looked for.
    #[inline]
    pub(crate) fn find_hashed(&self, hash: u32, function: u32, id: &Id) -> Option<u32> {
        self.index.find(hash, |index| self.is(index, function, id))
    }

    /// Whether an instance is that of this function type with this id.
    #[inline]
    pub(crate) fn is(&self, index: u32, function: u32, id: &Id) -> bool {
        let instance = self.get(index);
        instance.function == function && instance.id == *id
    }

    /// The instance that probably has this hash, without a look at it.
    #[inline]
    pub(crate) fn guess(&self, hash: u32) -> Option<u32> {
        self.index.find(hash, |_| true)
    }

    /// Looks at an instance that is needed soon, and waits for nothing: the processor fetches several such at once, which
    /// takes hardly longer than one.
    #[inline]
    pub(crate) fn touch(&self, index: u32) {
        if let Some(instance) = self.slots.get(index) {
            black_box(instance.mailbox.len() + instance.cells.len());
        }
    }

    /// As [`Instances::touch`], for the place where a hash is looked for.
    #[inline]
    pub(crate) fn touch_index(&self, hash: u32) {
        self.index.touch(hash);
    }

    #[inline]
    pub(crate) fn hash(&self, function: u32, id: &Id) -> u32 {
        let hash = self.hasher.hash_one(id.as_bytes());
        let hash = hash ^ u64::from(function).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash ^ (hash >> 32)) as u32
    }

    pub(crate) fn insert(&mut self, id: Id, group: KeyGroup, function: u32) -> u32 {
        self.insert_hashed(self.hash(function, &id), id, group, function)
    }

    /// As [`Instances::insert`], with the hash of the two.
    pub(crate) fn insert_hashed(
        &mut self,
        hash: u32,
        id: Id,
        group: KeyGroup,
        function: u32,
    ) -> u32 {
        let instance = Instance::new(id, group, function);
        self.bytes += instance.measured();
        let index = self.slots.insert(instance);
        self.index.insert(hash, index);
        index
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> &Instance {
        self.slots.get(index).expect(IN_MEMORY)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> &mut Instance {
        self.slots.get_mut(index).expect(IN_MEMORY)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Instance)> {
        self.slots.iter()
    }

    /// All indexes, in a fixed order.
    pub(crate) fn indexes(&self) -> Vec<u32> {
        self.slots.iter().map(|(index, _)| index).collect()
    }

    /// The instance whose current attempt this is, if it still is.
    #[inline]
    pub(crate) fn attempt(&self, index: u32, attempt: u64) -> Option<&Instance> {
        self.slots.get(index).filter(|instance| match instance.phase {
            Phase::Loading { attempt: current }
            | Phase::Running { attempt: current, .. }
            | Phase::Waiting { attempt: current } => current == attempt,
            Phase::Idle | Phase::Queued | Phase::Paused => false,
        })
    }

    /// What instances take beside themselves has changed by that of some of their values.
    #[inline]
    pub(crate) fn replaced(&mut self, before: usize, after: usize) {
        self.bytes = self.bytes - before + after;
    }

    /// What an instance takes in memory has changed from `before`, which [`Instance::measured`] was.
    pub(crate) fn resized(&mut self, index: u32, before: usize) {
        self.bytes = self.bytes - before + self.get(index).measured();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Drops idle instances that were not used lately until `bytes_max` is kept, looking at `steps` of them at most. `epoch`
    /// is the one that is being built.
    pub(crate) fn evict(&mut self, bytes_max: usize, epoch: Epoch, flushed: Epoch, steps: usize) {
        for _ in 0..steps {
            if self.bytes <= bytes_max || self.slots.len() == 0 {
                return;
            }
            self.hand =
                if self.hand as usize + 1 >= self.slots.slots() { 0 } else { self.hand + 1 };
            let Some(instance) = self.slots.get_mut(self.hand) else { continue };
            let used = instance.marks.clear(Marks::REFERENCED);
            if !used && instance.is_evictable(epoch, flushed) {
                self.remove(self.hand);
            }
        }
    }

    fn remove(&mut self, index: u32) {
        let instance = self.slots.remove(index).expect(IN_MEMORY);
        self.bytes -= instance.measured();
        self.index.remove(self.hash(instance.function, &instance.id), index);
    }
}

const IN_MEMORY: &str = "an instance is named only while it is in memory";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_takes_two_lines_of_the_processors_cache() {
        assert_eq!(size_of::<Instance>(), 2 * 64);
        assert_eq!(size_of::<Option<Instance>>(), 2 * 64);
    }

    #[test]
    fn what_the_store_does_not_serve_yet_is_kept() {
        let mut instance = Instance::new("a".into(), KeyGroup(0), 0);
        for changed in [1, 200, 255, 256, 257, 1_000] {
            instance.mark_dirty(Epoch(changed));
            assert!(!instance.is_evictable(Epoch(changed), Epoch(changed)), "dirty");
            instance.marks.clear(Marks::DIRTY);
            for now in changed + 1..changed + 600 {
                for flushed in now.saturating_sub(300)..changed {
                    assert!(!instance.is_evictable(Epoch(now), Epoch(flushed)));
                }
            }
            assert!(instance.is_evictable(Epoch(changed + 1), Epoch(changed)));
            assert!(instance.is_evictable(Epoch(changed + 50), Epoch(changed + 20)));
        }
    }
}
