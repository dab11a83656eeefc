//! A file system that is really full.

use std::path::Path;
use std::process::Command;

use statera_log::{CommitLog, FileLog, LogError, Settings};
use statera_model::Epoch;

/// A file system of a given size that goes away with this value.
struct Mounted<'a>(&'a Path);

impl Mounted<'_> {
    fn new(path: &Path, megabytes: u32) -> Option<Mounted<'_>> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let options = format!("size={megabytes}m");
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).status();
        status.is_ok_and(|status| status.success()).then_some(Mounted(path))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0).status().ok();
    }
}

#[test]
fn a_really_full_disk_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::new(directory.path(), 6) else {
        eprintln!("SKIPPED: a_really_full_disk_loses_nothing needs the right to mount a tmpfs");
        return;
    };
    let ballast = directory.path().join("ballast");
    std::fs::write(&ballast, vec![1; 1024 * 1024]).unwrap();
    let settings = Settings { segment_bytes: 1024 * 1024, ..Settings::default() };
    let path = directory.path().join("log");

    let mut log = FileLog::open(&path, settings).unwrap();
    let payload = vec![5; 30_000];
    let error = (1..).find_map(|epoch| log.append(Epoch(epoch), &[&payload]).err()).unwrap();
    assert!(matches!(error, LogError::Full { .. }), "{error:?}");
    let last = log.last_epoch().unwrap();
    let again = log.append(last.next(), &[]);
    assert!(matches!(again, Err(LogError::Poisoned)), "{again:?}");
    drop(log);

    // While there is no room a start finds everything; when there is, it goes on.
    let mut log = FileLog::open(&path, settings).unwrap();
    assert_eq!(log.last_epoch(), Some(last));
    assert!(matches!(log.append(last.next(), &[]), Err(LogError::Full { .. })));
    drop(log);
    std::fs::remove_file(&ballast).unwrap();
    let mut log = FileLog::open(&path, settings).unwrap();
    log.append(last.next(), &[b"goes on"]).unwrap();
    let mut count = 0;
    log.replay(Epoch(1), &mut |epoch, found| {
        assert!(epoch > last || found == payload);
        count += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(count, last.0 + 1);
}
