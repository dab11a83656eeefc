//! Where functions are: in this process, or behind one HTTP client for each endpoint, owned by one shard thread.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use statera_config::{Application, Endpoint, FailurePolicy, FunctionPattern, Transport};
use statera_core::{Directory, Invocation, OnFailure, Policy};
use statera_model::{Address, FunctionType, Id, TypedValue};
use statera_ports::{Batch, Embedded};
use statera_transport::{HttpClient, Statistics};

use crate::error::EngineError;

/// Invocations of a function that runs inline begin one after the other anyway. Some are begun together, which costs less
/// for each; no more than such that what is looked at when one begins is still in the processor's caches when it runs.
const IN_FLIGHT_INLINE: usize = 16;

/// Connections, and so requests at once, of a transport that names no limit.
const IN_FLIGHT_DEFAULT: usize = 1024;

/// The functions that are linked into the process, by their types.
pub(crate) type Linked = BTreeMap<FunctionType, Arc<dyn Embedded>>;

/// Who serves the function types of one shard.
pub(crate) struct Hosts {
    application: Arc<Application>,
    embedded: Arc<Linked>,
    clients: Vec<Rc<HttpClient>>,
    /// By the numbers that the shard gives to function types.
    known: Vec<Option<Host>>,
}

/// Who serves a function type.
#[derive(Clone)]
pub(crate) enum Host {
    Embedded(Arc<dyn Embedded>),
    /// The client of an endpoint, and its number.
    Remote(Rc<HttpClient>, usize),
}

impl Hosts {
    pub(crate) fn new(
        application: Arc<Application>,
        embedded: Arc<Linked>,
    ) -> Result<Hosts, EngineError> {
        let clients = application.endpoints.iter().map(|endpoint| Ok(Rc::new(client(endpoint)?)));
        let clients = clients.collect::<Result<_, EngineError>>()?;
        Ok(Hosts { application, embedded, clients, known: Vec::new() })
    }

    /// What the clients of the endpoints did and do, in the order of the application.
    pub(crate) fn statistics(&self) -> impl Iterator<Item = Statistics> {
        self.clients.iter().map(|client| client.statistics())
    }

    /// The host of a function type that somebody serves. `number` is what the shard calls it.
    pub(crate) fn host(&mut self, number: u32, function: &FunctionType) -> &Host {
        let index = number as usize;
        if index >= self.known.len() {
            self.known.resize(index + 1, None);
        }
        let (application, clients, embedded) = (&self.application, &self.clients, &self.embedded);
        self.known[index].get_or_insert_with(|| match embedded.get(function) {
            Some(embedded) => Host::Embedded(embedded.clone()),
            None => {
                let endpoint = application.endpoint_for(function);
                let endpoint = endpoint.expect("only served functions are invoked");
                Host::Remote(clients[endpoint].clone(), endpoint)
            }
        })
    }
}

/// The content of an invocation, for a function that outlives the moment.
pub(crate) struct OwnedBatch {
    target: Address,
    states: Vec<Option<TypedValue>>,
    messages: Vec<(Option<Address>, TypedValue)>,
}

impl OwnedBatch {
    pub(crate) fn of(invocation: &Invocation<'_>) -> OwnedBatch {
        let messages = invocation.messages();
        OwnedBatch {
            target: invocation.target(),
            states: invocation.states().map(|(_, value)| value.cloned()).collect(),
            messages: messages.map(|(caller, value)| (caller.cloned(), value.clone())).collect(),
        }
    }
}

impl Batch for OwnedBatch {
    fn function(&self) -> &FunctionType {
        &self.target.function
    }

    fn id(&self) -> &Id {
        &self.target.id
    }

    fn state(&self, index: usize, _name: &str) -> Option<&TypedValue> {
        self.states[index].as_ref()
    }

    fn messages(&self) -> usize {
        self.messages.len()
    }

    fn message(&self, index: usize) -> (Option<&Address>, &TypedValue) {
        let (caller, value) = &self.messages[index];
        (caller.as_ref(), value)
    }
}

/// Checks what the endpoints of an application name, such as certificates, without calling anybody.
///
/// # Errors
/// For each endpoint that can't be called.
pub fn check_endpoints(application: &Application) -> Vec<EngineError> {
    application.endpoints.iter().filter_map(|endpoint| client(endpoint).err()).collect()
}

fn client(endpoint: &Endpoint) -> Result<HttpClient, EngineError> {
    HttpClient::new(endpoint)
        .map_err(|source| EngineError::Transport { endpoint: pattern(&endpoint.functions), source })
}

fn pattern(functions: &FunctionPattern) -> String {
    match functions {
        FunctionPattern::Exact(function) => format!("`{function}`"),
        FunctionPattern::Namespace(namespace) => format!("`{namespace}/*`"),
    }
}

/// How functions are treated, as the configuration says.
pub(crate) fn directory(application: Arc<Application>, embedded: Arc<Linked>) -> Directory {
    Arc::new(move |function| {
        let inline = embedded.get(function).is_some_and(|embedded| !embedded.waits());
        let (call, in_flight, batch_messages) = if embedded.contains_key(function) {
            let in_flight = if inline { IN_FLIGHT_INLINE } else { IN_FLIGHT_DEFAULT };
            (application.engine.failures.budget, in_flight, usize::MAX)
        } else {
            let endpoint = &application.endpoints[application.endpoint_for(function)?];
            let most = endpoint.max_batch_requests.map_or(usize::MAX, |most| most as usize);
            match &endpoint.transport {
                Transport::Async(transport) => (transport.call, transport.pool_size, most),
                Transport::OkHttp(transport) => (transport.call, IN_FLIGHT_DEFAULT, most),
            }
        };
        let failures = &application.engine.failures;
        Some(Policy {
            inline,
            batch_messages,
            in_flight,
            budget_ms: milliseconds(call),
            backoff_min_ms: milliseconds(failures.backoff_min),
            backoff_max_ms: milliseconds(failures.backoff_max),
            on_failure: match failures.policy_for(function) {
                FailurePolicy::Retry => OnFailure::Retry,
                FailurePolicy::DeadLetter => OnFailure::DeadLetter,
                FailurePolicy::Pause => OnFailure::Pause,
            },
        })
    })
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
