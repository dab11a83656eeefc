//! What must hold, and what is said if it does not.

use std::fmt;

/// What must hold, as numbered in ARCHITECTURE.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// 1. Each message changes state exactly once, whatever crashes.
    ExactlyOnce = 1,
    /// 2. Messages from one sender, or one source, to one target arrive in order.
    Order = 2,
    /// 3. One invocation per address is in flight, and it sees the state left by the one before.
    Turns = 3,
    /// 4. Nothing leaves before its epoch is durable; what has been acknowledged is never lost.
    Durability = 4,
    /// 5. A reply's effects are applied all or none.
    AllOrNone = 5,
    /// 6. After faults stop, everything accepted is eventually processed.
    Progress = 6,
    /// 7. Memory is bounded.
    Bounds = 7,
    /// 8. What fails does not stop the others.
    Isolation = 8,
    /// Not one of the engine's: what hosted functions must keep to so that the others can be checked.
    Functions,
}

/// An invariant does not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.invariant {
            Invariant::Functions => f.write_str(&self.what),
            invariant => write!(f, "invariant {} ({invariant:?}): {}", invariant as u8, self.what),
        }
    }
}

pub(crate) type Checked<T = ()> = Result<T, Violation>;

pub(crate) fn violated<T>(invariant: Invariant, what: impl Into<String>) -> Checked<T> {
    Err(Violation { invariant, what: what.into() })
}
