//! The functions alone, behind HTTP, for a Statera that runs elsewhere. `BILLING_ADDRESS` says where they are served.

use billing_example::{Terms, app};

const ADDRESS: &str = "127.0.0.1:8000";

fn main() -> statera_sdk::Result {
    let address = std::env::var("BILLING_ADDRESS");
    app(Terms::from_environment()?).serve(address.as_deref().unwrap_or(ADDRESS))
}
