//! The functions of the crash test. Each keeps in its state what is needed to find out whether anything was lost,
//! repeated or reordered; `{}` asks for it. `tests/crash.rs` runs them behind HTTP and linked into the engine.

use std::time::Duration;

use crate::functions::{Context, Functions};
use serde_json::{Value, json};

/// All of them.
#[must_use]
pub fn functions() -> Functions {
    Functions::default()
        .with("crash/account", &["balance", "moves"], account)
        .with("crash/counter", &["count"], counter)
        .with("crash/sender", &["next"], sender)
        .with("crash/receiver", &["last", "errors"], receiver)
        .with("crash/ring", &["passed"], ring)
        .with("crash/tally", &["tokens"], tally)
        .with("crash/timer", &["armed"], timer)
        .with("crash/emitter", &["emitted"], emitter)
        .with("crash/line", &["count", "errors"], line)
}

/// Money: `{"to", "amount"}` takes and sends a deposit, `{"deposit"}` adds.
fn account(context: &mut Context, message: &Value) {
    if let Some(to) = message["to"].as_str() {
        let amount = message["amount"].as_i64().unwrap();
        context.add("balance", -amount);
        context.add("moves", 1);
        context.send("crash/account", to, &json!({ "deposit": amount }));
    } else if let Some(amount) = message["deposit"].as_i64() {
        context.add("balance", amount);
        context.add("moves", 1);
    }
    context.answer(json!([context.number("balance"), context.number("moves")]));
}

/// `{"add": 1}` is answered with the new count.
fn counter(context: &mut Context, message: &Value) {
    if let Some(amount) = message["add"].as_i64() {
        context.add("count", amount);
    }
    context.answer(context.number("count"));
}

/// `{"burst", "to": [..]}` sends so many numbered messages to each of them.
fn sender(context: &mut Context, message: &Value) {
    let mut next = context.get("next");
    if let Some(burst) = message["burst"].as_u64() {
        let own = context.id();
        for _ in 0..burst {
            for to in message["to"].as_array().unwrap() {
                let to = to.as_str().unwrap();
                let seq = next[to].as_u64().unwrap_or(0) + 1;
                next[to] = seq.into();
                context.send("crash/receiver", to, &json!({ "from": own, "seq": seq }));
            }
        }
        context.set("next", next.clone());
    }
    context.answer(next);
}

/// Notes every message that is not the next one of its sender.
fn receiver(context: &mut Context, message: &Value) {
    let mut last = context.get("last");
    if let Some(from) = message["from"].as_str() {
        let (seq, before) = (message["seq"].as_u64().unwrap(), last[from].as_u64().unwrap_or(0));
        if seq != before + 1 {
            note_error(context, format!("{seq} of {from} after {before}"));
        }
        last[from] = seq.into();
        context.set("last", last.clone());
    }
    context.answer(json!([last, context.get("errors")]));
}

fn note_error(context: &mut Context, error: String) {
    let mut errors = context.get("errors").as_array().cloned().unwrap_or_default();
    if errors.len() < 10 {
        errors.push(error.into());
        context.set("errors", errors);
    }
}

/// `{"ids", "hops", "token"}` goes round; at its end the token is tallied.
fn ring(context: &mut Context, message: &Value) {
    if let Some(hops) = message["hops"].as_u64() {
        context.add("passed", 1);
        if hops == 0 {
            let token = message["token"].as_str().unwrap();
            context.send("crash/tally", bucket(token), &json!({ "token": token }));
        } else {
            let ids = message["ids"].as_array().unwrap();
            let own = ids.iter().position(|id| *id == *context.id()).unwrap();
            let next = ids[(own + 1) % ids.len()].as_str().unwrap();
            let mut onward = message.clone();
            onward["hops"] = (hops - 1).into();
            context.send("crash/ring", next, &onward);
        }
    }
    context.answer(context.number("passed"));
}

/// Counts how often each token came.
fn tally(context: &mut Context, message: &Value) {
    let mut tokens = context.get("tokens");
    if let Some(token) = message["token"].as_str() {
        tokens[token] = (tokens[token].as_u64().unwrap_or(0) + 1).into();
        context.set("tokens", tokens.clone());
    }
    context.answer(tokens);
}

/// `{"arm", "delay_ms"}` has a token tallied later, `{"cancel"}` prevents it. `cancel` is done first and `cancel_after`
/// last if a message has them all.
fn timer(context: &mut Context, message: &Value) {
    if let Some(token) = message["cancel"].as_str() {
        context.cancel(token);
    }
    if let Some(token) = message["arm"].as_str() {
        let delay = Duration::from_millis(message["delay_ms"].as_u64().unwrap());
        let target = ("crash/tally", bucket(token));
        context.send_after(delay, Some(token), target, &json!({ "token": token }));
        context.add("armed", 1);
    }
    if let Some(token) = message["cancel_after"].as_str() {
        context.cancel(token);
    }
    context.answer(context.number("armed"));
}

/// `{"emit": n}` emits n numbered records.
fn emitter(context: &mut Context, message: &Value) {
    for _ in 0..message["emit"].as_u64().unwrap_or(0) {
        let seq = context.add("emitted", 1);
        context.emit("crash/out", &json!({ "emitter": context.id(), "seq": seq }));
    }
    context.answer(context.number("emitted"));
}

/// Lines of the file, numbered for each key.
fn line(context: &mut Context, message: &Value) {
    if let Some(seq) = message["seq"].as_i64() {
        let expected = context.add("count", 1);
        if seq != expected {
            note_error(context, format!("line {seq} came as number {expected}"));
            context.set("count", seq);
        }
    }
    context.answer(json!([context.number("count"), context.get("errors")]));
}

/// Where a token is tallied.
///
/// # Panics
/// Never.
#[must_use]
pub fn bucket(token: &str) -> &str {
    token.split('-').next().expect("the first part")
}
