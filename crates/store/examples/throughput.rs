//! Measures what in-process functions ask of log and store: many changes of few keys each second, a commit for each
//! epoch, reads of what fell out of memory, and a start after a kill.
//!
//! `cargo run --release -p statera-store --example throughput [absorb|log|commit|spill|start] [keys]`
//!
//! Processor time is that of the whole process, background threads included. `THROUGHPUT_DIR` chooses the disk.

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use statera_core::delta::DeltaWriter;
use statera_core::keys;
use statera_log::{CommitLog, FileLog};
use statera_model::{Address, Epoch, KeyGroup, Name};
use statera_store::{Progress, Settings, Store};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let what = std::env::args().nth(1);
    let keys = |default| std::env::args().nth(2).map_or(Ok(default), |keys| keys.parse());
    let path = std::env::var_os("THROUGHPUT_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let path = path.join(format!("statera-throughput-{}", std::process::id()));
    fs::create_dir_all(&path)?;
    let wanted = |name: &str| what.as_deref().is_none_or(|what| what == name);
    let measured = (|| {
        if wanted("absorb") {
            absorb(&path.join("absorb"), keys(100_000)?)?;
        }
        if wanted("log") {
            log_alone(&path.join("log"))?;
        }
        if wanted("commit") {
            commit(&path.join("commit"), keys(100_000)?)?;
        }
        if wanted("spill") {
            spill(&path.join("spill"), keys(1_000_000)?)?;
        }
        if wanted("start") {
            start(&path.join("start"), keys(1_000_000)?)?;
        }
        Ok(())
    })();
    fs::remove_dir_all(path)?;
    measured
}

/// The store alone: epochs of 40,000 changes, as fast as they are taken.
fn absorb(path: &Path, keys: u64) -> Outcome<()> {
    println!("absorb: {keys} keys, epochs of 40,000 changes");
    let store = Store::open(path, Settings::default(), |_| {})?;
    let mut epochs = Epochs::new(keys, 40_000, 50);
    let deltas: Vec<Vec<u8>> = (0..8).map(|_| epochs.next_delta()).collect();
    let (phase, mut times) = (Phase::begin()?, Vec::new());
    let before = thread_cpu()?;
    for (epoch, delta) in (1..=500).zip(deltas.iter().cycle()) {
        let begin = Instant::now();
        store.absorb(Epoch(epoch), &[delta])?;
        times.push(begin.elapsed());
    }
    let absorbing = thread_cpu()? - before;
    println!("  {:.0} ns CPU per change absorbing", absorbing.as_secs_f64() * 1e9 / 20e6);
    quantiles("  absorbing an epoch", &mut times);
    phase.end("  with flushes and compaction", 20_000_000, path)?;
    Ok(store.close()?)
}

