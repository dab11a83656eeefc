//! The commit log on a simulated disk, and what a crash in the middle of a write leaves of it.

use std::collections::VecDeque;

use statera_core::Part;
use statera_log::disk::SimDisk;
use statera_log::{CommitLog, Durability, FileLog, LogError, Preparation, Settings};
use statera_model::Epoch;

use crate::random::Random;

/// Small segments, so that worlds begin many of them.
const SETTINGS: Settings = Settings {
    segment_bytes: 64 * 1024,
    spare_segments_max: 2,
    durability: Durability::Fsync,
    preparation: Preparation::Inline,
};

pub(crate) struct Log {
    disk: SimDisk,
    file: Option<FileLog>,
}

impl Log {
    pub(crate) fn new(seed: u64) -> Log {
        let disk = SimDisk::new(seed);
        let file = FileLog::open_on(disk.clone(), SETTINGS).expect("an empty disk can be used");
        Log { disk, file: Some(file) }
    }

    pub(crate) fn append(&mut self, parts: &[Part]) -> Result<(), LogError> {
        let deltas: Vec<&[u8]> = parts.iter().map(|part| &part.delta[..]).collect();
        self.file().append(parts[0].epoch, &deltas)
    }

    pub(crate) fn truncate(&mut self, up_to: Epoch) -> Result<(), LogError> {
        self.file().truncate(up_to)
    }

    /// The process ends, or the machine. Of what was on its way to the disk everything may be there, or a part that does
    /// not count, or nothing.
    pub(crate) fn crash(
        &mut self,
        random: &mut Random,
        writing: &VecDeque<Vec<Part>>,
    ) -> Result<(), LogError> {
        for parts in writing {
            if random.one_in(2) {
                break;
            }
            if random.one_in(2) {
                self.disk.fail_after(random.between(1, 3));
            }
            let torn = self.append(parts).is_err();
            self.disk.stop_failing();
            if torn {
                break;
            }
        }
        self.file = None;
        if random.one_in(2) {
            self.disk.crash();
        }
        self.file = Some(FileLog::open_on(self.disk.clone(), SETTINGS)?);
        Ok(())
    }

    /// The epochs from this one on.
    pub(crate) fn replay(&mut self, from: Epoch) -> Result<Vec<(Epoch, Vec<u8>)>, LogError> {
        let mut found = Vec::new();
        self.file().replay(from, &mut |epoch, payload| {
            found.push((epoch, payload.to_vec()));
            Ok(())
        })?;
        Ok(found)
    }

    fn file(&mut self) -> &mut FileLog {
        self.file.as_mut().expect("open but for the moment of a crash")
    }
}
