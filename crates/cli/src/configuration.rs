//! Configuration as given on the command line: files, flags and the environment.

use std::path::PathBuf;

use clap::Args;
use statera_config::{EngineOverrides, Loaded, Problems, load, read};

/// Where the configuration is.
#[derive(Args)]
pub(crate) struct Configuration {
    /// A module file, or a directory with `module.yaml` files. May be given several times; all are merged
    #[arg(short, long = "file", value_name = "FILE", default_value = "module.yaml")]
    files: Vec<PathBuf>,
    /// Override an engine setting, such as `epochs.maxInterval=50ms`; also as an environment variable
    /// `STATERA_EPOCHS_MAX_INTERVAL`
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<String>,
}

impl Configuration {
    /// Reads and checks all of it.
    pub(crate) fn load(&self) -> Result<Loaded, Problems> {
        let sources = read(&self.files)?;
        let overrides = EngineOverrides::default().with_environment(environment());
        let overrides = self.settings.iter().fold(overrides, |all, flag| all.with_flag(flag));
        load(&sources, &overrides, &|name| std::env::var(name).ok())
    }
}

/// The environment, without what is not text: such a variable can't be meant for us.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
