//! The engine in the process of its functions, without a network: what it can do by itself. See
//! `docs/benchmarks/in-process.md`.

mod chain;
mod counter;
mod fanout;
mod generator;
mod host;
mod job;
mod measure;
mod numbers;
mod part;
mod recovery;
mod report;
mod spill;
mod tally;
mod timers;
mod transfer;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::{Args, Subcommand};
use tempfile::TempDir;

use crate::disk;
use crate::table::{Table, mebibytes, thousands};
use job::{Durability, Job, Outcome, Work};
use part::{Part, Running};
use report::Row;

/// The defaults of `memory.mailboxBytes` and `memory.unflushedBytes`.
const MEMORY_BESIDE_STATE: u64 = (128 + 64) << 20;

/// How much more state there is than `memory.stateBytes`, where it is too much.
const SPILLED: u64 = 10;

/// Enough for all state.
const STATE_BYTES_AMPLE: u64 = 16 << 30;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// All benchmarks of functions in the process of the engine: chain, counter, transfer, fanout, timers, spill,
    /// recovery.
    #[command(visible_alias = "all")]
    InProcess(Options),
    /// Messages that travel through functions in a cycle.
    Chain(Options),
    /// A source feeds counters.
    Counter(Options),
    /// Transfers between two accounts.
    Transfer(Options),
    /// One message becomes a hundred.
    Fanout(Options),
    /// A million delayed messages, and many that are due at once.
    Timers(Options),
    /// Ten times more state than memory for it, and enough memory.
    Spill(Options),
    /// The time until the first reply after a stop, and after a kill.
    Recovery(Options),
    /// Run one measurement (started by the other commands).
    #[command(hide = true, name = part::COMMAND)]
    Part(Part),
}

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// How long each rate is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Ids addressed at random; timers, for `timers`; values stored, for `recovery` [default: what each benchmark is about]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    ids: Vec<u64>,
    /// Shards of the engine [default: 1, and for `chain` also 2]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=128))]
    shards: Vec<u16>,
    /// Messages that travel at once, for `chain`
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    in_flight: u64,
    /// Functions in the cycle of `chain`
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    functions: u64,
    /// The durability that is measured, and another one to compare with
    #[arg(long, value_enum, value_delimiter = ',', default_value = "fsync,none", num_args = 1..=2)]
    durability: Vec<Durability>,
    /// When this is used up, what is missing is left out
    #[arg(long, default_value_t = 8)]
    minutes: u64,
    /// Where data directories are made; should be on the disk that is to be measured
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
}

impl Command {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        use Benchmark::{Chain, Counter, Fanout, Recovery, Spill, Timers, Transfer};
        let (benchmarks, options): (&[Benchmark], _) = match self {
            Command::InProcess(options) => {
                (&[Chain, Counter, Transfer, Fanout, Timers, Spill, Recovery], options)
            }
            Command::Chain(options) => (&[Chain], options),
            Command::Counter(options) => (&[Counter], options),
            Command::Transfer(options) => (&[Transfer], options),
            Command::Fanout(options) => (&[Fanout], options),
            Command::Timers(options) => (&[Timers], options),
            Command::Spill(options) => (&[Spill], options),
            Command::Recovery(options) => (&[Recovery], options),
            Command::Part(part) => return part.run().await,
        };
        run(&options, benchmarks)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Benchmark {
    Chain,
    Counter,
    Transfer,
    Fanout,
    Timers,
    Spill,
    Recovery,
}

impl Benchmark {
    fn name(self) -> &'static str {
        match self {
            Benchmark::Chain => "chain",
            Benchmark::Counter => "counter",
            Benchmark::Transfer => "transfer",
            Benchmark::Fanout => "fanout",
            Benchmark::Timers => "timers",
            Benchmark::Spill => "spill",
            Benchmark::Recovery => "recovery",
        }
    }

    fn ids(self) -> &'static [u64] {
        match self {
            Benchmark::Chain | Benchmark::Transfer | Benchmark::Fanout => &[100_000],
            Benchmark::Counter => &[1, 1_000, 100_000, 10_000_000],
            Benchmark::Timers | Benchmark::Spill => &[1_000_000],
            Benchmark::Recovery => &[1_000_000, 10_000_000],
        }
    }

    fn shards(self) -> &'static [u16] {
        match self {
            Benchmark::Chain => &[1, 2],
            _ => &[1],
        }
    }
}

/// One case of a benchmark.
#[derive(Clone, Copy)]
struct Case {
    benchmark: Benchmark,
    ids: u64,
    shards: u16,
}

fn cases(options: &Options, benchmarks: &[Benchmark]) -> Vec<Case> {
    let mut cases = Vec::new();
    for &benchmark in benchmarks {
        let or = |given: &[u64]| if given.is_empty() { benchmark.ids() } else { given }.to_vec();
        let shards = if options.shards.is_empty() { benchmark.shards() } else { &options.shards };
        for ids in or(&options.ids) {
            cases.extend(shards.iter().map(|&shards| Case { benchmark, ids, shards }));
        }
    }
    cases
}

fn run(options: &Options, benchmarks: &[Benchmark]) -> anyhow::Result<()> {
    let (median, p99) = disk::sync_latency(&options.dir)?;
    let names: Vec<_> = options.durability.iter().map(|durability| durability.name()).collect();
    println!("durability: {}", names.join(", and beside it "));
    println!(
        "disk: 4 KiB into preallocated blocks and fdatasync: p50 {:.2} ms, p99 {:.2} ms\n",
        median.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3
    );
    let mut bench = Bench {
        options,
        table: report::begin(),
        until: Instant::now() + Duration::from_secs(options.minutes * 60),
        failed: 0,
    };
    let mut left_out = Vec::new();
    for case in cases(options, benchmarks) {
        match Instant::now() < bench.until {
            true => bench.case(case),
            false => left_out.push(case.title()),
        }
    }
    if !left_out.is_empty() {
        println!("\nleft out, since `--minutes` were used up: {}", left_out.join(", "));
    }
    ensure!(bench.failed == 0, "{} benchmarks failed, or their result is wrong", bench.failed);
    Ok(())
}

