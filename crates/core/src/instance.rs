//! Instances: the mailbox, the state values in memory, and what an address is doing.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use statera_model::{Address, Epoch, Id, KeyGroup, Millis, TypedValue};

use crate::arena::Arena;
use crate::mailbox::Mailbox;

/// One address that is in memory.
///
/// There may be millions, and each message is for any of them, so that much of what it costs is to wait for memory. What is
/// looked at when a message comes, and what a function needs, each lie together.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Instance {
    pub(crate) address: Address,
    pub(crate) mailbox: Mailbox,
    pub(crate) phase: Phase,
    /// Index of its type in the shard's functions.
    pub(crate) function: u32,
    pub(crate) group: KeyGroup,
    /// Whether it stands in the shard's list of instances with changes.
    pub(crate) dirty: bool,
    /// Whether it was used since the eviction hand came by.
    pub(crate) referenced: bool,
    pub(crate) trouble: Option<Box<Trouble>>,
    /// The last epoch in which its state changed.
    pub(crate) changed: Epoch,
    /// What is counted for it in [`Instances::bytes`].
    pub(crate) bytes: usize,
    /// State values, in the order of the function's declared states.
    pub(crate) cells: Cells,
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

    fn bytes(&self) -> usize {
        size_of::<Cell>() + self.heap_bytes()
    }

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
        *self = match std::mem::replace(self, Cells::None) {
            Cells::None => Cells::One(cell),
            Cells::One(first) => Cells::Many(vec![first, cell]),
            Cells::Many(mut cells) => {
                cells.push(cell);
                Cells::Many(cells)
            }
        };
    }

    /// What is part of the instance itself.
    fn inline_bytes(&self) -> usize {
        if let Cells::One(_) = self { size_of::<Cell>() } else { 0 }
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
    /// How many of the first messages are known to hold one that fails; zero while that is not being sought.
    pub(crate) suspects: usize,
    /// The most messages the endpoint may take at once, as far as its refusals of larger requests tell.
    pub(crate) batch_max: usize,
    /// The last failure.
    pub(crate) reason: Arc<str>,
}

impl Instance {
    fn new(address: Address, group: KeyGroup, function: u32) -> Instance {
        Instance {
            address,
            group,
            function,
            phase: Phase::Idle,
            mailbox: Mailbox::EMPTY,
            cells: Cells::None,
            trouble: None,
            changed: Epoch::ZERO,
            dirty: false,
            referenced: true,
            bytes: 0,
        }
    }

    /// What it takes in memory, roughly.
    pub(crate) fn measured(&self) -> usize {
        size_of::<Instance>()
            + self.address.id.heap_bytes()
            + 16
            + self.cells.iter().map(Cell::bytes).sum::<usize>()
            - self.cells.inline_bytes()
    }

    /// Whether nothing would be lost if it were dropped from memory, given what the store serves.
    fn is_evictable(&self, flushed: Epoch) -> bool {
        self.phase == Phase::Idle
            && self.mailbox.is_empty()
            && !self.dirty
            && self.changed <= flushed
    }
}

/// All instances in memory.
#[derive(Debug)]
pub(crate) struct Instances {
    slots: Arena<Instance>,
    index: Index,
    bytes: usize,
    /// Where eviction goes on.
    hand: u32,
}

impl Instances {
    pub(crate) fn new(hash_seed: u64) -> Instances {
        Instances { slots: Arena::default(), index: Index::new(hash_seed), bytes: 0, hand: 0 }
    }

    /// The instance of this function type with this id.
    #[inline]
    pub(crate) fn find(&self, function: u32, id: &Id) -> Option<u32> {
        self.find_hashed(self.hash(function, id), function, id)
    }

    /// As [`Instances::find`], with the hash known.
    #[inline]
    pub(crate) fn find_hashed(&self, hash: u32, function: u32, id: &Id) -> Option<u32> {
        self.index.find(hash, |index| {
            let instance = self.get(index);
            instance.function == function && instance.address.id == *id
        })
    }

    /// The instance that probably has this hash, without a look at it.
    #[inline]
    pub(crate) fn guess(&self, hash: u32) -> Option<u32> {
        self.index.find(hash, |_| true)
    }

