//! `io.statera.v1/file-ingress`: JSON lines from a file, replayable.
//!
//! Each line is the value of one message for each entry of `records`, as it stands there without its line end. The id
//! of the target is the string or integer at the JSON pointer `key`. Blank lines are skipped. What can't become a
//! message (not JSON, no key, too long) goes to the dead letters with its place; it never stops the ingress.
//!
//! The engine keeps the position ([`position`]); after a restart reading goes on there. If the file is then shorter, or
//! is another one, the ingress ends with an error: going on would skip or repeat lines silently. So does a file that is
//! replaced or cut while it is followed. Rotate such files by giving the new one a new ingress.
//!
//! Without `follow` the ingress ends at the end of the file, and what follows the last line end counts as a line. With
//! it the ingress waits for more, also for the file itself, and an unfinished line waits for its end.

mod lines;
mod position;
mod reader;
mod record;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use statera_config as config;
use statera_model::Name;
use statera_ports::{BoxFuture, Engine, SourceId};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::Error;
use reader::{Reader, Step};

/// The first wait for more; each further one is twice as long.
const POLL_MIN: Duration = Duration::from_millis(10);

/// The longest wait for more.
const POLL_MAX: Duration = Duration::from_secs(1);

/// The ingress. Its file is opened when it runs.
pub(crate) struct FileIngress {
    spec: Arc<config::FileIngress>,
    engine: Arc<dyn Engine>,
}

impl std::fmt::Debug for FileIngress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileIngress").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl FileIngress {
    pub(crate) fn bind(
        spec: &config::FileIngress,
        engine: Arc<dyn Engine>,
    ) -> Result<FileIngress, Error> {
        // Found out now rather than when everything runs. A file that is to be followed may come later.
        if !spec.follow && is_missing(&spec.path) {
            return Err(Error::MissingFile { id: spec.id.clone(), path: spec.path.clone() });
        }
        Ok(FileIngress { spec: Arc::new(spec.clone()), engine })
    }

    pub(crate) fn id(&self) -> &Name {
        &self.spec.id
    }

    pub(crate) async fn run(self, mut stop: BoxFuture<'static, ()>) -> Result<(), Error> {
        tokio::select! {
            biased;
            () = &mut stop => Ok(()),
            ended = self.read() => ended,
        }
    }

    /// Reads to the end, or for ever. May be dropped at any time: what the engine has not taken is read again.
    async fn read(self) -> Result<(), Error> {
        self.wait_for_file().await;
        let source = SourceId { ingress: self.spec.id.clone(), partition: "".into() };
        let position = self.engine.source_position(&source);
        let (spec, read) = (Arc::clone(&self.spec), source.clone());
        let mut reader = blocking(move || Reader::open(spec, read, position)).await?;
        let mut poll = POLL_MIN;
        loop {
            let (back, step, status) = blocking(move || {
                let step = reader.step();
                let status = reader.status();
                (reader, step, status)
            })
            .await;
            reader = back;
            let step = step?;
            if !matches!(step, Step::Batch(_)) {
                self.engine.report(&source, status);
            }
            match step {
                Step::Batch(batch) => {
                    poll = POLL_MIN;
                    if self.engine.deliver(batch).await.is_err() {
                        return Ok(());
                    }
                    self.engine.report(&source, status);
                }
                Step::Wait => {
                    sleep(poll).await;
                    poll = (poll * 2).min(POLL_MAX);
                }
                Step::End { lines } => {
                    tracing::info!(id = %self.spec.id, lines, "the file is read to its end");
                    return Ok(());
                }
            }
        }
    }

    async fn wait_for_file(&self) {
        let mut poll = POLL_MIN;
        while self.spec.follow && is_missing(&self.spec.path) {
            if poll == POLL_MIN {
                tracing::info!(id = %self.spec.id, path = %self.spec.path.display(), "waiting for the file");
            }
            sleep(poll).await;
            poll = (poll * 2).min(POLL_MAX);
        }
    }
}

fn is_missing(path: &Path) -> bool {
    matches!(path.metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

/// Runs what touches files apart from the asynchronous threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only when the runtime is being shut down, which drops this future next.
            Err(_) => std::future::pending().await,
        },
    }
}
