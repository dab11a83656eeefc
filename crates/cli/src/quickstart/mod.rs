//! `statera quickstart`: an application that needs nothing but this program, with traffic, to look at and to kill.

mod book;
mod client;
mod functions;
mod screen;
mod server;
mod traffic;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use statera_config::{Application, EngineOverrides, Source, load};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::launch::{Launched, launch};
use crate::run::io_runtime;
use book::Book;
use screen::{Places, Screen, Status, grouped};
use traffic::Traffic;

/// How many ports are tried when one is taken.
const PORTS_TRIED_MAX: u16 = 100;

const REMINDER_DELAY: Duration = Duration::from_secs(3);

#[derive(Args)]
pub(crate) struct Quickstart {
    /// Where everything is kept that must survive
    #[arg(long, value_name = "DIR", default_value = "statera-data/quickstart")]
    data: PathBuf,
    /// Where messages and calls come in; the next free port if it is taken
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    ingress: SocketAddr,
    /// Where the admin API listens; the next free port if it is taken
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8181")]
    admin: SocketAddr,
    /// Calls per second
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// How often to say what goes on, such as `5s`
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    every: Duration,
    /// Stop after this time, such as `10s`, instead of at Ctrl-C
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    length: Option<Duration>,
}

impl Quickstart {
    pub(crate) fn execute(self) -> anyhow::Result<ExitCode> {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(std::io::stderr)
            .with_target(false)
            .with_ansi(crate::admin::has_colours())
            .init();
        io_runtime()?.block_on(self.run())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn run(self) -> anyhow::Result<()> {
        let mut stop = Stop::new(self.length)?;
        let screen = Screen::new();
        std::fs::create_dir_all(&self.data)
            .with_context(|| format!("cannot create `{}`", self.data.display()))?;
        let reminders = self.data.join("reminders.jsonl");
        let functions = server::serve().await?;
        let application = application(functions, free(self.ingress)?, &reminders)?;
        let started = Instant::now();
        let admin = statera_admin::Settings {
            name: "quickstart".to_owned(),
            ..statera_admin::Settings::at(free(self.admin)?)
        };
        let launched = launch(application, Vec::new(), self.data.join("engine"), Some(admin))?;
        let recovery = started.elapsed();
        let address = |id: &str| {
            launched.addresses().iter().find(|(name, _)| name == id).map(|(_, address)| *address)
        };
        let places = Places {
            functions,
            ingress: address("demo/ingress").context("the ingress does not listen")?,
            ingress_wanted: self.ingress,
            admin: address("admin"),
            admin_wanted: self.admin,
            data: &self.data,
            reminders: &reminders,
            program: &program(),
        };
        screen.explain(&places);
        let book = Book::open(&self.data.join("answered"), Traffic::visitors())?;
        let mut traffic = Traffic::new(launched.engine(), places.ingress, book);
        let worked =
            self.work(&screen, &places, recovery, &mut traffic, &launched, &mut stop).await;
        let stopped = launched.stop().await;
        worked?;
        stopped?;
        screen.line(format_args!(
            "\nStopped. {} calls were answered and checked; run the same command again to go on.",
            grouped(traffic.calls())
        ));
        Ok(())
    }

    /// Checks what came back, then calls and checks until it is time to stop.
    async fn work(
        &self,
        screen: &Screen,
        places: &Places<'_>,
        recovery: Duration,
        traffic: &mut Traffic,
        launched: &Launched,
        stop: &mut Stop,
    ) -> anyhow::Result<()> {
        recovered(screen, recovery, traffic).await?;
        screen.invite(places);
        let begun = Instant::now();
        let mut calls = interval(Duration::from_secs(1) / self.rate);
        calls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut said = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = stop.wait() => break,
                failure = launched.failed() => {
                    return Err(anyhow::Error::new(failure).context("the engine stopped"));
                }
                _ = calls.tick() => {}
            }
            traffic.step().await?;
            if said.elapsed() >= self.every {
                said = Instant::now();
                status(screen, begun, traffic, places.reminders).await?;
                let text = format!("set after {} calls", grouped(traffic.calls()));
                traffic.remind(REMINDER_DELAY, &text).await?;
            }
        }
        status(screen, begun, traffic, places.reminders).await
    }
}

