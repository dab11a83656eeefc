//! What functions may do, seen through the interface that hosts use.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use statera_sdk::{
    Address, App, Batch, Cell, Context, Error, Failure, FailureKind, Function, FunctionType,
    IntoValue, Message, Problem, Reply, Result, ResultExt, TypedValue, Value, one_of,
};

const COUNT: Cell<i32> = Cell::new("count");
const NOTE: Cell<String> = Cell::new("note");

struct TestBatch {
    target: Address,
    states: BTreeMap<&'static str, TypedValue>,
    messages: Vec<(Option<Address>, TypedValue)>,
}

impl Batch for TestBatch {
    fn function(&self) -> &statera_sdk::Name {
        &self.target.function
    }

    fn id(&self) -> &statera_sdk::Id {
        &self.target.id
    }

    fn state(&self, _: usize, name: &str) -> Option<&TypedValue> {
        self.states.get(name)
    }

    fn messages(&self) -> usize {
        self.messages.len()
    }

    fn message(&self, index: usize) -> (Option<&Address>, &TypedValue) {
        let (caller, argument) = &self.messages[index];
        (caller.as_ref(), argument)
    }
}

fn value(value: impl IntoValue) -> TypedValue {
    value.into_value().unwrap()
}

fn batch<M: IntoValue>(messages: impl IntoIterator<Item = M>) -> TestBatch {
    TestBatch {
        target: Address::new(FunctionType::parse("test/f").unwrap(), "a"),
        states: BTreeMap::new(),
        messages: messages.into_iter().map(|message| (None, value(message))).collect(),
    }
}

fn only(app: App) -> Function {
    app.build().unwrap().iter().next().unwrap().clone()
}

/// Runs the only function of an app.
fn run(app: App, batch: &TestBatch) -> Result<Reply, Failure> {
    only(app).invoke(batch)
}

fn counter() -> App {
    App::new().function("test/f", COUNT, |ctx, add: i32| ctx.update(COUNT, |count| count + add))
}

/// The changes of a reply as text.
fn changes(reply: &Reply) -> Vec<String> {
    let change = |mutation: &statera_model::Mutation| match &mutation.change {
        statera_model::StateChange::Delete => format!("{} removed", mutation.state),
        statera_model::StateChange::Modify(value) => {
            format!("{} = {}", mutation.state, Message::from(value.clone()))
        }
    };
    reply.mutations.iter().map(change).collect()
}

#[test]
fn each_message_of_a_batch_sees_what_the_one_before_left() {
    let mut batch = batch([1, 2, 3]);
    batch.states.insert("count", value(10));
    assert_eq!(changes(&run(counter(), &batch).unwrap()), ["count = int 16"]);
}

#[test]
fn a_cell_that_is_only_read_is_not_reported() {
    let app = App::new().function("test/f", (COUNT, NOTE), |ctx, _: i32| {
        assert_eq!(ctx.get(COUNT)?, Some(5));
        assert!(ctx.has(COUNT)? && !ctx.has(NOTE)?);
        Ok(())
    });
    let mut batch = batch([1]);
    batch.states.insert("count", value(5));
    assert_eq!(run(app, &batch), Ok(Reply::default()));
}

#[test]
fn a_value_that_is_not_touched_is_not_decoded() {
    struct Undecodable;
    impl Value for Undecodable {
        const TYPENAME: &'static str = "test/Undecodable";
        fn encode(&self, _: &mut Vec<u8>) -> Result<(), statera_sdk::BoxError> {
            Ok(())
        }
        fn decode(_: &[u8]) -> Result<Self, statera_sdk::BoxError> {
            panic!("nobody asked for it")
        }
    }
    const OTHER: Cell<Undecodable> = Cell::new("other");
    let app = App::new().function("test/f", OTHER, |ctx, _: i32| ctx.has(OTHER));
    let mut batch = batch([1]);
    batch.states.insert("other", value(Undecodable));
    assert!(run(app, &batch).is_ok());
}

