//! Which messages are traced, and what becomes of their spans.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use statera_model::TraceContext;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::span::{Kind, Record, Span};

/// Spans that wait to be exported; more are dropped. A few MiB.
const QUEUE_MAX: usize = 8_192;

/// Makes spans. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Tracer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Traces that begin here are sampled if their random number is not larger.
    threshold: Option<u64>,
    random: RandomState,
    counter: AtomicU64,
    queue: Sender<Record>,
    exported: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// What became of spans since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Spans that the collector has taken.
    pub exported: u64,
    /// Spans for which there was no room in the queue.
    pub dropped: u64,
    /// Spans that the collector did not take.
    pub failed: u64,
}

impl Tracer {
    pub(crate) fn new(sample: f64) -> (Tracer, Receiver<Record>) {
        let (queue, spans) = mpsc::channel(QUEUE_MAX);
        // The product is at most as large as an u64 can be; the cast saturates.
        let threshold = (sample > 0.0).then_some((sample * u64::MAX as f64) as u64);
        let inner = Inner {
            threshold,
            random: RandomState::new(),
            counter: AtomicU64::new(0),
            queue,
            exported: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        (Tracer { inner: Arc::new(inner) }, spans)
    }

    /// A span for a message that comes from outside, unless it is not to be traced: whoever sent it decides, if they say
    /// where it belongs; otherwise the share that is configured.
    #[must_use]
    pub fn enter(
        &self,
        parent: Option<TraceContext>,
        kind: Kind,
        name: impl FnOnce() -> String,
    ) -> Option<Span> {
        match parent {
            Some(parent) => parent.sampled.then(|| self.child(parent, kind, name())),
            None => {
                let chance = self.random();
                self.inner.threshold.is_some_and(|threshold| chance <= threshold).then(|| {
                    let trace = u128::from(self.random()) << 64 | u128::from(self.random());
                    let context = TraceContext {
                        trace: trace.to_be_bytes(),
                        span: self.span_id(),
                        sampled: true,
                    };
                    Span::begin(self.clone(), context, None, (name(), kind))
                })
            }
        }
    }

    /// A span that follows from another one.
    #[must_use]
    pub fn child(&self, parent: TraceContext, kind: Kind, name: String) -> Span {
        let context = TraceContext { span: self.span_id(), ..parent };
        Span::begin(self.clone(), context, Some(parent.span), (name, kind))
    }

    /// What became of the spans so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            exported: read(&self.inner.exported),
            dropped: read(&self.inner.dropped),
            failed: read(&self.inner.failed),
        }
    }

    pub(crate) fn ended(&self, record: Record) {
        if self.inner.queue.try_send(record).is_err() {
            self.inner.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn exported(&self, spans: usize, taken: bool) {
        let counter = if taken { &self.inner.exported } else { &self.inner.failed };
        counter.fetch_add(spans as u64, Ordering::Relaxed);
    }

    /// Zero is not an id; it comes up once in the life of the universe.
    fn span_id(&self) -> [u8; 8] {
        self.random().max(1).to_be_bytes()
    }

    /// Numbers that nobody outside can foresee: a counter through a keyed hash.
    fn random(&self) -> u64 {
        self.inner.random.hash_one(self.inner.counter.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(sampled: bool) -> TraceContext {
        TraceContext { trace: [7; 16], span: [9; 8], sampled }
    }

    fn enter(tracer: &Tracer, parent: Option<TraceContext>) -> Option<Span> {
        tracer.enter(parent, Kind::Server, || "in".to_owned())
    }

    #[test]
    fn whoever_sends_decides() {
        let (tracer, _queue) = Tracer::new(0.0);
        assert!(enter(&tracer, None).is_none());
        let span = enter(&tracer, Some(parent(true))).unwrap();
        assert_eq!(span.context().trace, [7; 16]);
        assert_ne!(span.context().span, [9; 8]);
        let (tracer, _queue) = Tracer::new(1.0);
        assert!(enter(&tracer, Some(parent(false))).is_none());
    }

    #[test]
    fn of_the_others_a_share_is_traced() {
        for (sample, expected) in [(0.0, 0..=0), (0.1, 800..=1200), (1.0, 10_000..=10_000)] {
            let (tracer, _queue) = Tracer::new(sample);
            let traced = (0..10_000).filter(|_| enter(&tracer, None).is_some()).count();
            assert!(expected.contains(&traced), "{traced} of 10,000 for {sample}");
        }
    }

    #[test]
    fn spans_that_find_no_room_are_counted() {
        let (tracer, queue) = Tracer::new(1.0);
        for _ in 0..QUEUE_MAX + 3 {
            drop(enter(&tracer, None));
        }
        assert_eq!(tracer.figures().dropped, 3);
        drop(queue);
        drop(enter(&tracer, None));
        assert_eq!(tracer.figures().dropped, 4);
    }
}
