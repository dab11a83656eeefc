//! A test kit: functions are driven with messages, without any runtime, and everything they did is there to look at.
//!
//! ```
//! use std::time::Duration;
//! use statera_sdk::{App, Cell, Context, Result, testing::Harness};
//!
//! const RINGS: Cell<i32> = Cell::new("rings").expires_after_write(Duration::from_secs(3600));
//!
//! fn alarm(ctx: &mut Context, times: i32) -> Result {
//!     if times > 0 {
//!         ctx.update(RINGS, |rings| rings + 1)?;
//!         ctx.egress("home/bells", "ring");
//!         ctx.send_after(Duration::from_secs(60), ctx.this(), times - 1).token("snooze");
//!     }
//!     Ok(())
//! }
//!
//! let mut home = Harness::new(App::new().function("home/alarm", RINGS, alarm));
//! home.send("home/alarm/kitchen", 2);
//! assert_eq!(home.state("home/alarm/kitchen", RINGS), Some(1));
//! assert_eq!(home.delayed()[0].due_in, Duration::from_secs(60));
//!
//! home.advance(Duration::from_secs(150));
//! assert_eq!(home.state("home/alarm/kitchen", RINGS), Some(2));
//! assert_eq!(home.egress().len(), 2);
//! assert!(home.delayed().is_empty());
//!
//! home.advance(Duration::from_secs(3600));
//! assert_eq!(home.state("home/alarm/kitchen", RINGS), None);
//! ```
//!
//! With the feature `simulator` there also is `Simulation`, which runs functions in the engine itself and lets that crash.
//!
//! A test kit is for tests: what goes wrong is a panic, unless a method says otherwise.

mod batch;
mod harness;
#[cfg(feature = "simulator")]
mod simulation;
mod states;
mod timers;
mod wait;
#[cfg(feature = "simulator")]
mod world;

pub use harness::{Emitted, Harness, Pending, Sent};
#[cfg(feature = "simulator")]
pub use simulation::{Report, Simulation};
#[cfg(feature = "simulator")]
pub use world::{GivenUp, Request, World};
