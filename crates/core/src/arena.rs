//! A slab in chunks: it grows without moving what it holds, so that no single insertion takes long.

/// Slots in a chunk.
const CHUNK: usize = 1 << 10;

/// Values by small numbers. A number is used again once its value was removed.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    /// Of a fixed length, so that to find a slot is to look at one pointer.
    chunks: Vec<Box<[Slot<T>; CHUNK]>>,
    /// The first empty slot; [`NONE`] if there is none.
    empty: u32,
    length: usize,
}

#[derive(Debug)]
enum Slot<T> {
    Full(T),
    Empty { next: u32 },
}

const NONE: u32 = u32::MAX;

impl<T> Default for Arena<T> {
    fn default() -> Arena<T> {
        Arena { chunks: Vec::new(), empty: NONE, length: 0 }
    }
}

impl<T> Arena<T> {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Numbers in use are less than this.
    pub(crate) fn slots(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if self.empty == NONE {
            self.grow();
        }
        let index = self.empty;
        let slot = self.slot_mut(index).expect("empty slots are slots");
        let Slot::Empty { next } = *slot else { unreachable!("it was in the list of empty ones") };
        *slot = Slot::Full(value);
        self.empty = next;
        self.length += 1;
        index
    }

    #[cold]
    fn grow(&mut self) {
        let end =
            u32::try_from(self.slots() + CHUNK).expect("fewer than 2^32 values fit into memory");
        let first = end - CHUNK as u32;
        let next = |slot| if slot == CHUNK { NONE } else { first + slot as u32 };
        let slots: Vec<_> = (1..=CHUNK).map(|slot| Slot::Empty { next: next(slot) }).collect();
        self.chunks.push(slots.try_into().ok().expect("it has that length"));
        self.empty = first;
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        match self.chunks.get(index as usize / CHUNK)?.get(index as usize % CHUNK)? {
            Slot::Full(value) => Some(value),
            Slot::Empty { .. } => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.slot_mut(index)? {
            Slot::Full(value) => Some(value),
            Slot::Empty { .. } => None,
        }
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let next = self.empty;
        let slot = self.slot_mut(index)?;
        if let Slot::Empty { .. } = slot {
            return None;
        }
        let Slot::Full(value) = std::mem::replace(slot, Slot::Empty { next }) else { return None };
        self.empty = index;
        self.length -= 1;
        Some(value)
    }

    /// Drops the value of a number where it is.
    #[inline]
    pub(crate) fn discard(&mut self, index: u32) {
        let next = self.empty;
        if let Some(slot @ Slot::Full(_)) = self.slot_mut(index) {
            *slot = Slot::Empty { next };
            self.empty = index;
            self.length -= 1;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).zip(0..).filter_map(|(slot, index)| {
            match slot {
                Slot::Full(value) => Some((index, value)),
                Slot::Empty { .. } => None,
            }
        })
    }

    #[inline]
    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot<T>> {
        self.chunks.get_mut(index as usize / CHUNK)?.get_mut(index as usize % CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds(steps: Vec<(bool, u32)>) {
            let (mut arena, mut map) = (Arena::default(), BTreeMap::new());
            for (insert, number) in steps {
                if insert {
                    prop_assert_eq!(map.insert(arena.insert(number), number), None);
                } else {
                    let index = number % 16;
                    prop_assert_eq!(arena.remove(index), map.remove(&index));
                }
                prop_assert_eq!(arena.len(), map.len());
                prop_assert!(map.keys().all(|index| (*index as usize) < arena.slots()));
            }
            prop_assert!(arena.iter().eq(map.iter().map(|(index, number)| (*index, number))));
            for index in 0..20 {
                prop_assert_eq!(arena.get(index), map.get(&index));
                prop_assert_eq!(arena.get_mut(index), map.get_mut(&index));
            }
        }
    }

    #[test]
    fn it_grows_beyond_a_chunk() {
        let mut arena = Arena::default();
        let count = CHUNK as u32 * 2 + 1;
        assert!((0..count).all(|number| arena.insert(number) == number));
        assert!((0..count).all(|number| arena.get(number) == Some(&number)));
        assert_eq!((arena.len(), arena.slots()), (count as usize, 3 * CHUNK));
    }
}
