//! Configuration as given on the command line: files, flags and the environment.

use std::path::PathBuf;

use clap::Args;
use statera_config::{EngineOverrides, Loaded, Problems, Source, load_with, read};

use crate::Functions;

/// Where the configuration is.
#[derive(Args)]
pub(crate) struct Configuration {
    /// A module file, or a directory with `module.yaml` files. May be given several times; all are merged
    #[arg(short, long = "file", value_name = "FILE", default_value = MODULE)]
    files: Vec<PathBuf>,
    /// Override an engine setting, such as `epochs.maxInterval=50ms`; also as an environment variable
    /// `STATERA_EPOCHS_MAX_INTERVAL`
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<String>,
}

impl Configuration {
    /// Whether what is built in takes the place of a file: none was named, the usual one is not there, and there are
    /// functions that can do without.
    pub(crate) fn is_built_in(&self, functions: &Functions) -> bool {
        let missing =
            matches!(&self.files[..], [file] if file.as_os_str() == MODULE && !file.exists());
        missing && !functions.is_empty()
    }

    /// Reads and checks all of it.
    pub(crate) fn load(&self, functions: &Functions) -> Result<Loaded, Problems> {
        let sources = match self.is_built_in(functions) {
            true => vec![Source { name: "built in".into(), text: BUILT_IN.into() }],
            false => read(&self.files)?,
        };
        let embedded = functions.iter().map(|function| function.name().clone()).collect();
        let overrides = EngineOverrides::default().with_environment(environment());
        let overrides = self.settings.iter().fold(overrides, |all, flag| all.with_flag(flag));
        load_with(&sources, &overrides, &|name| std::env::var(name).ok(), embedded)
    }
}

/// The file that is read if none is named.
const MODULE: &str = "module.yaml";

/// What a program with functions of its own runs with if there is no such file.
const BUILT_IN: &str = "kind: io.statera.v1/http-ingress
spec:
  id: statera/http
  address: ${STATERA_INGRESS:-127.0.0.1:8080}
";

/// The environment, without what is not text: such a variable can't be meant for us.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::SocketAddr;

    use statera_config::Ingress;
    use statera_model::Name;

    use super::*;

    fn address(environment: &dyn Fn(&str) -> Option<String>) -> SocketAddr {
        let sources = [Source { name: "built in".into(), text: BUILT_IN.into() }];
        let functions = BTreeSet::from([Name::parse("demo/counter").unwrap()]);
        let loaded = load_with(&sources, &EngineOverrides::default(), environment, functions);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
        match &loaded.application.ingresses[..] {
            [Ingress::Http(ingress)] => ingress.address,
            others => panic!("{others:?}"),
        }
    }

    #[test]
    fn what_is_built_in_listens_on_port_8080_of_this_machine() {
        assert_eq!(address(&|_| None), "127.0.0.1:8080".parse().unwrap());
    }

    #[test]
    fn what_is_built_in_listens_where_the_environment_says() {
        let set = |name: &str| (name == "STATERA_INGRESS").then(|| "[::1]:81".to_owned());
        assert_eq!(address(&set), "[::1]:81".parse().unwrap());
    }
}
