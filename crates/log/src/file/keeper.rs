//! Prepares segments before they are needed, and takes back those that no longer are.

use std::collections::VecDeque;
use std::sync::Arc;

use tracing::warn;

use statera_model::codes;

use crate::LogError;
use crate::disk::{Disk, File};

use super::Settings;
use super::format::{BLOCK_BYTES, SegmentHeader, segment_name, spare_name};

/// New files are filled in pieces of this size, each synced, so that a commit does not wait behind all of it.
const FILL_BYTES: usize = 1024 * 1024;

/// An empty segment, durable under its name, all its blocks written before.
pub(crate) struct Prepared {
    pub(crate) file: Box<dyn File>,
    pub(crate) number: u64,
    pub(crate) incarnation: u64,
    pub(crate) bytes: u64,
}

/// Does all that changes the directory.
pub(crate) struct Keeper {
    disk: Arc<dyn Disk>,
    settings: Settings,
    spares: Vec<u64>,
    next_number: u64,
    /// A change of the directory may not be durable yet. It has to be before a reused file is written: a crash could
    /// otherwise bring back its old name with its new content.
    directory_changed: bool,
    /// A segment that could not be made durable under its name. It must be gone before the next one is begun: an
    /// empty segment with later ones behind it would look like a damaged one.
    failed: Option<u64>,
    /// Segments to take back, in order. Bounded by the segments there are.
    released: VecDeque<u64>,
}

impl Keeper {
    /// `next_number` has to be greater than that of any file, `spares` are the numbers of spare files.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        settings: Settings,
        spares: Vec<u64>,
        next_number: u64,
    ) -> Keeper {
        let mut keeper = Keeper {
            disk,
            settings,
            spares: Vec::new(),
            next_number,
            directory_changed: true,
            failed: None,
            released: VecDeque::new(),
        };
        for number in spares {
            let name = spare_name(number);
            if keeper.wants(&name) {
                keeper.spares.push(number);
            } else if let Err(error) = keeper.disk.remove(&name) {
                warn!(code = %codes::LOG_FILES, path = keeper.disk.path(&name), %error, "cannot remove a spare log segment");
            }
        }
        keeper
    }

    /// Makes an empty segment from a spare file, or a new file of `bytes`.
    pub(crate) fn prepare(&mut self, bytes: u64) -> Result<Prepared, LogError> {
        if let Some(failed) = self.failed {
            self.retire(failed)?;
            self.failed = None;
        }
        if self.directory_changed {
            self.sync_directory()?;
        }
        let number = self.next_number;
        self.next_number += 1;
        let spare = match self.spares.pop() {
            Some(spare) => spare,
            None => self.create(number, bytes)?,
        };
        self.begin(spare, number)
    }

    /// Makes and fills a spare file. What was made is removed again if it can't be filled.
    fn create(&self, number: u64, bytes: u64) -> Result<u64, LogError> {
        let name = spare_name(number);
        let fail = |error| LogError::io("fill", self.disk.path(&name), error);
        let file = self.disk.create(&name).map_err(fail)?;
        // Page by page: a file written in large pieces is kept in large pieces by the page cache, and a small append
        // then counts, and may be written, as a whole one.
        let zeros = [0; BLOCK_BYTES as usize];
        let fill = |offset: u64| {
            for page in (offset..bytes.min(offset + FILL_BYTES as u64)).step_by(zeros.len()) {
                file.write_at(&zeros, page)?;
            }
            file.sync()
        };
        if let Err(error) = (0..bytes).step_by(FILL_BYTES).try_for_each(fill) {
            // If this fails too the next start finds a spare of the wrong size.
            self.disk.remove(&name).ok();
            return Err(fail(error));
        }
        Ok(number)
    }

    fn begin(&mut self, spare: u64, number: u64) -> Result<Prepared, LogError> {
        let (from, to) = (spare_name(spare), segment_name(number));
        let fail = |error| LogError::io("begin", self.disk.path(&to), error);
        let incarnation = self.disk.unique();
        let mut block = vec![0; BLOCK_BYTES as usize];
        let header = SegmentHeader { number, incarnation }.encode();
        block[..header.len()].copy_from_slice(&header);

        let file = self.disk.open(&from).map_err(fail)?;
        file.write_at(&block, 0).map_err(fail)?;
        file.sync().map_err(fail)?;
        let bytes = file.size().map_err(fail)?;
        self.disk.rename(&from, &to).map_err(fail)?;
        self.directory_changed = true;
        self.failed = Some(number);
        self.sync_directory()?;
        self.failed = None;
        Ok(Prepared { file, number, incarnation, bytes })
    }

    /// Takes back a segment that is no longer needed, after all those given before: as long as nothing crashes the log
    /// has no holes. What can't be freed now is tried again next time, and costs nothing but space.
    pub(crate) fn release(&mut self, number: u64) {
        self.released.push_back(number);
        while let Some(number) = self.released.front() {
            if let Err(error) = self.retire(*number) {
                warn!(code = %codes::LOG_FILES, %error, "cannot free a log segment");
                return;
            }
            self.released.pop_front();
        }
    }

    /// Takes back a segment now: keeps it as a spare if there are not enough, else removes it.
    pub(crate) fn retire(&mut self, number: u64) -> Result<(), LogError> {
        let name = segment_name(number);
        let keep = self.wants(&name);
        let retired = match keep {
            true => self.disk.rename(&name, &spare_name(number)),
            false => self.disk.remove(&name),
        };
        retired.map_err(|error| LogError::io("retire", self.disk.path(&name), error))?;
        self.directory_changed = true;
        if keep {
            self.spares.push(number);
        }
        Ok(())
    }

    fn wants(&self, name: &str) -> bool {
        let size = || self.disk.open(name)?.size();
        self.spares.len() < self.settings.spare_segments_max
            && size().is_ok_and(|size| size == self.settings.segment_bytes)
    }

    pub(crate) fn sync_directory(&mut self) -> Result<(), LogError> {
        self.disk.sync_directory().map_err(|error| {
            LogError::io("sync the directory of", self.disk.path("segments"), error)
        })?;
        self.directory_changed = false;
        Ok(())
    }
}
