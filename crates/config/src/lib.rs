//! module.yaml and engine settings, parsed to a typed [`Application`] with every error placed.
//!
//! This crate decides what a configuration means and says what is wrong with it; it never opens what the configuration
//! names, and only [`read`] does IO. The types to know are [`Application`], [`EngineOverrides`] and [`Problems`].
//!
//! ```
//! use statera_config::{EngineOverrides, Source, load};
//!
//! let text = "
//! kind: io.statefun.endpoints.v2/http
//! spec:
//!   functions: example/*
//!   urlPathTemplate: http://localhost:8000/statefun
//! ---
//! kind: io.statefun.playground.v1/ingress
//! spec:
//!   port: ${PORT:-8090}
//! ";
//! let source = Source { name: "module.yaml".into(), text: text.into() };
//! let loaded = load(&[source], &EngineOverrides::default(), &|_| None)?;
//! assert_eq!(loaded.application.endpoints.len(), 1);
//! # Ok::<(), statera_config::Problems>(())
//! ```
#![warn(missing_docs)]

mod compare;
mod date;
mod engine;
mod interpolate;
mod kinds;
mod legacy;
mod load;
mod problem;
mod reader;
mod reference;
mod report;
mod scalar;
mod secrets;
mod source;
mod spec;
mod spec_streams;
mod universe;
mod words;
mod yaml;

pub use compare::{Changes, Difference};
pub use engine::EngineOverrides;
pub use load::{Loaded, load, load_with};
pub use problem::{Location, Origin, Problem, Problems, Severity};
pub use reference::{module_reference, settings_reference};
pub use source::{FILE_BYTES_MAX, Source, read};
pub use spec::*;
pub use spec_streams::*;
