//! What the end-to-end tests have in common: they start the real `statera` binary, or a program with functions linked in,
//! with a `module.yaml`, talk to it over HTTP, kill it and start it again.
//!
//! * [`App`] is a folder with a module, data and output files; [`Statera`] a process that runs it.
//! * [`crash`] has the functions of the crash tests; `statera-e2e-linked` is a program that has them linked in.
//! * [`Client`] speaks HTTP to it; [`FunctionServer`] serves [`Functions`] written as closures in the test itself.
//! * [`kafka`] runs real brokers; [`Moto`] a Kinesis; [`Browser`] is a Chromium.
//! * [`Collector`] takes traces; [`counting`] is a small application that several tests use.
//! * [`Sdk`] starts the function servers on the published SDKs (`tests/sdk`).
//! * [`eventually`] waits with a deadline.
//!
//! Environment: `STATERA_BIN` is the binary (default: the debug build of this workspace), `STATERA_EXAMPLES` the folder of
//! the example programs (default: as well). `STATERA_PYTHON` and
//! `STATERA_NODE_MODULES` lead to the SDKs; a test that needs what is not there says `SKIPPED: <name>: <why>` and ends,
//! and fails if `STATERA_CI` is set.
#![allow(clippy::unwrap_used, reason = "everything here is test code")]

mod app;
mod browser;
mod collector;
pub mod counting;
pub mod crash;
mod dead_letters;
mod functions;
mod http;
pub mod kafka;
mod lines;
mod linked_functions;
mod moto;
mod page;
mod process;
mod random;
mod sdk;
mod server;
mod wait;

pub use app::App;
pub use browser::{Browser, keys};
pub use collector::{Collector, Span};
pub use dead_letters::{DeadLetter, dead_letters};
pub use functions::{Context, Functions, json, to_json};
pub use http::{Client, Response, Target};
pub use lines::egress_lines;
pub use moto::Moto;
pub use page::{Block, Page, words};
pub use process::{Companion, Statera};
pub use random::Random;
pub use sdk::{Sdk, SdkServer, node_modules, python, repository};
pub use server::{FunctionServer, Mode, Reaction};
pub use wait::{eventually, skipped, within};
