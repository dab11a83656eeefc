//! The functions of the simulated world: what each message makes them do, and how their endpoints answer.
//!
//! What a message does depends on nothing but its id, its work and its target, so that the checkers know the whole tree
//! of messages that grows from a root before the first of them is processed. What may vary (who is served in one
//! batch, how often an endpoint fails) must not matter: that is what is being tested.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use statera_core::{CALL_FUNCTION, OnFailure, Policy};
use statera_model::{
    Address, Delayed, Egress, EgressId, Expiration, Failure, FailureKind, FunctionType, Mutation,
    Name, Outcome, Outgoing, Reply, StateChange, StateSpec, TypedValue,
};

use crate::image::is_call;
use crate::life::{Answered, Asked, Fate};
use crate::random::{Random, hash};

pub(crate) const PLAIN: &str = "sim/plain";
/// Declares its states one after the other.
pub(crate) const SHY: &str = "sim/shy";
/// Its endpoint does not answer now and then, and has few places.
pub(crate) const FLAKY: &str = "sim/flaky";
/// Its endpoint takes three messages at most.
pub(crate) const NARROW: &str = "sim/narrow";
pub(crate) const PAUSING: &str = "sim/pausing";
pub(crate) const STUBBORN: &str = "sim/stubborn";
/// Nobody serves it.
pub(crate) const NOBODY: &str = "sim/nobody";

pub(crate) const SERVED: [&str; 6] = [PLAIN, SHY, FLAKY, NARROW, PAUSING, STUBBORN];
pub(crate) const EGRESSES: [&str; 2] = ["sim/out", "sim/audit"];
pub(crate) const TEXT: &str = "sim/text";
const NARROW_MAX: usize = 3;
const RING: u64 = 3;

/// What a message asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Count,
    /// Goes round a ring of addresses.
    Relay(u64),
    /// Sends this many further ones, this deep.
    Fan(u64, u64),
    /// Takes money, and sends it to another account.
    Transfer(i64),
    Credit(i64),
    /// Sends a delayed message.
    Later(u64),
    /// Sends a delayed message, and lets another type cancel it.
    Race(u64),
    Cancel(String),
    /// Sends, cancels and sends again under one token.
    Reschedule(u64),
    Emit,
    /// Answers its caller.
    Answer,
    /// Lets another function answer its caller.
    Ask,
    Tell(String),
    /// The rest fails until it is repaired; then it answers.
    Poison,
    Fatal,
    /// Takes its endpoint down.
    Killer,
    /// A reply that must be refused.
    Bad(u64),
}

impl Work {
    pub(crate) fn fails(&self) -> bool {
        matches!(self, Work::Poison | Work::Fatal | Work::Killer | Work::Bad(_))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) work: Work,
}

impl Message {
    fn new(id: String, work: Work) -> Message {
        Message { id, work }
    }

    pub(crate) fn value(&self) -> TypedValue {
        text(&format!("{} {}", self.id, self.work))
    }

    pub(crate) fn parse(value: &TypedValue) -> Message {
        let text = read_text(value);
        let mut words = text.split(' ');
        let id = words.next().expect("an id").to_owned();
        let word = words.next().expect("a word");
        let mut argument = || words.next().expect("an argument").to_owned();
        let mut number = || argument().parse::<u64>().expect("a number");
        let work = match word {
            "count" => Work::Count,
            "relay" => Work::Relay(number()),
            "fan" => Work::Fan(number(), number()),
            "transfer" => Work::Transfer(number() as i64),
            "credit" => Work::Credit(number() as i64),
            "later" => Work::Later(number()),
            "race" => Work::Race(number()),
            "cancel" => Work::Cancel(argument()),
            "reschedule" => Work::Reschedule(number()),
            "emit" => Work::Emit,
            "answer" => Work::Answer,
            "ask" => Work::Ask,
            "tell" => Work::Tell(argument()),
            "poison" => Work::Poison,
            "fatal" => Work::Fatal,
            "killer" => Work::Killer,
            "bad" => Work::Bad(number()),
            other => panic!("unknown work {other}"),
        };
        Message { id, work }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::Count => f.write_str("count"),
            Work::Relay(hops) => write!(f, "relay {hops}"),
            Work::Fan(width, depth) => write!(f, "fan {width} {depth}"),
            Work::Transfer(amount) => write!(f, "transfer {amount}"),
            Work::Credit(amount) => write!(f, "credit {amount}"),
            Work::Later(delay) => write!(f, "later {delay}"),
            Work::Race(delay) => write!(f, "race {delay}"),
            Work::Cancel(token) => write!(f, "cancel {token}"),
            Work::Reschedule(delay) => write!(f, "reschedule {delay}"),
            Work::Emit => f.write_str("emit"),
            Work::Answer => f.write_str("answer"),
            Work::Ask => f.write_str("ask"),
            Work::Tell(caller) => write!(f, "tell {caller}"),
            Work::Poison => f.write_str("poison"),
            Work::Fatal => f.write_str("fatal"),
            Work::Killer => f.write_str("killer"),
            Work::Bad(how) => write!(f, "bad {how}"),
        }
    }
}

