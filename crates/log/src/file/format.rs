//! The bytes of a segment.
//!
//! The log is a directory of segments, `segment-<number>` with twenty decimal digits; `spare-<number>` are files for
//! reuse whose content means nothing. Epochs run through the segments in order of their numbers, of which some may be
//! missing. All integers are little endian, checksums are CRC-32 (IEEE). Everything starts at a multiple of
//! [`BLOCK_BYTES`] (4096), so that an append never rewrites, nor makes the system read, a page with older bytes.
//!
//! The first block is the segment header:
//!
//! | bytes  | what                                                                        |
//! |--------|-----------------------------------------------------------------------------|
//! | 0..8   | `STATELOG`                                                                  |
//! | 8..12  | format version, 1                                                           |
//! | 12..16 | checksum of bytes 0..12 and 16..32                                          |
//! | 16..24 | number of the segment, the one in its name                                  |
//! | 24..32 | incarnation: a random number that this use of the file has to itself        |
//! | 32..   | zero, not read                                                              |
//!
//! Then follow records, one per epoch, each padded with zeros (not read, not covered by a checksum) to the next block:
//!
//! | bytes  | what                                                                        |
//! |--------|-----------------------------------------------------------------------------|
//! | 0..4   | checksum of bytes 4..40                                                     |
//! | 4..8   | checksum of the payload                                                     |
//! | 8..16  | incarnation of the segment                                                  |
//! | 16..24 | epoch                                                                       |
//! | 24..32 | durable epoch: this one and all before were durable when this was written   |
//! | 32..40 | length of the payload in bytes                                              |
//! | 40..   | payload                                                                     |
//!
//! What follows the last record is zero, or left over from an earlier incarnation.
//!
//! The header of a segment is durable before the file gets its name, long before its first record, so that beginning a
//! segment costs nothing; for the same reason it does not tell the first epoch: the first record does. A segment is
//! written by one run of the process only. The next run begins a new segment, whose first epoch then says how much of
//! the one before counts: bytes behind a cut are never written over, and can't be taken for something later.

use crc32fast::Hasher;
use statera_model::Epoch;

pub(crate) const VERSION: u32 = 1;
pub(crate) const BLOCK_BYTES: u64 = 4096;
pub(crate) const SEGMENT_HEADER_BYTES: usize = 32;
pub(crate) const RECORD_HEADER_BYTES: usize = 40;
/// Where the version stands in a segment header.
pub(crate) const VERSION_OFFSET: u64 = 8;
const MAGIC: [u8; 8] = *b"STATELOG";

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) number: u64,
    pub(crate) incarnation: u64,
}

/// Why bytes are not a segment header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadSegment {
    NotASegment,
    Version(u32),
    Checksum,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..].copy_from_slice(&self.incarnation.to_le_bytes());
        let checksum = checksum(&[&bytes[..12], &bytes[16..]]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<SegmentHeader, BadSegment> {
        if bytes.len() < SEGMENT_HEADER_BYTES || bytes[..8] != MAGIC {
            return Err(BadSegment::NotASegment);
        }
        match u32_at(bytes, 8) {
            VERSION => {}
            version => return Err(BadSegment::Version(version)),
        }
        if u32_at(bytes, 12) != checksum(&[&bytes[..12], &bytes[16..SEGMENT_HEADER_BYTES]]) {
            return Err(BadSegment::Checksum);
        }
        Ok(SegmentHeader { number: u64_at(bytes, 16), incarnation: u64_at(bytes, 24) })
    }
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) payload_checksum: u32,
    pub(crate) incarnation: u64,
    pub(crate) epoch: Epoch,
    pub(crate) durable: Epoch,
    pub(crate) length: u64,
}

