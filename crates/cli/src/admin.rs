//! How the admin API of a running application is served: flags, variables, and what is logged.

use std::fs;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use clap::{Args, ValueEnum};
use statera_admin::{LogControl, Settings, Tls, Token};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload;

/// Holds the token itself. Not a flag: those can be seen by everybody on the machine.
const TOKEN_VARIABLE: &str = "STATERA_ADMIN_TOKEN";

#[derive(Args)]
pub(crate) struct AdminFlags {
    /// Where the admin API listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8181", env = "STATERA_ADMIN")]
    admin: SocketAddr,
    /// A file with the token that admin requests must carry; without one only a loopback address is served. The token itself may
    /// be in `STATERA_ADMIN_TOKEN`
    #[arg(long, value_name = "FILE", env = "STATERA_ADMIN_TOKEN_FILE")]
    admin_token_file: Option<PathBuf>,
    /// A file with the certificate (PEM) with which the admin API is served over TLS
    #[arg(long, value_name = "FILE", env = "STATERA_ADMIN_TLS_CERT", requires = "admin_tls_key")]
    admin_tls_cert: Option<PathBuf>,
    /// A file with its key (PEM)
    #[arg(long, value_name = "FILE", env = "STATERA_ADMIN_TLS_KEY", requires = "admin_tls_cert")]
    admin_tls_key: Option<PathBuf>,
    /// What the application is called by those who watch it
    #[arg(long, value_name = "NAME", default_value = "statera", env = "STATERA_NAME")]
    name: String,
}

impl AdminFlags {
    /// What the flags and variables say.
    pub(crate) fn settings(self, log: Option<Arc<dyn LogControl>>) -> anyhow::Result<Settings> {
        let token =
            match &self.admin_token_file {
                Some(file) => Some(fs::read_to_string(file).with_context(|| {
                    format!("cannot read the admin token in `{}`", file.display())
                })?),
                None => std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty()),
            };
        let token = token.map(|token| Token::new(&token)).transpose()?;
        let files = self.admin_tls_cert.zip(self.admin_tls_key);
        let tls = files.map(|(certificate, key)| Tls { certificate, key });
        Ok(Settings { address: self.admin, name: self.name, token, tls, log, reload: None })
    }
}

/// How log lines look.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    Human,
    Json,
}

/// Changes a filter; tells what is wrong with it if that can't be done.
type Reload = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// The log of this process, whose filter may change.
pub(crate) struct Log {
    filter: Mutex<String>,
    reload: Reload,
}

impl Log {
    /// Begins to log, to stderr.
    pub(crate) fn init(filter: &str, format: LogFormat) -> anyhow::Result<Log> {
        let parsed = parse(filter).map_err(|error| {
            anyhow::anyhow!(
                "`{filter}` is not a log filter ({error}); hint: `info`, or `warn,statera_runtime=debug`"
            )
        })?;
        let log = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(std::io::stderr);
        let reload: Reload = match format {
            LogFormat::Human => {
                let log = log.with_target(false).with_ansi(has_colours()).with_filter_reloading();
                let handle = log.reload_handle();
                log.init();
                Box::new(move |filter| handle.reload(filter))
            }
            LogFormat::Json => {
                // Fields that lie side by side are what systems that gather logs search in without being told.
                let log = log.json().flatten_event(true).with_current_span(false);
                let log = log.with_span_list(false).with_filter_reloading();
                let handle = log.reload_handle();
                log.init();
                Box::new(move |filter| handle.reload(filter))
            }
        };
        Ok(Log { filter: Mutex::new(filter.to_owned()), reload })
    }
}

/// Whether people look at the log, and want colours (<https://no-color.org>).
pub(crate) fn has_colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !refused
}

impl LogControl for Log {
    fn filter(&self) -> String {
        self.filter.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_filter(&self, filter: &str) -> Result<(), String> {
        let parsed = parse(filter)?;
        let mut current = self.filter.lock().unwrap_or_else(PoisonError::into_inner);
        (self.reload)(parsed).map_err(|error| error.to_string())?;
        filter.clone_into(&mut current);
        Ok(())
    }
}

fn parse(filter: &str) -> Result<EnvFilter, String> {
    if filter.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    EnvFilter::try_new(filter).map_err(|error| error.to_string())
}
