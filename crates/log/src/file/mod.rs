//! The log in files. What is in them is described in [`mod@format`].

mod format;
mod keeper;
mod preparer;
mod reader;
mod recovery;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use statera_model::Epoch;

use crate::disk::{Disk, RealDisk};
use crate::memory::{assert_follows, check_not_behind};
use crate::{CommitLog, LogError, Visit};

use format::{BLOCK_BYTES, RecordHeader, record_bytes, segment_name};
use keeper::{Keeper, Prepared};
use preparer::Preparer;
use reader::{CHUNK_BYTES, Reader};
use recovery::Recovered;

/// The size of the first segment of a run if no spare file is left: it is made while somebody may wait.
const FIRST_SEGMENT_BYTES: u64 = 1024 * 1024;

/// How a [`FileLog`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The size of a segment file in bytes, rounded up to whole blocks of 4096 and at least two of them. An epoch that
    /// is larger makes its segment larger. Default 16 MiB.
    pub segment_bytes: u64,
    /// How many files are kept for reuse; the others are removed when they are no longer needed. Default 4.
    pub spare_segments_max: usize,
    /// When an epoch counts as durable. Default: [`Durability::Fsync`].
    pub durability: Durability,
    /// Where segments are prepared. Default: [`Preparation::Background`].
    pub preparation: Preparation,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            segment_bytes: 16 * 1024 * 1024,
            spare_segments_max: 4,
            durability: Durability::Fsync,
            preparation: Preparation::Background,
        }
    }
}

/// When an epoch counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// After an fdatasync.
    #[default]
    Fsync,
    /// Once it is written: survives a crash of the process, but of the machine only by chance. After such a crash the
    /// log ends before the first epoch that is damaged.
    None,
}

/// Where the next segment is prepared while the current one is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preparation {
    /// On a thread that the log owns.
    #[default]
    Background,
    /// Within [`CommitLog::append`], for tests that want one order of things.
    Inline,
}

/// What a [`FileLog`] has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Segments in use, spare ones not counted.
    pub segments: usize,
    /// Bytes written, with what records take beside their payload.
    pub appended_bytes: u64,
    /// How long the last fdatasync took; `None` if there was none.
    pub last_sync: Option<Duration>,
}

/// A segment and the first and last epoch in it, if any.
#[derive(Clone, Copy, Debug)]
struct Segment {
    number: u64,
    epochs: Option<(Epoch, Epoch)>,
}

/// The log in a directory of files. One process at a time: to see to that is the caller's business.
pub struct FileLog {
    disk: Arc<dyn Disk>,
    settings: Settings,
    /// Oldest first. The last one holds the last epoch.
    segments: VecDeque<Segment>,
    /// The first epoch from which on nothing is missing.
    first: Option<Epoch>,
    last: Option<Epoch>,
    durable: Epoch,
    /// The last of `segments`, once this run has begun one.
    current: Option<Current>,
    preparer: Preparer,
    buffer: Vec<u8>,
    poisoned: bool,
    appended_bytes: u64,
    last_sync: Option<Duration>,
}

struct Current {
    segment: Prepared,
    path: String,
    /// Where the next record goes.
    offset: u64,
}

impl FileLog {
    /// Opens the log in this directory, which is made if it is not there, and finds its end. What a payload is worth of
    /// which a later record says that it was durable is checked by [`CommitLog::replay`].
    ///
    /// # Errors
    /// If something that was durable is missing, with its place; nothing was changed then. Or if the file system fails.
    pub fn open(directory: &Path, settings: Settings) -> Result<FileLog, LogError> {
        let disk = RealDisk::new(directory)
            .map_err(|error| LogError::io("create", directory.display().to_string(), error))?;
        FileLog::open_on(disk, settings)
    }

