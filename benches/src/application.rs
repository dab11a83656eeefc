//! The functions of `functions`, linked into the engine: a program as a user of `statera_sdk` would write it.

use std::process::ExitCode;

use statera_sdk::{App, Cell, Context, Error, Message, Name, Result};

use crate::functions::{ADD_FOR, COUNTER, FORWARD, NAMESPACE, READ, STATE};

/// With this as the first argument the program is `statera` with the functions in it.
pub(crate) const COMMAND: &str = "run";

const SEEN: Cell<i32> = Cell::new(STATE);

/// Does what the command line says, as `statera` does.
pub(crate) fn run() -> ExitCode {
    app().run()
}

fn app() -> App {
    let counter = Name::from_parts(NAMESPACE, COUNTER);
    App::new().function(&counter, SEEN, count).function(
        Name::from_parts(NAMESPACE, FORWARD),
        (),
        move |ctx: &mut Context<'_>, _: Message| forward(ctx, &counter),
    )
}

/// Passes the message on to the counter with the same id, which answers whoever asked us.
fn forward(ctx: &mut Context<'_>, counter: &Name) -> Result {
    let caller = ctx.caller().ok_or_else(|| Error::dead_letter("nobody waits for an answer"))?;
    let message = Message::new(ADD_FOR, caller.to_string().as_bytes());
    ctx.send((counter, ctx.id()), message);
    Ok(())
}

/// Counts the message, and answers it with the count.
fn count(ctx: &mut Context<'_>, message: Message) -> Result {
    let seen = match message.typename() {
        READ => ctx.get_or_default(SEEN)?,
        _ => ctx.update(SEEN, |seen| seen + 1)?,
    };
    match message.typename() {
        ADD_FOR => ctx.send(std::str::from_utf8(message.bytes())?, seen),
        _ => ctx.reply(seen),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_can_be_registered() {
        let functions = app().build().unwrap();
        let names: Vec<_> = functions.iter().map(|function| function.name().to_string()).collect();
        assert_eq!(names, ["bench/counter", "bench/forward"]);
    }
}
