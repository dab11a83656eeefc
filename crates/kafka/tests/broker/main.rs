//! Against a real broker. Without one (`STATERA_KAFKA` is not set) each test says that it is left out.
#![allow(clippy::unwrap_used, reason = "tests")]

mod egress;
mod ingress;
mod outage;
mod proxy;
mod world;
