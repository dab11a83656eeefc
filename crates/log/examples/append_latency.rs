//! Prints how long an append takes until it is durable, beside the bare `pwrite` and `fdatasync` that it can't beat.
//!
//! `cargo run --release -p statera-log --example append_latency [DIRECTORY] [APPENDS]`. The rounds alternate, so that
//! noise of the machine hits all alike.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use statera_log::{CommitLog, FileLog, Settings};
use statera_model::Epoch;

const BARE_BYTES: u64 = 16 * 1024 * 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let appends: usize = arguments.next().map_or(Ok(1000), |text| text.parse())?;
    let directory = tempfile::tempdir_in(parent)?;

    let started = Instant::now();
    let mut log = FileLog::open(&directory.path().join("log"), Settings::default())?;
    println!("open an empty log      {:>9.1?}", started.elapsed());
    let started = Instant::now();
    log.append(Epoch(1), &[b"first"])?;
    println!("first append           {:>9.1?}", started.elapsed());

    for bytes in [4 * 1024 - 40, 4 * 1024, 1024 * 1024] {
        compare(&mut log, directory.path(), bytes, appends)?;
    }
    drop(log);
    let started = Instant::now();
    let mut log = FileLog::open(&directory.path().join("log"), Settings::default())?;
    println!("open the log again     {:>9.1?}", started.elapsed());
    let (started, mut bytes) = (Instant::now(), 0);
    let last = log.last_epoch().unwrap_or_default();
    log.replay(last, &mut |_, payload| {
        bytes += payload.len();
        Ok(())
    })?;
    println!("replay {:>8} bytes   {:>9.1?}", bytes, started.elapsed());
    Ok(())
}

fn compare(
    log: &mut FileLog,
    directory: &Path,
    bytes: usize,
    appends: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let payload = vec![0x5a; bytes];
    let packed = Bare::new(directory, bytes as u64 + 40)?;
    let whole_pages = Bare::new(directory, (bytes as u64 + 40).next_multiple_of(4096))?;
    let mut times = [(); 3].map(|()| Vec::with_capacity(appends));
    for round in 0..appends as u64 {
        let started = Instant::now();
        let epoch = log.last_epoch().unwrap_or_default().next();
        log.append(epoch, &[&payload])?;
        times[0].push(started.elapsed());
        if round % 64 == 0 {
            log.truncate(epoch)?;
        }
        times[1].push(whole_pages.append(round)?);
        times[2].push(packed.append(round)?);
    }
    println!("payload of {bytes} bytes:");
    for (name, mut times) in ["FileLog", "bare, whole pages", "bare, packed"].into_iter().zip(times)
    {
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        println!(
            "  {name:<20} median {:>9.1?}  p90 {:>9.1?}  p99 {:>9.1?}",
            at(50),
            at(90),
            at(99)
        );
    }
    Ok(())
}

/// A file whose blocks were all written before.
struct Bare {
    file: File,
    payload: Vec<u8>,
}

impl Bare {
    fn new(directory: &Path, bytes: u64) -> io::Result<Bare> {
        let file = File::create(directory.join(format!("bare-{bytes}")))?;
        file.write_all_at(&vec![0; BARE_BYTES as usize], 0)?;
        file.sync_all()?;
        Ok(Bare { file, payload: vec![0xa5; bytes as usize] })
    }

    fn append(&self, round: u64) -> io::Result<Duration> {
        let bytes = self.payload.len() as u64;
        let offset = round % (BARE_BYTES / bytes) * bytes;
        let started = Instant::now();
        self.file.write_all_at(&self.payload, offset)?;
        self.file.sync_data()?;
        Ok(started.elapsed())
    }
}
