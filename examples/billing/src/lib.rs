//! Subscriptions that wake themselves to pay.
//!
//! Each customer is an instance of `billing/subscription`. It charges a card, waits for the result, and sends itself a
//! message for a month later. Results may be bad, come twice, late, or never: each has its line in
//! [`subscription`](mod@subscription), and its test.
//!
//! The same functions run over HTTP (`main.rs`) and in the tests.

pub mod card;
pub mod messages;
pub mod subscription;

use std::time::Duration;

use statera_sdk::App;

/// The conditions of a subscription.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// From one payment to the next.
    pub month: Duration,
    /// From a payment that failed to the next attempt.
    pub retry_after: Duration,
    /// How long the result of a payment is waited for before it is asked for again.
    pub patience: Duration,
    /// How often a payment may fail before the subscription ends.
    pub attempts_max: u32,
    /// How often a result is asked for before the payment counts as failed.
    pub asks_max: u32,
}

impl Terms {
    /// Terms for a month of this length: a tenth of it between attempts, a hundredth to wait for results.
    #[must_use]
    pub fn of_month(month: Duration) -> Terms {
        Terms {
            month,
            retry_after: month / 10,
            patience: month / 100,
            attempts_max: 3,
            asks_max: 3,
        }
    }
}

/// All functions of the application.
#[must_use]
pub fn app(terms: Terms) -> App {
    App::new()
        .function("billing/subscription", subscription::SUBSCRIPTION, move |ctx, event| {
            subscription::subscription(ctx, &terms, event)
        })
        .function("billing/card", (card::BALANCE, card::PAID), card::card)
}