/// What a function does with one message, in order.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Send { target: Address, message: Message },
    Later { delay_ms: u64, target: Address, message: Message, token: Option<String> },
    Cancel { token: String },
    Emit { egress: &'static str, text: String },
    Answer { call: String, text: String },
    Add(i64),
}

/// What `address` does with `message`. `ids` is how many instances of each type there are.
pub(crate) fn act(
    address: &Address,
    caller: Option<&Address>,
    message: &Message,
    ids: u64,
) -> Vec<Act> {
    let child = |n: u64, work| Message::new(format!("{}.{n}", message.id), work);
    let send = |message: Message| Act::Send { target: place(&message.id, ids), message };
    let answer = |call: &str| Act::Answer { call: call.to_owned(), text: answer_text(&message.id) };
    match &message.work {
        Work::Count => Vec::new(),
        Work::Relay(0) => vec![Act::Add(1)],
        Work::Relay(hops) => {
            let message = child(0, Work::Relay(hops - 1));
            vec![Act::Send { target: ring(*hops), message }]
        }
        Work::Fan(width, depth) => (0..*width)
            .map(|n| {
                let deeper = if *depth > 0 { Work::Fan(*width, depth - 1) } else { Work::Count };
                send(child(n, deeper))
            })
            .collect(),
        Work::Transfer(amount) => vec![Act::Add(-amount), send(child(0, Work::Credit(*amount)))],
        Work::Credit(amount) => vec![Act::Add(*amount)],
        Work::Later(delay_ms) => {
            let message = child(0, Work::Count);
            let target = place(&message.id, ids);
            vec![Act::Later { delay_ms: *delay_ms, target, message, token: None }]
        }
        Work::Race(delay_ms) => {
            let delayed = child(0, Work::Count);
            let token = delayed.id.clone();
            let cancel = child(1, Work::Cancel(token.clone()));
            let function = if address.function.as_str() == PLAIN { SHY } else { PLAIN };
            let canceller = Address::new(name(function), address.id.clone());
            vec![
                Act::Later {
                    delay_ms: *delay_ms,
                    target: place(&delayed.id, ids),
                    message: delayed,
                    token: Some(token),
                },
                Act::Send { target: canceller, message: cancel },
            ]
        }
        Work::Cancel(token) => vec![Act::Cancel { token: token.clone() }],
        Work::Reschedule(delay_ms) => {
            let token = message.id.clone();
            let later = |n| {
                let message = child(n, Work::Count);
                let target = place(&message.id, ids);
                Act::Later { delay_ms: *delay_ms, target, message, token: Some(token.clone()) }
            };
            vec![later(0), Act::Cancel { token: token.clone() }, later(1)]
        }
        Work::Emit => {
            let egress = EGRESSES[(hash(&message.id) % 2) as usize];
            vec![Act::Emit { egress, text: format!("{address} {}", message.id) }]
        }
        Work::Ask => {
            // The checkers do not know the caller, and a redriven message has none.
            let call =
                caller.filter(|caller| is_call(caller)).map_or("nobody", |caller| &caller.id);
            let message = child(0, Work::Tell(call.to_owned()));
            vec![Act::Send { target: ring(hash(&message.id)), message }]
        }
        Work::Tell(call) => vec![answer(call)],
        Work::Answer | Work::Poison | Work::Fatal | Work::Killer | Work::Bad(_) => caller
            .filter(|caller| is_call(caller))
            .map(|caller| answer(&caller.id))
            .into_iter()
            .collect(),
    }
}

