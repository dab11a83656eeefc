//! The states that a runtime would keep, and when it would forget them.

use std::collections::BTreeMap;
use std::sync::Arc;

use statera_model::{Address, Expiration, StateChange, StateSpec, TypedValue};

#[derive(Debug, Default)]
pub(super) struct States(BTreeMap<(Address, Arc<str>), Kept>);

#[derive(Debug)]
struct Kept {
    value: TypedValue,
    accessed_ms: u64,
}

impl States {
    /// The value of a state, unless it has expired.
    pub(super) fn peek(&self, of: &Address, spec: &StateSpec, now_ms: u64) -> Option<&TypedValue> {
        let kept = self.0.get(&(of.clone(), spec.name.clone()))?;
        (!expired(kept, spec.expiration, now_ms)).then_some(&kept.value)
    }

    /// The value that is sent along with an invocation.
    pub(super) fn read(
        &mut self,
        of: &Address,
        spec: &StateSpec,
        now_ms: u64,
    ) -> Option<TypedValue> {
        let key = (of.clone(), spec.name.clone());
        let kept = self.0.get_mut(&key)?;
        if expired(kept, spec.expiration, now_ms) {
            self.0.remove(&key);
            return None;
        }
        if let Expiration::AfterInvoke { .. } = spec.expiration {
            kept.accessed_ms = now_ms;
        }
        Some(kept.value.clone())
    }

    pub(super) fn change(
        &mut self,
        of: &Address,
        state: Arc<str>,
        change: StateChange,
        now_ms: u64,
    ) {
        let key = (of.clone(), state);
        match change {
            StateChange::Delete => self.0.remove(&key),
            StateChange::Modify(value) => self.0.insert(key, Kept { value, accessed_ms: now_ms }),
        };
    }
}

fn expired(kept: &Kept, expiration: Expiration, now_ms: u64) -> bool {
    match expiration {
        Expiration::Never => false,
        Expiration::AfterWrite { ttl_ms } | Expiration::AfterInvoke { ttl_ms } => {
            kept.accessed_ms.saturating_add(ttl_ms as u64) <= now_ms
        }
    }
}