impl RecordHeader {
    pub(crate) fn encode(&self) -> [u8; RECORD_HEADER_BYTES] {
        let mut bytes = [0; RECORD_HEADER_BYTES];
        bytes[4..8].copy_from_slice(&self.payload_checksum.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.incarnation.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.epoch.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.durable.0.to_le_bytes());
        bytes[32..].copy_from_slice(&self.length.to_le_bytes());
        let checksum = checksum(&[&bytes[4..]]);
        bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// `None` if this is not the header of a record of that incarnation.
    pub(crate) fn decode(bytes: &[u8], incarnation: u64) -> Option<RecordHeader> {
        let bytes = bytes.get(..RECORD_HEADER_BYTES)?;
        let header = RecordHeader {
            payload_checksum: u32_at(bytes, 4),
            incarnation: u64_at(bytes, 8),
            epoch: Epoch(u64_at(bytes, 16)),
            durable: Epoch(u64_at(bytes, 24)),
            length: u64_at(bytes, 32),
        };
        let valid = header.incarnation == incarnation
            && u32_at(bytes, 0) == checksum(&[&bytes[4..]])
            && header.epoch.0 < u64::MAX;
        valid.then_some(header)
    }
}

/// The bytes that a record takes with its header and padding; saturates.
pub(crate) fn record_bytes(length: u64) -> u64 {
    let bytes = length.saturating_add(RECORD_HEADER_BYTES as u64);
    bytes.checked_next_multiple_of(BLOCK_BYTES).unwrap_or(u64::MAX)
}

pub(crate) fn segment_name(number: u64) -> String {
    format!("segment-{number:020}")
}

pub(crate) fn spare_name(number: u64) -> String {
    format!("spare-{number:020}")
}

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Segment(u64),
    Spare(u64),
}

/// `None`: not one of the log's files.
pub(crate) fn parse_name(name: &str) -> Option<Named> {
    let (kind, digits) = name.split_once('-')?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse().ok().filter(|number| *number < u64::MAX)?;
    match kind {
        "segment" => Some(Named::Segment(number)),
        "spare" => Some(Named::Spare(number)),
        _ => None,
    }
}

pub(crate) fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_does_not_change() {
        let segment = SegmentHeader { number: 7, incarnation: 0x0102_0304_0506_0708 };
        let mut expected = b"STATELOG\x01\0\0\0".to_vec();
        expected.extend(0x4a2a_419a_u32.to_le_bytes());
        expected.extend([7, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(segment.encode(), expected[..], "{:#x}", u32_at(&segment.encode(), 12));
        assert_eq!(SegmentHeader::decode(&expected), Ok(segment));

        let record = RecordHeader {
            payload_checksum: checksum(&[b"pay", b"load"]),
            incarnation: 9,
            epoch: Epoch(3),
            durable: Epoch(2),
            length: 7,
        };
        let mut expected = 0x8e2b_24cb_u32.to_le_bytes().to_vec();
        expected.extend(0x422c_6a15_u32.to_le_bytes());
        for number in [9_u64, 3, 2, 7] {
            expected.extend(number.to_le_bytes());
        }
        assert_eq!(record.encode(), expected[..], "{:x?}", record.encode());
        assert_eq!(RecordHeader::decode(&expected, 9), Some(record));
        assert_eq!(RecordHeader::decode(&expected, 8), None);
    }

    #[test]
    fn a_flipped_bit_in_a_header_is_found() {
        let segment = SegmentHeader { number: 7, incarnation: 77 }.encode();
        for bit in 0..segment.len() * 8 {
            let mut flipped = segment;
            flipped[bit / 8] ^= 1 << (bit % 8);
            SegmentHeader::decode(&flipped).unwrap_err();
        }
    }

    #[test]
    fn only_the_logs_own_names_are_its_own() {
        assert_eq!(parse_name(&segment_name(12)), Some(Named::Segment(12)));
        assert_eq!(parse_name(&spare_name(0)), Some(Named::Spare(0)));
        for other in [
            "segment-12",
            "segment",
            "LOCK",
            "other-00000000000000000012",
            "segment-+0000000000000000012",
        ] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }

    #[test]
    fn a_record_takes_whole_blocks() {
        for (length, bytes) in [(0, 4096), (4056, 4096), (4057, 8192), (u64::MAX, u64::MAX)] {
            assert_eq!(record_bytes(length), bytes, "{length}");
        }
    }
}
