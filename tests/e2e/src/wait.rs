//! Waiting, with a deadline and a word for what was waited for.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long a test waits for what should be there at once. Generous: the machine may be busy with other things.
const DEADLINE: Duration = Duration::from_secs(30);

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `look` returns something, at most 30 s.
///
/// # Panics
/// If it never does, with what was waited for.
pub fn eventually<T>(what: impl Debug, look: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, what, look)
}

/// Waits until `look` returns something.
///
/// # Panics
/// If it does not in time, with what was waited for.
pub fn within<T>(limit: Duration, what: impl Debug, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} for {what:?}");
        std::thread::sleep(PAUSE);
    }
}

/// Says that a test is left out, where CI leaves nothing out.
///
/// # Panics
/// If `STATERA_CI` is set.
pub fn skipped(name: &str, why: &str) {
    assert!(std::env::var_os("STATERA_CI").is_none(), "{name} can't be left out in CI: {why}");
    println!("SKIPPED: {name}: {why}");
}
