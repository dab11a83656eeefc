//! The same [`Functions`] written with the Rust SDK, so that they can be linked into the engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use statera_model::{Delayed, Mutation, Reply, StateChange, StateSpec};
use statera_sdk::{App, BoxError, Cell, Context, Result};

use crate::functions::{Function, Functions, to_json};

/// One of so many messages takes its time in a function that waits, so that a crash finds some in flight. They add up in a
/// batch: few, so that batches end between two crashes.
const SLOW_EVERY: u64 = 64;
const SLOW: Duration = Duration::from_millis(40);

/// JSON, as messages and states are.
struct Json(Value);

impl statera_sdk::Value for Json {
    const TYPENAME: &'static str = "e2e/Json";

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(serde_json::to_writer(out, &self.0)?)
    }

    fn decode(bytes: &[u8]) -> Result<Json, BoxError> {
        Ok(Json(serde_json::from_slice(bytes)?))
    }
}

impl Functions {
    /// An app of them. Those of these types are asynchronous, and slow now and then.
    #[must_use]
    pub fn into_app(self, asynchronous: &[&str]) -> App {
        let messages = Arc::new(AtomicU64::new(0));
        self.0.into_iter().fold(App::new(), |app, (name, function)| {
            let cells: Vec<StateSpec> =
                function.states.iter().map(|state| Cell::<Json>::new(state).spec()).collect();
            if !asynchronous.contains(&name) {
                return app.function(name, cells, move |ctx, message| run(&function, ctx, message));
            }
            let (function, messages) = (Arc::new(function), messages.clone());
            app.function_async(name, cells, move |mut ctx, message| {
                let (function, messages) = (function.clone(), messages.clone());
                async move {
                    if messages.fetch_add(1, Ordering::Relaxed).is_multiple_of(SLOW_EVERY) {
                        tokio::time::sleep(SLOW).await;
                    }
                    run(&function, &mut ctx, message)
                }
            })
        })
    }
}

fn run(function: &Function, ctx: &mut Context<'_>, message: Json) -> Result {
    let mut states = BTreeMap::new();
    for state in function.states {
        if let Some(Json(value)) = ctx.get(Cell::new(state))? {
            states.insert((*state).into(), value);
        }
    }
    let reply = function.handle(ctx.this(), ctx.caller(), states, &message.0);
    for Mutation { state, change } in &reply.mutations {
        let cell = function.states.iter().find(|name| ***name == **state).expect("it is declared");
        match change {
            StateChange::Modify(value) => ctx.set(Cell::new(cell), Json(to_json(value))),
            StateChange::Delete => ctx.remove(Cell::<Json>::new(cell)),
        }
    }
    carry_out(ctx, reply);
    Ok(())
}

fn carry_out(ctx: &mut Context<'_>, reply: Reply) {
    for message in reply.messages {
        ctx.send(message.target, message.argument);
    }
    for delayed in reply.delayed {
        match delayed {
            Delayed::Cancel { token } => ctx.cancel(token),
            Delayed::Send { delay_ms, message, token } => {
                let delay = Duration::from_millis(delay_ms.unsigned_abs());
                let scheduled = ctx.send_after(delay, message.target, message.argument);
                if let Some(token) = token {
                    scheduled.token(token);
                }
            }
        }
    }
    for record in reply.egress {
        ctx.egress(record.egress, record.argument);
    }
}