/// What the answer to a call holds: the root of the message that caused it.
pub(crate) fn answer_text(id: &str) -> String {
    let root = id.split('.').next().expect("split gives one part at least");
    format!("re {root}")
}

fn ring(hops: u64) -> Address {
    let function = if hops.is_multiple_of(2) { PLAIN } else { SHY };
    Address::new(name(function), format!("ring{}", hops % RING))
}

/// Where a message goes, by its id.
pub(crate) fn place(id: &str, ids: u64) -> Address {
    let hash = hash(id);
    let function = match (hash >> 8) % 50 {
        0 => NOBODY,
        _ => SERVED[((hash >> 16) % 6) as usize],
    };
    Address::new(name(function), format!("k{}", hash % ids))
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

pub(crate) fn text(text: &str) -> TypedValue {
    TypedValue::new(TEXT, text.as_bytes())
}

pub(crate) fn read_text(value: &TypedValue) -> String {
    String::from_utf8(value.value().to_vec()).expect("text")
}

/// The states of a type: the messages consumed, what they add up to, and one that expires.
pub(crate) fn states_of(function: &FunctionType) -> Vec<StateSpec> {
    let expiration = match function.as_str() {
        PLAIN => Expiration::AfterInvoke { ttl_ms: 400 },
        SHY => Expiration::AfterWrite { ttl_ms: 300 },
        _ => Expiration::Never,
    };
    let spec =
        |name: &str, expiration| StateSpec { name: name.into(), typename: TEXT.into(), expiration };
    vec![spec("log", Expiration::Never), spec("sum", Expiration::Never), spec("recent", expiration)]
}

/// Which function types are linked into the process, of those that are [served](SERVED).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkedTypes([bool; SERVED.len()]);

impl LinkedTypes {
    pub(crate) const ALL: LinkedTypes = LinkedTypes([true; SERVED.len()]);
    const NONE: LinkedTypes = LinkedTypes([false; SERVED.len()]);

    /// In some worlds all or none, in most some.
    pub(crate) fn draw(random: &mut Random) -> LinkedTypes {
        match random.below(6) {
            0 => LinkedTypes::NONE,
            1 => LinkedTypes::ALL,
            _ => LinkedTypes(std::array::from_fn(|_| random.one_in(2))),
        }
    }

    pub(crate) fn without(self, function: &str) -> LinkedTypes {
        let LinkedTypes(linked) = self;
        LinkedTypes(std::array::from_fn(|place| linked[place] && SERVED[place] != function))
    }

    pub(crate) fn has(self, function: &FunctionType) -> bool {
        SERVED.iter().zip(self.0).any(|(served, linked)| linked && *served == function.as_str())
    }
}

/// How the functions of a type are invoked.
pub(crate) fn policy(function: &FunctionType, linked: LinkedTypes) -> Option<Policy> {
    let usual = Policy {
        inline: linked.has(function),
        batch_messages: 1_000,
        in_flight: 10,
        budget_ms: 300,
        backoff_min_ms: 4,
        backoff_max_ms: 64,
        on_failure: OnFailure::DeadLetter,
    };
    match function.as_str() {
        NOBODY | CALL_FUNCTION => None,
        FLAKY => Some(Policy { in_flight: 2, ..usual }),
        NARROW => Some(Policy { batch_messages: 10, ..usual }),
        PAUSING => Some(Policy { on_failure: OnFailure::Pause, ..usual }),
        STUBBORN => Some(Policy { on_failure: OnFailure::Retry, ..usual }),
        _ => Some(usual),
    }
}

/// What an endpoint is asked, read.
struct Task {
    target: Address,
    states: BTreeMap<String, String>,
    messages: Vec<(Option<Address>, Message)>,
}

impl Task {
    fn read(asked: Asked) -> Task {
        let states = asked.states.into_iter();
        let messages = asked.messages.into_iter();
        Task {
            target: asked.target,
            states: states
                .filter_map(|(name, value)| Some((name.to_string(), read_text(&value?))))
                .collect(),
            messages: messages
                .map(|(caller, argument)| (caller, Message::parse(&argument)))
                .collect(),
        }
    }
}

/// What the endpoint of a function answers.
pub(crate) fn answer(asked: Asked, repaired: bool, ids: u64) -> Answered {
    let function = asked.target.function.as_str();
    if function == NARROW && asked.messages.len() > NARROW_MAX {
        return Answered::Failure(Failure::new(FailureKind::TooLarge, "too large"));
    }
    let mut missing = states_of(&asked.target.function);
    missing.retain(|spec| !asked.has(&spec.name));
    if !missing.is_empty() {
        missing.truncate(if function == SHY { 1 } else { missing.len() });
        return Answered::Outcome { outcome: Outcome::Incomplete(missing), fate: Fate::Taken };
    }
    let task = Task::read(asked);
    let failing = task.messages.iter().find(|(_, message)| message.work.fails());
    let failure = |kind, reason: &str| Answered::Failure(Failure::new(kind, reason));
    match failing.filter(|_| !repaired) {
        None => {
            Answered::Outcome { outcome: Outcome::Complete(run(&task, ids)), fate: Fate::Taken }
        }
        Some((_, message)) => match &message.work {
            Work::Poison => failure(FailureKind::Rejected, "poison"),
            Work::Fatal => failure(FailureKind::Fatal, "fatal"),
            Work::Killer => failure(FailureKind::Unavailable, "killed"),
            Work::Bad(how) => {
                let reply = spoil(run(&task, ids), *how, &message.id);
                Answered::Outcome { outcome: Outcome::Complete(reply), fate: Fate::Refused }
            }
            _ => unreachable!("only failing work fails"),
        },
    }
}

fn run(task: &Task, ids: u64) -> Reply {
    let mut reply = Reply::default();
    let state = |name: &str| task.states.get(name).cloned().unwrap_or_default();
    let mut log = state("log");
    let mut sum: i64 = state("sum").parse().unwrap_or(0);
    for (caller, message) in &task.messages {
        if !log.is_empty() {
            log.push(' ');
        }
        log.push_str(&message.id);
        for act in act(&task.target, caller.as_ref(), message, ids) {
            perform(act, &mut reply, &mut sum);
        }
    }
    let recent = task.messages.last().expect("a batch is never empty").1.id.clone();
    for (name, value) in [("log", log), ("sum", sum.to_string()), ("recent", recent)] {
        let change = StateChange::Modify(text(&value));
        reply.mutations.push(Mutation { state: name.into(), change });
    }
    reply
}

fn perform(act: Act, reply: &mut Reply, sum: &mut i64) {
    match act {
        Act::Send { target, message } => {
            reply.messages.push(Outgoing { target, argument: message.value() });
        }
        Act::Later { delay_ms, target, message, token } => reply.delayed.push(Delayed::Send {
            delay_ms: delay_ms as i64,
            message: Outgoing { target, argument: message.value() },
            token: token.map(Arc::from),
        }),
        Act::Cancel { token } => reply.delayed.push(Delayed::Cancel { token: token.into() }),
        Act::Emit { egress, text: record } => {
            reply.egress.push(Egress { egress: name(egress), argument: text(&record) });
        }
        Act::Answer { call, text: answer } => reply.messages.push(Outgoing {
            target: Address::new(name(CALL_FUNCTION), call),
            argument: text(&answer),
        }),
        Act::Add(amount) => *sum += amount,
    }
}

/// Makes a good reply one that must be refused, with a message in it that must therefore never arrive.
fn spoil(mut reply: Reply, how: u64, id: &str) -> Reply {
    let phantom = || Outgoing {
        target: Address::new(name(PLAIN), "phantom"),
        argument: Message::new(format!("phantom:{id}"), Work::Count).value(),
    };
    reply.messages.insert(0, phantom());
    let delayed = |delay_ms, token: &str| Delayed::Send {
        delay_ms,
        message: phantom(),
        token: Some(token.into()),
    };
    let mutation = |state: &str, typename: &str| Mutation {
        state: state.into(),
        change: StateChange::Modify(TypedValue::new(typename, b"")),
    };
    match how % 6 {
        0 => reply.mutations.push(mutation("undeclared", TEXT)),
        1 => reply.mutations.push(mutation("log", "sim/other")),
        2 => {
            let egress = EgressId::parse("sim/unknown").expect("a name");
            reply.egress.push(Egress { egress, argument: text("phantom") });
        }
        3 => reply.delayed.push(delayed(-1, "t")),
        4 => reply.delayed.extend([delayed(1, "twice"), delayed(1, "twice")]),
        _ => reply.delayed.push(Delayed::Cancel { token: "".into() }),
    }
    reply
}
