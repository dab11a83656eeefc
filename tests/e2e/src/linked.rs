//! A user's program: Statera with functions linked in. `tests/crash.rs` and `tests/embedded.rs` run it.

use std::process::ExitCode;

use statera_e2e::crash;
use statera_sdk::{App, Cell, Context, Error, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const COUNT: Cell<i64> = Cell::new("count");

/// The functions of the crash test that are asynchronous here.
const ASYNCHRONOUS: [&str; 4] = ["crash/account", "crash/receiver", "crash/counter", "crash/timer"];

fn main() -> ExitCode {
    App::new()
        .function("linked/counter", COUNT, |ctx, more: i64| count(ctx, more))
        .function("linked/strict", COUNT, |ctx, more: i64| match more {
            ..0 if !is_repaired() => Err(Error::dead_letter(format!("{more} is too little"))),
            _ => count(ctx, more),
        })
        .function("linked/fragile", COUNT, |ctx, more: i64| {
            assert!(more >= 0 || is_repaired(), "{more} is unthinkable");
            count(ctx, more)
        })
        .function_async("linked/asker", COUNT, |mut ctx, address: String| async move {
            let more = ask(&address, ctx.id().as_ref()).await?;
            count(&mut ctx, more)
        })
        .merge(crash::functions().into_app(&ASYNCHRONOUS))
        .run()
}

fn count(ctx: &mut Context<'_>, more: i64) -> Result<i64> {
    ctx.update(COUNT, |count| count + more)
}

/// Whether this is a later version of the program, whose functions can do what they could not.
fn is_repaired() -> bool {
    std::env::var_os("E2E_REPAIRED").is_some()
}

/// Tells somebody a name; they answer with a number.
async fn ask(address: &str, name: &str) -> Result<i64> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(name.as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.trim().parse()?)
}
