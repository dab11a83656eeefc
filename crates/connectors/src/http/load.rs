//! How much a server has taken on, counted against its limits.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Limits, Problem};

/// Requests and bytes that a server holds.
#[derive(Debug)]
pub(crate) struct Load {
    requests: AtomicUsize,
    requests_max: usize,
    body_bytes: AtomicUsize,
    body_bytes_max: usize,
}

/// A request that has been let in. Leaves when dropped.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    load: &'a Load,
    body_bytes: usize,
}

impl Load {
    pub(crate) fn new(limits: &Limits) -> Load {
        Load {
            requests: AtomicUsize::new(0),
            requests_max: limits.requests,
            body_bytes: AtomicUsize::new(0),
            // The largest body must always find room in an idle server.
            body_bytes_max: limits.bodies_bytes.max(limits.body_bytes),
        }
    }

    /// Lets a request in, or says that there are too many.
    pub(crate) fn admit(&self) -> Result<Admitted<'_>, Problem> {
        let admitted = Admitted { load: self, body_bytes: 0 };
        if self.requests.fetch_add(1, Ordering::Relaxed) >= self.requests_max {
            return Err(Problem::full(&format!(
                "{} requests are already waiting",
                self.requests_max
            )));
        }
        Ok(admitted)
    }
}

impl Admitted<'_> {
    /// Counts bytes of the body, until [`Admitted::release_body`] or the end of the request.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), Problem> {
        self.body_bytes += bytes;
        let before = self.load.body_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.load.body_bytes_max {
            return Err(Problem::full("too many bytes of request bodies are being read"));
        }
        Ok(())
    }

    /// The body is no longer held.
    pub(crate) fn release_body(&mut self) {
        self.load.body_bytes.fetch_sub(self.body_bytes, Ordering::Relaxed);
        self.body_bytes = 0;
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.release_body();
        self.load.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
