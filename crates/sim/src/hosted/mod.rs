//! Hosted functions: anybody's, watched while they run.
//!
//! They are invoked as an engine would, and worse: answers get lost after the function has run, so that it runs again; the
//! engine crashes between any two events. What comes of each message is written down in a [ledger](mod@ledger), against
//! which the durable image is checked.

mod check;
mod host;
mod ledger;
mod tag;

use std::collections::BTreeMap;
use std::sync::Arc;

use statera_core::{CALL_FUNCTION, Directory, Limits, OnFailure, Policy};
use statera_model::{
    Address, Delayed, EgressId, Failure, FailureKind, FunctionType, LocalReply, Outcome, Outgoing,
    Reply, StateChange, StateSpec, TypedValue,
};
use statera_ports::{Accepts, Answer, BoxFuture, Embedded, Refusal};

use crate::life::{Answered, Asked, Attempt, Fate, Life};
use crate::random::{Random, hash};
use crate::settings::{Sabotage, Settings, small_limits};
use crate::violation::{Checked, Invariant, violated};
use crate::world::World;
use check::Check;
use ledger::{LEDGER, Ledger};

pub use host::{GivenUp, Host, Waiting};

/// Why an invocation fails whose outcome got lost.
const LOST: &str = "the connection was lost";
/// How often in a row the outcome for one address gets lost. A third time it could look as if a message were to blame.
const LOST_IN_A_ROW_MAX: u32 = 2;
/// One in so many invocations is made a second time, to see whether the function answers the same.
const REPEAT_ONE_IN: u64 = 4;
/// The image is checked after every so many epochs, less often the more there is to check.
const CHECK_ONE_IN: u64 = 10;
const CHECK_MESSAGES: u64 = 1_000;

/// The sinks. All records of one egress leave by one of them, so that nobody has to declare egresses beforehand.
const DOORS: [&str; 2] = ["io.statera.sim/left", "io.statera.sim/right"];

/// The functions that live in a world, and how to deal with them.
#[derive(Clone)]
pub struct Guests {
    /// The functions, each with a name of its own.
    pub functions: Vec<Arc<dyn Embedded>>,
    /// What a value is to people, in traces.
    pub show: fn(&TypedValue) -> String,
    /// Waits for a function that is not done at once.
    pub wait: fn(BoxFuture<'static, Ran>) -> Ran,
}

/// What a function does, or why it fails.
pub type Ran = Result<Reply, Failure>;

/// What a world of hosted functions is like.
#[derive(Clone, Debug)]
pub struct Hosting {
    /// The seed of everything that is random.
    pub seed: u64,
    /// Each start of the engine has between one and this many shards.
    pub shards_max: u16,
    /// The most crashes. How soon they come depends on the seed.
    pub crashes_max: u64,
    /// Whether a function must answer the same invocation in the same way. Else a run can't be repeated.
    pub repeatable: bool,
    /// Whether messages may be given up.
    pub dead_letters: bool,
    /// What is broken.
    pub sabotage: Option<Sabotage>,
}

pub(crate) struct Hosted {
    functions: BTreeMap<FunctionType, Arc<dyn Embedded>>,
    guests: Guests,
    hosting: Hosting,
    policy: Policy,
    /// One in so many outcomes gets lost; 0 for none.
    lose_one_in: u64,
    /// How often in a row they got lost.
    lost: BTreeMap<Address, u32>,
    ledger: Ledger,
}

/// What gets lost of an invocation.
#[derive(PartialEq, Eq)]
enum Loss {
    Nothing,
    Request,
    /// The function has run, but nobody knows.
    Reply,
}

impl Hosted {
    fn new(hosting: Hosting, guests: Guests) -> (Settings, Hosted) {
        let mut random = Random::new(hosting.seed ^ 0x5eed);
        let shards_max = hosting.shards_max.max(1);
        let settings = Settings {
            seed: hosting.seed,
            sabotage: hosting.sabotage,
            limits: Limits {
                state_bytes: random.between(300, 10_000) as usize,
                idempotency_keys: usize::MAX,
                ..small_limits(&mut random)
            },
            shards: random.between(1, shards_max.into()) as u16,
            shards_max,
            key_groups: 128,
            crash_one_in: [15, 50, 200, 800][random.below(4) as usize],
            crashes_max: hosting.crashes_max,
            busy_one_in: [2, 5, 20][random.below(3) as usize],
        };
        let policy = Policy {
            // Functions of an SDK may as well be behind an endpoint.
            inline: random.one_in(2),
            batch_messages: [1, 3, 1_000][random.below(3) as usize],
            in_flight: random.between(1, 10) as usize,
            budget_ms: 60_000,
            backoff_min_ms: 4,
            backoff_max_ms: 5_000,
            on_failure: OnFailure::DeadLetter,
        };
        let functions =
            guests.functions.iter().map(|function| (function.name().clone(), function.clone()));
        let hosted = Hosted {
            functions: functions.collect(),
            policy,
            lose_one_in: [0, 5, 20][random.below(3) as usize],
            lost: BTreeMap::new(),
            ledger: Ledger::default(),
            guests,
            hosting,
        };
        (settings, hosted)
    }

