//! Where functions are: one HTTP client for each endpoint, owned by one shard thread.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use statera_config::{Application, Endpoint, FailurePolicy, FunctionPattern, Transport};
use statera_core::{Directory, OnFailure, Policy};
use statera_model::FunctionType;
use statera_transport::HttpClient;

use crate::error::EngineError;

/// Connections, and so requests at once, of a transport that names no limit.
const IN_FLIGHT_DEFAULT: usize = 1024;

/// The clients of one shard.
pub(crate) struct Hosts {
    application: Arc<Application>,
    clients: Vec<Rc<HttpClient>>,
    by_function: HashMap<FunctionType, Rc<HttpClient>>,
}

impl Hosts {
    pub(crate) fn new(application: Arc<Application>) -> Result<Hosts, EngineError> {
        let clients = application.endpoints.iter().map(|endpoint| Ok(Rc::new(client(endpoint)?)));
        let clients = clients.collect::<Result<_, EngineError>>()?;
        Ok(Hosts { application, clients, by_function: HashMap::new() })
    }

    /// The client for a function that some endpoint serves.
    pub(crate) fn client(&mut self, function: &FunctionType) -> Rc<HttpClient> {
        if let Some(client) = self.by_function.get(function) {
            return client.clone();
        }
        let endpoint =
            self.application.endpoint_for(function).expect("only served functions are invoked");
        let client = self.clients[endpoint].clone();
        self.by_function.insert(function.clone(), client.clone());
        client
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
pub(crate) fn directory(application: Arc<Application>) -> Directory {
    Arc::new(move |function| {
        let endpoint = &application.endpoints[application.endpoint_for(function)?];
        let (call, in_flight) = match &endpoint.transport {
            Transport::Async(transport) => (transport.call, transport.pool_size),
            Transport::OkHttp(transport) => (transport.call, IN_FLIGHT_DEFAULT),
        };
        let failures = &application.engine.failures;
        Some(Policy {
            batch_messages: endpoint.max_batch_requests.map_or(usize::MAX, |most| most as usize),
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

pub(crate) fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
