//! The functions behind HTTP: `billing-example [SECONDS]`, how long a month takes.

use std::time::Duration;

use billing_example::{Terms, app};

const MONTH_SECONDS: u64 = 30 * 86_400;

fn main() -> statera_sdk::Result {
    let seconds = std::env::args().nth(1).map_or(Ok(MONTH_SECONDS), |text| text.parse())?;
    app(Terms::of_month(Duration::from_secs(seconds))).serve("127.0.0.1:8000")
}