#[test]
fn removing_what_is_not_there_changes_nothing() {
    let script = |steps: &'static [Option<i32>], stored: Option<i32>| {
        let app = App::new().function("test/f", COUNT, move |ctx, _: i32| {
            for step in steps {
                match step {
                    Some(value) => ctx.set(COUNT, *value),
                    None => ctx.remove(COUNT),
                }
                assert_eq!(ctx.get(COUNT)?, *step);
            }
            Ok(())
        });
        let mut batch = batch([1]);
        batch.states.extend(stored.map(|stored| ("count", value(stored))));
        changes(&run(app, &batch).unwrap())
    };
    assert_eq!(script(&[None], None), [""; 0]);
    assert_eq!(script(&[Some(1), None], None), [""; 0]);
    assert_eq!(script(&[Some(1), None, Some(2)], None), ["count = int 2"]);
    assert_eq!(script(&[None], Some(7)), ["count removed"]);
    assert_eq!(script(&[Some(1), None], Some(7)), ["count removed"]);
    assert_eq!(script(&[None, Some(1)], Some(7)), ["count = int 1"]);
}

#[test]
fn a_state_that_says_it_has_no_value_has_none() {
    let none = TypedValue::from_encoded(b"\x0a\x16io.statefun.types/long"[..].into()).unwrap();
    let app = App::new().function("test/f", COUNT, |ctx, _: i32| {
        assert_eq!(ctx.get(COUNT)?, None);
        Ok(())
    });
    let mut batch = batch([1]);
    batch.states.insert("count", none);
    assert!(run(app, &batch).is_ok());
}

#[test]
fn what_is_returned_goes_to_the_caller() {
    let caller = Address::new(FunctionType::parse("test/g").unwrap(), "b");
    let mut batch = batch([1, 2]);
    batch.messages[1].0 = Some(caller.clone());
    let reply = run(counter(), &batch).unwrap();
    assert_eq!(reply.messages.len(), 1);
    assert_eq!(reply.messages[0].target, caller);
    assert_eq!(reply.messages[0].argument, value(3));

    let app = App::new().function("test/f", (), |_, n: i32| Ok((n > 1).then_some("many")));
    batch.messages[0].0 = Some(caller);
    let reply = run(app, &batch).unwrap();
    assert_eq!(reply.messages.len(), 1);
    assert_eq!(reply.messages[0].argument, value("many"));
}

