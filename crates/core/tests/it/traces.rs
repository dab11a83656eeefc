//! Which messages belong to which traces, on their way through shards, time, and out.

use statera_core::{Input, Limits, RequestKind, Ticket};
use statera_model::{Name, TraceContext};
use statera_ports::{Request, SourceBatch, SourceId, SourceRecord};

use crate::world::{Invoked, Make, World, at, reply, text};

fn span(number: u8) -> TraceContext {
    TraceContext { trace: [7; 16], span: [number; 8], sampled: true }
}

/// A message from outside that follows from a span, or from none.
fn enter(world: &mut World, target: &str, trace: Option<TraceContext>) {
    let shard = world.owner(&at(target).id);
    let request = Request { target: at(target), argument: text("m"), idempotency_key: None, trace };
    let (ticket, kind) = (Ticket(1_000 + shard as u64), RequestKind::Send);
    world.apply(shard, Input::Request { ticket, request, kind });
}

fn traces(world: &World, invoked: &Invoked) -> Vec<TraceContext> {
    world.shards[invoked.shard].traces(invoked.id)
}

/// What it answers follows from this span.
fn answer_in(world: &mut World, invoked: &Invoked, trace: TraceContext, make: Make) {
    world.shards[invoked.shard].trace(Some(trace));
    world.answer(invoked, make);
    world.shards[invoked.shard].trace(None);
}

fn traced_mail(world: &World) -> usize {
    world.shards.iter().map(|shard| shard.figures().traced).sum()
}

#[test]
fn what_a_traced_message_leads_to_is_traced_and_nothing_else() {
    for shards in [1, 3] {
        let mut world = World::with(shards, Limits::default(), &[]);
        enter(&mut world, "a/1", Some(span(1)));
        enter(&mut world, "other/1", None);
        let other = world.invocation_of("other/1");
        assert_eq!(traces(&world, &other), []);
        let first = world.invocation_of("a/1");
        assert_eq!(traces(&world, &first), [span(1)]);
        answer_in(&mut world, &first, span(2), reply().send("b/2", "m").send("c/3", "m"));
        world.answer(&other, reply().send("d/4", "m"));
        for (target, expected) in [("b/2", vec![span(2)]), ("c/3", vec![span(2)]), ("d/4", vec![])]
        {
            let invoked = world.invocation_of(target);
            assert_eq!(traces(&world, &invoked), expected, "{target} of {shards}");
            world.answer(&invoked, reply());
        }
        assert_eq!(traced_mail(&world), 0);
    }
}

#[test]
fn messages_of_one_batch_keep_their_own_traces() {
    let mut world = World::new();
    enter(&mut world, "a/1", None);
    let running = world.invocation();
    for trace in [Some(span(1)), None, Some(span(2))] {
        enter(&mut world, "a/1", trace);
    }
    world.answer(&running, reply());
    let batch = world.invocation();
    assert_eq!(batch.messages.len(), 3);
    assert_eq!(traces(&world, &batch), [span(1), span(2)]);
}

#[test]
fn a_delayed_message_keeps_its_trace() {
    let mut world = World::new();
    enter(&mut world, "a/1", Some(span(1)));
    let invoked = world.invocation();
    let later = reply().later(50, "b/2", "m").cancellable("t", 60, "c/3", "m");
    answer_in(&mut world, &invoked, span(2), later);
    enter(&mut world, "a/1", None);
    let invoked = world.invocation();
    world.answer(&invoked, reply().cancel("t").later(70, "d/4", "m"));
    world.pass(100);
    let invoked = world.invocation_of("b/2");
    assert_eq!(traces(&world, &invoked), [span(2)]);
    let invoked = world.invocation_of("d/4");
    assert_eq!(traces(&world, &invoked), []);
}

#[test]
fn records_of_sources_and_egresses_are_traced() {
    let mut world = World::new();
    let record = |trace| SourceRecord::Message {
        targets: vec![at("a/1"), at("a/2")],
        argument: text("m"),
        trace,
    };
    let source = SourceId { ingress: Name::parse("e/in").unwrap(), partition: "".into() };
    let records = vec![record(Some(Box::new(span(1)))), record(None)];
    let batch = SourceBatch { source, records, position: "2".into() };
    world.apply(0, Input::Deliver(batch));
    for target in ["a/1", "a/2"] {
        let invoked = world.invocation_of(target);
        assert_eq!(traces(&world, &invoked), [span(1)], "{target}");
        assert_eq!(invoked.messages.len(), 2);
        answer_in(&mut world, &invoked, span(2), reply().emit("out"));
    }
    enter(&mut world, "a/1", None);
    let invoked = world.invocation();
    world.answer(&invoked, reply().emit("out"));
    world.commit();
    assert_eq!(world.egress_traces, [Some(span(2)), Some(span(2)), None]);
}
