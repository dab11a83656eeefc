//! What the log needs of a file system: one flat directory of files that are written at positions and synced.
//!
//! Two implementations: [`RealDisk`], and [`SimDisk`], which models what a crash may do to unsynced data. Both keep to
//! what POSIX promises and no more: a write is durable after [`File::sync`], a name after [`Disk::sync_directory`].

mod real;
mod sim;

use std::io;

pub use real::RealDisk;
pub use sim::SimDisk;

/// A directory. Names are plain file names.
pub trait Disk: Send + Sync {
    /// The names of all files, in any order.
    ///
    /// # Errors
    /// Those of the system.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes a new, empty file.
    ///
    /// # Errors
    /// Those of the system; in particular if the name is taken.
    fn create(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// Those of the system.
    fn open(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// Gives a file another name. Files already open stay so.
    ///
    /// # Errors
    /// Those of the system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file, which must not be in use.
    ///
    /// # Errors
    /// Those of the system.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all earlier creations, renames and removals durable.
    ///
    /// # Errors
    /// Those of the system.
    fn sync_directory(&self) -> io::Result<()>;

    /// Where a file is, for messages.
    fn path(&self, name: &str) -> String;

    /// A number that nobody has seen before.
    fn unique(&self) -> u64;
}

/// An open file. Its lock, if any, is the owner's business.
pub trait File: Send {
    /// Its length in bytes.
    ///
    /// # Errors
    /// Those of the system.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset` on and returns how many bytes that were: fewer only at the end of the file.
    ///
    /// # Errors
    /// Those of the system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all bytes at `offset`, extending the file if it ends before. Of a failed write any part may have arrived.
    ///
    /// # Errors
    /// Those of the system.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes all earlier writes durable, and as much of the metadata as is needed to read them. After a failure it is
    /// unknown what arrived, and trying again may claim success falsely.
    ///
    /// # Errors
    /// Those of the system.
    fn sync(&self) -> io::Result<()>;
}
