//! `statera run` and `statera validate`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, FromArgMatches};
use statera_config::Application;
use statera_model::codes;
use tokio::signal::unix::{SignalKind, signal};

use crate::Functions;
use crate::admin::{AdminFlags, Log, LogFormat};
use crate::configuration::Configuration;
use crate::failure::{self, Coded};
use crate::launch::{Launched, launch};
use crate::reload;

/// Exit code for a configuration that is wrong, as usual for wrong usage.
const WRONG_CONFIGURATION: u8 = 2;

#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    configuration: Configuration,
    /// Where the engine keeps what it knows
    #[arg(long, value_name = "DIR", default_value = "statera-data", env = "STATERA_DATA")]
    data: PathBuf,
    #[command(flatten)]
    admin: AdminFlags,
    /// How log lines look
    #[arg(long, value_enum, default_value_t = LogFormat::Human, env = "STATERA_LOG_FORMAT")]
    log_format: LogFormat,
    /// What is logged, such as `info` or `warn,statera_runtime=debug`
    #[arg(long, value_name = "FILTER", default_value = "info", env = "STATERA_LOG")]
    log: String,
}

/// As on a command line without arguments.
impl Default for Run {
    fn default() -> Run {
        let command = Run::augment_args(clap::Command::new("run"));
        let matches = command.get_matches_from(["run"]);
        Run::from_arg_matches(&matches).expect("every argument has a default")
    }
}

impl Run {
    pub(crate) fn execute(self, functions: Functions) -> anyhow::Result<ExitCode> {
        let format = self.log_format;
        let log = Log::init(&self.log, format)?;
        Ok(self.run(functions, log).unwrap_or_else(|error| {
            failure::tell(&error, format);
            ExitCode::FAILURE
        }))
    }

    fn run(self, functions: Functions, log: Log) -> anyhow::Result<ExitCode> {
        let format = self.log_format;
        let loaded = match self.configuration.load(&functions) {
            Ok(loaded) => loaded,
            Err(problems) => {
                match format {
                    LogFormat::Human => eprintln!("{problems}"),
                    LogFormat::Json => {
                        tracing::error!(code = %codes::CONFIGURATION_WRONG, "{problems}");
                    }
                }
                return Ok(ExitCode::from(WRONG_CONFIGURATION));
            }
        };
        let built_in = self.configuration.is_built_in(&functions);
        let admin = self.admin.settings(Some(Arc::new(log)));
        let mut admin = admin.map_err(|error| Coded::of(codes::ADMIN_SETTINGS, &error))?;
        let (control, asked) = reload::channel();
        admin.reload = Some(Arc::new(control));
        for warning in &loaded.warnings {
            match format {
                LogFormat::Human => eprintln!("{warning}\n"),
                LogFormat::Json => {
                    tracing::warn!(code = %codes::CONFIGURATION_DOUBTFUL, "{warning}");
                }
            }
        }
        io_runtime()?.block_on(async {
            let mut interrupt =
                signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
            let mut terminate =
                signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
            let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
            let linked = functions.clone();
            let mut launched = launch(loaded.application, linked, self.data, Some(admin))
                .map_err(|error| if built_in { explain(error) } else { error })?;
            announce(&launched);
            let (failed, load) = (launched.failed(), || self.configuration.load(&functions));
            let failure = tokio::select! {
                failure = failed => Some(failure),
                _ = interrupt.recv() => None,
                _ = terminate.recv() => None,
                never = reload::serve(&mut launched, asked, hangup, load) => match never {},
            };
            let failed = failure.is_some();
            match failure {
                Some(failure) => {
                    let failure = anyhow::Error::new(failure).context("the engine stopped");
                    failure::tell(&failure, format);
                }
                None => tracing::info!("stopping; once more to stop at once"),
            }
            tokio::select! {
                stopped = launched.stop() => match failed {
                    // It was said above, and once.
                    true => {}
                    false => stopped?,
                },
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        })
    }
}

/// Who has written no configuration needs to be told what to do about the ingress in the one that is built in.
fn explain(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(statera_connectors::Error::AddressInUse { address, .. }) => {
            let text = format!(
                "cannot listen on `{address}` for messages: the address is in use; hint: stop the program that \
                 uses it, set another as `STATERA_INGRESS=127.0.0.1:8081`, or write a `module.yaml`"
            );
            Coded::new(codes::LISTEN_FAILED, text).into()
        }
        _ => error,
    }
}

/// The runtime of everything but the shards: ingresses, sinks, the admin API.
pub(crate) fn io_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.context("cannot start the IO runtime")
}

fn announce(launched: &Launched) {
    for (id, address) in launched.addresses() {
        tracing::info!(%id, "listening on http://{address}");
    }
    tracing::info!("ready");
}

#[derive(Args)]
pub(crate) struct Validate {
    #[command(flatten)]
    configuration: Configuration,
}

impl Validate {
    pub(crate) fn execute(self, functions: &Functions) -> anyhow::Result<ExitCode> {
        match self.configuration.load(functions) {
            Ok(loaded) => {
                for warning in &loaded.warnings {
                    eprintln!("{warning}\n");
                }
                let application = loaded.application;
                let problems = statera_runtime::check_endpoints(&application);
                if !problems.is_empty() {
                    for problem in problems {
                        eprintln!("error: {}", crate::chain(&problem.into()));
                    }
                    return Ok(ExitCode::from(WRONG_CONFIGURATION));
                }
                println!("ok: {}", summary(&application));
                Ok(ExitCode::SUCCESS)
            }
            Err(problems) => {
                eprintln!("{problems}");
                Ok(ExitCode::from(WRONG_CONFIGURATION))
            }
        }
    }
}

/// What there is: `2 functions (billing/card, billing/subscription), 0 endpoints, 1 ingress, 1 egress`.
fn summary(application: &Application) -> String {
    let mut parts = Vec::new();
    if !application.embedded.is_empty() {
        let names: Vec<&str> = application.embedded.iter().map(|name| name.as_str()).collect();
        parts.push(format!("{} ({})", counted(names.len(), "function", "s"), names.join(", ")));
    }
    parts.push(counted(application.endpoints.len(), "endpoint", "s"));
    parts.push(counted(application.ingresses.len(), "ingress", "es"));
    parts.push(counted(application.egresses.len(), "egress", "es"));
    parts.join(", ")
}

fn counted(count: usize, noun: &str, plural: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { plural })
}