/// Says what is there from the time before.
async fn recovered(screen: &Screen, recovery: Duration, traffic: &Traffic) -> anyhow::Result<()> {
    let totals = traffic.totals().await?;
    traffic.check(totals).context("something was lost")?;
    if totals.visits == 0 {
        screen.check("a new data directory: nobody came by yet");
        return Ok(());
    }
    screen.check(format_args!(
        "recovered {} visits from the data directory in {} ms; all {} that were answered are there",
        grouped(totals.visits),
        recovery.as_millis(),
        grouped(traffic.answered()),
    ));
    screen.check(format_args!("the accounts hold {} together, as ever", grouped(totals.money)));
    Ok(())
}

async fn status(
    screen: &Screen,
    begun: Instant,
    traffic: &mut Traffic,
    reminders: &Path,
) -> anyhow::Result<()> {
    let totals = traffic.totals().await?;
    traffic.check(totals)?;
    screen.status(&Status {
        elapsed: begun.elapsed(),
        calls: traffic.calls(),
        latencies: &traffic.take_latencies(),
        visits: totals.visits,
        money: totals.money,
        reminders: std::fs::read(reminders)
            .map_or(0, |text| text.iter().filter(|byte| **byte == b'\n').count()),
    });
    Ok(())
}

fn application(
    functions: SocketAddr,
    ingress: SocketAddr,
    reminders: &Path,
) -> anyhow::Result<Application> {
    let reminders = reminders.to_str().context("the path of the data directory is not UTF-8")?;
    let variable = |name: &str| match name {
        "FUNCTIONS" => Some(functions.to_string()),
        "INGRESS" => Some(ingress.to_string()),
        "REMINDERS" => Some(reminders.to_owned()),
        _ => None,
    };
    let source = Source {
        name: "quickstart/module.yaml".to_owned(),
        text: include_str!("module.yaml").to_owned(),
    };
    Ok(load(&[source], &EngineOverrides::default(), &variable)?.application)
}

/// The address itself, or one with the next port that is free.
fn free(wanted: SocketAddr) -> anyhow::Result<SocketAddr> {
    let last = wanted.port().saturating_add(PORTS_TRIED_MAX);
    let ports = if wanted.port() == 0 { 0..=0 } else { wanted.port()..=last };
    let mut candidates = ports.map(|port| SocketAddr::new(wanted.ip(), port));
    let free = candidates.find(|address| TcpListener::bind(address).is_ok());
    free.with_context(|| format!("cannot listen on `{wanted}`, nor on the ports that follow"))
}

/// How this program was called: by itself, or by cargo from a checkout.
fn program() -> String {
    let path = std::env::args().next().unwrap_or_default();
    match path.starts_with("target/") {
        true => "cargo run --release --".to_owned(),
        false => path,
    }
}

/// Ends at Ctrl-C, at SIGTERM, or when the time is over.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    deadline: Option<Instant>,
}

impl Stop {
    fn new(length: Option<Duration>) -> anyhow::Result<Stop> {
        Ok(Stop {
            interrupt: signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
            deadline: length.map(|length| Instant::now() + length),
        })
    }

    async fn wait(&mut self) {
        let time = async {
            match self.deadline {
                Some(deadline) => sleep(deadline.saturating_duration_since(Instant::now())).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = time => {}
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: u64 =
        number.parse().map_err(|_| format!("`{text}` is not a time, such as `10s`"))?;
    let milliseconds = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "min" => number.checked_mul(60_000),
        _ => return Err(format!("`{unit}` is not a unit of time; hint: `ms`, `s` or `min`")),
    };
    let milliseconds = milliseconds.ok_or_else(|| format!("`{text}` is too long"))?;
    if milliseconds == 0 {
        return Err("a time must be above 0".to_owned());
    }
    Ok(Duration::from_millis(milliseconds))
}
