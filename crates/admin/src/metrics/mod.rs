//! `GET /metrics`: everything that can be counted, for Prometheus and whoever reads its formats.
//!
//! What there is stands in one table ([`table`]): the exporter, the reference page (`docs/reference/metrics.md`) and the tests of
//! the dashboard and the alerts read it. A scrape asks each shard once ([`statera_runtime::Engine::readings`]); its cost goes with the
//! number of function types, endpoints, sources and sinks, not with that of instances or messages.

mod metric;
mod page;
mod process;
mod table;
#[cfg(test)]
mod tests;
mod text;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, VARY};
use statera_runtime::Engine;

use crate::problem::Problem;
use metric::Snapshot;
use process::Process;
use text::Format;

pub use page::metrics_reference;

/// The answer to a scrape, in the format that `accept` asks for.
pub(crate) async fn scrape(
    engine: &Engine,
    stopping: bool,
    accept: Option<&str>,
) -> Result<Response<Full<Bytes>>, Problem> {
    let (engine, readings) = (engine.clone(), engine.readings().await);
    let format = Format::accepted(accept);
    // With many function types this takes milliseconds, and ingresses share this thread.
    let write = move || {
        let application = engine.application();
        let snapshot = Snapshot {
            readings,
            ingresses: engine.ingresses(),
            application: &application,
            process: Process::read(),
            stopping,
        };
        text::write(table::metrics(), &snapshot, format)
    };
    let body = tokio::task::spawn_blocking(write).await.map_err(|_| Problem::stopping())?;
    let mut response = Response::new(Full::new(Bytes::from(body)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}
