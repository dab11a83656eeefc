//! `io.statera.v1/stdout-egress`: records to standard output, one JSON line each ([`crate::json_line`]), at least once:
//! after a crash the last batch may come again.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use statera_config as config;
use statera_ports::{BoxFuture, DataId, Egress, Sink, SinkBatch, SinkError, SinkPosition};
use tokio::task::spawn_blocking;

use crate::json_line;

pub(crate) fn egress(spec: &config::StdoutEgress) -> Egress {
    Egress {
        id: spec.id.clone(),
        accepts: Arc::new(|_| Ok(())),
        sink: Box::new(LineSink(Arc::new(Mutex::new(io::stdout())))),
    }
}

struct LineSink<W>(Arc<Mutex<W>>);

impl<W: Write + Send + 'static> Sink for LineSink<W> {
    fn recover(
        &mut self,
        _data: DataId,
        _last: Option<SinkPosition>,
    ) -> BoxFuture<'_, Result<Option<SinkPosition>, SinkError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn write(&mut self, batch: SinkBatch) -> BoxFuture<'_, Result<Bytes, SinkError>> {
        let out = Arc::clone(&self.0);
        // Whoever reads may be slow.
        let write = move || {
            let mut lines = Vec::new();
            for value in &batch.records {
                json_line::push(&mut lines, value);
            }
            let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
            out.write_all(&lines)?;
            out.flush()
        };
        Box::pin(async move {
            let written = spawn_blocking(write).await.unwrap_or_else(|error| Err(error.into()));
            written.map(|()| Bytes::new()).map_err(|error| SinkError {
                doing: "cannot write to the standard output".to_owned(),
                source: Some(error.into()),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use statera_model::{Epoch, TypedValue};

    use super::*;

    #[tokio::test]
    async fn a_batch_is_written_as_lines() {
        let out = Arc::new(Mutex::new(Vec::new()));
        let batch = SinkBatch {
            epoch: Epoch(1),
            records: vec![TypedValue::new("a/b", b"1"), TypedValue::new("a/b", b"2")],
            traces: Vec::new(),
        };
        LineSink(Arc::clone(&out)).write(batch).await.unwrap();
        expect_test::expect![[r#"
            {"typename":"a/b","value":"MQ==","text":"1","json":1}
            {"typename":"a/b","value":"Mg==","text":"2","json":2}
        "#]]
        .assert_eq(std::str::from_utf8(&out.lock().unwrap()).unwrap());
    }

    #[tokio::test]
    async fn a_closed_output_is_an_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let batch = SinkBatch {
            epoch: Epoch(1),
            records: vec![TypedValue::new("a/b", b"1")],
            traces: Vec::new(),
        };
        let error = LineSink(Arc::new(Mutex::new(Closed))).write(batch).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot write to the standard output");
    }
}
