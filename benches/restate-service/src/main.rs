//! The same functions as `statera-bench functions`, for Restate: an object that counts, and one that forwards to it.
//!
//! Serves until standard input ends, and says on standard output where. One thread, like the functions of the other side.

use std::net::SocketAddr;

use restate_sdk::prelude::*;
use tokio::net::TcpSocket;

const COUNT: &str = "count";
const BACKLOG: u32 = 1024;

struct Counter;

#[object]
impl Counter {
    #[handler]
    async fn add(&self, ctx: ObjectContext<'_>, by: u64) -> Result<u64, TerminalError> {
        let count = ctx.get::<u64>(COUNT).await?.unwrap_or_default() + by;
        ctx.set(COUNT, count);
        Ok(count)
    }
}

struct Forward;

#[object]
impl Forward {
    #[handler]
    async fn add(&self, ctx: ObjectContext<'_>, by: u64) -> Result<u64, TerminalError> {
        ctx.object_client::<CounterClient>(ctx.key()).add(by).call().await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    // The SDK does not ask for it, and accepted connections have it from here: without it an answer may wait for the
    // acknowledgement of the one before.
    socket.set_nodelay(true)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listener = socket.listen(BACKLOG)?;
    println!("{}", listener.local_addr()?);
    std::thread::spawn(|| {
        // Ends when whoever started us is gone.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    let endpoint = Endpoint::builder().bind(Counter).bind(Forward).build();
    HttpServer::new(endpoint).serve(listener).await;
    Ok(())
}
