//! A log that lives as long as its value.

use std::collections::VecDeque;

use statera_model::Epoch;

use crate::{CommitLog, LogError, Visit};

/// Keeps the epochs in memory, for tests and simulations. Bounded by nothing but truncation.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    payloads: VecDeque<Vec<u8>>,
    last: Option<Epoch>,
}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> MemoryLog {
        MemoryLog::default()
    }
}

impl CommitLog for MemoryLog {
    fn append(&mut self, epoch: Epoch, parts: &[&[u8]]) -> Result<(), LogError> {
        assert_follows(self.last, epoch);
        self.payloads.push_back(parts.concat());
        self.last = Some(epoch);
        Ok(())
    }

    fn truncate(&mut self, up_to: Epoch) -> Result<(), LogError> {
        if let Some(last) = self.last {
            let kept = last.0.saturating_sub(up_to.0) as usize;
            let forgotten = self.payloads.len().saturating_sub(kept);
            self.payloads.drain(..forgotten);
        }
        Ok(())
    }

    fn replay(&mut self, from: Epoch, visit: &mut Visit<'_>) -> Result<(), LogError> {
        let Some(last) = self.last else { return Ok(()) };
        check_not_behind(last, from)?;
        let first = Epoch(last.0 + 1 - self.payloads.len() as u64);
        if from < first {
            return Err(LogError::Missing {
                wanted: from,
                first,
                path: "memory".into(),
                offset: 0,
            });
        }
        for (epoch, payload) in (first.0..).map(Epoch).zip(&self.payloads) {
            if epoch >= from {
                visit(epoch, payload).map_err(|source| LogError::Visit { epoch, source })?;
            }
        }
        Ok(())
    }

    fn last_epoch(&self) -> Option<Epoch> {
        self.last
    }
}

/// A caller that leaves out or repeats an epoch would lose or double its effects: that is a bug, not a state.
pub(crate) fn assert_follows(last: Option<Epoch>, epoch: Epoch) {
    if let Some(last) = last {
        assert_eq!(epoch, last.next(), "epoch {epoch} was appended after epoch {last}");
    }
}

pub(crate) fn check_not_behind(last: Epoch, from: Epoch) -> Result<(), LogError> {
    if from > last.next() {
        return Err(LogError::Behind { last, known: Epoch(from.0 - 1) });
    }
    Ok(())
}