    /// Like [`FileLog::open`], on any [`Disk`].
    ///
    /// # Errors
    /// Those of [`FileLog::open`].
    pub fn open_on(disk: impl Disk + 'static, mut settings: Settings) -> Result<FileLog, LogError> {
        let bytes = settings.segment_bytes.max(2 * BLOCK_BYTES);
        settings.segment_bytes = bytes.checked_next_multiple_of(BLOCK_BYTES).unwrap_or(bytes);
        let disk: Arc<dyn Disk> = Arc::new(disk);
        let Recovered { segments, first, mut durable, leftovers, spares, next_number } =
            recovery::recover(&*disk)?;
        let last = segments.back().and_then(|segment| segment.epochs).map(|(_, last)| last);
        if let (Durability::Fsync, Some(last)) = (settings.durability, last) {
            make_durable(&*disk, &segments, durable)?;
            durable = last;
        }
        let mut keeper = Keeper::new(disk.clone(), settings, spares, next_number);
        // Newest first, each durably: what a crash leaves of them is still behind the end of the log.
        for number in leftovers.into_iter().rev() {
            keeper.retire(number)?;
            keeper.sync_directory()?;
        }
        let mut preparer = start(keeper, settings.preparation, &*disk)?;
        if settings.preparation == Preparation::Background {
            preparer.request(settings.segment_bytes.min(FIRST_SEGMENT_BYTES));
        }
        Ok(FileLog {
            disk,
            settings,
            segments,
            first,
            last,
            durable,
            current: None,
            preparer,
            buffer: Vec::new(),
            poisoned: false,
            appended_bytes: 0,
            last_sync: None,
        })
    }

    /// What it has done since it was opened.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            segments: self.segments.len(),
            appended_bytes: self.appended_bytes,
            last_sync: self.last_sync,
        }
    }

    /// Makes sure that there is a segment in which a record of `needed` bytes may go. Room in the present one is used;
    /// an empty one grows.
    fn make_room(&mut self, needed: u64) -> Result<(), LogError> {
        if self
            .current
            .as_ref()
            .is_some_and(|current| current.segment.bytes - current.offset >= needed)
        {
            return Ok(());
        }
        let bytes = match self.current {
            Some(_) => self.settings.segment_bytes,
            None => self.settings.segment_bytes.min(FIRST_SEGMENT_BYTES),
        };
        let segment = self.preparer.take(bytes)?;
        let path = self.disk.path(&segment_name(segment.number));
        self.segments.push_back(Segment { number: segment.number, epochs: None });
        self.current = Some(Current { segment, path, offset: BLOCK_BYTES });
        Ok(())
    }

    fn try_append(&mut self, epoch: Epoch, parts: &[&[u8]]) -> Result<(), LogError> {
        let length = parts.iter().map(|part| part.len() as u64).sum();
        self.make_room(record_bytes(length))?;
        let durable = match self.settings.durability {
            Durability::Fsync => Epoch(epoch.0.saturating_sub(1)),
            Durability::None => self.durable,
        };
        let current = self.current.as_mut().expect("room was made");
        let header = RecordHeader {
            payload_checksum: format::checksum(parts),
            incarnation: current.segment.incarnation,
            epoch,
            durable,
            length,
        };
        current.write(&header, parts, &mut self.buffer)?;
        if self.settings.durability == Durability::Fsync {
            let began = Instant::now();
            current.sync()?;
            self.last_sync = Some(began.elapsed());
        }
        self.appended_bytes += record_bytes(length);
        self.note_appended(epoch);
        Ok(())
    }

    fn note_appended(&mut self, epoch: Epoch) {
        let segment = self.segments.back_mut().expect("the current segment");
        segment.epochs = Some((segment.epochs.map_or(epoch, |(first, _)| first), epoch));
        self.first.get_or_insert(epoch);
        self.last = Some(epoch);
        if self.settings.durability == Durability::Fsync {
            self.durable = epoch;
        }
        let current = self.current.as_ref().expect("it was written to");
        if current.offset > current.segment.bytes / 2 {
            self.preparer.request(self.settings.segment_bytes);
        }
    }

    fn check_not_poisoned(&self) -> Result<(), LogError> {
        if self.poisoned { Err(LogError::Poisoned) } else { Ok(()) }
    }

    fn check_not_missing(&self, from: Epoch) -> Result<(), LogError> {
        let Some(first) = self.first.filter(|first| from < *first) else { return Ok(()) };
        let holds = |segment: &&Segment| segment.epochs.is_some_and(|epochs| epochs.0 == first);
        let number = self.segments.iter().find(holds).map_or(0, |segment| segment.number);
        let path = self.disk.path(&segment_name(number));
        Err(LogError::Missing { wanted: from, first, path, offset: BLOCK_BYTES })
    }

    fn replay_segment(
        &self,
        segment: Segment,
        from: Epoch,
        payload: &mut Vec<u8>,
        visit: &mut Visit<'_>,
    ) -> Result<(), LogError> {
        let Some((first, last)) = segment.epochs.filter(|(_, last)| *last >= from) else {
            return Ok(());
        };
        let mut reader = Reader::open(&*self.disk, segment.number)?;
        let mut offset = BLOCK_BYTES;
        for epoch in (first.0..=last.0).map(Epoch) {
            let found = reader.header_at(offset)?.filter(|record| record.header.epoch == epoch);
            let damaged =
                |reader: &Reader| reader.corrupt(offset, format!("epoch {epoch} is damaged"));
            let record = found.ok_or_else(|| damaged(&reader))?;
            if epoch >= from {
                if !reader.read_payload(&record, payload)? {
                    return Err(damaged(&reader));
                }
                visit(epoch, payload).map_err(|source| LogError::Visit { epoch, source })?;
            }
            offset = record.end();
        }
        Ok(())
    }
}

