//! The spans of traced messages: one where they come in, one for each invocation, one where they leave. Whoever is not traced
//! pays for asking whether anybody is.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use statera_core::{Input, InvocationId, Shard};
use statera_model::{Outcome, TraceContext};
use statera_ports::{Answer, Batch, Refusal, Request, SourceBatch, SourceRecord};
use statera_trace::{Kind, Span, Tracer};

use crate::host::{Host, Hosts};
use crate::ingress::IngressHandle;

/// The invocations of a shard that are traced and have not ended.
#[derive(Default)]
pub(crate) struct Traced {
    spans: HashMap<InvocationId, Vec<Span>, RandomState>,
}

impl Traced {
    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// An invocation begins. Each of its messages that is traced gets a span in its own trace. What the function does can't be
    /// told apart by message: it follows from the first of these spans, which is returned, and the others are linked to it.
    pub(crate) fn begin(
        &mut self,
        tracer: &Tracer,
        shard: &Shard,
        hosts: &mut Hosts,
        id: InvocationId,
    ) -> Option<TraceContext> {
        let parents = shard.traces(id);
        let (first, others) = parents.split_first()?;
        let invocation = shard.invocation(id)?;
        let kind = match hosts.host(invocation.function_number(), invocation.function()) {
            Some(Host::Remote(..)) => Kind::Client,
            Some(Host::Embedded { .. }) | None => Kind::Internal,
        };
        let span = |parent: &TraceContext| {
            let mut span = tracer.child(*parent, kind, invocation.function().to_string());
            span.text("statera.function", invocation.function().as_str());
            span.text("statera.id", &**invocation.id());
            span.number("statera.messages", invocation.messages().count() as u64);
            if invocation.is_retry() {
                span.text("statera.attempt", "retry");
            }
            span
        };
        let mut spans = vec![span(first)];
        let leading = spans[0].context();
        for parent in others {
            let mut other = span(parent);
            other.link(leading);
            spans[0].link(other.context());
            spans.push(other);
        }
        self.spans.insert(id, spans);
        Some(leading)
    }

    /// An invocation has ended so. Returns its spans, from the first of which follows what it did.
    pub(crate) fn end(&mut self, input: &Input) -> Vec<Span> {
        match input {
            Input::Completed { invocation, .. } | Input::Failed { invocation, .. } => {
                self.ended(*invocation, Some(input))
            }
            _ => Vec::new(),
        }
    }

    /// The same for one that ended in this way, or well.
    pub(crate) fn ended(&mut self, id: InvocationId, input: Option<&Input>) -> Vec<Span> {
        let mut spans = self.spans.remove(&id).unwrap_or_default();
        for span in &mut spans {
            match input {
                Some(Input::Completed { outcome: Outcome::Incomplete(_), .. }) => {
                    span.text("statera.outcome", "it asked for more states");
                }
                Some(Input::Failed { failure, .. }) => span.fail(&*failure.reason),
                _ => {}
            }
        }
        spans
    }
}

impl IngressHandle {
    /// A request comes in. From here on it follows from the span that is returned, if it is traced.
    pub(crate) fn enter(&self, request: &mut Request) -> Option<Span> {
        let parent = request.trace.take();
        let mut span = self.tracer()?.enter(parent, Kind::Server, || self.span_name())?;
        span.text("statera.target", request.target.to_string());
        request.trace = Some(span.context());
        Some(span)
    }

    /// The same for the records of a source.
    pub(crate) fn enter_all(&self, batch: &mut SourceBatch) -> Vec<Span> {
        let Some(tracer) = self.tracer() else { return Vec::new() };
        let mut spans = Vec::new();
        for record in &mut batch.records {
            let SourceRecord::Message { targets, trace, .. } = record else { continue };
            let parent = trace.take().map(|parent| *parent);
            let Some(mut span) = tracer.enter(parent, Kind::Consumer, || self.span_name()) else {
                continue;
            };
            for target in targets {
                span.text("statera.target", target.to_string());
            }
            if !batch.source.partition.is_empty() {
                span.text("statera.partition", &*batch.source.partition);
            }
            *trace = Some(Box::new(span.context()));
            spans.push(span);
        }
        spans
    }

    fn span_name(&self) -> String {
        format!("ingress {}", self.id())
    }
}

/// Says in a span what became of a call.
pub(crate) fn note_answer(span: &mut Option<Span>, result: &Result<Answer, Refusal>) {
    let Some(span) = span else { return };
    match result {
        Ok(Answer::Value(_)) => {}
        Ok(Answer::DeadLettered { id, reason }) => {
            span.text("statera.dead_letter", id.to_string());
            span.fail(&**reason);
        }
        Err(refusal) => span.fail(refusal.to_string()),
    }
}
