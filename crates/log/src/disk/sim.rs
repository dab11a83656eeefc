//! A directory in memory that forgets what was not synced.
//!
//! A crash of the machine keeps, of each file, any subset of the 512-byte sectors written since its last sync, any of
//! the lengths it had since, and any of the names it had since the last sync of the directory: less order than file
//! systems keep in fact. All choices come from one seed.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Disk, File};

const SECTOR_BYTES: usize = 512;

/// A simulated directory. Clones are the same directory.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

struct State {
    random: u64,
    /// Which boot this is: files opened before a crash are of no use after it.
    boot: u64,
    files: Vec<Inode>,
    capacity_bytes: u64,
    operations_until_failure: Option<u64>,
}

struct Inode {
    /// The name on disk, then those that it was given since the directory was synced. `None`: it has no name.
    names: Vec<Option<String>>,
    cached: Vec<u8>,
    on_disk: Vec<u8>,
    dirty_sectors: BTreeSet<usize>,
}

struct SimFile {
    disk: SimDisk,
    inode: usize,
    boot: u64,
}

impl SimDisk {
    /// An empty directory without a limit of space. Everything that is left to chance follows from the seed.
    #[must_use]
    pub fn new(seed: u64) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(State {
            random: seed,
            boot: 0,
            files: Vec::new(),
            capacity_bytes: u64::MAX,
            operations_until_failure: None,
        })))
    }

    /// Cuts the power: what was not synced is kept or lost by chance. Files that are still open fail from now on.
    pub fn crash(&self) {
        let mut state = self.lock();
        let State { files, random, boot, operations_until_failure, .. } = &mut *state;
        *boot += 1;
        *operations_until_failure = None;
        // Of every thousand unsynced things, how many are kept this time: often all or none.
        let kept = [0, 1000, next(random) % 1001][(next(random) % 3) as usize];
        for file in files.iter_mut() {
            file.lose_unsynced(random, kept);
        }
        let names: Vec<Option<String>> = files.iter().map(|file| file.name().cloned()).collect();
        for (number, file) in files.iter_mut().enumerate() {
            // Where two files ended up with one name the younger has it.
            if names[number].is_some() && names[number + 1..].contains(&names[number]) {
                file.names = vec![None];
            }
            file.forget_if_removed();
        }
    }

    /// The number of bytes that fit. Beyond it writes fail as on a full disk.
    pub fn set_capacity(&self, bytes: u64) {
        self.lock().capacity_bytes = bytes;
    }

    /// Lets the `count`-th changing operation from now on fail with an IO error (1: the next). A failed write arrives in
    /// part; after a failed sync the cache believes itself clean, though only a part has reached the disk.
    pub fn fail_after(&self, count: u64) {
        self.lock().operations_until_failure = Some(count);
    }

    /// Takes back [`SimDisk::fail_after`].
    pub fn stop_failing(&self) {
        self.lock().operations_until_failure = None;
    }

    /// Inverts one bit (0..8) of a byte of a file, on the disk and in the cache.
    ///
    /// # Panics
    /// If there is no such file or byte.
    pub fn flip(&self, name: &str, offset: usize, bit: u8) {
        let mut state = self.lock();
        let inode = state.find(name).expect("the file exists");
        let file = &mut state.files[inode];
        file.cached[offset] ^= 1 << bit;
        if let Some(byte) = file.on_disk.get_mut(offset) {
            *byte ^= 1 << bit;
        }
    }

    /// The bytes of all files together.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.lock().used_bytes()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn find(&self, name: &str) -> io::Result<usize> {
        let found = self.files.iter().position(|file| file.name().is_some_and(|n| n == name));
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn used_bytes(&self) -> u64 {
        let named = self.files.iter().filter(|file| file.name().is_some());
        named.map(|file| file.cached.len() as u64).sum()
    }

    /// Counts a changing operation; says whether it fails.
    fn fails(&mut self) -> bool {
        match &mut self.operations_until_failure {
            Some(1) => {
                self.operations_until_failure = None;
                true
            }
            Some(count) => {
                *count -= 1;
                false
            }
            None => false,
        }
    }

    fn change_directory(&mut self) -> io::Result<()> {
        if self.fails() { Err(io::Error::other("simulated failure")) } else { Ok(()) }
    }
}

impl Inode {
    fn name(&self) -> Option<&String> {
        self.names.last().and_then(Option::as_ref)
    }

