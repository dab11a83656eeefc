//! The same work by Statera and by Restate, in turns, in one run on one machine. See
//! `docs/benchmarks/versus-restate.md`.

mod case;
mod peer;
mod report;
mod restate;
mod statera;
mod system;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use tokio::time::timeout;

use crate::table::Table;
use crate::{Common, disk};
use case::{Case, Figures, measure};
use peer::Peer;
use report::{COLUMNS, Row};
use restate::Restate;
use statera::Statera;
use system::Work;

/// Beyond its `--seconds`, the most that one row may take, with its start and its recovery after being killed.
const ROW_OVERHEAD_MAX: Duration = Duration::from_secs(90);

/// The default is 24, for a node that may become a cluster.
const FEW_PARTITIONS: &str = "default-num-partitions = 4";

#[derive(Args)]
pub(crate) struct Versus {
    #[command(flatten)]
    common: Common,
    /// Connections at once; on each, a call follows the answer to the one before
    #[arg(long, value_delimiter = ',', default_value = "1,16,128")]
    connections: Vec<usize>,
    /// Instances addressed, at random
    #[arg(long, default_value_t = 100_000)]
    ids: u32,
    /// What is called
    #[arg(long, value_enum, value_delimiter = ',', default_value = "counter,forward")]
    work: Vec<Work>,
    /// Who takes part; in each round they take turns, case by case
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "restate,restate-tuned,statera,statera-in-process"
    )]
    systems: Vec<Contender>,
    /// How long each row is measured
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How often everything is repeated; the medians count
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// When this is used up, what is missing is left out. Fetching and building do not count
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    #[command(flatten)]
    peer: peer::Options,
}

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Contender {
    /// As it comes, with the functions behind HTTP.
    Restate,
    /// With fewer partitions, as suits a small machine; only with the most connections.
    RestateTuned,
    /// As it comes, with the functions behind HTTP.
    Statera,
    /// As it comes, with the functions linked into its process.
    StateraInProcess,
}

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Contender::Restate => "Restate",
            Contender::RestateTuned => "Restate, 4 partitions",
            Contender::Statera => "Statera",
            Contender::StateraInProcess => "Statera, functions in process",
        }
    }

    fn is_peer(self) -> bool {
        matches!(self, Contender::Restate | Contender::RestateTuned)
    }
}

struct Run<'a> {
    options: &'a Versus,
    program: PathBuf,
    peer: Peer,
    table: Table,
    rows: Vec<Row>,
    failed: usize,
    until: Instant,
}

impl Versus {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let program = self.common.program()?;
        let peer = Peer::prepare(&self.peer)?;
        let (median, p99) = disk::sync_latency(&self.common.dir)?;
        println!("{}, its service with restate-sdk {}", peer.version, peer::SDK_VERSION);
        for setting in &peer.settings {
            println!("{setting}");
        }
        println!(
            "disk: 4 KiB into preallocated blocks and fdatasync: p50 {:.2} ms, p99 {:.2} ms\n",
            median.as_secs_f64() * 1e3,
            p99.as_secs_f64() * 1e3
        );
        let started = Instant::now();
        let mut run = Run {
            options: &self,
            program,
            peer,
            table: Table::begin(&COLUMNS),
            rows: Vec::new(),
            failed: 0,
            until: started + Duration::from_secs(self.minutes * 60),
        };
        run.rounds().await;
        report::print(&run.rows, &self.systems);
        println!("\n{} rows in {:.0} s", run.rows.len(), started.elapsed().as_secs_f64());
        match run.failed {
            0 => Ok(()),
            failed => bail!("{failed} rows failed or were wrong"),
        }
    }

    fn cases(&self) -> Vec<Case> {
        let of = |work: Work| {
            let case = move |connections| Case { work, connections, ids: self.ids };
            self.connections.iter().copied().map(case)
        };
        self.work.iter().copied().flat_map(of).collect()
    }

    fn contenders(&self, case: &Case) -> Vec<Contender> {
        let most = self.connections.iter().all(|connections| *connections <= case.connections);
        let takes_part = |contender: &Contender| *contender != Contender::RestateTuned || most;
        self.systems.iter().copied().filter(takes_part).collect()
    }
}

impl Run<'_> {
    async fn rounds(&mut self) {
        let mut longest = Duration::ZERO;
        for round in 0..self.options.rounds {
            for case in self.options.cases() {
                let mut contenders = self.options.contenders(&case);
                // Whoever comes first has what the machine did before.
                let first = round % contenders.len().max(1);
                contenders.rotate_left(first);
                for contender in contenders {
                    let started = Instant::now();
                    if started + longest > self.until {
                        println!("\nthe time is up in round {round}; hint: --minutes");
                        return;
                    }
                    self.row(round, contender, case).await;
                    longest = longest.max(started.elapsed());
                }
            }
        }
    }

    async fn row(&mut self, round: usize, contender: Contender, case: Case) {
        let wrong = match self.measure(contender, &case).await {
            Ok(figures) => {
                let row = Row { round, contender, case, figures };
                self.table.row(&row.cells());
                let wrong = row.figures.sum.as_ref().err().map(|error| format!("{error:#}"));
                self.rows.push(row);
                wrong
            }
            Err(error) => Some(format!("{error:#}")),
        };
        if let Some(wrong) = wrong {
            eprintln!("error: {}, {case:?}: {wrong}", contender.name());
            self.failed += 1;
        }
    }

    async fn measure(&self, contender: Contender, case: &Case) -> anyhow::Result<Figures> {
        let length = Duration::from_secs(self.options.seconds);
        let common = &self.options.common;
        let figures = async {
            match contender {
                Contender::Restate => {
                    let system = Restate::start(&self.peer, common, "").await?;
                    measure(case, length, common, system).await
                }
                Contender::RestateTuned => {
                    let system = Restate::start(&self.peer, common, FEW_PARTITIONS).await?;
                    measure(case, length, common, system).await
                }
                Contender::Statera => {
                    let system = Statera::start(&self.program, common)?;
                    measure(case, length, common, system).await
                }
                Contender::StateraInProcess => {
                    let system = Statera::start_in_process(common)?;
                    measure(case, length, common, system).await
                }
            }
        };
        timeout(length + ROW_OVERHEAD_MAX, figures).await.context("it takes too long")?
    }
}
