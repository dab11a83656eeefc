//! A file that grows by whole batches, and can be set back to the last one that is confirmed. Blocks.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use statera_ports::SinkError;

/// The file of an egress.
#[derive(Debug)]
pub(super) struct OutputFile {
    path: PathBuf,
    /// `None` before the first use, and after an error.
    open: Option<File>,
    /// How much of the file is confirmed.
    length: u64,
    beyond: Beyond,
}

/// What the file may hold beyond what is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beyond {
    /// What we wrote ourselves, since part of the file is known to be ours.
    Ours,
    /// What we wrote ourselves before a crash, or what somebody else wrote.
    Unknown,
}

impl OutputFile {
    pub(super) fn new(path: PathBuf) -> OutputFile {
        OutputFile { path, open: None, length: 0, beyond: Beyond::Unknown }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Sets the file back to what is confirmed: so many bytes, or nothing yet.
    pub(super) fn recover(&mut self, confirmed: Option<u64>) -> Result<(), SinkError> {
        self.open = None;
        self.length = confirmed.unwrap_or(0);
        self.beyond = if confirmed.is_some() { Beyond::Ours } else { Beyond::Unknown };
        self.open = Some(self.opened()?);
        Ok(())
    }

    /// Appends to what is confirmed, durably, and returns the new length. After an error the file is opened anew.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<u64, SinkError> {
        let file = match self.open.take() {
            Some(file) => file,
            None => self.opened()?,
        };
        let present = match self.beyond {
            Beyond::Ours => 0,
            Beyond::Unknown => self.recognise(&file, lines)?,
        };
        file.write_all_at(&lines[present..], self.length + present as u64)
            .and_then(|()| file.sync_data())
            .map_err(|error| self.failed("cannot write", error))?;
        self.length += lines.len() as u64;
        if present < lines.len() {
            // We came to the end of what there was.
            self.beyond = Beyond::Ours;
        }
        self.open = Some(file);
        Ok(self.length)
    }

    /// How many of the bytes stand already where they are to be written.
    fn recognise(&self, file: &File, lines: &[u8]) -> Result<usize, SinkError> {
        let read = || {
            let there = file.metadata()?.len().saturating_sub(self.length).min(lines.len() as u64);
            let mut bytes = vec![0; there as usize];
            file.read_exact_at(&mut bytes, self.length)?;
            Ok(bytes)
        };
        let bytes: Vec<u8> = read().map_err(|error| self.failed("cannot read", error))?;
        if lines.starts_with(&bytes) {
            return Ok(bytes.len());
        }
        Err(self.refused(&format!(
            "holds something else from byte {} on, which this application did not write; \
             hint: move the file away, or configure another one",
            self.length
        )))
    }

    /// Opens and locks the file, and cuts off what is ours and not confirmed.
    fn opened(&self) -> Result<File, SinkError> {
        let file = self.open_or_create()?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(self.refused(
                    "is locked by another egress or program that writes to it; \
                     hint: give each egress a file of its own",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(self.failed("cannot lock", error)),
        }
        let length = file.metadata().map_err(|error| self.failed("cannot read", error))?.len();
        if length < self.length {
            return Err(self.refused(&format!(
                "has {length} bytes, but {} are confirmed to have been written; hint: restore the file",
                self.length
            )));
        }
        if self.beyond == Beyond::Ours && length > self.length {
            file.set_len(self.length).map_err(|error| self.failed("cannot cut", error))?;
        }
        Ok(file)
    }

    fn open_or_create(&self) -> Result<File, SinkError> {
        // Asked before it is opened, because opening a pipe would wait for somebody to read.
        let create = match self.path.metadata() {
            Ok(metadata) if metadata.is_file() => false,
            Ok(_) => {
                return Err(self.refused("is not a regular file; hint: configure another path"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.length == 0 => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.refused(&format!(
                    "is gone, but {} bytes are confirmed to have been written; hint: restore the file",
                    self.length
                )));
            }
            Err(error) => return Err(self.failed("cannot open", error)),
        };
        let open = || {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(create)
                .truncate(false)
                .open(&self.path)?;
            if create {
                sync_parent(&self.path)?;
            }
            Ok(file)
        };
        open().map_err(|error| self.failed("cannot open", error))
    }

    fn failed(&self, doing: &str, error: io::Error) -> SinkError {
        SinkError {
            doing: format!("{doing} `{}`", self.path.display()),
            source: Some(error.into()),
        }
    }

    fn refused(&self, why: &str) -> SinkError {
        SinkError { doing: format!("`{}` {why}", self.path.display()), source: None }
    }
}

/// Makes the name of a new file durable.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}
