//! Subscriptions that wake themselves to pay.
//!
//! Each customer is an instance of `billing/subscription`. It charges a card, waits for the result, and sends itself a
//! message for a month later. Results may be bad, come twice, late, or never: each has its line in
//! [`subscription`](mod@subscription), and its test.
//!
//! The same functions run in one program with Statera (`main.rs`), behind HTTP (`serve.rs`), and in the tests.

pub mod card;
pub mod messages;
pub mod subscription;

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use statera_sdk::App;

/// How long a month takes, in seconds, if it should not be thirty days.
const MONTH_SECONDS: &str = "BILLING_MONTH_SECONDS";

const MONTH: Duration = Duration::from_secs(30 * 86_400);

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
    /// Terms for the month of the environment variable `BILLING_MONTH_SECONDS`, or for one of thirty days.
    ///
    /// # Errors
    /// If the variable is not a number of seconds, at least 1.
    pub fn from_environment() -> Result<Terms, InvalidMonth> {
        let Some(value) = std::env::var_os(MONTH_SECONDS) else {
            return Ok(Terms::of_month(MONTH));
        };
        let text = value.to_string_lossy();
        match text.parse::<NonZeroU64>() {
            Ok(seconds) => Ok(Terms::of_month(Duration::from_secs(seconds.get()))),
            Err(_) => Err(InvalidMonth(text.into_owned())),
        }
    }

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

/// The length of a month is not a number of seconds.
#[derive(Debug)]
pub struct InvalidMonth(String);

impl fmt::Display for InvalidMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.0;
        write!(f, "`{MONTH_SECONDS}` is `{text}`; hint: write a number of seconds, such as `10`")
    }
}

impl std::error::Error for InvalidMonth {}

/// All functions of the application.
#[must_use]
pub fn app(terms: Terms) -> App {
    App::new()
        .function("billing/subscription", subscription::SUBSCRIPTION, move |ctx, event| {
            subscription::subscription(ctx, &terms, event)
        })
        .function("billing/card", (card::BALANCE, card::PAID), card::card)
}