#[test]
fn effects_keep_their_order() {
    let app = App::new().function("test/f", (), |ctx, _: i32| {
        ctx.send("test/g/1", 1);
        ctx.cancel("t");
        ctx.send_after(Duration::from_micros(1_500), ctx.this(), 2).token("t");
        ctx.send_after(Duration::MAX, ("test/g", ctx.id()), 3);
        ctx.egress("test/out", "x");
        ctx.send("test/g/2", 4);
        Ok(())
    });
    let reply = run(app, &batch([0])).unwrap();
    expect_test::expect![[r#"
        Reply {
            messages: [
                Outgoing {
                    target: test/g/1,
                    argument: io.statefun.types/int(b"\r\x01\0\0\0"),
                },
                Outgoing {
                    target: test/g/2,
                    argument: io.statefun.types/int(b"\r\x04\0\0\0"),
                },
            ],
            delayed: [
                Cancel {
                    token: "t",
                },
                Send {
                    delay_ms: 2,
                    message: Outgoing {
                        target: test/f/a,
                        argument: io.statefun.types/int(b"\r\x02\0\0\0"),
                    },
                    token: Some(
                        "t",
                    ),
                },
                Send {
                    delay_ms: 9223372036854775807,
                    message: Outgoing {
                        target: test/g/a,
                        argument: io.statefun.types/int(b"\r\x03\0\0\0"),
                    },
                    token: None,
                },
            ],
            egress: [
                Egress {
                    egress: test/out,
                    argument: io.statefun.types/string(b"\n\x01x"),
                },
            ],
            mutations: [],
        }
    "#]]
    .assert_debug_eq(&reply);
}

/// The failure of a function that does this on its only message.
fn failure(code: impl Fn(&mut Context<'_>, i32) -> Result + Send + Sync + 'static) -> Failure {
    run(App::new().function("test/f", COUNT, code), &batch([1])).unwrap_err()
}

fn effect(effect: impl Fn(&mut Context<'_>) + Send + Sync + 'static) -> Failure {
    failure(move |ctx, _| {
        effect(ctx);
        Ok(())
    })
}

#[test]
fn the_error_decides_what_becomes_of_the_message() {
    fn parse() -> Result<(), std::num::ParseIntError> {
        "x".parse::<i32>().map(drop)
    }
    let kind = |failure: Failure| failure.kind;
    assert_eq!(kind(failure(|_, _| Ok(parse()?))), FailureKind::Rejected);
    assert_eq!(kind(failure(|_, _| Err(Error::retry("later")))), FailureKind::Rejected);
    assert_eq!(kind(failure(|_, _| parse().or_dead_letter())), FailureKind::Fatal);
    assert_eq!(kind(failure(|_, _| Err(Error::unavailable("down")))), FailureKind::Unavailable);
    assert_eq!(
        failure(|_, _| Ok(parse()?)).to_string(),
        "`test/f/a` failed on `io.statefun.types/int`: invalid digit found in string"
    );
}

#[test]
fn impossible_effects_fail_the_invocation() {
    let reason = |failure: Failure| {
        assert_eq!(failure.kind, FailureKind::Rejected);
        failure.reason.split_once(": ").unwrap().1.to_owned()
    };
    let name = "`nowhere` is not of the form `<namespace>/<name>`";
    assert_eq!(reason(effect(|ctx| ctx.send("nowhere", 1))), name);
    assert_eq!(reason(effect(|ctx| ctx.egress("nowhere", 1))), name);
    let late = |ctx: &mut Context<'_>| ctx.send_after(Duration::ZERO, "nowhere", 1).token("t");
    assert_eq!(reason(effect(late)), name);
    let token = "a cancellation token is empty";
    assert_eq!(reason(effect(|ctx| ctx.cancel(""))), token);
    let unnamed = |ctx: &mut Context<'_>| ctx.send_after(Duration::ZERO, "a/b/c", 1).token("");
    assert_eq!(reason(effect(unnamed)), token);
}

#[test]
fn a_cell_that_was_not_declared_is_said_to_be_so() {
    let reason = "`test/f/a` failed on `io.statefun.types/int`: cell `note` is not declared by \
                  function `test/f`; hint: name it where the function is registered";
    assert_eq!(&*failure(|ctx, _| ctx.get(NOTE).map(drop)).reason, reason);
    assert_eq!(&*effect(|ctx| ctx.set(NOTE, "x".into())).reason, reason);
    assert_eq!(&*effect(|ctx| ctx.remove(NOTE)).reason, reason);

    const OTHER: Cell<i64> = Cell::new("count");
    let reason = "`test/f/a` failed on `io.statefun.types/int`: cell `count` of function `test/f` \
                  is declared as `io.statefun.types/int` and used as `io.statefun.types/long`";
    assert_eq!(&*effect(|ctx| ctx.set(OTHER, 1)).reason, reason);
}

#[test]
fn a_stored_value_that_cannot_be_read_is_tried_again() {
    let mut batch = batch([1]);
    batch.states.insert("count", TypedValue::new("io.statefun.types/int", b"\x08\x01"));
    let failure = run(counter(), &batch).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Rejected);
    assert!(failure.reason.contains("cannot read cell `count`: the bytes are not"), "{failure}");
}

#[test]
fn a_message_of_another_type_is_a_dead_letter() {
    let failure = run(counter(), &batch(["text"])).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Fatal);
    assert_eq!(
        &*failure.reason,
        "`test/f/a` failed on `io.statefun.types/string`: a value of type `io.statefun.types/int` \
         is expected, this one is of type `io.statefun.types/string`"
    );
}

#[test]
fn one_message_that_fails_undoes_the_batch() {
    let app = App::new().function("test/f", COUNT, |ctx, n: i32| {
        ctx.set(COUNT, n);
        if n == 2 { Err(Error::dead_letter("two")) } else { Ok(()) }
    });
    let failure = run(app, &batch([1, 2, 3])).unwrap_err();
    assert_eq!(
        &*failure.reason,
        "`test/f/a` failed on `io.statefun.types/int`, message 2 of 3: two"
    );
}

#[test]
fn a_panic_is_a_failure_and_the_function_goes_on() {
    let function = only(App::new().function("test/f", COUNT, |ctx, n: i32| {
        assert!(n >= 0, "negative: {n}");
        ctx.update(COUNT, |count| count + n)
    }));
    let failure = function.invoke(&batch([1, -1])).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Rejected);
    assert!(failure.reason.ends_with("the function panicked: negative: -1"), "{failure}");
    assert_eq!(changes(&function.invoke(&batch([1])).unwrap()), ["count = int 1"]);
}

one_of! {
    #[derive(Debug, PartialEq)]
    enum Event { Number(i32), Text(String) }
}

#[test]
fn an_enum_takes_what_its_variants_hold() {
    let app = || {
        App::new().function("test/f", (), |ctx, event: Event| {
            let doubled = match event {
                Event::Number(n) => Event::Number(2 * n),
                Event::Text(text) => Event::Text(text.repeat(2)),
            };
            ctx.send("test/g/x", doubled);
            Ok(())
        })
    };
    let sent =
        |message: TypedValue| run(app(), &batch([message])).unwrap().messages[0].argument.clone();
    assert_eq!(sent(value(4)), value(8));
    assert_eq!(sent(value("ab")), value("abab"));
    let failure = run(app(), &batch([true])).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Fatal);
    assert!(
        failure.reason.ends_with("none of `io.statefun.types/int`, `io.statefun.types/string`")
    );
}

