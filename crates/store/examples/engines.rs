//! Measures the store under the load it is made for: many small values, written in epochs by a busy worker, and read
//! one by one at random.
//!
//! `cargo run --release -p statera-store --example engines [keys] [unflushed MiB]`
//!
//! The figures that survive a noisy machine are processor time per operation and bytes written.

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use statera_core::delta::DeltaWriter;
use statera_model::Epoch;
use statera_store::{Settings, Store};

type Outcome<T> = Result<T, Box<dyn Error>>;

const VALUE_BYTES: usize = 100;
const CHANGES_PER_EPOCH: u64 = 2_000;
const READS_PER_EPOCH: u64 = 2_000;

/// What is measured.
trait Engine: Sized {
    const NAME: &'static str;
    fn open(path: &Path, unflushed_bytes: usize) -> Outcome<Self>;
    fn absorb(&mut self, epoch: Epoch, delta: &[u8]) -> Outcome<()>;
    fn flush(&mut self) -> Outcome<()>;
    fn get(&self, key: &[u8]) -> Outcome<Option<Bytes>>;
    fn close(self) -> Outcome<()>;
}

impl Engine for Store {
    const NAME: &'static str = "statera-store on fjall";

    fn open(path: &Path, unflushed_bytes: usize) -> Outcome<Store> {
        let settings = Settings { unflushed_bytes, ..Settings::default() };
        Ok(Store::open(path, settings, |_| {})?)
    }

    fn absorb(&mut self, epoch: Epoch, delta: &[u8]) -> Outcome<()> {
        Ok(Store::absorb(self, epoch, &[delta])?)
    }

    fn flush(&mut self) -> Outcome<()> {
        Ok(self.sync_now()?)
    }

    fn get(&self, key: &[u8]) -> Outcome<Option<Bytes>> {
        Ok(self.reader().get(key)?)
    }

    fn close(self) -> Outcome<()> {
        Ok(Store::close(self)?)
    }
}

fn main() -> Outcome<()> {
    let argument = |nth, default| std::env::args().nth(nth).map_or(Ok(default), |a| a.parse());
    let (keys, unflushed_bytes) = (argument(1, 5_000_000)?, (argument(2, 64)? as usize) << 20);
    let path = std::env::var_os("ENGINES_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let path = path.join(format!("statera-engines-{}", std::process::id()));
    let measured = measure::<Store>(&path, keys, unflushed_bytes);
    fs::remove_dir_all(path)?;
    measured
}

fn measure<E: Engine>(path: &Path, keys: u64, unflushed_bytes: usize) -> Outcome<()> {
    println!("{}: {keys} keys of {VALUE_BYTES} B", E::NAME);
    let mut engine = E::open(path, unflushed_bytes)?;
    let mut epoch = Epoch::ZERO;

    let phase = Phase::begin()?;
    // An odd multiplier visits every key once, in no order.
    for first in (0..keys).step_by(CHANGES_PER_EPOCH as usize) {
        let nth = first..keys.min(first + CHANGES_PER_EPOCH);
        epoch = epoch.next();
        engine.absorb(epoch, &delta(nth.map(|n| n.wrapping_mul(0x9e37_79b9) % keys), epoch))?;
    }
    engine.flush()?;
    phase.end("load", keys, path)?;

    let mut random = Random(1);
    let (mut reads, mut missed) = (Vec::new(), 0);
    let phase = Phase::begin()?;
    let epochs = keys / CHANGES_PER_EPOCH / 2;
    for _ in 0..epochs {
        epoch = epoch.next();
        let changed: Vec<u64> = (0..CHANGES_PER_EPOCH).map(|_| random.below(keys)).collect();
        engine.absorb(epoch, &delta(changed.into_iter(), epoch))?;
        let begin = Instant::now();
        for _ in 0..READS_PER_EPOCH {
            missed += u64::from(black_box(engine.get(&key(random.below(keys)))?).is_none());
        }
        reads.push(begin.elapsed());
    }
    engine.flush()?;
    phase.end("epochs of random reads and writes", epochs * CHANGES_PER_EPOCH, path)?;
    quantiles("  read batch of an epoch", &mut reads);

    let phase = Phase::begin()?;
    for _ in 0..200_000 {
        missed += u64::from(black_box(engine.get(&key(random.below(keys)))?).is_none());
    }
    phase.end("random reads", 200_000, path)?;
    println!("  keys not found in all: {missed}");

    engine.close()?;
    let begin = Instant::now();
    let engine = E::open(path, unflushed_bytes)?;
    println!("open again: {:?}", begin.elapsed());
    engine.close()
}

fn key(nth: u64) -> [u8; 19] {
    let mut key = [0; 19];
    key[1] = (nth % 128) as u8;
    key[2] = 1;
    key[3..11].copy_from_slice(&nth.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key[11..].copy_from_slice(&nth.to_be_bytes());
    key
}

fn delta(keys: impl Iterator<Item = u64>, epoch: Epoch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut delta = DeltaWriter::new(&mut bytes);
    for nth in keys {
        // Half of it compresses.
        let mut value = [7; VALUE_BYTES];
        let mut random = Random(nth ^ (epoch.0 << 32));
        value[..VALUE_BYTES / 2].fill_with(|| random.below(256) as u8);
        delta.put(&key(nth), &value);
    }
    bytes
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(0x5851_f42d);
        ((u128::from(self.0) * u128::from(limit)) >> 64) as u64
    }
}

struct Phase {
    begin: Instant,
    cpu: Duration,
    written: u64,
}

impl Phase {
    fn begin() -> Outcome<Phase> {
        Ok(Phase { begin: Instant::now(), cpu: cpu()?, written: written()? })
    }

    fn end(self, name: &str, operations: u64, path: &Path) -> Outcome<()> {
        let (wall, cpu) = (self.begin.elapsed(), cpu()? - self.cpu);
        let micros = |time: Duration| time.as_secs_f64() * 1e6 / operations as f64;
        let written = (written()? - self.written) as f64 / (operations * 119) as f64;
        println!(
            "{name}: {wall:.1?}, {:.2} us wall and {:.2} us CPU per operation, \
             written {written:.1} times, {} MB on disk, {} MB resident",
            micros(wall),
            micros(cpu),
            disk_bytes(path)? >> 20,
            resident_kb()? >> 10,
        );
        Ok(())
    }
}

fn quantiles(name: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{name}: p50 {:.1?}, p99 {:.1?}, max {:.1?}", at(50), at(99), at(100));
}

fn cpu() -> Outcome<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10))
}

fn written() -> Outcome<u64> {
    number("/proc/self/io", "write_bytes:")
}

fn resident_kb() -> Outcome<u64> {
    number("/proc/self/status", "VmRSS:")
}

fn number(path: &str, name: &str) -> Outcome<u64> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    Ok(line.split_whitespace().next().unwrap_or("0").parse()?)
}

fn disk_bytes(path: &Path) -> Outcome<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // Files come and go meanwhile.
        let Ok(metadata) = entry.metadata() else { continue };
        sum += if metadata.is_dir() {
            disk_bytes(&entry.path())?
        } else {
            std::os::unix::fs::MetadataExt::blocks(&metadata) * 512
        };
    }
    Ok(sum)
}
