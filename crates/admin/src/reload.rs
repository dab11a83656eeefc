//! Another configuration while the engine runs, which is the affair of the program that runs it.

use statera_ports::BoxFuture;

use crate::api;

/// Reads the configuration again, and changes what runs.
pub trait ReloadControl: Send + Sync {
    /// Reads the configuration again. Either all of it counts from now on, or nothing has changed.
    fn reload(&self) -> BoxFuture<'static, Result<api::Reloaded, ReloadRefused>>;
}

/// Why nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadRefused {
    /// Everything that is wrong with the configuration, or can't change.
    Configuration(String),
    /// The engine is stopping.
    Stopping,
}
