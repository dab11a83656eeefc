//! What the store costs while nothing happens: time to open, resident memory, processor time.
//!
//! `cargo run --release -p statera-store --example idle`

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use statera_core::delta::DeltaWriter;
use statera_model::Epoch;
use statera_store::{Settings, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(10), |text| text.parse())?;
    let path = std::env::temp_dir().join(format!("statera-idle-{}", std::process::id()));
    report("at start")?;

    let begin = Instant::now();
    let store = Store::open(&path, Settings::default(), |_| {})?;
    println!("open empty: {:?}", begin.elapsed());
    idle("empty store", seconds)?;

    let mut delta = Vec::new();
    DeltaWriter::new(&mut delta).put(&[0, 0, 1, 1], &[0; 100]);
    let begin = Instant::now();
    store.absorb(Epoch(1), &[&delta])?;
    store.sync_now()?;
    println!("first flush, makes the files: {:?}", begin.elapsed());
    idle("store with one key", seconds)?;
    let begin = Instant::now();
    store.close()?;
    println!("close: {:?}", begin.elapsed());

    let begin = Instant::now();
    let store = Store::open(&path, Settings::default(), |_| {})?;
    println!("open again: {:?}", begin.elapsed());
    idle("opened again", seconds)?;
    drop(store);
    Ok(fs::remove_dir_all(path)?)
}

fn idle(what: &str, seconds: u64) -> Result<(), Box<dyn Error>> {
    report(what)?;
    let before = (cpu_ticks()?, switches()?);
    std::thread::sleep(Duration::from_secs(seconds));
    let (ticks, switches) = (cpu_ticks()? - before.0, switches()? - before.1);
    println!("{what}: {ticks} ticks and {switches} context switches in {seconds} s");
    Ok(())
}

fn report(what: &str) -> Result<(), Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let lines = status.lines().filter(|l| l.starts_with("VmRSS") || l.starts_with("Threads"));
    println!("{what}: {}", lines.collect::<Vec<_>>().join(", ").replace('\t', " "));
    Ok(())
}

/// User and system time of the process in ticks of 10 ms.
fn cpu_ticks() -> Result<u64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

/// Voluntary context switches of all threads: each wakeup is one.
fn switches() -> Result<u64, Box<dyn Error>> {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let status = fs::read_to_string(task?.path().join("status"))?;
        let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
        sum += line.unwrap_or("0").trim().parse::<u64>()?;
    }
    Ok(sum)
}
