//! Hosted functions: the checkers must be content with an engine that works, and see one that does not.

mod broken;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use statera_model::{
    Address, Change, Delayed, Egress, Expiration, Failure, FailureKind, FunctionType, LocalReply,
    Name, Outgoing, Reply, StateSpec, TypedValue,
};
use statera_ports::{Answer, Batch, BoxFuture, Embedded};
use statera_sim::{Guests, Host, Hosting, Invariant, Report, Sabotage, Violation};

const TEXT: &str = "test/text";

/// A function of texts: `pay <id> <cents>`, `get <cents>`, `ask`, `save <cents> <ms>`, `spend`, `tell <word>`, `fail`.
struct Account {
    name: FunctionType,
    states: [StateSpec; 3],
    /// If it remembers something outside of its states.
    memory: Option<AtomicU64>,
}

impl Account {
    fn new(memory: Option<AtomicU64>) -> Account {
        let spec = |name: &str, expiration| StateSpec {
            name: name.into(),
            typename: TEXT.into(),
            expiration,
        };
        Account {
            name: name("test/account"),
            states: [
                spec("balance", Expiration::Never),
                spec("last", Expiration::AfterInvoke { ttl_ms: 500 }),
                spec("count", Expiration::Never),
            ],
            memory,
        }
    }
}

fn text(text: &str) -> TypedValue {
    TypedValue::new(TEXT, text.as_bytes())
}

fn read(value: &TypedValue) -> String {
    String::from_utf8(value.value().to_vec()).expect("text")
}

fn cents(word: &str) -> i64 {
    word.parse().expect("a number")
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn account(id: &str) -> Address {
    Address::new(name("test/account"), id)
}

fn messages(batch: &dyn Batch) -> Vec<(Option<Address>, String)> {
    (0..batch.messages())
        .map(|index| batch.message(index))
        .map(|(caller, value)| (caller.cloned(), read(value)))
        .collect()
}

impl Embedded for Account {
    fn name(&self) -> &FunctionType {
        &self.name
    }

    fn states(&self) -> &[StateSpec] {
        &self.states
    }

    fn waits(&self) -> bool {
        false
    }

    fn invoke(&self, batch: &dyn Batch, reply: &mut LocalReply) -> Result<(), Failure> {
        let number = |index, name| {
            let value = batch.state(index, name).map(read);
            value.map_or(0, |text| cents(&text))
        };
        let (mut balance, mut count) = (number(0, "balance"), number(2, "count"));
        let send = |target, words: String| Outgoing { target, argument: text(&words) };
        for (caller, words) in messages(batch) {
            count += 1;
            let words: Vec<&str> = words.split(' ').collect();
            match words[..] {
                ["pay", to, amount] => {
                    // In two parts, whose order shows.
                    let (amount, part) = (cents(amount), cents(amount) / 2);
                    balance -= amount;
                    for part in [part, amount - part] {
                        reply.messages.push(send(account(to), format!("get {part}")));
                    }
                }
                ["get", amount] => balance += cents(amount),
                ["save", amount, ms] => {
                    balance -= cents(amount);
                    let message = send(batch.target(), format!("get {amount}"));
                    let token = Some("saved".into());
                    reply.delayed.push(Delayed::Cancel { token: "saved".into() });
                    reply.delayed.push(Delayed::Send { delay_ms: cents(ms), message, token });
                }
                ["tell", _] => reply.egress.push(Egress {
                    egress: name(&format!("test/{}", words[1])),
                    argument: text(&format!("{} {count}", batch.id())),
                }),
                ["ask"] => {
                    reply.messages.push(send(caller.expect("it is called"), format!("{balance}")));
                }
                ["fail"] => return Err(Failure::new(FailureKind::Fatal, "as told")),
                _ => panic!("{words:?}"),
            }
        }
        if let Some(memory) = &self.memory {
            count = memory.fetch_add(1, Ordering::Relaxed) as i64;
        }
        for (place, value) in [(0, balance), (2, count), (1, count)] {
            reply.changes.push(Change { place, value: Some(text(&value.to_string())) });
        }
        Ok(())
    }

    fn start(&self, _: Arc<dyn Batch + Send>) -> BoxFuture<'static, Result<Reply, Failure>> {
        unreachable!("it never waits")
    }
}

fn hosting(seed: u64) -> Hosting {
    Hosting {
        seed,
        shards_max: 3,
        crashes_max: 4,
        repeatable: true,
        dead_letters: false,
        sabotage: None,
    }
}

fn host_with(hosting: Hosting, account: Account) -> Host {
    let guests =
        Guests { functions: vec![Arc::new(account)], show: read, wait: |_| unreachable!() };
    Host::new(hosting, guests).expect("an empty world is sound")
}

fn host(hosting: Hosting) -> Host {
    host_with(hosting, Account::new(None))
}

