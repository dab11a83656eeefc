//! Sends spans to a collector, many at once.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use prost::Message;
use statera_config::TraceSettings;
use statera_http::{Http, HttpError};
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};

use crate::otlp::ExportTraceServiceRequest;
use crate::span::Record;
use crate::{TraceError, Tracer};

pub(crate) const CONNECT_TIME: Duration = Duration::from_secs(5);
pub(crate) const REQUEST_TIME: Duration = Duration::from_secs(10);

/// What the specification of OTLP appends to the address of a collector.
const RESOURCE: &str = "/v1/traces";

/// Spans in one request.
const BATCH_MAX: usize = 512;

/// How long the first span of a batch waits for others.
const BATCH_TIME: Duration = Duration::from_millis(500);

/// How often a batch is sent before its spans are dropped.
const ATTEMPTS_MAX: u32 = 5;

/// The delay before the second attempt; each further one is twice as long.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// How long the last spans may take to leave when the engine stops.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// Sends the spans of a [`Tracer`].
pub struct Exporter {
    http: Http,
    uri: Uri,
    headers: HeaderMap,
    service: String,
    tracer: Tracer,
    queue: Receiver<Record>,
    /// Whether the last batch was lost, which was said.
    failing: bool,
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the collector answers `{status}`: {text}")]
    Refused { status: StatusCode, text: String },
}

impl ExportError {
    /// As the specification of OTLP has it: these answers, and those that never came.
    fn may_pass(&self) -> bool {
        match self {
            ExportError::Http(_) => true,
            ExportError::Refused { status, .. } => matches!(status.as_u16(), 429 | 502 | 503 | 504),
        }
    }
}

impl Exporter {
    pub(crate) fn new(
        http: Http,
        path: &str,
        settings: &TraceSettings,
        (tracer, queue): (Tracer, Receiver<Record>),
    ) -> Result<Exporter, TraceError> {
        // As for `OTEL_EXPORTER_OTLP_ENDPOINT`: the address of the collector, or that of its resource for traces.
        let path = path.trim_end_matches('/');
        let end = if path.ends_with(RESOURCE) { "" } else { RESOURCE };
        let wrong = |_| TraceError::Endpoint(settings.endpoint.clone().unwrap_or_default());
        let uri = Uri::try_from([path, end].concat()).map_err(wrong)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let wrong = || TraceError::Header(name.clone());
            let header = HeaderName::try_from(name).map_err(|_| wrong())?;
            headers.insert(header, HeaderValue::try_from(value).map_err(|_| wrong())?);
        }
        let host = HeaderValue::try_from(http.origin.authority());
        let host = host.map_err(|_| TraceError::Endpoint(http.origin.to_string()))?;
        headers.insert(HOST, host);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let agent = concat!("statera/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        let service = settings.service_name.clone();
        Ok(Exporter { http, uri, headers, service, tracer, queue, failing: false })
    }

    /// Sends until `stop` ends, and then what is left, for a moment.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = self.gather(&mut batch) => {}
            }
            let mut sending = pin!(self.send(std::mem::take(&mut batch)));
            tokio::select! {
                () = &mut sending => {}
                () = &mut stop => {
                    let _ = timeout(CLOSING_TIME, sending).await;
                    break;
                }
            }
        }
        // What does not leave in time is lost.
        let _ = timeout(CLOSING_TIME, self.send_rest(batch)).await;
    }

    async fn send_rest(&mut self, mut batch: Vec<Record>) {
        while let Ok(span) = self.queue.try_recv() {
            batch.push(span);
            if batch.len() >= BATCH_MAX {
                self.send(std::mem::take(&mut batch)).await;
            }
        }
        self.send(batch).await;
    }

    /// Waits for spans. May be dropped at any time; what was gathered is in `batch` then.
    async fn gather(&mut self, batch: &mut Vec<Record>) {
        // We hold a tracer ourselves: the queue is never closed.
        self.queue.recv_many(batch, BATCH_MAX).await;
        let more = async {
            while batch.len() < BATCH_MAX {
                self.queue.recv_many(batch, BATCH_MAX - batch.len()).await;
            }
        };
        let _ = timeout(BATCH_TIME, more).await;
    }

    /// Sends a batch, again if it may help. In the end it is taken or lost.
    async fn send(&mut self, batch: Vec<Record>) {
        if batch.is_empty() {
            return;
        }
        let spans = batch.len();
        let body = ExportTraceServiceRequest::new(&self.service, batch).encode_to_vec();
        let body = Bytes::from(body);
        let mut delay = RETRY_DELAY;
        for attempt in 1.. {
            let error = match self.post(body.clone()).await {
                Ok(()) => {
                    if std::mem::take(&mut self.failing) {
                        tracing::info!(origin = %self.http.origin, "the collector takes traces again");
                    }
                    return self.tracer.exported(spans, true);
                }
                Err(error) => error,
            };
            if attempt < ATTEMPTS_MAX && error.may_pass() && !self.failing {
                sleep(delay).await;
                delay *= 2;
                continue;
            }
            if !std::mem::replace(&mut self.failing, true) {
                tracing::warn!(
                    code = %statera_model::codes::TRACES_LOST,
                    error = %statera_model::Chain(&error),
                    "traces are lost; hint: check `traces.endpoint` and the collector"
                );
            }
            return self.tracer.exported(spans, false);
        }
    }

    async fn post(&self, body: Bytes) -> Result<(), ExportError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().clone_from(&self.headers);
        let response = self.http.send(request).await?;
        if response.status.is_success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&response.body).chars().take(200).collect();
        Err(ExportError::Refused { status: response.status, text })
    }
}
