//! What a valid configuration says, as types. Whoever holds an [`Application`] need not check anything again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use statera_model::{FunctionType, Name};

use crate::spec_streams::{KafkaEgress, KafkaIngress, KinesisEgress, KinesisIngress};

/// All modules of an application, merged.
#[derive(Clone, Debug, PartialEq)]
pub struct Application {
    /// Functions that are linked into the process. They go before endpoints.
    pub embedded: BTreeSet<FunctionType>,
    /// Who else serves functions. At least one, unless some are linked.
    pub endpoints: Vec<Endpoint>,
    /// Where messages come in. At least one, with distinct ids.
    pub ingresses: Vec<Ingress>,
    /// Where records leave, with distinct ids.
    pub egresses: Vec<Egress>,
    /// How the engine runs.
    pub engine: EngineSettings,
}

impl Application {
    /// Whether anybody serves functions of this type.
    #[must_use]
    pub fn serves(&self, function: &FunctionType) -> bool {
        self.embedded.contains(function) || self.endpoint_for(function).is_some()
    }

    /// The index in [`Application::endpoints`] of the one that serves a function type: an exact pattern beats its
    /// namespace.
    #[must_use]
    pub fn endpoint_for(&self, function: &FunctionType) -> Option<usize> {
        let position = |wanted: &dyn Fn(&FunctionPattern) -> bool| {
            self.endpoints.iter().position(|endpoint| wanted(&endpoint.functions))
        };
        position(&|pattern| matches!(pattern, FunctionPattern::Exact(exact) if exact == function)).or_else(
            || {
                position(&|pattern| {
                    matches!(pattern, FunctionPattern::Namespace(ns) if ns == function.namespace())
                })
            },
        )
    }
}

/// Which functions an endpoint serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FunctionPattern {
    /// `ns/name`.
    Exact(FunctionType),
    /// `ns/*`.
    Namespace(String),
}

/// Functions behind HTTP (`io.statefun.endpoints.v1/http`, `io.statefun.endpoints.v2/http`).
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Which functions it serves.
    pub functions: FunctionPattern,
    /// Where.
    pub url: UrlTemplate,
    /// The most messages in one request, and the backlog from which an address counts as blocked. `None`: no limit.
    pub max_batch_requests: Option<u32>,
    /// How it is called.
    pub transport: Transport,
}

/// A URL in which `{function.name}` stands for the name of the function type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlTemplate {
    /// The template as it is written in the configuration.
    pub text: String,
    /// What stands before `://`.
    pub scheme: Scheme,
}

impl UrlTemplate {
    /// The URL for functions of a type.
    #[must_use]
    pub fn url(&self, function: &FunctionType) -> String {
        self.text.replace("{function.name}", function.name())
    }
}

/// How the host part of a URL is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
    /// `http+unix` or `https+unix`: the path up to the first element that ends in `.sock` is a socket; always plain.
    Unix,
}

/// How an HTTP endpoint is called.
#[derive(Clone, Debug, PartialEq)]
pub enum Transport {
    /// `io.statefun.transports.v1/async`
    Async(AsyncTransport),
    /// `io.statefun.transports.v1/okhttp`, and always for v1 endpoints.
    OkHttp(OkHttpTransport),
}

/// Settings of `io.statefun.transports.v1/async`.
#[derive(Clone, Debug, PartialEq)]
pub struct AsyncTransport {
    /// The budget of a batch over all attempts. Default 2 min.
    pub call: Duration,
    /// The longest wait for a connection. Default 20 s.
    pub connect: Duration,
    /// How long a connection is used; `None` is for ever. Default 15 s.
    pub pool_ttl: Option<Duration>,
    /// The most connections, and so requests at once. Default 1024.
    pub pool_size: usize,
    /// The largest response. Default 32 MiB.
    pub payload_max_bytes: usize,
    /// Certificates.
    pub tls: Tls,
}

/// Settings of `io.statefun.transports.v1/okhttp`.
#[derive(Clone, Debug, PartialEq)]
pub struct OkHttpTransport {
    /// The budget of a batch over all attempts. Default 1 min.
    pub call: Duration,
    /// Default 10 s.
    pub connect: Duration,
    /// The longest silence while reading a response. Default 10 s.
    pub read: Duration,
    /// The longest time to write a request. Default 10 s.
    pub write: Duration,
}

