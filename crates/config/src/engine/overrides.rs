//! Engine settings from outside the files: flags and environment variables.

use std::collections::BTreeSet;

use crate::engine::settings::SETTINGS;
use crate::words;

/// Settings that win over those in files. A later one wins over an earlier one, so add the environment first, then flags.
///
/// ```
/// use statera_config::EngineOverrides;
///
/// let variables = [("STATERA_SHARDS".to_owned(), "4".to_owned())];
/// let overrides = EngineOverrides::default()
///     .with_environment(variables)
///     .with_flag("epochs.maxInterval=50ms");
/// # let _ = overrides;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineOverrides {
    pub(crate) settings: Vec<Override>,
    /// Variables that look like a misspelt setting: the variable, and the one that was probably meant.
    pub(crate) misspelt: BTreeSet<(String, String)>,
}

/// One setting from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Override {
    /// `None` if there is no `=`.
    pub(crate) assignment: Option<(String, String)>,
    /// Where it comes from, as it is shown.
    pub(crate) origin: String,
}

impl EngineOverrides {
    /// Adds a flag as it was written, `epochs.maxInterval=50ms`. What is wrong with it is reported when it is loaded.
    #[must_use]
    pub fn with_flag(mut self, flag: &str) -> Self {
        let assignment = flag
            .split_once('=')
            .map(|(path, value)| (path.trim().to_owned(), value.trim().to_owned()));
        self.settings.push(Override { assignment, origin: format!("`--set {flag}`") });
        self
    }

    /// Adds the variables that name settings, such as `STATERA_EPOCHS_MAX_INTERVAL`; the others and empty ones are
    /// not looked at.
    #[must_use]
    pub fn with_environment(
        mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let known: Vec<_> = SETTINGS.iter().filter_map(|s| Some((s.variable()?, s.path))).collect();
        for (name, value) in variables
            .into_iter()
            .filter(|(name, value)| name.starts_with("STATERA_") && !value.is_empty())
        {
            match known.iter().find(|(variable, _)| *variable == name) {
                Some((_, path)) => self.settings.push(Override {
                    assignment: Some(((*path).to_owned(), value)),
                    origin: format!("environment variable `{name}`"),
                }),
                None => {
                    // The common prefix would make any two short names look alike.
                    let suffixes = known.iter().map(|(variable, _)| &variable["STATERA_".len()..]);
                    if let Some(meant) = words::meant(&name["STATERA_".len()..], suffixes) {
                        self.misspelt.insert((name, format!("STATERA_{meant}")));
                    }
                }
            }
        }
        self
    }
}