/// Log and store as the commit thread uses them, paced: 50 epochs of 40,000 changes each second.
fn commit(path: &Path, keys: u64) -> Outcome<()> {
    println!("commit: {keys} keys, epochs of 40,000 changes, 2 million changes each second");
    let (progress, durable) = mpsc::channel();
    let report = move |told| drop(progress.send(told));
    let store = Store::open(path.join("store"), Settings::default(), report)?;
    let mut log = FileLog::open(&path.join("log"), log_settings())?;
    let mut epochs = Epochs::new(keys, 40_000, 50);
    let deltas: Vec<Vec<u8>> = (0..8).map(|_| epochs.next_delta()).collect();
    let (phase, begin) = (Phase::begin()?, Instant::now());
    let before = thread_cpu()?;
    let (mut appending, mut absorbing, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (epoch, delta) in (1..=500).zip(deltas.iter().cycle()) {
        std::thread::sleep(Duration::from_millis(20 * epoch).saturating_sub(begin.elapsed()));
        let parts = [&delta[..delta.len() / 2], &delta[delta.len() / 2..]];
        let appended = Instant::now();
        log.append(Epoch(epoch), &parts)?;
        let absorbed = Instant::now();
        store.absorb(Epoch(epoch), &[delta])?;
        absorbing.push(absorbed.elapsed());
        appending.push(absorbed - appended);
        bytes += delta.len();
        while let Ok(told) = durable.try_recv() {
            match told {
                Progress::Durable(epoch) => log.truncate(epoch)?,
                Progress::Failed(error) => return Err(error.into()),
            }
        }
    }
    let wall = begin.elapsed();
    println!(
        "  {:.1?} for 10 s of load, {:.0} MB/s of log",
        wall,
        bytes as f64 / 1e6 / wall.as_secs_f64()
    );
    println!("  the committing thread was busy for {:.1?}", thread_cpu()? - before);
    quantiles("  append and fdatasync of an epoch", &mut appending);
    quantiles("  absorbing an epoch", &mut absorbing);
    phase.end("  all together", 20_000_000, path)?;
    Ok(store.close()?)
}

/// The log alone, as fast as it goes, with a truncation every hundred epochs.
fn log_alone(path: &Path) -> Outcome<()> {
    for changes in [20_000, 40_000] {
        let mut log = FileLog::open(&path.join(changes.to_string()), log_settings())?;
        let mut epochs = Epochs::new(100_000, changes, 50);
        let deltas: Vec<Vec<u8>> = (0..8).map(|_| epochs.next_delta()).collect();
        let (phase, mut times, mut bytes) = (Phase::begin()?, Vec::new(), 0);
        let before = thread_cpu()?;
        for (epoch, delta) in (1..=500).zip(deltas.iter().cycle()) {
            let begin = Instant::now();
            log.append(Epoch(epoch), &[delta])?;
            times.push(begin.elapsed());
            bytes += delta.len();
            if epoch % 50 == 0 {
                log.truncate(Epoch(epoch - 10))?;
            }
        }
        let seconds = times.iter().sum::<Duration>().as_secs_f64();
        println!(
            "log: {:.0} MB/s in epochs of {} kB",
            bytes as f64 / 1e6 / seconds,
            bytes / 500_000
        );
        println!("  the appending thread was busy for {:.1?}", thread_cpu()? - before);
        quantiles("  append and fdatasync of an epoch", &mut times);
        phase.end("  each epoch", 500, path)?;
    }
    Ok(())
}

/// Reads of values that fell out of memory.
fn spill(path: &Path, keys: u64) -> Outcome<()> {
    println!("spill: {keys} values of 100 B");
    let phase = Phase::begin()?;
    let store = load(path, keys)?;
    phase.end("  load", keys, path)?;
    drop(store);
    let store = Store::open(path, Settings::default(), |_| {})?;
    let reader = store.reader();
    let mut random = Random(7);
    for (name, range) in
        [("of existing keys", keys), ("of the first tenth", keys / 10), ("of other keys", 0)]
    {
        for _ in 0..2 {
            let (phase, mut times, mut missing) = (Phase::begin()?, Vec::new(), 0);
            for _ in 0..200_000 {
                let nth = if range == 0 { keys + random.below(keys) } else { random.below(range) };
                let key = key(nth);
                let begin = Instant::now();
                missing += u64::from(black_box(reader.get(&key)?).is_none());
                times.push(begin.elapsed());
            }
            assert_eq!(missing, if range == 0 { 200_000 } else { 0 });
            quantiles(&format!("  reads {name}"), &mut times);
            phase.end("   ", 200_000, path)?;
        }
    }
    // Reads while others write.
    let mut epochs = Epochs::new(keys, 10_000, 100);
    let (phase, mut times) = (Phase::begin()?, Vec::new());
    for epoch in 0..100 {
        store.absorb(Epoch(1_000_000 + epoch), &[&epochs.next_delta()])?;
        for _ in 0..10_000 {
            let begin = Instant::now();
            black_box(reader.get(&key(random.below(keys)))?);
            times.push(begin.elapsed());
        }
    }
    quantiles("  reads among as many writes", &mut times);
    phase.end("   ", 1_000_000, path)?;
    Ok(store.close()?)
}

/// A start after a kill: many values in files, and as much log behind them as there ever is.
fn start(path: &Path, keys: u64) -> Outcome<()> {
    println!("start: {keys} values of 100 B in files");
    drop(load(&path.join("store"), keys)?);
    let begin = Instant::now();
    let store = Store::open(path.join("store"), Settings::default(), |_| {})?;
    println!("  open the store: {:.1?}", begin.elapsed());
    let mut log = FileLog::open(&path.join("log"), log_settings())?;
    let (mut epochs, mut bytes, mut epoch) =
        (Epochs::new(100_000, 40_000, 50), 0, store.reflected());
    drop(store);
    let deltas: Vec<Vec<u8>> = (0..8).map(|_| epochs.next_delta()).collect();
    for delta in deltas.iter().cycle() {
        epoch = epoch.next();
        bytes += delta.len() as u64;
        if bytes > Settings::default().replay_bytes {
            break;
        }
        log.append(epoch, &[delta])?;
    }
    drop(log);
    for round in ["first", "again"] {
        let phase = Phase::begin()?;
        let begin = Instant::now();
        let store = Store::open(path.join("store"), Settings::default(), |_| {})?;
        let opened = begin.elapsed();
        let mut log = FileLog::open(&path.join("log"), log_settings())?;
        let checked = begin.elapsed();
        log.replay(store.reflected().next(), &mut |epoch, delta| {
            Ok(store.absorb(epoch, &[delta])?)
        })?;
        let replayed = begin.elapsed();
        let mut work = 0;
        store
            .reader()
            .scan_work(|_, _| {
                work += 1;
                Ok::<(), Box<dyn Error>>(())
            })
            .map_err(|error| error.to_string())?;
        println!(
            "  {round}: store {opened:.1?}, log {:.1?}, replay of {} MB {:.1?}, restore {:.1?}; together {:.1?}",
            checked - opened,
            bytes >> 20,
            replayed - checked,
            begin.elapsed() - replayed,
            begin.elapsed(),
        );
        phase.end("   ", bytes / 110, path)?;
        drop(store);
    }
    Ok(())
}

fn load(path: &Path, keys: u64) -> Outcome<Store> {
    let store = Store::open(path, Settings::default(), |_| {})?;
    let mut epoch = Epoch::ZERO;
    let mut delta = Vec::new();
    for first in (0..keys).step_by(10_000) {
        epoch = epoch.next();
        delta.clear();
        let mut writer = DeltaWriter::new(&mut delta);
        for nth in first..keys.min(first + 10_000) {
            // An odd multiplier visits every key once, in no order.
            let nth = nth.wrapping_mul(0x9e37_79b9) % keys;
            writer.put(&key(nth), &value(nth, 100));
        }
        store.absorb(epoch, &[&delta])?;
    }
    store.sync_now()?;
    Ok(store)
}

fn log_settings() -> statera_log::Settings {
    let settings = statera_log::Settings::default();
    let spare_segments_max = (Settings::default().replay_bytes / settings.segment_bytes) as usize;
    statera_log::Settings { spare_segments_max, ..settings }
}

fn key(nth: u64) -> Vec<u8> {
    let address =
        Address::new(Name::from_parts("example.shop", "cart"), format!("customer-{nth:08}"));
    keys::state(KeyGroup((nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57) as u16), &address, "seen")
}

/// Half of it compresses.
fn value(seed: u64, bytes: usize) -> Vec<u8> {
    let mut value = vec![7; bytes];
    let mut random = Random(seed);
    value[..bytes / 2].fill_with(|| random.below(256) as u8);
    value
}

/// Epochs of changes of random keys.
struct Epochs {
    keys: Vec<Vec<u8>>,
    value: Vec<u8>,
    changes: usize,
    random: Random,
}

impl Epochs {
    fn new(keys: u64, changes: usize, value_bytes: usize) -> Epochs {
        let keys = (0..keys).map(key).collect();
        Epochs { keys, value: value(1, value_bytes), changes, random: Random(1) }
    }

    fn next_delta(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut delta = DeltaWriter::new(&mut bytes);
        for _ in 0..self.changes {
            let nth = self.random.below(self.keys.len() as u64) as usize;
            self.value[..8].copy_from_slice(&self.random.0.to_be_bytes());
            delta.put(&self.keys[nth], &self.value);
        }
        bytes
    }
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
        Ok(Phase {
            begin: Instant::now(),
            cpu: cpu()?,
            written: number("/proc/self/io", "write_bytes:")?,
        })
    }

    fn end(self, name: &str, operations: u64, path: &Path) -> Outcome<()> {
        let (wall, cpu) = (self.begin.elapsed(), cpu()? - self.cpu);
        let micros = |time: Duration| time.as_secs_f64() * 1e6 / operations as f64;
        println!(
            "{name}: {wall:.1?}, {:.3} us wall and {:.3} us CPU per operation, {} MB written, \
             {} MB on disk, {} MB resident, {} MB at most",
            micros(wall),
            micros(cpu),
            (number("/proc/self/io", "write_bytes:")? - self.written) >> 20,
            disk_bytes(path)? >> 20,
            number("/proc/self/status", "VmRSS:")? >> 10,
            number("/proc/self/status", "VmHWM:")? >> 10,
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

/// Processor time of the calling thread.
fn thread_cpu() -> Outcome<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(text.split(' ').next().unwrap_or_default().parse()?))
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
