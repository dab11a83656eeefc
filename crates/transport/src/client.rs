//! One attempt to call a function: find its URL, get a connection, send, read.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use statera_config::{Endpoint, Scheme, Tls, Transport};
use statera_model::{Failure, FailureKind, FunctionType, TraceContext};
use tokio::time::Instant;

use crate::connect::{ConnectError, Connector};
use crate::failure::{chain, rejected, unavailable};
use crate::life::Life;
use crate::pool::{Acquired, Connection, Http1, Http2, Lease};
use crate::response::{self, Answer};
use crate::settings::{REDIRECTS_MAX, Settings};
use crate::statistics::{Counters, Gauge, Statistics, count};
use crate::target::{Call, Target, Targets};
use crate::tls::{TransportError, client_config};
use crate::url::Url;

/// Calls the functions of one endpoint, from one thread. Cloning is cheap and yields the same client.
#[derive(Clone)]
pub struct HttpClient {
    inner: Rc<Client>,
}

struct Client {
    settings: Settings,
    targets: Targets,
    connector: Connector,
    counters: Rc<Counters>,
}

impl HttpClient {
    /// Prepares to call an endpoint: checks its URL template and loads its certificates. Does not connect, and needs no
    /// runtime, so that it also serves to validate a configuration.
    ///
    /// # Errors
    /// [`TransportError`] if the template yields no URL, or certificates or keys cannot be loaded.
    pub fn new(endpoint: &Endpoint) -> Result<HttpClient, TransportError> {
        HttpClient::with_tls(endpoint, &Tls::default())
    }

    /// The same with certificates for endpoints whose transport cannot name any, which is okhttp: it takes those of its
    /// process.
    ///
    /// # Errors
    /// As those of [`HttpClient::new`].
    pub fn with_tls(endpoint: &Endpoint, process: &Tls) -> Result<HttpClient, TransportError> {
        let probe = FunctionType::from_parts("statera", "function");
        Url::parse(&endpoint.url.url(&probe))
            .map_err(|reason| TransportError::Url { url: endpoint.url.text.clone(), reason })?;
        let settings = Settings::of(&endpoint.transport);
        let tls = match &endpoint.transport {
            Transport::Async(transport) => {
                let needed =
                    endpoint.url.scheme == Scheme::Https || transport.tls != Tls::default();
                needed.then(|| client_config(&transport.tls, false)).transpose()?
            }
            // A redirect may lead to `https` from wherever it starts.
            Transport::OkHttp(_) => Some(client_config(process, true)?),
        };
        let counters = Rc::new(Counters::default());
        let targets = Targets::new(endpoint.url.clone(), &settings, &counters);
        let connector = Connector::new(settings.clone(), tls, Rc::clone(&counters));
        Ok(HttpClient { inner: Rc::new(Client { settings, targets, connector, counters }) })
    }

    /// Sends a request to a function and returns the body of its answer, which may be empty. `remaining` is what is
    /// left of the budget of the batch; an okhttp endpoint gives each attempt its own `call` timeout instead. `trace` is
    /// sent as `traceparent`.
    ///
    /// Must run within a [`tokio::task::LocalSet`]. Dropping the future closes the connection that it is using.
    ///
    /// # Errors
    /// A [`Failure`] whose reason names the URL and what happened; nothing is attempted again.
    pub async fn call(
        &self,
        function: &FunctionType,
        body: Bytes,
        remaining: Duration,
        trace: Option<TraceContext>,
    ) -> Result<Bytes, Failure> {
        let client = &*self.inner;
        count(&client.counters.attempts);
        let _flight = Gauge::raise(&client.counters, |counters| &counters.in_flight);
        let call = Call { body, traceparent: trace.as_ref().map(header) };
        let result = client.attempt(function, call, remaining).await;
        if result.is_err() {
            count(&client.counters.failures);
        }
        result
    }

    /// The figures of this client.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.inner.counters.read()
    }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

/// The header that carries a trace context.
fn header(trace: &TraceContext) -> HeaderValue {
    HeaderValue::try_from(trace.to_string()).expect("it is made of digits and hyphens")
}

/// Why no response came.
enum Unanswered {
    /// The connection had been kept alive, and was closed before the first byte of this response.
    Race,
    Lost(hyper::Error),
    Silent(Duration),
}

impl Client {
    async fn attempt(
        &self,
        function: &FunctionType,
        call: Call,
        remaining: Duration,
    ) -> Result<Bytes, Failure> {
        // No attempt will do better: the name came with a message, and stays as it is.
        let target = self.targets.of(function).map_err(|(url, reason)| {
            Failure::new(FailureKind::Fatal, format!("`{url}` cannot be called: {reason}"))
        })?;
        let limit = self.settings.attempt(remaining);
        match tokio::time::timeout(limit, self.exchange(&target, call)).await {
            Ok(result) => result,
            Err(_) => {
                Err(unavailable(format!("`{}` did not answer within {limit:?}", target.url.text)))
            }
        }
    }

