//! How fast the disk is, to be seen beside what depends on it.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

const PAGE: usize = 4096;
const PAGES: u64 = 512;

/// The unit of `/proc/diskstats`.
const SECTOR: u64 = 512;

/// Bytes that all processes together have written to the device that holds a directory; `None` if the kernel does not
/// count there. Next to the figure of a process, which counts whole folios (up to a megabyte for four kilobytes).
pub(crate) fn device_written_bytes(dir: &Path) -> Option<u64> {
    let device = fs::metadata(dir).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let statistics = fs::read_to_string("/proc/diskstats").ok()?;
    statistics.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_it = *fields.first()? == major.to_string() && *fields.get(1)? == minor.to_string();
        let sectors: u64 = is_it.then(|| fields.get(9)?.parse().ok()).flatten()?;
        Some(sectors * SECTOR)
    })
}

/// The time of writing 4 KiB into blocks that were written before, and making it durable: median and 99th percentile.
pub(crate) fn sync_latency(dir: &Path) -> anyhow::Result<(Duration, Duration)> {
    let scratch = tempfile::tempdir_in(dir).context("cannot make a directory")?;
    let file = File::create(scratch.path().join("pages"))?;
    let page = [7; PAGE];
    for index in 0..PAGES {
        file.write_all_at(&page, index * PAGE as u64)?;
    }
    file.sync_all()?;
    let mut latencies = Vec::new();
    for index in 0..PAGES {
        let started = Instant::now();
        file.write_all_at(&page, index * PAGE as u64)?;
        file.sync_data()?;
        latencies.push(started.elapsed());
    }
    latencies.sort_unstable();
    Ok((latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100]))
}