    fn write(&mut self, bytes: &[u8], offset: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        if end > self.cached.len() {
            self.cached.resize(end, 0);
        }
        self.cached[offset..end].copy_from_slice(bytes);
        self.dirty_sectors.extend(offset / SECTOR_BYTES..=(end - 1) / SECTOR_BYTES);
    }

    /// Moves the dirty sectors that `reaches` chooses to the disk. All are clean afterwards.
    fn write_back(&mut self, size: usize, mut reaches: impl FnMut() -> bool) {
        self.on_disk.resize(size, 0);
        for sector in std::mem::take(&mut self.dirty_sectors) {
            let start = sector * SECTOR_BYTES;
            let end = (start + SECTOR_BYTES).min(size).min(self.cached.len());
            if start < end && reaches() {
                self.on_disk[start..end].copy_from_slice(&self.cached[start..end]);
            }
        }
    }

    fn write_back_some(&mut self, random: &mut u64, kept: u64) {
        let (low, high) = (self.on_disk.len(), self.cached.len().max(self.on_disk.len()));
        let size = match next(random) % 3 {
            0 => low,
            1 => high,
            _ => low + (next(random) as usize) % (high - low + 1),
        };
        self.write_back(size, || next(random) % 1000 < kept);
    }

    fn lose_unsynced(&mut self, random: &mut u64, kept: u64) {
        self.write_back_some(random, kept);
        self.cached = self.on_disk.clone();
        let newest = self.names.len() - 1;
        let name = match kept {
            0 => 0,
            1000 => newest,
            _ => next(random) as usize % (newest + 1),
        };
        self.names = vec![self.names[name].take()];
    }

    /// Frees the bytes of a file that no crash can bring back.
    fn forget_if_removed(&mut self) {
        if self.names == [None] {
            (self.cached, self.on_disk) = (Vec::new(), Vec::new());
            self.dirty_sectors.clear();
        }
    }
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().files.iter().filter_map(|file| file.name().cloned()).collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let mut state = self.lock();
        state.change_directory()?;
        if state.find(name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.files.push(Inode {
            names: vec![None, Some(name.to_owned())],
            cached: Vec::new(),
            on_disk: Vec::new(),
            dirty_sectors: BTreeSet::new(),
        });
        let (inode, boot) = (state.files.len() - 1, state.boot);
        Ok(Box::new(SimFile { disk: self.clone(), inode, boot }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        let state = self.lock();
        let (inode, boot) = (state.find(name)?, state.boot);
        Ok(Box::new(SimFile { disk: self.clone(), inode, boot }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.change_directory()?;
        let inode = state.find(from)?;
        if let Ok(replaced) = state.find(to) {
            state.files[replaced].names.push(None);
        }
        state.files[inode].names.push(Some(to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.change_directory()?;
        let inode = state.find(name)?;
        state.files[inode].names.push(None);
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.change_directory()?;
        for file in &mut state.files {
            let newest = file.names.len() - 1;
            file.names.drain(..newest);
            file.forget_if_removed();
        }
        Ok(())
    }

    fn path(&self, name: &str) -> String {
        format!("simulated/{name}")
    }

    fn unique(&self) -> u64 {
        next(&mut self.lock().random)
    }
}

impl SimFile {
    fn lock(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.lock();
        if state.boot == self.boot { Ok(state) } else { Err(io::Error::other("crashed")) }
    }
}

impl File for SimFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.lock()?.files[self.inode].cached.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.lock()?;
        let file = &state.files[self.inode].cached;
        let rest = &file[(offset as usize).min(file.len())..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.lock()?;
        let fails = state.fails();
        let part = next(&mut state.random) as usize % (bytes.len() + 1);
        let free = state.capacity_bytes.saturating_sub(state.used_bytes());
        let file = &mut state.files[self.inode];
        let room = (file.cached.len() as u64 + free).saturating_sub(offset) as usize;
        if fails {
            file.write(&bytes[..part.min(room)], offset as usize);
            return Err(io::Error::other("simulated failure"));
        }
        file.write(&bytes[..bytes.len().min(room)], offset as usize);
        if room < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.lock()?;
        let fails = state.fails();
        let State { files, random, .. } = &mut *state;
        let file = &mut files[self.inode];
        if fails {
            let kept = next(random) % 1001;
            file.write_back_some(random, kept);
            return Err(io::Error::other("simulated failure"));
        }
        file.write_back(file.cached.len(), || true);
        Ok(())
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").field("used_bytes", &self.used_bytes()).finish_non_exhaustive()
    }
}

/// The next number of a SplitMix64 sequence.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
