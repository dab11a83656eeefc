//! Reads one segment, through a window of bounded size.

use std::io;

use statera_model::Epoch;

use crate::LogError;
use crate::disk::{Disk, File};

use super::format::{
    BLOCK_BYTES, BadSegment, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES,
    SegmentHeader, VERSION, VERSION_OFFSET, record_bytes, segment_name,
};

/// The most bytes that are read or written at once.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

pub(crate) struct Reader {
    file: Box<dyn File>,
    path: String,
    incarnation: u64,
    bytes: u64,
    window: Vec<u8>,
    window_offset: u64,
}

/// A record and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) offset: u64,
    pub(crate) header: RecordHeader,
}

impl Record {
    /// Where the next record starts.
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(record_bytes(self.header.length))
    }
}

impl Reader {
    /// Opens a segment and checks its header.
    pub(crate) fn open(disk: &dyn Disk, number: u64) -> Result<Reader, LogError> {
        let name = segment_name(number);
        let path = disk.path(&name);
        let opened = disk.open(&name).and_then(|file| Ok((file.size()?, file)));
        let (bytes, file) = opened.map_err(|error| LogError::io("open", path.clone(), error))?;
        let mut reader =
            Reader { file, path, incarnation: 0, bytes, window: Vec::new(), window_offset: 0 };
        reader.incarnation = reader.check_header(number)?;
        Ok(reader)
    }

    fn check_header(&mut self, number: u64) -> Result<u64, LogError> {
        match SegmentHeader::decode(self.bytes_at(0, SEGMENT_HEADER_BYTES)?) {
            Ok(header) if header.number == number => Ok(header.incarnation),
            Ok(header) => {
                Err(self.corrupt(0, format!("its header is that of segment {}", header.number)))
            }
            Err(BadSegment::Version(found)) => Err(LogError::UnknownVersion {
                path: self.path.clone(),
                offset: VERSION_OFFSET,
                found,
                known: VERSION,
            }),
            Err(BadSegment::NotASegment) => {
                Err(self.corrupt(0, "this is not the start of a segment"))
            }
            Err(BadSegment::Checksum) => {
                Err(self.corrupt(0, "the checksum of the segment header is wrong"))
            }
        }
    }

    pub(crate) fn corrupt(&self, offset: u64, what: impl Into<String>) -> LogError {
        LogError::Corrupt { path: self.path.clone(), offset, what: what.into() }
    }

    /// The record at this place, without a look at its payload.
    pub(crate) fn header_at(&mut self, offset: u64) -> Result<Option<Record>, LogError> {
        let (incarnation, bytes) = (self.incarnation, self.bytes);
        let header = RecordHeader::decode(self.bytes_at(offset, RECORD_HEADER_BYTES)?, incarnation);
        let fits = |header: &RecordHeader| {
            header.length <= bytes.saturating_sub(offset + RECORD_HEADER_BYTES as u64)
        };
        Ok(header.filter(fits).map(|header| Record { offset, header }))
    }

    /// Reads the payload of a record found by [`Reader::header_at`]. `false` if its checksum is wrong.
    pub(crate) fn read_payload(
        &mut self,
        record: &Record,
        into: &mut Vec<u8>,
    ) -> Result<bool, LogError> {
        // The header says that the file is long enough. What was read with it need not be read again.
        let (start, length) = (record.offset + RECORD_HEADER_BYTES as u64, record.header.length);
        let window_end = self.window_offset + self.window.len() as u64;
        let known = match start >= self.window_offset {
            true => window_end.saturating_sub(start).min(length) as usize,
            false => 0,
        };
        into.resize(length as usize, 0);
        if known > 0 {
            let at = (start - self.window_offset) as usize;
            into[..known].copy_from_slice(&self.window[at..at + known]);
        }
        let read = self.file.read_at(&mut into[known..], start + known as u64);
        let count = read.map_err(|error| self.io("read", error))?;
        into.truncate(known + count);
        Ok(crc32fast::hash(into) == record.header.payload_checksum)
    }

    /// Whether the payload of a record is as it was written.
    pub(crate) fn is_whole(&mut self, record: &Record) -> Result<bool, LogError> {
        let mut hasher = crc32fast::Hasher::new();
        let mut offset = record.offset + RECORD_HEADER_BYTES as u64;
        let mut left = record.header.length;
        while left > 0 {
            let chunk = self.bytes_at(offset, left.min(CHUNK_BYTES as u64) as usize)?;
            if chunk.is_empty() {
                break;
            }
            hasher.update(chunk);
            offset += chunk.len() as u64;
            left -= chunk.len() as u64;
        }
        Ok(hasher.finalize() == record.header.payload_checksum)
    }

    /// The first record from `offset` on for which `wanted` holds, at whichever block it starts.
    pub(crate) fn find_record(
        &mut self,
        mut offset: u64,
        wanted: impl Fn(&RecordHeader) -> bool,
    ) -> Result<Option<Record>, LogError> {
        while offset < self.bytes {
            if let Some(record) = self.header_at(offset)?.filter(|record| wanted(&record.header))
                && self.is_whole(&record)?
            {
                return Ok(Some(record));
            }
            offset += BLOCK_BYTES;
        }
        Ok(None)
    }

    /// Writes the records after `durable`, up to `last`, in their place once more and syncs them. They were read well, but
    /// perhaps from a cache that a failed fsync left behind: only what is written again is sure to be written.
    pub(crate) fn rewrite(&mut self, durable: Epoch, last: Epoch) -> Result<(), LogError> {
        let mut offset = BLOCK_BYTES;
        let mut written = false;
        while let Some(record) = self.header_at(offset)? {
            if record.header.epoch > durable {
                self.rewrite_record(&record)?;
                written = true;
            }
            if record.header.epoch == last {
                break;
            }
            offset = record.end();
        }
        if written {
            self.file.sync().map_err(|error| self.io("sync", error))?;
        }
        Ok(())
    }

    fn rewrite_record(&mut self, record: &Record) -> Result<(), LogError> {
        let (mut offset, end) = (record.offset, record.end().min(self.bytes));
        while offset < end {
            let wanted = (end - offset).min(CHUNK_BYTES as u64) as usize;
            let chunk = self.bytes_at(offset, wanted)?.to_vec();
            self.file.write_at(&chunk, offset).map_err(|error| self.io("write", error))?;
            offset += chunk.len() as u64;
        }
        Ok(())
    }

    /// At least one and at most `wanted` bytes, or fewer (or none) at the end of the file. `wanted` is at most a chunk.
    fn bytes_at(&mut self, offset: u64, wanted: usize) -> Result<&[u8], LogError> {
        let window_end = self.window_offset + self.window.len() as u64;
        let inside = offset >= self.window_offset && offset + wanted as u64 <= window_end;
        if !inside {
            let room = self.bytes.saturating_sub(offset).min(CHUNK_BYTES as u64) as usize;
            self.window.resize(room, 0);
            let read = self.file.read_at(&mut self.window, offset);
            let count = read.map_err(|error| self.io("read", error))?;
            self.window.truncate(count);
            self.window_offset = offset;
        }
        let start = (offset - self.window_offset) as usize;
        let end = (start + wanted).min(self.window.len());
        Ok(&self.window[start..end])
    }

    fn io(&self, doing: &'static str, error: io::Error) -> LogError {
        LogError::io(doing, self.path.clone(), error)
    }
}
