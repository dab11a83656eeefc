//! Instances: the mailbox, the state values in memory, and what an address is doing.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use slab::Slab;
use statera_model::{Address, Epoch, KeyGroup, Millis, TypedValue};

/// One address that is in memory.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) address: Address,
    pub(crate) group: KeyGroup,
    /// Index of its type in the shard's functions.
    pub(crate) function: u32,
    pub(crate) phase: Phase,
    pub(crate) mailbox: VecDeque<Message>,
    /// The first messages of the mailbox, all of which are in the store or in an earlier delta.
    pub(crate) persisted_prefix: usize,
    /// State values, in the order of the function's declared states.
    pub(crate) cells: Vec<Cell>,
    pub(crate) trouble: Option<Box<Trouble>>,
    /// The last epoch in which its state changed.
    pub(crate) changed: Epoch,
    /// Whether it stands in the shard's list of instances with changes.
    pub(crate) dirty: bool,
    /// Whether it was used since the eviction hand came by.
    pub(crate) referenced: bool,
    /// What is counted for it in [`Instances::bytes`].
    pub(crate) bytes: usize,
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
    Running { attempt: u64, batch: usize, states: usize },
    /// It will be tried again.
    Waiting { attempt: u64 },
    /// It takes no messages until it is resumed.
    Paused,
}

/// A message in a mailbox.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) sequence: u64,
    pub(crate) caller: Option<Address>,
    pub(crate) argument: TypedValue,
    /// Whether it was part of a delta, so that its end must be part of one too.
    pub(crate) persisted: bool,
}

impl Message {
    /// Roughly what it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.argument.encoded().len() + size_of::<Message>() + 64
    }
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
        size_of::<Cell>() + self.value.as_ref().map_or(0, |value| value.encoded().len() + 40)
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
            mailbox: VecDeque::new(),
            persisted_prefix: 0,
            cells: Vec::new(),
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
            + self.address.id.len()
            + 48
            + self.cells.iter().map(Cell::bytes).sum::<usize>()
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
    slots: Slab<Instance>,
    by_address: HashTable<u32>,
    hasher: FixedState,
    bytes: usize,
    /// Where eviction goes on.
    hand: usize,
}

impl Instances {
    pub(crate) fn new(hash_seed: u64) -> Instances {
        Instances {
            slots: Slab::new(),
            by_address: HashTable::new(),
            hasher: FixedState::with_seed(hash_seed),
            bytes: 0,
            hand: 0,
        }
    }

    pub(crate) fn find(&self, address: &Address) -> Option<u32> {
        let hash = self.hasher.hash_one(address);
        self.by_address.find(hash, |index| self.slots[*index as usize].address == *address).copied()
    }

    pub(crate) fn insert(&mut self, address: Address, group: KeyGroup, function: u32) -> u32 {
        let hash = self.hasher.hash_one(&address);
        let instance = Instance::new(address, group, function);
        let index = u32::try_from(self.slots.insert(instance)).expect("fewer than 2^32 instances");
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.by_address
            .insert_unique(hash, index, |index| hasher.hash_one(&slots[*index as usize].address));
        self.measure(index);
        index
    }

    pub(crate) fn get(&self, index: u32) -> &Instance {
        &self.slots[index as usize]
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> &mut Instance {
        &mut self.slots[index as usize]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Instance)> {
        self.slots.iter().map(|(index, instance)| (index as u32, instance))
    }

    /// All indexes, in a fixed order.
    pub(crate) fn indexes(&self) -> Vec<u32> {
        self.slots.iter().map(|(index, _)| index as u32).collect()
    }

    /// The instance whose current attempt this is, if it still is.
    pub(crate) fn attempt(&self, index: u32, attempt: u64) -> Option<&Instance> {
        self.slots.get(index as usize).filter(|instance| match instance.phase {
            Phase::Loading { attempt: current }
            | Phase::Running { attempt: current, .. }
            | Phase::Waiting { attempt: current } => current == attempt,
            Phase::Idle | Phase::Queued | Phase::Paused => false,
        })
    }

    /// Counts anew what an instance takes, after its state changed.
    pub(crate) fn measure(&mut self, index: u32) {
        let instance = &mut self.slots[index as usize];
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
            if self.bytes <= bytes_max || self.slots.is_empty() {
                return;
            }
            self.hand = if self.hand + 1 >= self.slots.capacity() { 0 } else { self.hand + 1 };
            let Some(instance) = self.slots.get_mut(self.hand) else { continue };
            if std::mem::take(&mut instance.referenced) || !instance.is_evictable(flushed) {
                continue;
            }
            self.remove(self.hand);
        }
    }

    fn remove(&mut self, slot: usize) {
        let instance = self.slots.remove(slot);
        self.bytes -= instance.bytes;
        let hash = self.hasher.hash_one(&instance.address);
        match self.by_address.find_entry(hash, |index| *index as usize == slot) {
            Ok(entry) => drop(entry.remove()),
            Err(_) => unreachable!("every instance is indexed"),
        }
    }
}
