//! Where a file ingress stands, as the engine keeps it:
//!
//! ```text
//! offset  size  what
//!      0     1  version of this format: 1
//!      1     8  bytes of the file before the position, little-endian
//!      9     8  lines before the position, little-endian
//!     17     4  CRC-32 of the first 4096 of these bytes, or of all if there are fewer, little-endian
//!     21     4  CRC-32 of the last 4096 of these bytes, or of all if there are fewer, little-endian
//! ```
//!
//! The checksums tell whether a file is the one that was read before. Device and inode would not: they change where a
//! file is restored or a volume is mounted again, and come back where a file is deleted and made anew.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

const VERSION: u8 = 1;
const LENGTH: usize = 25;
const WINDOW_BYTES: u64 = 4096;

/// Where a file ingress stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) offset: u64,
    pub(super) lines: u64,
    first: u32,
    last: u32,
}

impl Position {
    /// The position in a file after `lines` lines of together `offset` bytes.
    pub(super) fn at(file: &File, offset: u64, lines: u64) -> io::Result<Position> {
        let window = offset.min(WINDOW_BYTES);
        let first = checksum(file, 0, window)?;
        let last = checksum(file, offset - window, window)?;
        Ok(Position { offset, lines, first, last })
    }

    /// Whether a file, at least as long as the position, holds the same before it.
    pub(super) fn fits(&self, file: &File) -> io::Result<bool> {
        Ok(Position::at(file, self.offset, self.lines)? == *self)
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.push(VERSION);
        bytes.extend(self.offset.to_le_bytes());
        bytes.extend(self.lines.to_le_bytes());
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(self.last.to_le_bytes());
        bytes.into()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Position> {
        let (version, rest) = bytes.split_first()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (lines, rest) = rest.split_first_chunk()?;
        let (first, rest) = rest.split_first_chunk()?;
        let (last, rest) = rest.split_first_chunk()?;
        (*version == VERSION && rest.is_empty()).then(|| Position {
            offset: u64::from_le_bytes(*offset),
            lines: u64::from_le_bytes(*lines),
            first: u32::from_le_bytes(*first),
            last: u32::from_le_bytes(*last),
        })
    }
}

fn checksum(file: &File, offset: u64, length: u64) -> io::Result<u32> {
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(crc32fast::hash(&bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_position_comes_back_from_its_bytes(offset: u64, lines: u64, first: u32, last: u32) {
            let position = Position { offset, lines, first, last };
            prop_assert_eq!(Position::decode(&position.encode()), Some(position));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Position::decode(&bytes);
        }
    }

    #[test]
    fn the_format_is_as_written_down() {
        let position = Position { offset: 0x0102, lines: 3, first: 4, last: 0x0500_0000 };
        let expected = b"\x01\x02\x01\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\x05";
        assert_eq!(&position.encode()[..], expected);
    }
}