    async fn exchange(&self, target: &Rc<Target>, call: Call) -> Result<Bytes, Failure> {
        let mut redirected: Option<Rc<Target>> = None;
        for _ in 0..=REDIRECTS_MAX {
            let target = redirected.as_ref().unwrap_or(target);
            match self.round_trip(target, &call).await? {
                Answer::Body(bytes) => return Ok(bytes),
                Answer::Redirect { location } => {
                    let url = target.url.join(&location).map_err(|reason| {
                        let from = &target.url.text;
                        rejected(format!("`{from}` redirects to `{location}`: {reason}"))
                    })?;
                    redirected = Some(self.targets.target(url));
                }
            }
        }
        let url = &target.url.text;
        Err(rejected(format!("`{url}` redirects more than {REDIRECTS_MAX} times")))
    }

    async fn round_trip(&self, target: &Target, call: &Call) -> Result<Answer, Failure> {
        let mut lease = self.acquire(target).await?;
        if lease.connection.is_none() {
            self.connect(target, &mut lease).await?;
        }
        let mut sent = self.send(&mut lease, target, call).await;
        if matches!(sent, Err(Unanswered::Race)) {
            // Others that are idle may have been closed for the same reason; a new one is not.
            count(&self.counters.races);
            lease.connection = None;
            self.connect(target, &mut lease).await?;
            sent = self.send(&mut lease, target, call).await;
        }
        match sent {
            Ok(response) => response::read(response, &target.url.text, &self.settings).await,
            Err(unanswered) => Err(explain(unanswered, target)),
        }
    }

    async fn acquire(&self, target: &Target) -> Result<Lease, Failure> {
        let granted = match target.origin.pool.acquire() {
            Acquired::Now(lease) => return Ok(lease),
            Acquired::Later(granted) => granted,
        };
        let _waiting = Gauge::raise(&self.counters, |counters| &counters.waiting);
        match tokio::time::timeout(self.settings.wait, granted).await {
            Ok(Ok(lease)) => Ok(lease),
            Ok(Err(_)) | Err(_) => Err(unavailable(format!(
                "`{}` is not called: no connection became free within {:?}, all {} are in use",
                target.url.text, self.settings.wait, self.settings.connections_max
            ))),
        }
    }

    async fn connect(&self, target: &Target, lease: &mut Lease) -> Result<(), Failure> {
        // Boxed, as it is large and rare.
        let connecting = Box::pin(self.connector.connect(&target.origin, lease));
        connecting.await.map_err(|error: ConnectError| {
            let place = &target.origin.place;
            let reason = chain(&error);
            unavailable(format!("`{}`: cannot connect to `{place}`: {reason}", target.url.text))
        })
    }

    /// Sends the request and waits for the head of the response.
    async fn send(
        &self,
        lease: &mut Lease,
        target: &Target,
        call: &Call,
    ) -> Result<Response<Incoming>, Unanswered> {
        let silence = self.settings.read;
        match lease.connection.as_mut().expect("connected before") {
            Connection::Http1(Http1 { sender, life }) => {
                let before = life.received.get();
                let response = sender.send_request(target.http1_request(call));
                let result = patiently(response, life, silence).await?;
                let kept_alive = life.answered.replace(true);
                result.map_err(|error| {
                    if kept_alive && life.received.get() == before {
                        Unanswered::Race
                    } else {
                        Unanswered::Lost(error)
                    }
                })
            }
            Connection::Http2(Http2 { sender, life }) => {
                let response = sender.send_request(target.http2_request(call));
                let result = patiently(response, life, silence).await?;
                let kept_alive = life.answered.replace(true);
                result.map_err(|error| {
                    if kept_alive && (error.is_canceled() || sender.is_closed()) {
                        Unanswered::Race
                    } else {
                        Unanswered::Lost(error)
                    }
                })
            }
        }
    }
}

/// Waits as long as the other side was not silent for longer than `silence`, counted from the last moment at which it
/// took some of the request.
async fn patiently<F: Future>(
    response: F,
    life: &Life,
    silence: Option<Duration>,
) -> Result<F::Output, Unanswered> {
    let Some(limit) = silence else { return Ok(response.await) };
    let mut response = std::pin::pin!(response);
    let mut since = Instant::now();
    loop {
        match tokio::time::timeout_at(since + limit, &mut response).await {
            Ok(output) => return Ok(output),
            Err(_) => match life.written.get() {
                Some(written) if written > since => since = written,
                _ => return Err(Unanswered::Silent(limit)),
            },
        }
    }
}

fn explain(unanswered: Unanswered, target: &Target) -> Failure {
    let url = &target.url.text;
    match unanswered {
        Unanswered::Race => {
            unavailable(format!("`{url}` closed the connection instead of answering"))
        }
        Unanswered::Lost(error) if error.is_parse() => {
            rejected(format!("`{url}` answered with something that is not HTTP: {}", chain(&error)))
        }
        Unanswered::Lost(error) => unavailable(format!(
            "`{url}` closed the connection instead of answering: {}",
            chain(&error)
        )),
        Unanswered::Silent(limit) => unavailable(format!("`{url}` was silent for {limit:?}")),
    }
}
