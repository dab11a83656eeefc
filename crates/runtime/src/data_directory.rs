//! The data directory: one process at a time, one format, one number of key groups.
//!
//! `lock` is locked while the engine runs, `meta` says what the directory is, `log/` and `store/` are those crates' own.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::error::EngineError;

const FORMAT: &str = "1";

/// A locked data directory.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    pub(crate) key_groups: u16,
    _lock: File,
}

impl DataDirectory {
    /// Opens `path`, which is made if it is not there.
    pub(crate) fn open(path: &Path, key_groups: u16) -> Result<DataDirectory, EngineError> {
        fs::create_dir_all(path).map_err(|source| data("create", path, source))?;
        let lock_path = path.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(|source| data("open", &lock_path, source))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(EngineError::Locked { path: path.to_owned() });
            }
            Err(errno) => return Err(data("lock", &lock_path, errno.into())),
        }
        let meta = path.join("meta");
        match fs::read_to_string(&meta) {
            Ok(text) => check_meta(&meta, &text, key_groups)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_meta(path, &meta, key_groups)
                    .map_err(|source| data("write", &meta, source))?;
            }
            Err(source) => return Err(data("read", &meta, source)),
        }
        Ok(DataDirectory { path: path.to_owned(), key_groups, _lock: lock })
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path.join("store")
    }
}

fn data(doing: &'static str, path: &Path, source: io::Error) -> EngineError {
    EngineError::Data { doing, path: path.to_owned(), source }
}

fn write_meta(directory: &Path, meta: &Path, key_groups: u16) -> io::Result<()> {
    let new = directory.join("meta.new");
    let mut file = File::create(&new)?;
    write!(file, "statera data directory\nformat {FORMAT}\nkey_groups {key_groups}\n")?;
    file.sync_all()?;
    fs::rename(&new, meta)?;
    File::open(directory)?.sync_all()
}

fn check_meta(path: &Path, text: &str, wanted: u16) -> Result<(), EngineError> {
    let format = |what: String| EngineError::Format { path: path.to_owned(), what };
    let mut lines = text.lines();
    if lines.next() != Some("statera data directory") {
        let what = "is not the description of a data directory; hint: choose another `--data`";
        return Err(format(what.to_owned()));
    }
    let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    match value("format") {
        Some(FORMAT) => {}
        found => {
            return Err(format(format!(
                "has format `{}`, this program reads `{FORMAT}`; hint: run the version that wrote it",
                found.unwrap_or("?")
            )));
        }
    }
    match value("key_groups").and_then(|count| count.parse().ok()) {
        Some(found) if found == wanted => Ok(()),
        Some(found) => Err(EngineError::KeyGroups { found, wanted }),
        None => Err(format("is damaged: no line `key_groups`".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_belongs_to_one_process_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = DataDirectory::open(directory.path(), 128).unwrap();
        let second = DataDirectory::open(directory.path(), 128).unwrap_err();
        assert!(matches!(second, EngineError::Locked { .. }), "{second}");
        drop(first);
        DataDirectory::open(directory.path(), 128).unwrap();
    }

    #[test]
    fn the_number_of_key_groups_is_fixed() {
        let directory = tempfile::tempdir().unwrap();
        drop(DataDirectory::open(directory.path(), 128).unwrap());
        let error = DataDirectory::open(directory.path(), 64).unwrap_err();
        assert!(matches!(error, EngineError::KeyGroups { found: 128, wanted: 64 }), "{error}");
    }

    #[test]
    fn another_format_is_refused() {
        for text in [
            "",
            "other\n",
            "statera data directory\nformat 99\n",
            "statera data directory\nformat 1\n",
        ] {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("meta"), text).unwrap();
            let error = DataDirectory::open(directory.path(), 128).unwrap_err();
            assert!(matches!(error, EngineError::Format { .. }), "{error}");
        }
    }
}
