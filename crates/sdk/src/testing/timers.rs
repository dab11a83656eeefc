//! Delayed messages, and the tokens by which they are cancelled.

use std::collections::BTreeMap;
use std::sync::Arc;

use statera_model::{Address, Delayed, Failure, FailureKind, Outgoing};

#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    /// By the time at which they are due, and the order in which they were asked for.
    pending: BTreeMap<(u64, u64), Timer>,
    asked: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Timer {
    pub(super) from: Address,
    pub(super) message: Outgoing,
    pub(super) token: Option<Arc<str>>,
}

impl Timers {
    /// Applies the delayed messages and cancellations of one reply, as a runtime would.
    pub(super) fn apply(
        &mut self,
        from: &Address,
        delayed: Vec<Delayed>,
        now_ms: u64,
    ) -> Result<(), Failure> {
        for entry in delayed {
            match entry {
                Delayed::Cancel { token } => {
                    self.pending.retain(|_, timer| !timer.is_named(&from.id, &token));
                }
                Delayed::Send { delay_ms, message, token } => {
                    if let Some(token) = &token
                        && self.pending.values().any(|timer| timer.is_named(&from.id, token))
                    {
                        let reason = format!(
                            "`{from}` uses the token `{token}` of a delayed message that is \
                             pending; hint: cancel it first"
                        );
                        return Err(Failure::new(FailureKind::Rejected, reason));
                    }
                    let due_ms = now_ms.saturating_add(delay_ms as u64);
                    let timer = Timer { from: from.clone(), message, token };
                    self.pending.insert((due_ms, self.asked), timer);
                    self.asked += 1;
                }
            }
        }
        Ok(())
    }

    /// The next message that is due by then, and when.
    pub(super) fn pop(&mut self, by_ms: u64) -> Option<(u64, Timer)> {
        let entry = self.pending.first_entry()?;
        let (due_ms, _) = *entry.key();
        (due_ms <= by_ms).then(|| (due_ms, entry.remove()))
    }

    /// All pending messages and when they are due, soonest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Timer)> {
        self.pending.iter().map(|((due_ms, _), timer)| (*due_ms, timer))
    }
}

impl Timer {
    fn is_named(&self, id: &str, token: &str) -> bool {
        self.token.as_deref() == Some(token) && *self.from.id == *id
    }
}
