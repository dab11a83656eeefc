//! The test kit itself.

use std::time::Duration;

use statera_sdk::testing::Harness;
use statera_sdk::{App, Cell, Context, Error, FailureKind, Message, Result};

const COUNT: Cell<i32> = Cell::new("count");
const SHORT: Cell<i32> = Cell::new("short").expires_after_write(Duration::from_secs(10));
const USED: Cell<i32> = Cell::new("used").expires_after_invoke(Duration::from_secs(10));

/// Passes a number on to the next id until it is used up, then tells `demo/end`.
fn relay(ctx: &mut Context<'_>, left: i32) -> Result {
    ctx.update(COUNT, |count| count + 1)?;
    match left {
        ..0 => return Err(Error::dead_letter("less than nothing")),
        0 => ctx.send("demo/end/x", "done"),
        _ => ctx.send(("demo/relay", left.to_string()), left - 1),
    }
    Ok(())
}

fn relays() -> Harness {
    Harness::new(App::new().function("demo/relay", COUNT, relay))
}

#[test]
fn messages_are_kept_until_they_are_delivered() {
    let mut demo = relays();
    demo.send("demo/relay/a", 2);
    assert_eq!(demo.sent().len(), 1);
    assert_eq!(demo.sent()[0].to.to_string(), "demo/relay/2");
    assert_eq!(demo.state("demo/relay/2", COUNT), None);
    demo.run_until_idle();
    assert_eq!(demo.state("demo/relay/2", COUNT), Some(1));
    assert_eq!(demo.state("demo/relay/1", COUNT), Some(1));
    let sent = demo.take_sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].to.to_string(), sent[0].message.get::<String>().unwrap()),
        ("demo/end/x".into(), "done".into())
    );
    assert!(demo.sent().is_empty());
}

