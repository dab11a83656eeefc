//! `io.statera.v1/file-egress`: records to a file, one JSON line each ([`crate::json_line`]), exactly once.
//!
//! The position that the engine keeps is the length of the file:
//!
//! ```text
//! offset  size  what
//!      0     1  version of this format: 1
//!      1     8  bytes of the file up to the end of the batch, little-endian
//! ```
//!
//! After a crash the file is cut to that length, and the engine writes again what followed: the same bytes.
//! If nothing was ever confirmed, the file may still hold what was written just before the crash, or what somebody else
//! wrote. It is then not cut but compared: what stands there must be what is being written, or the sink fails with the
//! file untouched.
//!
//! Only one sink writes to a file at a time; it holds an advisory lock (`flock`). A file that is moved away while the
//! sink runs goes on being written.

mod file;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use statera_config as config;
use statera_ports::{BoxFuture, DataId, Egress, Sink, SinkBatch, SinkError, SinkPosition};
use tokio::task::spawn_blocking;

use crate::json_line;
use file::OutputFile;

const VERSION: u8 = 1;

pub(crate) fn egress(spec: &config::FileEgress) -> Egress {
    let file = OutputFile::new(spec.path.clone());
    Egress {
        id: spec.id.clone(),
        accepts: Arc::new(|_| Ok(())),
        sink: Box::new(FileSink(Arc::new(Mutex::new(file)))),
    }
}

/// Shared with the thread that blocks; never contended, because there is one call at a time.
struct FileSink(Arc<Mutex<OutputFile>>);

impl Sink for FileSink {
    fn recover(
        &mut self,
        _data: DataId,
        last: Option<SinkPosition>,
    ) -> BoxFuture<'_, Result<Option<SinkPosition>, SinkError>> {
        Box::pin(self.blocking(move |file| {
            let confirmed = match &last {
                None => None,
                Some(last) => Some(decode(&last.position).ok_or_else(|| foreign_position(file))?),
            };
            // What it holds beyond that is cut off.
            file.recover(confirmed).map(|()| None)
        }))
    }

    fn write(&mut self, batch: SinkBatch) -> BoxFuture<'_, Result<Bytes, SinkError>> {
        Box::pin(self.blocking(move |file| {
            let mut lines = Vec::new();
            for value in &batch.records {
                json_line::push(&mut lines, value);
            }
            file.append(&lines).map(encode)
        }))
    }
}

impl FileSink {
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut OutputFile) -> Result<T, SinkError> + Send + 'static,
    ) -> impl Future<Output = Result<T, SinkError>> + Send + 'static {
        let file = Arc::clone(&self.0);
        async move {
            // A poisoned lock is taken: the file says itself how far it came, and is opened anew after an error.
            let work = move || work(&mut file.lock().unwrap_or_else(PoisonError::into_inner));
            spawn_blocking(work).await.unwrap_or_else(|error| {
                Err(SinkError {
                    doing: "cannot write to a file egress".to_owned(),
                    source: Some(error.into()),
                })
            })
        }
    }
}

fn encode(length: u64) -> Bytes {
    let mut bytes = vec![VERSION];
    bytes.extend(length.to_le_bytes());
    bytes.into()
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let (version, length) = bytes.split_first()?;
    (*version == VERSION).then_some(u64::from_le_bytes(length.try_into().ok()?))
}

fn foreign_position(file: &OutputFile) -> SinkError {
    SinkError {
        doing: format!(
            "the stored position of `{}` is not that of a file; \
             hint: it was written by a newer version, or the id belonged to another kind of egress: choose another id",
            file.path().display()
        ),
        source: None,
    }
}