#[test]
fn registrations_are_checked_all_at_once() {
    const ZERO: Cell<i32> = Cell::new("zero").expires_after_write(Duration::from_micros(999));
    const EMPTY: Cell<i32> = Cell::new("");
    let app = App::new()
        .function("nowhere", (), |_, _: i32| Ok(()))
        .function("test/f", (COUNT, COUNT, ZERO, EMPTY), |_, _: i32| Ok(()))
        .merge(counter());
    let error = app.build().unwrap_err();
    assert_eq!(error.problems().len(), 5);
    assert!(matches!(error.problems()[4], Problem::FunctionTwice(_)));
    expect_test::expect![[
        r#"the functions can't be served: the name of a function, `nowhere` is not of the form `<namespace>/<name>`; function `test/f` has two cells `count`; cell `zero` of function `test/f` expires after less than a millisecond; a cell of function `test/f` has no name; function `test/f` is registered twice"#
    ]]
    .assert_eq(&error.to_string());
}

async fn patient(mut ctx: Context<'static>, add: i32) -> Result<i32> {
    tokio::task::yield_now().await;
    if add < 0 {
        panic!("negative");
    }
    ctx.send(("test/g", ctx.id()), add);
    ctx.update(COUNT, |count| count + add)
}

#[tokio::test]
async fn an_asynchronous_function_does_what_a_synchronous_one_does() {
    let function = only(App::new().function_async("test/f", COUNT, patient));
    let mut numbers = batch([1, 2]);
    numbers.states.insert("count", value(10));
    let reply = function.invoke_async(Arc::new(numbers)).await.unwrap();
    assert_eq!(changes(&reply), ["count = int 13"]);
    assert_eq!(reply.messages.len(), 2);

    let failure = function.invoke_async(Arc::new(batch([1, -1]))).await.unwrap_err();
    assert!(
        failure.reason.ends_with("message 2 of 2: the function panicked: negative"),
        "{failure}"
    );
    let failure = function.invoke_async(Arc::new(batch(["x"]))).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Fatal);

    assert!(function.is_async());
    let failure = function.invoke(&batch([1])).unwrap_err();
    assert!(failure.reason.contains("is asynchronous"), "{failure}");
}

#[tokio::test]
async fn a_context_that_outlives_its_function_is_an_error() {
    let (keep, kept) = std::sync::mpsc::channel();
    let function = only(App::new().function_async("test/f", COUNT, move |ctx, _: i32| {
        let keep = keep.clone();
        async move {
            keep.send(ctx).expect("the test listens");
            Ok(())
        }
    }));
    let failure = function.invoke_async(Arc::new(batch([1]))).await.unwrap_err();
    assert!(failure.reason.contains("left its context to others"), "{failure}");
    drop(kept);
}

#[test]
fn functions_run_on_many_threads_at_once() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let function = only(App::new().function("test/f", COUNT, move |ctx, add: i32| {
        counted.fetch_add(1, Ordering::Relaxed);
        ctx.update(COUNT, |count| count + add)
    }));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..100 {
                    let reply = function.invoke(&batch([n])).unwrap();
                    assert_eq!(changes(&reply), [format!("count = int {n}")]);
                }
            });
        }
    });
    assert_eq!(runs.load(Ordering::Relaxed), 400);
}