#[test]
fn with_routing_messages_go_by_themselves() {
    let mut demo = relays().routing();
    demo.send("demo/relay/a", 3);
    assert_eq!(demo.sent().len(), 1);
    expect_test::expect![[r#"
        0s demo/relay/a: int 3
          -> demo/relay/3: int 2
          count = int 1
        0s demo/relay/3 from demo/relay/a: int 2
          -> demo/relay/2: int 1
          count = int 1
        0s demo/relay/2 from demo/relay/3: int 1
          -> demo/relay/1: int 0
          count = int 1
        0s demo/relay/1 from demo/relay/2: int 0
          -> demo/end/x: string "done"
          count = int 1
    "#]]
    .assert_eq(demo.transcript());
}

#[test]
#[should_panic = "still busy after 10000 messages"]
fn functions_that_never_come_to_an_end_are_stopped() {
    let app = App::new().function("demo/ping", (), |ctx, n: i32| {
        ctx.send(ctx.this(), n);
        Ok(())
    });
    Harness::new(app).routing().send("demo/ping/a", 1);
}

#[test]
fn values_expire() {
    let app = App::new().function("demo/f", (SHORT, USED), |ctx, write: bool| {
        let before = (ctx.get(SHORT)?, ctx.get(USED)?);
        if write {
            ctx.set(SHORT, 1);
            ctx.set(USED, 1);
        }
        ctx.reply(format!("{before:?}"));
        Ok(())
    });
    let mut demo = Harness::new(app);
    let mut call = |after_s, write| {
        demo.advance(Duration::from_secs(after_s));
        demo.call::<String>("demo/f/a", write)
    };
    assert_eq!(call(0, true), "(None, None)");
    assert_eq!(call(9, false), "(Some(1), Some(1))");
    assert_eq!(call(1, false), "(None, Some(1))");
    assert_eq!(call(9, false), "(None, Some(1))");
    assert_eq!(call(10, false), "(None, None)");
}

fn reminder(ctx: &mut Context<'_>, message: Message) -> Result {
    if !message.is::<i32>() {
        ctx.cancel("ring");
        return Ok(());
    }
    let seconds = message.get::<i32>()?.unsigned_abs();
    ctx.send_after(Duration::from_secs(seconds.into()), "demo/bell/x", "ring").token("ring");
    Ok(())
}

#[test]
fn delayed_messages_can_be_cancelled_by_the_id_that_sent_them() {
    let mut demo = Harness::new(App::new().function("demo/reminder", (), reminder));
    demo.send("demo/reminder/a", 60);
    demo.send("demo/reminder/b", 30);
    let due: Vec<_> = demo.delayed().iter().map(|pending| pending.due_in.as_secs()).collect();
    assert_eq!(due, [30, 60]);
    demo.send("demo/reminder/a", "stop");
    demo.send("demo/reminder/c", "stop");
    assert_eq!(demo.delayed().len(), 1);
    demo.advance(Duration::from_secs(29));
    assert!(demo.sent().is_empty());
    demo.advance(Duration::from_secs(1));
    assert_eq!(demo.sent()[0].from.to_string(), "demo/reminder/b");
    assert_eq!(demo.now(), Duration::from_secs(30));
}

#[test]
fn a_token_that_is_pending_cannot_be_used_again() {
    let mut demo = Harness::new(App::new().function("demo/reminder", (), reminder));
    demo.send("demo/reminder/a", 60);
    let failure = demo.try_send("demo/reminder/a", 30).unwrap_err();
    assert!(failure.reason.contains("hint: cancel it first"), "{failure}");
    assert_eq!(demo.delayed().len(), 1);
    demo.advance(Duration::from_secs(60));
    demo.send("demo/reminder/a", 30);
}

#[test]
fn failures_can_be_kept() {
    let mut demo = relays().keeping_failures();
    demo.send("demo/relay/a", -1);
    assert_eq!(demo.failures().len(), 1);
    assert_eq!(demo.failures()[0].kind, FailureKind::Fatal);
    assert_eq!(demo.state("demo/relay/a", COUNT), None);
    assert!(demo.transcript().contains("  dead letter: `demo/relay/a` failed on"));
}

#[test]
#[should_panic = "less than nothing"]
fn otherwise_a_failure_is_a_panic() {
    relays().send("demo/relay/a", -1);
}

#[test]
fn a_batch_is_all_or_nothing() {
    let mut demo = relays().keeping_failures();
    demo.send_batch("demo/relay/a", [1, 1, -1]);
    assert_eq!(demo.state("demo/relay/a", COUNT), None);
    assert!(demo.sent().is_empty());
    demo.send_batch("demo/relay/a", [1, 1]);
    assert_eq!(demo.state("demo/relay/a", COUNT), Some(2));
}

#[test]
fn states_can_be_set_before() {
    let mut demo = relays();
    demo.set_state("demo/relay/a", COUNT, 41);
    demo.send("demo/relay/a", 0);
    assert_eq!(demo.state("demo/relay/a", COUNT), Some(42));
}

#[test]
#[should_panic = "cell `short` is not declared so by function `demo/relay`"]
fn a_cell_that_is_not_declared_cannot_be_looked_at() {
    let _ = relays().state("demo/relay/a", SHORT);
}

#[test]
#[should_panic = "nobody answered the call of `demo/relay/a`"]
fn a_call_that_nobody_answers_is_a_panic() {
    relays().call::<i32>("demo/relay/a", 1);
}

#[test]
fn asynchronous_functions_run_to_their_end() {
    let app = App::new().function_async("demo/slow", COUNT, |mut ctx, add: i32| async move {
        let (done, waiting) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || done.send(add).expect("the function waits"));
        let add = waiting.await?;
        ctx.update(COUNT, |count| count + add)
    });
    let mut demo = Harness::new(app);
    assert_eq!(demo.call::<i32>("demo/slow/a", 5), 5);
    assert_eq!(demo.call::<i32>("demo/slow/a", 5), 10);
}
