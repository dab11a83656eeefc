//! Reading batches of records from a file, from a position on. Blocks.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use bytes::Bytes;
use statera_config as config;
use statera_ports::{SourceBatch, SourceId, SourceStatus, SourceUnit};

use super::lines::{AtEnd, Line, Lines};
use super::position::Position;
use super::record;
use crate::Error;

/// The most lines in a batch.
const BATCH_LINES_MAX: usize = 1024;

/// A batch takes no further line from this size on.
const BATCH_BYTES: usize = 1024 * 1024;

/// A file on its way to the engine.
#[derive(Debug)]
pub(super) struct Reader {
    spec: Arc<config::FileIngress>,
    source: SourceId,
    lines: Lines,
    /// What is known of the file that is being read.
    position: Position,
    waiting: bool,
}

/// What came of an attempt to read.
#[derive(Debug)]
pub(super) enum Step {
    /// Records, never none.
    Batch(SourceBatch),
    /// There is nothing more for now.
    Wait,
    /// There is nothing more.
    End {
        /// The lines of the file.
        lines: u64,
    },
}

impl Reader {
    pub(super) fn open(
        spec: Arc<config::FileIngress>,
        source: SourceId,
        position: Option<Bytes>,
    ) -> Result<Reader, Error> {
        let position = match position {
            None => Position::default(),
            Some(bytes) => Position::decode(&bytes)
                .ok_or_else(|| Error::ForeignPosition { id: spec.id.clone() })?,
        };
        // Asked before it is opened, because opening a pipe would wait for somebody to write.
        let metadata = spec.path.metadata().map_err(|error| unreadable(&spec, error))?;
        if !metadata.is_file() {
            return Err(Error::NotAFile { id: spec.id.clone(), path: spec.path.clone() });
        }
        let open = || {
            let file = File::open(&spec.path)?;
            Lines::new(file, position.offset, position.lines, spec.line_max_bytes)
        };
        let lines = open().map_err(|error| unreadable(&spec, error))?;
        let reader = Reader { spec, source, lines, position, waiting: false };
        reader.check_content()?;
        Ok(reader)
    }

    /// Where it stands, and how long the file is now; `None` if that can't be told.
    pub(super) fn status(&self) -> Option<SourceStatus> {
        let end = self.lines.file().metadata().ok()?.len();
        let (position, unit) = (self.lines.offset, SourceUnit::Bytes);
        Some(SourceStatus { position, end: Some(end), unit })
    }

    /// Reads the next records.
    pub(super) fn step(&mut self) -> Result<Step, Error> {
        if self.waiting {
            self.check_unchanged()?;
        }
        let batch = self.next_batch().map_err(|error| unreadable(&self.spec, error))?;
        self.waiting = batch.is_none();
        Ok(match batch {
            Some(batch) => Step::Batch(batch),
            None if self.spec.follow => Step::Wait,
            None => Step::End { lines: self.lines.count },
        })
    }

    fn next_batch(&mut self) -> io::Result<Option<SourceBatch>> {
        let at_end = if self.spec.follow { AtEnd::Wait } else { AtEnd::Finish };
        let mut records = Vec::new();
        let mut bytes = 0;
        for _ in 0..BATCH_LINES_MAX {
            if bytes >= BATCH_BYTES || !self.advance_over_blank(at_end)? {
                break;
            }
            let line = self.lines.line();
            bytes += match line {
                Line::Whole(text) | Line::TooLong(text) => text.len(),
            };
            record::read(&self.spec, line, self.lines.count, &mut records);
        }
        if records.is_empty() {
            return Ok(None);
        }
        self.position = Position::at(self.lines.file(), self.lines.offset, self.lines.count)?;
        let (source, position) = (self.source.clone(), self.position.encode());
        Ok(Some(SourceBatch { source, records, position }))
    }

    fn advance_over_blank(&mut self, at_end: AtEnd) -> io::Result<bool> {
        while self.lines.advance(at_end)? {
            match self.lines.line() {
                Line::Whole(text) if text.trim_ascii().is_empty() => {}
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Whether what stands before the position is what was read.
    fn check_content(&self) -> Result<(), Error> {
        let metadata = self.metadata()?;
        self.check_length(&metadata, self.position.offset)?;
        match self.position.fits(self.lines.file()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.replaced()),
            Err(error) => Err(unreadable(&self.spec, error)),
        }
    }

    /// Whether the file that is followed is still the one at the path, and only grew.
    fn check_unchanged(&self) -> Result<(), Error> {
        let metadata = self.metadata()?;
        self.check_length(&metadata, self.lines.read_to())?;
        if metadata.len() > self.lines.read_to() {
            // It may have been cut and written anew meanwhile.
            return self.check_content();
        }
        match self.spec.path.metadata() {
            Ok(at_path) if (at_path.dev(), at_path.ino()) != (metadata.dev(), metadata.ino()) => {
                Err(self.replaced())
            }
            // A file that is moved away may still grow, until there is another one.
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(unreadable(&self.spec, error)),
        }
    }

    fn metadata(&self) -> Result<Metadata, Error> {
        self.lines.file().metadata().map_err(|error| unreadable(&self.spec, error))
    }

    fn check_length(&self, metadata: &Metadata, read: u64) -> Result<(), Error> {
        if metadata.len() >= read {
            return Ok(());
        }
        Err(Error::FileShrank {
            id: self.spec.id.clone(),
            path: self.spec.path.clone(),
            length: metadata.len(),
            read,
            lines: self.lines.count,
        })
    }

    fn replaced(&self) -> Error {
        Error::FileReplaced {
            id: self.spec.id.clone(),
            path: self.spec.path.clone(),
            lines: self.lines.count,
        }
    }
}

fn unreadable(spec: &config::FileIngress, source: io::Error) -> Error {
    let (id, path) = (spec.id.clone(), spec.path.clone());
    match source.kind() {
        io::ErrorKind::NotFound => Error::MissingFile { id, path },
        _ => Error::ReadFile { id, path, source },
    }
}