/// Locations of certificates and keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// PEM of the authorities to trust instead of the built-in ones.
    pub trust_cacerts: Option<PathBuf>,
    /// What we show to the server.
    pub client: Option<ClientCertificate>,
}

/// A client certificate and its key.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientCertificate {
    /// PEM chain.
    pub cert: PathBuf,
    /// PKCS#8 PEM.
    pub key: PathBuf,
    /// File that holds the password of the key.
    pub key_password: Option<PathBuf>,
}

/// Where messages come in.
#[derive(Clone, Debug, PartialEq)]
pub enum Ingress {
    /// `io.statera.v1/http-ingress`
    Http(HttpIngress),
    /// `io.statera.v1/file-ingress`
    File(FileIngress),
    /// `io.statefun.playground.v1/ingress`
    Playground(PlaygroundIngress),
    /// `io.statefun.kafka.v1/ingress`
    Kafka(KafkaIngress),
    /// `io.statefun.kinesis.v1/ingress`
    Kinesis(KinesisIngress),
}

impl Ingress {
    /// Its id; the playground's is fixed.
    #[must_use]
    pub fn id(&self) -> Name {
        match self {
            Ingress::Http(http) => http.id.clone(),
            Ingress::File(file) => file.id.clone(),
            Ingress::Playground(_) => Name::from_parts("io.statefun.playground", "ingress"),
            Ingress::Kafka(kafka) => kafka.id.clone(),
            Ingress::Kinesis(kinesis) => kinesis.id.clone(),
        }
    }
}

/// Messages and calls over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpIngress {
    /// Its id.
    pub id: Name,
    /// Where it listens. Default `127.0.0.1:8080`.
    pub address: SocketAddr,
    /// The largest request body. Default 16 MiB.
    pub body_max_bytes: usize,
    /// The most requests waiting at once; more are answered with 503. Default 16384.
    pub requests_max: usize,
    /// How long a call waits if it does not say. Default 30 s.
    pub call_timeout: Duration,
}

/// JSON lines from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileIngress {
    /// Its id.
    pub id: Name,
    /// The file.
    pub path: PathBuf,
    /// Whether to wait for more at the end of the file. Default false.
    pub follow: bool,
    /// What becomes of each line. At least one.
    pub records: Vec<FileRecord>,
    /// The longest line. Default 16 MiB.
    pub line_max_bytes: usize,
}

/// A message to be made of each line of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileRecord {
    /// The typename of the message; its value is the line as it is.
    pub value_type: Name,
    /// A JSON pointer (RFC 6901) to the string or integer that is the id of the target.
    pub key: String,
    /// The functions that receive it. At least one.
    pub targets: Vec<FunctionType>,
}

/// The playground's ingress.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaygroundIngress {
    /// Where it listens, on loopback unless `address` says otherwise.
    pub address: SocketAddr,
}

/// Where records leave.
#[derive(Clone, Debug, PartialEq)]
pub enum Egress {
    /// `io.statera.v1/file-egress`
    File(FileEgress),
    /// `io.statera.v1/stdout-egress`
    Stdout(StdoutEgress),
    /// `io.statefun.playground.v1/egress`
    Playground(PlaygroundEgress),
    /// `io.statefun.kafka.v1/egress`
    Kafka(KafkaEgress),
    /// `io.statefun.kinesis.v1/egress`
    Kinesis(KinesisEgress),
}

impl Egress {
    /// Its id; the playground's is fixed.
    #[must_use]
    pub fn id(&self) -> Name {
        match self {
            Egress::File(file) => file.id.clone(),
            Egress::Stdout(stdout) => stdout.id.clone(),
            Egress::Playground(_) => Name::from_parts("io.statefun.playground", "egress"),
            Egress::Kafka(kafka) => kafka.id.clone(),
            Egress::Kinesis(kinesis) => kinesis.id.clone(),
        }
    }
}

/// JSON lines to a file, exactly once.
#[derive(Clone, Debug, PartialEq)]
pub struct FileEgress {
    /// Its id.
    pub id: Name,
    /// The file.
    pub path: PathBuf,
}

/// JSON lines to standard output, at least once.
#[derive(Clone, Debug, PartialEq)]
pub struct StdoutEgress {
    /// Its id.
    pub id: Name,
}

/// The playground's egress.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaygroundEgress {
    /// Where it listens, on loopback unless `address` says otherwise.
    pub address: SocketAddr,
    /// The topics functions may write to.
    pub topics: Vec<String>,
}