struct Bench<'a> {
    options: &'a Options,
    table: Table,
    until: Instant,
    failed: usize,
}

impl Bench<'_> {
    fn case(&mut self, case: Case) {
        let result = match case.benchmark {
            Benchmark::Chain => self.rate(case, Work::Chain),
            Benchmark::Counter => self.rate(case, Work::Counter),
            Benchmark::Transfer => self.rate(case, Work::Transfer),
            Benchmark::Fanout => self.rate(case, Work::Fanout),
            Benchmark::Timers => self.rate(case, Work::Timers),
            Benchmark::Spill => self.spill(case),
            Benchmark::Recovery => self.recovery(case),
        };
        if let Err(error) = result {
            eprintln!("error: {}: {error:#}", case.title());
            self.failed += 1;
        }
    }

    /// A row with a rate, and the same with the other durability.
    fn rate(&mut self, case: Case, work: Work) -> anyhow::Result<()> {
        let measured = |durability| {
            let data = self.data()?;
            part::run(&self.job(case, work, durability, &data))
        };
        let mut outcomes = self.options.durability.iter().map(|durability| measured(*durability));
        let outcome = outcomes.next().expect("clap wants one")?;
        let other = outcomes.next().transpose()?;
        self.row(case.title(), case, (outcome, other), true);
        Ok(())
    }

    /// A row with memory for all state, and one with memory for a tenth of that.
    fn spill(&mut self, case: Case) -> anyhow::Result<()> {
        let measured = |durability, state_bytes| {
            let data = self.data()?;
            let job = self.job(case, Work::Spill, durability, &data);
            part::run(&Job { state_bytes: Some(state_bytes), ..job })
        };
        let [mut ample, mut scarce] = [Vec::new(), Vec::new()];
        let mut limit = 0;
        for &durability in &self.options.durability {
            let outcome = measured(durability, STATE_BYTES_AMPLE)?;
            if limit == 0 {
                limit = outcome.state_bytes / SPILLED;
            }
            ample.push(outcome);
            scarce.push(measured(durability, limit)?);
        }
        let ratio = scarce[0].per_second() / ample[0].per_second();
        let state = mebibytes(ample[0].state_bytes);
        ample[0].notes.push(format!("state takes {state} MiB by the engine's account"));
        let allowed = limit + MEMORY_BESIDE_STATE;
        let used = scarce[0].rss_max_bytes as f64 / allowed as f64;
        scarce[0].notes.push(format!(
            "`memory.stateBytes` {} MiB, {} MiB with the other settings of `memory`; RSS {used:.2} of that; \
             {ratio:.2} of the rate with enough",
            mebibytes(limit),
            mebibytes(allowed),
        ));
        let title = case.title();
        self.row(format!("{title}, enough memory"), case, pair(ample), true);
        self.row(format!("{title}, a tenth of that"), case, pair(scarce), true);
        Ok(())
    }

    /// A row for a kill, and one for a stop in order.
    fn recovery(&mut self, case: Case) -> anyhow::Result<()> {
        let durability = self.options.durability[0];
        let data = self.data()?;
        let stored = self.job(case, Work::Store, durability, &data);
        let mut storing = Running::start(&stored)?;
        let outcome = storing.outcome()?;
        storing.kill();
        let title = case.title();
        self.row(format!("{title}, stored first"), case, (outcome, None), true);

        let recover = Job { work: Work::Recover, ..stored };
        for after in ["SIGKILL", "a clean stop"] {
            let mut running = Running::start(&recover)?;
            let replied = running.replied()?;
            let mut outcome = running.outcome()?;
            running.kill();
            let told = format!(
                "first reply {} ms after the start",
                thousands(replied.as_secs_f64() * 1e3)
            );
            outcome.notes.insert(0, told);
            self.row(format!("{title}, after {after}"), case, (outcome, None), false);
        }
        Ok(())
    }

    fn row(&mut self, title: String, case: Case, outcomes: (Outcome, Option<Outcome>), rate: bool) {
        let (outcome, other) = outcomes;
        let row = Row { title, shards: case.shards, outcome, other, rate };
        self.failed += usize::from(!row.is_right());
        self.table.row(&row.cells());
    }

    fn data(&self) -> anyhow::Result<TempDir> {
        Ok(tempfile::tempdir_in(&self.options.dir)?)
    }

    fn job(&self, case: Case, work: Work, durability: Durability, data: &TempDir) -> Job {
        let Options { in_flight, functions, seconds, .. } = *self.options;
        Job {
            work,
            ids: case.ids,
            shards: case.shards,
            in_flight,
            functions,
            seconds,
            durability,
            state_bytes: None,
            data: data.path().join("data"),
        }
    }
}

impl Case {
    fn title(&self) -> String {
        let Case { benchmark, ids, .. } = self;
        format!("{} {}", benchmark.name(), thousands(*ids as f64))
    }
}

fn pair(outcomes: Vec<Outcome>) -> (Outcome, Option<Outcome>) {
    let mut outcomes = outcomes.into_iter();
    (outcomes.next().expect("one for each durability"), outcomes.next())
}
