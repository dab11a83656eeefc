use statera_sdk::{App, Cell, Message};

const SEEN: Cell<i32> = Cell::new("seen");

fn main() -> std::process::ExitCode {
    App::new()
        .function("demo/counter", SEEN, |ctx, _: Message| ctx.update(SEEN, |seen| seen + 1))
        .run()
}