    fn serves(&self, function: &FunctionType) -> bool {
        self.functions.contains_key(function)
    }

    fn run(&self, asked: &Asked) -> Ran {
        let function = &self.functions[&asked.target.function];
        if function.waits() {
            return (self.guests.wait)(function.start(Arc::new(asked.clone())));
        }
        let mut reply = LocalReply::default();
        function.invoke(asked, &mut reply)?;
        Ok(reply.named(function.states()))
    }

    /// What the function itself is asked: neither the ledger nor the numbers of the messages are its business. Also the attempt
    /// before, and the numbers.
    fn unmarked(&self, asked: Asked) -> Checked<(Asked, Option<usize>, Vec<usize>)> {
        let state = |name: &str| {
            asked.states.iter().find(|(known, _)| **known == *name).and_then(|(_, v)| v.clone())
        };
        let previous = state(LEDGER).and_then(|value| ledger::entry(&value));
        let specs = self.functions[&asked.target.function].states().iter();
        let states = specs.map(|spec| (spec.name.clone(), state(&spec.name))).collect();
        let (mut numbers, mut messages) = (Vec::new(), Vec::new());
        for (caller, argument) in asked.messages {
            let Some((number, argument)) = tag::read(&argument) else {
                return violated(Invariant::ExactlyOnce, format!("nobody sent {argument:?}"));
            };
            numbers.push(number);
            messages.push((caller, argument));
        }
        Ok((Asked { target: asked.target, states, messages }, previous, numbers))
    }
}

impl World<Hosted> {
    fn loss(&mut self, target: &Address) -> Loss {
        let lost = self.life.lost.entry(target.clone()).or_default();
        if *lost >= LOST_IN_A_ROW_MAX || !self.random.one_in(self.life.lose_one_in) {
            *lost = 0;
            return Loss::Nothing;
        }
        *lost += 1;
        self.figures.lost += 1;
        if self.random.one_in(3) { Loss::Request } else { Loss::Reply }
    }

    /// Lets the function do it again, and compares.
    fn check_repeatable(&mut self, asked: &Asked, first: &Ran) -> Checked {
        if !self.life.hosting.repeatable || !self.random.one_in(REPEAT_ONE_IN) {
            return Ok(());
        }
        self.trace.note(self.now, format_args!("{} is made to do it again", asked.target));
        match (first, self.life.run(asked)) {
            (Ok(first), Ok(second)) if *first != second => {
                let difference = difference(first, &second, self.life.guests.show);
                let what = format!(
                    "`{}` does not do the same when it is invoked a second time with the same state and messages: \
                     {difference}; hint: what a function remembers anywhere but in its cells it counts twice, or loses",
                    asked.target
                );
                violated(Invariant::Functions, what)
            }
            _ => Ok(()),
        }
    }

    fn check_not_early(&self, numbers: &[usize]) -> Checked {
        for number in numbers {
            let delay = &self.life.ledger.messages[*number].delay;
            if delay.as_ref().is_some_and(|delay| delay.due > self.now) {
                let what = format!("message {number} arrives before it is due: {delay:?}");
                return violated(Invariant::Order, what);
            }
        }
        Ok(())
    }

