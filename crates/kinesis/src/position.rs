//! What the engine keeps for a Kinesis ingress, all integers little-endian.
//!
//! For a stream, as the source `<stream>`, written once before anything is read:
//!
//! ```text
//! offset  size  what
//!      0     1  version of this format: 1
//!      1     1  0: a plan
//!      2     8  when the stream was first looked at, by the clock of the service: ms since the Unix epoch
//!     10     …  for each shard that there was then:
//!         0     1  where to begin: 0 nowhere, 1 at the oldest record, 2 at that time, 3 at a date
//!         1     8  the date in ms since the Unix epoch, else 0
//!         9     1  n, the length of the shard's id
//!        10     n  the id
//! ```
//!
//! For a shard, as the source `<stream>/<shard>`:
//!
//! ```text
//! offset  size  what
//!      0     1  version of this format: 1
//!      1     1  1: it is being read; 2: it is read to its end
//!      2     8  everything that arrived before this time has been read: ms since the Unix epoch; -1: not known
//!     10     4  how many records of the aggregated one below have been read; 0xffff_ffff: all
//!     14     n  the sequence number of the last record of which anything has been read; n = 0: none has
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;

const VERSION: u8 = 1;
const PLAN: u8 = 0;
const READING: u8 = 1;
const ENDED: u8 = 2;

/// All sub-records.
const ALL: u32 = u32::MAX;

/// Where to begin with the shards that there are at the first start. Those that come later descend from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) at: i64,
    pub(crate) shards: BTreeMap<String, Begin>,
}

/// Where to begin with a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// It was closed before.
    Nowhere,
    Oldest,
    /// At the time of the plan.
    Then,
    Date(i64),
}

/// How far a shard is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) ended: bool,
    /// Everything that arrived before this time has been read.
    pub(crate) read_to: Option<i64>,
    pub(crate) last: Option<Last>,
}

/// The last record of which anything has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) sequence: String,
    /// How many of the records in it; `None`: all.
    pub(crate) within: Option<u32>,
}

impl Plan {
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = vec![VERSION, PLAN];
        bytes.extend(self.at.to_le_bytes());
        for (id, begin) in &self.shards {
            let (tag, date) = match begin {
                Begin::Nowhere => (0, 0),
                Begin::Oldest => (1, 0),
                Begin::Then => (2, 0),
                Begin::Date(date) => (3, *date),
            };
            bytes.push(tag);
            bytes.extend(date.to_le_bytes());
            bytes.push(u8::try_from(id.len()).expect("ids of shards have at most 128 bytes"));
            bytes.extend(id.as_bytes());
        }
        bytes.into()
    }

    /// `None` if this is something else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Plan> {
        let mut rest = bytes.strip_prefix(&[VERSION, PLAN])?;
        let at = i64::from_le_bytes(take(&mut rest)?);
        let mut shards = BTreeMap::new();
        while !rest.is_empty() {
            let [tag] = take(&mut rest)?;
            let date = i64::from_le_bytes(take(&mut rest)?);
            let [length] = take(&mut rest)?;
            let (id, behind) = rest.split_at_checked(length.into())?;
            rest = behind;
            let begin = match tag {
                0 => Begin::Nowhere,
                1 => Begin::Oldest,
                2 => Begin::Then,
                3 => Begin::Date(date),
                _ => return None,
            };
            shards.insert(std::str::from_utf8(id).ok()?.to_owned(), begin);
        }
        Some(Plan { at, shards })
    }
}

impl Position {
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = vec![VERSION, if self.ended { ENDED } else { READING }];
        bytes.extend(self.read_to.unwrap_or(-1).to_le_bytes());
        let (within, sequence) = match &self.last {
            Some(last) => (last.within.unwrap_or(ALL), last.sequence.as_str()),
            None => (ALL, ""),
        };
        bytes.extend(within.to_le_bytes());
        bytes.extend(sequence.as_bytes());
        bytes.into()
    }

    /// `None` if this is something else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Position> {
        let mut rest = bytes;
        let [VERSION, tag @ (READING | ENDED)] = take(&mut rest)? else { return None };
        let read_to = i64::from_le_bytes(take(&mut rest)?);
        let within = u32::from_le_bytes(take(&mut rest)?);
        let sequence = std::str::from_utf8(rest).ok()?.to_owned();
        let within = Some(within).filter(|within| *within != ALL);
        let last = (!sequence.is_empty()).then_some(Last { sequence, within });
        Some(Position {
            ended: tag == ENDED,
            read_to: Some(read_to).filter(|time| *time >= 0),
            last,
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn begin() -> impl Strategy<Value = Begin> {
        prop_oneof![
            Just(Begin::Nowhere),
            Just(Begin::Oldest),
            Just(Begin::Then),
            any::<i64>().prop_map(Begin::Date)
        ]
    }

    proptest! {
        #[test]
        fn plans_survive(at in any::<i64>(), shards in prop::collection::btree_map("[a-zA-Z0-9_.-]{1,128}", begin(), 0..5)) {
            let plan = Plan { at, shards };
            prop_assert_eq!(Plan::decode(&plan.encode()), Some(plan));
        }

        #[test]
        fn positions_survive(
            ended in any::<bool>(),
            read_to in prop::option::of(0..i64::MAX),
            last in prop::option::of(("[0-9]{1,56}", prop::option::of(0..ALL))),
        ) {
            let last = last.map(|(sequence, within)| Last { sequence, within });
            let position = Position { ended, read_to, last };
            prop_assert_eq!(Position::decode(&position.encode()), Some(position));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (Plan::decode(&bytes), Position::decode(&bytes));
        }
    }

    #[test]
    fn the_format_stays_as_it_is() {
        let shards = [("shard-0".to_owned(), Begin::Then)].into();
        let plan = Plan { at: 258, shards };
        assert_eq!(
            &plan.encode()[..],
            b"\x01\x00\x02\x01\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0\x07shard-0"
        );
        let last = Some(Last { sequence: "495".into(), within: Some(3) });
        let position = Position { ended: false, read_to: Some(1), last };
        assert_eq!(&position.encode()[..], b"\x01\x01\x01\0\0\0\0\0\0\0\x03\0\0\x00495");
    }
}
