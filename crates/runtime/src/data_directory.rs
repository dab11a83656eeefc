//! The data directory: one process at a time, one format, one number of key groups.
//!
//! `lock` is locked while the engine runs, `meta` says what the directory is, `log/` and `store/` are those crates' own.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use statera_ports::DataId;

use crate::error::EngineError;

const FORMAT: &str = "2";

/// A locked data directory.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    pub(crate) key_groups: u16,
    /// What the world outside knows it by.
    pub(crate) id: DataId,
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
        let id = match fs::read_to_string(&meta) {
            Ok(text) => check_meta(&meta, &text, key_groups)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let id = new_id();
                write_meta(path, &meta, key_groups, &id)
                    .map_err(|source| data("write", &meta, source))?;
                id
            }
            Err(source) => return Err(data("read", &meta, source)),
        };
        Ok(DataDirectory { path: path.to_owned(), key_groups, id, _lock: lock })
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

/// The keys of a `RandomState` come from the system's source of randomness.
fn new_id() -> DataId {
    let random = || RandomState::new().build_hasher().finish();
    DataId(format!("{:016x}{:016x}", random(), random()).into())
}

fn write_meta(directory: &Path, meta: &Path, key_groups: u16, id: &DataId) -> io::Result<()> {
    let new = directory.join("meta.new");
    let mut file = File::create(&new)?;
    write!(file, "statera data directory\nformat {FORMAT}\nkey_groups {key_groups}\nid {id}\n")?;
    file.sync_all()?;
    fs::rename(&new, meta)?;
    File::open(directory)?.sync_all()
}

fn check_meta(path: &Path, text: &str, wanted: u16) -> Result<DataId, EngineError> {
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
        Some(found) if found == wanted => {}
        Some(found) => return Err(EngineError::KeyGroups { found, wanted }),
        None => return Err(format("is damaged: no line `key_groups`".to_owned())),
    }
    match value("id") {
        Some(id) => Ok(DataId(id.into())),
        None => Err(format("is damaged: no line `id`".to_owned())),
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
    fn a_directory_keeps_its_id_and_no_other_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let id = |path: &Path| DataDirectory::open(path, 128).unwrap().id;
        let first = id(directory.path());
        assert_eq!(id(directory.path()), first);
        assert_ne!(id(&directory.path().join("other")), first);
        assert_eq!(first.0.len(), 32);
    }

    #[test]
    fn another_format_is_refused() {
        for text in [
            "",
            "other\n",
            "statera data directory\nformat 99\n",
            "statera data directory\nformat 2\n",
            "statera data directory\nformat 2\nkey_groups 128\n",
        ] {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("meta"), text).unwrap();
            let error = DataDirectory::open(directory.path(), 128).unwrap_err();
            assert!(matches!(error, EngineError::Format { .. }), "{error}");
        }
    }
}
