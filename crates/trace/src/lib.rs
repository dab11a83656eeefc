//! Distributed traces: what happens to a message on its way through the engine, as spans that leave by
//! [OTLP](https://opentelemetry.io/docs/specs/otlp/) over HTTP.
//!
//! A [`Tracer`] decides at the edge whether a message is traced, and makes [`Span`]s, which end when they are dropped. They
//! wait in a bounded queue for the [`Exporter`]. Nothing here ever holds up a message: when the queue is full, or the
//! collector is away for long, spans are dropped and counted. Start with [`open`].
#![warn(missing_docs)]

mod exporter;
mod otlp;
mod span;
mod tracer;

use statera_config::TraceSettings;
use statera_http::{Http, HttpError, Origin, Timeouts};

pub use exporter::Exporter;
pub use span::{Kind, Span};
pub use tracer::{Figures, Tracer};

use exporter::{CONNECT_TIME, REQUEST_TIME};

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The endpoint is not a URL.
    #[error("`traces.endpoint`: `{0}` is not a URL; hint: such as http://localhost:4318")]
    Endpoint(String),
    /// A header can't be sent.
    #[error("`traces.headers`: `{0}` cannot be sent as a header")]
    Header(String),
    /// The client can't be made.
    #[error("`traces.endpoint` cannot be called")]
    Http(#[from] HttpError),
}

/// Makes a tracer, and the exporter that is to be run for it; `None` if no endpoint is configured. Does not connect.
///
/// # Errors
/// If the settings can't be followed.
pub fn open(settings: &TraceSettings) -> Result<Option<(Tracer, Exporter)>, TraceError> {
    let Some(endpoint) = &settings.endpoint else { return Ok(None) };
    let (origin, path) =
        Origin::parse(endpoint).ok_or_else(|| TraceError::Endpoint(endpoint.clone()))?;
    let timeouts = Timeouts { connect: CONNECT_TIME, request: REQUEST_TIME };
    let http = Http::new(origin, timeouts, None)?;
    let (tracer, queue) = Tracer::new(settings.sample);
    let exporter = Exporter::new(http, &path, settings, (tracer.clone(), queue))?;
    Ok(Some((tracer, exporter)))
}
