//! module.yaml and engine settings, parsed to a typed [`Application`] with every error placed.
mod spec;
pub use spec::*;