impl CommitLog for FileLog {
    fn append(&mut self, epoch: Epoch, parts: &[&[u8]]) -> Result<(), LogError> {
        self.check_not_poisoned()?;
        assert_follows(self.last, epoch);
        // What a failed write or sync has left on disk is unknown, and a second fsync may claim what is not true.
        // Reading it again after a start is the only way to find out.
        self.try_append(epoch, parts).inspect_err(|_| self.poisoned = true)
    }

    /// Gives back whole segments, in the background. The segment with the last epoch stays.
    fn truncate(&mut self, up_to: Epoch) -> Result<(), LogError> {
        self.check_not_poisoned()?;
        while self.segments.len() > 1 {
            let oldest = self.segments[0];
            let needed = oldest.epochs.is_some_and(|(_, last)| last > up_to);
            if needed || !self.preparer.release(oldest.number) {
                break;
            }
            self.segments.pop_front();
        }
        let oldest = self.segments.iter().find_map(|segment| segment.epochs);
        self.first = self.first.max(oldest.map(|(first, _)| first));
        Ok(())
    }

    fn replay(&mut self, from: Epoch, visit: &mut Visit<'_>) -> Result<(), LogError> {
        let Some(last) = self.last else { return Ok(()) };
        check_not_behind(last, from)?;
        self.check_not_missing(from)?;
        let mut payload = Vec::new();
        self.segments
            .iter()
            .try_for_each(|segment| self.replay_segment(*segment, from, &mut payload, visit))
    }

    fn last_epoch(&self) -> Option<Epoch> {
        self.last
    }
}

impl Current {
    /// Writes a record through a buffer of bounded size, padded to whole blocks.
    fn write(
        &mut self,
        header: &RecordHeader,
        parts: &[&[u8]],
        buffer: &mut Vec<u8>,
    ) -> Result<(), LogError> {
        let end = self.offset + record_bytes(header.length);
        let header = header.encode();
        buffer.clear();
        for part in std::iter::once(&header[..]).chain(parts.iter().copied()) {
            let mut rest = part;
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(CHUNK_BYTES - buffer.len()));
                buffer.extend_from_slice(now);
                rest = later;
                if buffer.len() == CHUNK_BYTES {
                    self.flush(buffer)?;
                }
            }
        }
        buffer.resize((end - self.offset) as usize, 0);
        self.flush(buffer)?;
        self.segment.bytes = self.segment.bytes.max(end);
        Ok(())
    }

    fn flush(&mut self, buffer: &mut Vec<u8>) -> Result<(), LogError> {
        let written = self.segment.file.write_at(buffer, self.offset);
        written.map_err(|error| LogError::io("write", self.path.clone(), error))?;
        self.offset += buffer.len() as u64;
        buffer.clear();
        Ok(())
    }

    fn sync(&self) -> Result<(), LogError> {
        self.segment.file.sync().map_err(|error| LogError::io("sync", self.path.clone(), error))
    }
}

/// Makes everything after the epoch `durable` durable.
fn make_durable(
    disk: &dyn Disk,
    segments: &VecDeque<Segment>,
    durable: Epoch,
) -> Result<(), LogError> {
    for segment in segments {
        if let Some((_, last)) = segment.epochs.filter(|(_, last)| *last > durable) {
            Reader::open(disk, segment.number)?.rewrite(durable, last)?;
        }
    }
    Ok(())
}

fn start(keeper: Keeper, preparation: Preparation, disk: &dyn Disk) -> Result<Preparer, LogError> {
    match preparation {
        Preparation::Inline => Ok(Preparer::inline(keeper)),
        Preparation::Background => Preparer::background(keeper)
            .map_err(|error| LogError::io("start the helper thread of", disk.path(""), error)),
    }
}
