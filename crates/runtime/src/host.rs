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

/// Those of the endpoints, each with its number.
type Clients = Vec<(usize, Rc<HttpClient>)>;

/// Who serves the function types of one shard.
pub(crate) struct Hosts {
    application: Arc<Application>,
    embedded: Arc<Linked>,
    clients: Clients,
    /// Whoever was an endpoint since the start, by its number.
    patterns: Vec<FunctionPattern>,
    /// An application that is about to take the place of this one, and its clients.
    next: Option<(Arc<Application>, Clients)>,
    /// By the numbers that the shard gives to function types.
    known: Vec<Option<Host>>,
}

/// Who serves a function type.
#[derive(Clone)]
pub(crate) enum Host {
    /// A function of this process: how many states it must be invoked with, and whether it waits for something, are asked for
    /// once.
    Embedded { function: Arc<dyn Embedded>, states: usize, waits: bool },
    /// The client of an endpoint, and its number, which it keeps as long as the engine runs.
    Remote(Rc<HttpClient>, usize),
}

impl Hosts {
    pub(crate) fn new(
        application: Arc<Application>,
        embedded: Arc<Linked>,
    ) -> Result<Hosts, EngineError> {
        let mut hosts = Hosts {
            application: application.clone(),
            embedded,
            clients: Vec::new(),
            patterns: Vec::new(),
            next: None,
            known: Vec::new(),
        };
        hosts.prepare(application)?;
        hosts.switch();
        Ok(hosts)
    }

    /// Makes the clients of an application that is to take the place of this one. Endpoints that stay as they are keep
    /// theirs.
    pub(crate) fn prepare(&mut self, application: Arc<Application>) -> Result<(), EngineError> {
        let mut clients = Vec::new();
        for endpoint in &application.endpoints {
            let number = self.number(&endpoint.functions);
            let mut known = self.application.endpoints.iter().zip(&self.clients);
            let client = match known.find(|(known, _)| *known == endpoint) {
                Some((_, (_, client))) => client.clone(),
                None => Rc::new(client(endpoint)?),
            };
            clients.push((number, client));
        }
        self.next = Some((application, clients));
        Ok(())
    }

    /// From now on the application that was prepared last counts. Requests in flight end with the client they have.
    pub(crate) fn switch(&mut self) {
        if let Some((application, clients)) = self.next.take() {
            (self.application, self.clients) = (application, clients);
            self.known.clear();
        }
    }

    /// The application that this shard runs.
    pub(crate) fn application(&self) -> &Application {
        &self.application
    }

    fn number(&mut self, functions: &FunctionPattern) -> usize {
        match self.patterns.iter().position(|known| known == functions) {
            Some(number) => number,
            None => {
                self.patterns.push(functions.clone());
                self.patterns.len() - 1
            }
        }
    }

    /// What the clients of the endpoints did and do, in the order of the application, each with its number.
    pub(crate) fn statistics(&self) -> impl Iterator<Item = (usize, Statistics)> {
        self.clients.iter().map(|(number, client)| (*number, client.statistics()))
    }

    /// The host of a function type, if somebody serves it. `number` is what the shard calls it.
    pub(crate) fn host(&mut self, number: u32, function: &FunctionType) -> Option<&Host> {
        let index = number as usize;
        if index >= self.known.len() {
            self.known.resize(index + 1, None);
        }
        let known = &mut self.known[index];
        if known.is_none() {
            *known = match self.embedded.get(function) {
                Some(function) => Some(Host::Embedded {
                    states: function.states().len(),
                    waits: function.waits(),
                    function: function.clone(),
                }),
                None => self.application.endpoint_for(function).map(|endpoint| {
                    let (number, client) = &self.clients[endpoint];
                    Host::Remote(client.clone(), *number)
                }),
            };
        }
        known.as_ref()
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