    fn ask_function(&mut self, asked: Asked) -> Checked<Answered> {
        let mut missing = self.life.states(&asked.target.function);
        missing.retain(|spec| !asked.has(&spec.name));
        if !missing.is_empty() {
            let one = self.random.one_in(3);
            missing.truncate(if one { 1 } else { missing.len() });
            let outcome = Outcome::Incomplete(missing);
            return Ok(Answered::Outcome { outcome, fate: Fate::Taken });
        }
        let (asked, previous, numbers) = self.life.unmarked(asked)?;
        self.check_not_early(&numbers)?;
        let lost = || Answered::Failure(Failure::new(FailureKind::Unavailable, LOST));
        let loss = self.loss(&asked.target);
        if loss == Loss::Request {
            return Ok(lost());
        }
        let result = self.life.run(&asked);
        self.check_repeatable(&asked, &result)?;
        if loss == Loss::Reply {
            self.trace
                .note(self.now, format_args!("{} has run, its reply gets lost", asked.target));
            return Ok(lost());
        }
        Ok(match result {
            Ok(reply) => {
                let ledger = &mut self.life.ledger;
                let reply = ledger.attempt(&asked.target, previous, numbers, reply, self.now);
                Answered::Outcome { outcome: Outcome::Complete(reply), fate: Fate::Open }
            }
            Err(failure) => {
                for number in numbers {
                    let message = &mut self.life.ledger.messages[number];
                    message.failures.insert(failure.reason.clone());
                }
                Answered::Failure(failure)
            }
        })
    }
}

/// The sink by which the records of an egress leave.
fn door(egress: &EgressId) -> usize {
    (hash(egress.as_str()) % DOORS.len() as u64) as usize
}

fn door_of(egress: &EgressId) -> EgressId {
    EgressId::parse(DOORS[door(egress)]).expect("a name")
}

/// What a reply does, one after the other.
fn effects(reply: &Reply, show: impl Fn(&TypedValue) -> String) -> Vec<String> {
    let mutations = reply.mutations.iter().filter(|mutation| *mutation.state != *LEDGER);
    let states = mutations.map(|mutation| match &mutation.change {
        StateChange::Modify(value) => format!("sets `{}` to {}", mutation.state, show(value)),
        StateChange::Delete => format!("removes `{}`", mutation.state),
    });
    let messages = reply.messages.iter();
    let messages = messages.map(|m| format!("sends {} to {}", show(&m.argument), m.target));
    let delays = reply.delayed.iter().map(|delay| match delay {
        Delayed::Cancel { token } => format!("cancels `{token}`"),
        Delayed::Send { delay_ms, message: Outgoing { target, argument }, token } => {
            let token = token.as_ref().map(|token| format!(" `{token}`")).unwrap_or_default();
            format!("sends {}{token} to {target} in {delay_ms} ms", show(argument))
        }
    });
    let records = reply.egress.iter();
    let records = records.map(|record| format!("emits {}", show(&record.argument)));
    states.chain(messages).chain(delays).chain(records).collect()
}

/// The first thing in which two replies differ.
fn difference(one: &Reply, other: &Reply, show: fn(&TypedValue) -> String) -> String {
    let (one, other) = (effects(one, show), effects(other, show));
    let place = (0..one.len().max(other.len())).find(|place| one.get(*place) != other.get(*place));
    let at = |effects: &[String]| match place.and_then(|place| effects.get(place)) {
        Some(effect) => effect.clone(),
        None => "does nothing more".to_owned(),
    };
    format!("first it {}, then it {}", at(&one), at(&other))
}

impl Life for Hosted {
    type Event = std::convert::Infallible;

    fn directory(&self) -> Directory {
        let policy = |function| Policy { inline: self.is_linked(function), ..self.policy };
        let names = self.functions.keys();
        let policies: BTreeMap<FunctionType, Policy> =
            names.map(|function| (function.clone(), policy(function))).collect();
        Arc::new(move |function| policies.get(function).copied())
    }

    fn is_linked(&self, function: &FunctionType) -> bool {
        let function = self.functions.get(function);
        self.policy.inline && function.is_some_and(|function| !function.waits())
    }

    fn egresses(&self) -> Vec<(EgressId, Accepts)> {
        let accepts: Accepts = Arc::new(|_| Ok(()));
        let open = |name| (EgressId::parse(name).expect("a name"), accepts.clone());
        DOORS.into_iter().map(open).collect()
    }

    fn states(&self, function: &FunctionType) -> Vec<StateSpec> {
        let specs = self.functions.get(function).map_or(&[][..], |function| function.states());
        specs.iter().cloned().chain([ledger::ledger_spec()]).collect()
    }

    fn show(&self, value: &TypedValue) -> String {
        match tag::read(value) {
            Some((number, value)) => format!("{} #{number}", (self.guests.show)(&value)),
            None => (self.guests.show)(value),
        }
    }

    fn show_reply(&self, reply: &Reply) -> String {
        let effects = effects(reply, |value| self.show(value));
        if effects.is_empty() { "does nothing".to_owned() } else { effects.join(", ") }
    }

    fn answer(world: &mut World<Hosted>, asked: Asked) -> Checked<Attempt> {
        let answered = world.ask_function(asked)?;
        Ok(Attempt { answered, delay_ms: world.usual_delay_ms() })
    }

    fn happen(_: &mut World<Hosted>, event: Self::Event) -> Checked {
        match event {}
    }

    fn accepted(_: &mut World<Hosted>, _: usize, _: Option<&Answer>) -> Checked {
        Ok(())
    }

    fn refused(world: &mut World<Hosted>, person: usize, refusal: &Refusal) -> Checked {
        let target = &world.people[person].request.target;
        let what = match refusal {
            Refusal::NotCovered(function) if function.as_str() != CALL_FUNCTION => {
                format!("function `{function}` is not here")
            }
            other => format!("a message for `{target}` was refused: {other}"),
        };
        violated(Invariant::Functions, what)
    }

    fn started(_: &mut World<Hosted>) -> Checked {
        Ok(())
    }

    fn check_image(world: &World<Hosted>) -> Checked {
        Check::new(world)?.always()
    }

    fn check_one_in(&self) -> u64 {
        CHECK_ONE_IN + self.ledger.messages.len() as u64 / CHECK_MESSAGES
    }
}
