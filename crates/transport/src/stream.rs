//! The bytes below HTTP: TCP, TLS or a unix socket, with a note of what came and went.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep};
use tokio_rustls::client::TlsStream;

use crate::life::Life;

pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

macro_rules! each {
    ($stream:expr, $inner:ident => $action:expr) => {
        match $stream {
            Stream::Tcp($inner) => $action,
            Stream::Tls($inner) => $action,
            Stream::Unix($inner) => $action,
        }
    };
}

/// A stream that tells its [`Life`] what it reads, and fails when the peer takes nothing for too long.
pub(crate) struct Metered {
    stream: Stream,
    life: Rc<Life>,
    /// The longest time to wait until some more can be written.
    write: Option<Duration>,
    stuck: Option<Pin<Box<Sleep>>>,
}

impl Metered {
    pub(crate) fn new(stream: Stream, life: Rc<Life>, write: Option<Duration>) -> Metered {
        Metered { stream, life, write, stuck: None }
    }

    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Some(limit) = self.write else { return result };
        if result.is_ready() {
            self.stuck = None;
            self.life.written.set(Some(Instant::now()));
            return result;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        match stuck.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("nothing could be written for {limit:?}"),
            ))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = each!(&mut self.stream, inner => Pin::new(inner).poll_read(cx, buf));
        let read = (buf.filled().len() - before) as u64;
        self.life.received.set(self.life.received.get() + read);
        result
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = each!(&mut self.stream, inner => Pin::new(inner).poll_write(cx, bytes));
        self.watch(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result =
            each!(&mut self.stream, inner => Pin::new(inner).poll_write_vectored(cx, slices));
        self.watch(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        each!(&self.stream, inner => inner.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.stream, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.stream, inner => Pin::new(inner).poll_shutdown(cx))
    }
}