/// Accounts pay each other in circles, save, and tell the world.
fn live(host: &mut Host) -> Result<Report, Violation> {
    let mut told = 0;
    let mut kept = Vec::new();
    for round in 0..3 {
        for _ in 0..12 {
            let (from, to) = (host.random_below(5), host.random_below(5));
            let words = match host.random_below(5) {
                0 => format!("save 7 {}", host.random_below(600)),
                1 => "tell left".into(),
                2 => "tell right".into(),
                _ => format!("pay {to} {}", host.random_below(9)),
            };
            told += usize::from(words.starts_with("tell"));
            let after_ms = host.random_below(400);
            host.send(after_ms, account(&from.to_string()), &text(&words), true);
        }
        kept.push(host.send(0, account("x"), &text("get 1"), false));
        host.rest(10_000)?;
        let Answer::Value(_) = host.call(account(&round.to_string()), &text("ask"), 1_000)? else {
            panic!("given up");
        };
    }
    let report = host.finish()?;
    let [balance, _, _] = Account::new(None).states;
    let balances: Vec<i64> = (0..5)
        .filter_map(|id| host.state(&account(&id.to_string()), &balance))
        .map(|value| cents(&read(&value)))
        .collect();
    // Savings that were replaced are lost, but nothing else is, and nothing is won.
    let sum = balances.iter().sum::<i64>();
    assert!(sum <= 0 && sum % 7 == 0, "{balances:?}");
    let out = |egress: &str| host.arrived(&name(egress)).len();
    assert_eq!(out("test/left") + out("test/right"), told);
    let got = host.state(&account("x"), &balance).map_or(0, |value| cents(&read(&value)) as usize);
    let known = kept.iter().filter(|request| host.is_acknowledged(**request)).count();
    assert!((known..=kept.len()).contains(&got), "{known} {got}");
    Ok(report)
}

#[test]
fn all_invariants_hold_for_hosted_functions() {
    let mut sum = Report::default();
    for seed in 0..200 {
        let mut host = host(hosting(seed));
        let result = live(&mut host);
        let report = result.unwrap_or_else(|violation| {
            panic!("{}seed {seed}: {violation}", host.trace_tail());
        });
        sum.crashes += report.crashes;
        sum.lost += report.lost;
        sum.loads += report.loads;
        sum.invocations += report.invocations;
        sum.linked.completed += report.linked.completed;
        sum.linked.failed += report.linked.failed;
    }
    assert!(sum.crashes > 200 && sum.lost > 200 && sum.loads > 200, "{sum:#?}");
    let (linked, remote) = (sum.linked.completed, sum.invocations - sum.linked.completed);
    assert!(linked > 2_000 && remote > 2_000 && sum.linked.failed > 100, "{sum:#?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(live(&mut host(hosting(5))).unwrap(), live(&mut host(hosting(5))).unwrap());
}

/// In one of the first worlds the checker of this invariant is the one that reports the sabotage.
#[track_caller]
fn reported(invariant: Invariant, sabotage: Sabotage) {
    let mut others = Vec::new();
    for seed in 0..60 {
        let mut host = host(Hosting { sabotage: Some(sabotage), ..hosting(seed) });
        match live(&mut host) {
            Err(violation) if violation.invariant == invariant => return,
            Err(violation) => others.push(violation.to_string()),
            Ok(_) => {}
        }
    }
    panic!("{sabotage:?} is not reported as {invariant:?}, only as {others:#?}");
}

#[test]
fn a_broken_engine_is_seen() {
    for (invariant, sabotage) in broken::ANYWHERE {
        reported(invariant, sabotage);
    }
}

#[test]
fn a_function_that_remembers_something_by_itself_is_seen() {
    let mut host = host_with(hosting(1), Account::new(Some(AtomicU64::new(0))));
    for _ in 0..50 {
        host.send(0, account("a"), &text("get 1"), true);
    }
    let violation = host.rest(0).unwrap_err();
    assert_eq!(violation.invariant, Invariant::Functions);
    assert!(violation.what.contains("first it sets `count`"), "{violation}");
}

#[test]
fn a_message_that_is_given_up_is_seen_unless_it_may_be() {
    let mut strict = host(hosting(1));
    strict.send(0, account("a"), &text("fail"), true);
    let violation = strict.rest(0).unwrap_err();
    assert_eq!(violation.what, "`test/account/a` did not process fail: as told");
    let mut lenient = host(Hosting { dead_letters: true, ..hosting(1) });
    lenient.send(0, account("a"), &text("fail"), true);
    lenient.finish().unwrap();
    assert_eq!(lenient.given_up().len(), 1);
}

#[test]
fn delayed_messages_beyond_the_horizon_wait() {
    let mut host = host(hosting(1));
    host.send(0, account("a"), &text("save 5 90000"), true);
    host.rest(60_000).unwrap();
    let balance = Account::new(None).states[0].clone();
    assert_eq!(host.state(&account("a"), &balance).map(|value| read(&value)), Some("-5".into()));
    assert_eq!(host.waiting().len(), 1);
    assert_eq!(read(&host.waiting()[0].argument), "get 5");
    assert!(host.now_ms() < 60_000);
    host.advance(100_000).unwrap();
    assert!(host.now_ms() >= 100_000 && host.waiting().is_empty());
    assert_eq!(host.state(&account("a"), &balance).map(|value| read(&value)), Some("0".into()));
}

#[test]
fn functions_that_never_rest_are_seen() {
    let mut host = host(Hosting { crashes_max: 0, ..hosting(1) });
    host.send(0, account("a"), &text("save 5 30"), true);
    let violation = host.call(account("nobody"), &text("get 1"), 100).unwrap_err();
    assert_eq!(violation.what, "nobody answers the call of `test/account/nobody`");
}
