//! What takes nothing until it is resumed: function types, endpoints, ingresses. Durable, and known to all shards.

use std::collections::BTreeMap;
use std::sync::Arc;

use statera_config::{Application, FunctionPattern};
use statera_core::keys::Halt;
use statera_core::values::Paused;
use statera_core::{Halted, Input};
use statera_model::{FunctionType, KeyGroup, Name};
use tokio::sync::watch;

use crate::engine::Engine;
use crate::error::QueryError;
use crate::inbox::Event;
use crate::shell::wall_clock;

/// What is halted, and why.
pub(crate) type Set = Arc<BTreeMap<Halt, Paused>>;

pub(crate) struct Halts {
    set: watch::Sender<Set>,
    /// Held while the set changes, or what it is applied to.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

impl Halts {
    pub(crate) fn new(set: BTreeMap<Halt, Paused>) -> Halts {
        Halts { set: watch::Sender::new(Arc::new(set)), changing: tokio::sync::Mutex::default() }
    }

    pub(crate) fn get(&self) -> Set {
        self.set.borrow().clone()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Set> {
        self.set.subscribe()
    }

    pub(crate) fn holds(&self, ingress: &Halt) -> bool {
        self.set.borrow().contains_key(ingress)
    }

    /// Tells a shard which types are halted.
    pub(crate) fn halted(&self, application: &Arc<Application>) -> Halted {
        halted(self.get(), application.clone())
    }
}

fn halted(set: Set, application: Arc<Application>) -> Halted {
    Halted(Arc::new(move |function: &FunctionType| {
        if set.is_empty() {
            return false;
        }
        let endpoint = || {
            let linked = application.embedded.contains(function);
            let endpoint = application.endpoint_for(function).filter(|_| !linked)?;
            Some(Halt::Endpoint(endpoint_name(&application.endpoints[endpoint].functions)))
        };
        set.contains_key(&Halt::Function(function.clone()))
            || endpoint().is_some_and(|endpoint| set.contains_key(&endpoint))
    }))
}

/// The name of an endpoint: which functions it serves.
#[must_use]
pub fn endpoint_name(functions: &FunctionPattern) -> Name {
    match functions {
        FunctionPattern::Exact(function) => function.clone(),
        FunctionPattern::Namespace(namespace) => Name::from_parts(namespace, "*"),
    }
}

impl Engine {
    /// What takes nothing until it is resumed, and why. Addresses are not among it.
    #[must_use]
    pub fn halts(&self) -> Arc<BTreeMap<Halt, Paused>> {
        self.shared.halts.get()
    }

    /// Halts something, durably. Returns whether it was not halted before.
    ///
    /// # Errors
    /// If the engine is stopping.
    pub async fn halt(&self, halt: Halt, reason: &str) -> Result<bool, QueryError> {
        self.change(halt, Some(Paused { since: wall_clock(), reason: reason.into() })).await
    }

    /// Lets something go on, durably. Returns whether it was halted.
    ///
    /// # Errors
    /// If the engine is stopping.
    pub async fn unhalt(&self, halt: Halt) -> Result<bool, QueryError> {
        self.change(halt, None).await
    }

    async fn change(&self, halt: Halt, paused: Option<Paused>) -> Result<bool, QueryError> {
        let _changing = self.shared.halts.changing.lock().await;
        let mut set = (*self.shared.halts.get()).clone();
        let (Halt::Function(name) | Halt::Endpoint(name) | Halt::Ingress(name)) = &halt;
        let group = KeyGroup::of(name.as_str(), self.shared.key_groups);
        let news = match &paused {
            Some(paused) if set.contains_key(&halt) => {
                let _ = paused;
                false
            }
            Some(paused) => set.insert(halt.clone(), paused.clone()).is_none(),
            None => set.remove(&halt).is_some(),
        };
        if !news {
            return Ok(false);
        }
        match &paused {
            Some(Paused { reason, .. }) => tracing::info!(name = %name, %reason, "paused"),
            None => tracing::info!(name = %name, "resumed"),
        }
        self.shared.halts.set.send_replace(Arc::new(set));
        let halted = self.shared.halts.halted(&self.application());
        let owner = group.shard(self.shared.inboxes.len(), self.shared.key_groups);
        for (shard, inbox) in self.shared.inboxes.iter().enumerate() {
            if shard != owner {
                inbox.push(Event::Input(Input::Halt { halted: halted.clone(), record: None }));
            }
        }
        let ticket = self.shared.ticket();
        let record = Some((ticket, halt, paused));
        self.operate(group, ticket, Input::Halt { halted, record }).await
    }
}