/// How the engine runs (`io.statera.v1/engine`).
#[derive(Clone, Debug, PartialEq)]
pub struct EngineSettings {
    /// Shards, one thread each. `None`: one for each core.
    pub shards: Option<u16>,
    /// Parts of the key space, fixed when the data directory is made. Default 128, at most 32768.
    pub key_groups: u16,
    /// The pace of epochs.
    pub epochs: EpochSettings,
    /// Memory.
    pub memory: MemorySettings,
    /// Queues and requests.
    pub limits: LimitSettings,
    /// When an epoch counts as durable.
    pub durability: Durability,
    /// What happens when an invocation fails.
    pub failures: FailureSettings,
    /// How long idempotency keys are remembered. Default 1 h.
    pub idempotency_retention: Duration,
    /// Distributed traces.
    pub traces: TraceSettings,
}

/// Distributed traces.
#[derive(Clone, PartialEq)]
pub struct TraceSettings {
    /// The URL of a collector that takes OTLP over HTTP. `None`: there are no traces.
    pub endpoint: Option<String>,
    /// The share of messages from outside that are traced if their sender does not say. Default 1.
    pub sample: f64,
    /// What the collector shall know us as. Default `statera`.
    pub service_name: String,
    /// Sent to the collector. May hold secrets.
    pub headers: Vec<(String, String)>,
}

impl std::fmt::Debug for TraceSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("TraceSettings")
            .field("endpoint", &self.endpoint)
            .field("sample", &self.sample)
            .field("service_name", &self.service_name)
            .field("headers", &headers)
            .finish()
    }
}

/// The pace of epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochSettings {
    /// The shortest time between two cuts. Default 0: as often as the log can take them.
    pub min_interval: Duration,
    /// The longest time a change waits for a cut when nothing outside waits for it. Default 100 ms.
    pub max_interval: Duration,
}

/// Memory. What does not fit waits on disk or at the ingress.
#[derive(Clone, Debug, PartialEq)]
pub struct MemorySettings {
    /// State values kept in memory, over all shards. Default 256 MiB.
    pub state_bytes: usize,
    /// Messages waiting in mailboxes, over all shards; at this limit ingresses wait. Default 128 MiB.
    pub mailbox_bytes: usize,
    /// Changes that are durable in the log but not yet in the store; at this limit epochs wait. Default 64 MiB.
    pub unflushed_bytes: usize,
}

/// Queues and requests.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitSettings {
    /// Invocations in flight at once in each shard. Default 32768.
    pub invocations_in_flight: usize,
    /// Messages waiting for one address; at this limit an HTTP ingress refuses more for it. Default 100000.
    pub mailbox_messages: usize,
    /// The largest batch of messages sent to a function in one request, unless it is a single message. Default 512 KiB.
    pub batch_bytes: usize,
    /// Idempotency keys remembered at once. Default 1000000.
    pub idempotency_keys: usize,
}

/// When an epoch counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// After an fdatasync of the log. The default.
    #[default]
    Fsync,
    /// At once: survives a crash of the process, but not of the machine. For tests.
    None,
}

/// What happens when an invocation fails.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureSettings {
    /// The first delay before another attempt; each further one is twice as long. Default 4 ms.
    pub backoff_min: Duration,
    /// The longest delay. Default 5 s.
    pub backoff_max: Duration,
    /// How long a function that is linked into the process is tried; an endpoint says it itself. Default 60 s.
    pub budget: Duration,
    /// What to do when the budget of a batch is used up. Default dead-letter.
    pub policy: FailurePolicy,
    /// The same for single types or namespaces, where it differs; an exact type beats its namespace.
    pub overrides: BTreeMap<String, FailurePolicy>,
}

impl FailureSettings {
    /// The policy for a function type.
    #[must_use]
    pub fn policy_for(&self, function: &FunctionType) -> FailurePolicy {
        self.overrides
            .get(function.as_str())
            .or_else(|| self.overrides.get(&format!("{}/*", function.namespace())))
            .copied()
            .unwrap_or(self.policy)
    }
}

/// What to do when the budget of a batch is used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailurePolicy {
    /// Go on trying for ever, as StateFun does.
    Retry,
    /// Find the message that fails, put it into the dead letters, go on with the others.
    #[default]
    DeadLetter,
    /// Park the address until it is resumed.
    Pause,
}
