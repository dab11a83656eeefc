//! The seeded life: everything that will be asked is drawn from a seed beforehand, and with it what must come of it.

mod book;
mod check;
mod functions;
mod outside;
mod plan;

use std::sync::Arc;

use statera_core::{Directory, Shard};
use statera_model::{EgressId, Failure, FailureKind, FunctionType, StateSpec, TypedValue};
use statera_ports::{Accepts, Answer, Refusal};

use crate::life::{Answered, Asked, Attempt, Life};
use crate::settings::Sabotage;
use crate::violation::{Checked, Invariant, violated};
use crate::world::{Event, World};
use crate::{Failed, Report};
use book::Book;
use check::{Findings, Outside};
use functions::{EGRESSES, FLAKY, TEXT, answer, name, policy, read_text, states_of};
use outside::{Occasion, Source};

pub use plan::Plan;

/// Longer than anything legitimate takes after faults stopped.
const PATIENCE_MS: u64 = 300_000;
const EVENTS_MAX: u64 = 3_000_000;
/// How long an endpoint that is down takes to say so, where that matters.
const HANGS_MS: u64 = 5_000;
/// How often the durable image is checked.
const CHECK_ONE_IN: u64 = 10;

pub(crate) struct Seeded {
    plan: Plan,
    book: Book,
    sources: Vec<Source>,
    /// Records that are none: their place, source and number.
    malformed: Vec<(String, usize, usize)>,
    /// Whether the last connection to the flaky endpoint was lost.
    lost: bool,
}

/// Runs a world to its end.
pub(crate) fn run(plan: Plan) -> Result<Report, Box<Failed>> {
    let seeded = Seeded {
        plan: plan.clone(),
        book: Book::default(),
        sources: Vec::new(),
        malformed: Vec::new(),
        lost: false,
    };
    let mut world = World::new(plan.settings, seeded);
    match world.play() {
        Ok(()) => Ok(Report {
            trace_hash: world.trace.hash(),
            messages: world.life.book.entries.len(),
            ..world.figures
        }),
        Err(violation) => {
            let trace_tail = world.trace.tail();
            Err(Box::new(Failed { seed: world.settings.seed, violation, trace_tail }))
        }
    }
}

impl World<Seeded> {
    fn play(&mut self) -> Checked {
        self.populate();
        self.start()?;
        self.at(self.life.plan.calm_at, Event::Outside(Occasion::Calm));
        while self.step()? {
            self.check_patience()?;
        }
        self.check_end()
    }

    fn check_patience(&self) -> Checked {
        let late = self.now.since(self.life.plan.calm_at) > PATIENCE_MS;
        if late || self.figures.events > EVENTS_MAX {
            let figures: Vec<_> = self.process.shards.iter().map(Shard::figures).collect();
            let what = format!("there is no end after faults stopped: {figures:?}");
            return violated(Invariant::Progress, what);
        }
        Ok(())
    }

    fn findings(&self) -> Checked<Findings> {
        let findings = Findings::read(&self.durable);
        findings.check(&Outside {
            book: &self.life.book,
            destinations: self.endpoints.iter().map(|endpoint| &endpoint.written[..]).collect(),
            malformed: &self.life.malformed,
        })?;
        Ok(findings)
    }

    /// Nothing is going to happen any more: everything must be done.
    fn check_end(&mut self) -> Checked {
        for person in &self.people {
            person.check_end()?;
        }
        for (index, shard) in self.process.shards.iter().enumerate() {
            shard.check();
            let figures = shard.figures();
            let busy = figures.mail
                + figures.in_flight
                + figures.delayed
                + figures.outbox
                + figures.dead_letters
                + figures.paused
                + figures.traced;
            if busy > 0 {
                let what = format!("shard {index} is not done: {figures:?}");
                return violated(Invariant::Progress, what);
            }
        }
        for source in &self.life.sources {
            source.check_end()?;
        }
        self.findings()?.check_done(&self.life.book)?;
        self.check_memory()
    }

    fn ask_endpoint(&mut self, asked: Asked) -> Answered {
        let (now, plan) = (self.now, &self.life.plan);
        if asked.target.function.as_str() == FLAKY && !self.calm {
            let outage = plan.outages.iter().any(|(from, to)| (*from..*to).contains(&now));
            // A connection is lost now and then, but not again and again, and not beside outages: together they could
            // look as if a message were to blame.
            self.life.lost = plan.outages.is_empty() && !self.life.lost && self.random.one_in(10);
            if outage || self.life.lost {
                return Answered::Failure(Failure::new(FailureKind::Unavailable, "down"));
            }
        }
        answer(asked, self.calm, self.life.plan.ids)
    }

    fn answer_delay_ms(&mut self, function: &FunctionType) -> u64 {
        let plan = &self.life.plan;
        let flaky = function.as_str() == FLAKY;
        let stops = self.settings.sabotage == Some(Sabotage::StopWithTheFailing);
        if stops && !self.calm && !flaky {
            return plan.calm_at.since(self.now);
        }
        if plan.timed && !self.calm && flaky {
            return HANGS_MS; // It keeps its place for as long as it can.
        }
        self.usual_delay_ms()
    }
}

impl Life for Seeded {
    type Event = Occasion;

    fn directory(&self) -> Directory {
        let linked = self.plan.linked;
        Arc::new(move |function| policy(function, linked))
    }

    fn egresses(&self) -> Vec<(EgressId, Accepts)> {
        let accepts: Accepts = Arc::new(|value: &TypedValue| match value.typename() {
            TEXT => Ok(()),
            other => Err(format!("type {other}")),
        });
        EGRESSES.iter().map(|egress| (name(egress), accepts.clone())).collect()
    }

    fn states(&self, function: &FunctionType) -> Vec<StateSpec> {
        states_of(function)
    }

    fn is_linked(&self, function: &FunctionType) -> bool {
        self.plan.linked.has(function)
    }

    fn show(&self, value: &TypedValue) -> String {
        read_text(value)
    }

    fn answer(world: &mut World<Seeded>, asked: Asked) -> Checked<Attempt> {
        let function = asked.target.function.clone();
        let answered = world.ask_endpoint(asked);
        Ok(Attempt { answered, delay_ms: world.answer_delay_ms(&function) })
    }

    fn happen(world: &mut World<Seeded>, event: Occasion) -> Checked {
        match event {
            Occasion::Read(source) => world.read_source(source),
            Occasion::Operate => world.operate(),
            Occasion::Calm => {
                world.trace.note(world.now, format_args!("calm"));
                world.calm = true;
                Ok(())
            }
        }
    }

    fn accepted(world: &mut World<Seeded>, person: usize, answer: Option<&Answer>) -> Checked {
        world.heard(person, answer)
    }

    fn refused(world: &mut World<Seeded>, person: usize, refusal: &Refusal) -> Checked {
        world.turned_away(person, refusal)
    }

    fn started(world: &mut World<Seeded>) -> Checked {
        world.recover_sources();
        world.later(50, Event::Outside(Occasion::Operate));
        Ok(())
    }

    fn check_image(world: &World<Seeded>) -> Checked {
        world.findings().map(drop)
    }

    fn check_one_in(&self) -> u64 {
        CHECK_ONE_IN
    }
}