    /// Looks at an instance that is needed soon, and waits for nothing: the processor fetches several such at once, which
    /// takes as long as one.
    #[inline]
    pub(crate) fn touch(&self, index: u32) {
        if let Some(instance) = self.slots.get(index) {
            black_box(instance.mailbox.len() + usize::from(instance.dirty) + instance.cells.len());
        }
    }

    #[inline]
    pub(crate) fn hash(&self, function: u32, id: &Id) -> u32 {
        self.index.hash(function, id.as_bytes())
    }

    pub(crate) fn insert(&mut self, address: Address, group: KeyGroup, function: u32) -> u32 {
        let hash = self.hash(function, &address.id);
        let index = self.slots.insert(Instance::new(address, group, function));
        self.index.insert(hash, index);
        self.measure(index);
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
    pub(crate) fn attempt(&self, index: u32, attempt: u64) -> Option<&Instance> {
        self.slots.get(index).filter(|instance| match instance.phase {
            Phase::Loading { attempt: current }
            | Phase::Running { attempt: current, .. }
            | Phase::Waiting { attempt: current } => current == attempt,
            Phase::Idle | Phase::Queued | Phase::Paused => false,
        })
    }

    /// Counts anew what an instance takes, after its state changed.
    pub(crate) fn measure(&mut self, index: u32) {
        let instance = self.slots.get_mut(index).expect(IN_MEMORY);
        let bytes = instance.measured();
        self.bytes = self.bytes - instance.bytes + bytes;
        instance.bytes = bytes;
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Drops idle instances that were not used lately until `bytes_max` is kept, looking at `steps` of them at most.
    pub(crate) fn evict(&mut self, bytes_max: usize, flushed: Epoch, steps: usize) {
        for _ in 0..steps {
            if self.bytes <= bytes_max || self.slots.len() == 0 {
                return;
            }
            self.hand =
                if self.hand as usize + 1 >= self.slots.slots() { 0 } else { self.hand + 1 };
            let Some(instance) = self.slots.get_mut(self.hand) else { continue };
            if std::mem::take(&mut instance.referenced) || !instance.is_evictable(flushed) {
                continue;
            }
            self.remove(self.hand);
        }
    }

    fn remove(&mut self, index: u32) {
        let instance = self.slots.remove(index).expect(IN_MEMORY);
        self.bytes -= instance.bytes;
        self.index.remove(self.hash(instance.function, &instance.address.id), index);
    }
}

const IN_MEMORY: &str = "an instance is named only while it is in memory";

/// Finds instances by type and id. It is many small tables rather than a large one, and has the hashes of its entries, so
/// that no single insertion takes long when a table grows.
#[derive(Debug)]
struct Index {
    tables: Box<[HashTable<(u32, u32)>]>,
    hasher: FixedState,
}

/// A power of two.
const TABLES: usize = 256;

impl Index {
    fn new(hash_seed: u64) -> Index {
        let tables = (0..TABLES).map(|_| HashTable::new()).collect();
        Index { tables, hasher: FixedState::with_seed(hash_seed) }
    }

    #[inline]
    fn hash(&self, function: u32, id: &[u8]) -> u32 {
        let hash = self.hasher.hash_one(id) ^ u64::from(function).wrapping_mul(SPREAD);
        (hash ^ (hash >> 32)) as u32
    }

    #[inline]
    fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let table = &self.tables[hash as usize % TABLES];
        let found = table.find(spread(hash), |(of, index)| *of == hash && is_it(*index));
        found.map(|(_, index)| *index)
    }

    fn insert(&mut self, hash: u32, index: u32) {
        let table = &mut self.tables[hash as usize % TABLES];
        table.insert_unique(spread(hash), (hash, index), |(hash, _)| spread(*hash));
    }

    fn remove(&mut self, hash: u32, index: u32) {
        let table = &mut self.tables[hash as usize % TABLES];
        match table.find_entry(spread(hash), |entry| *entry == (hash, index)) {
            Ok(entry) => drop(entry.remove()),
            Err(_) => unreachable!("every instance is indexed"),
        }
    }
}

/// An odd number without pattern: the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a table wants to see of a hash, some bits of which are the same for all of its entries.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(SPREAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_takes_three_lines_of_the_processors_cache() {
        assert_eq!(size_of::<Instance>(), 3 * 64);
        assert_eq!(size_of::<Option<Instance>>(), 3 * 64);
    }
}
