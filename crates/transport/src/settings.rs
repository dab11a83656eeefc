//! The two transport types of StateFun, boiled down to what makes them differ here.

use std::time::Duration;

use statera_config::{AsyncTransport, OkHttpTransport, Transport};

/// The most connections of an okhttp endpoint. The original has no limit; we name one, and its default for the async
/// transport serves both.
pub(crate) const OKHTTP_CONNECTIONS_MAX: usize = 1024;
/// The largest response of an okhttp endpoint, for which none can be configured: 8 times the async default.
pub(crate) const OKHTTP_RESPONSE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How long okhttp keeps a connection that nobody uses.
pub(crate) const OKHTTP_IDLE: Duration = Duration::from_secs(60);
/// How many redirects okhttp follows.
pub(crate) const REDIRECTS_MAX: usize = 20;
/// An attempt is given at least this long, so that the last one of a budget has a chance.
pub(crate) const ATTEMPT_MIN: Duration = Duration::from_millis(10);

/// Whose habits are followed where the two differ: headers, redirects, and which failures are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Async,
    OkHttp,
}

/// When a connection that works is given up nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    Unlimited,
    /// This long after it was made, and a little more that differs between connections.
    Age(Duration),
    /// When it was not used for this long (noticed after at most twice as long).
    Idle(Duration),
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) dialect: Dialect,
    /// The longest attempt; `None`: what is left of the budget.
    pub(crate) call: Option<Duration>,
    /// The longest time to establish a connection.
    pub(crate) connect: Duration,
    /// The longest wait for a connection while all are in use.
    pub(crate) wait: Duration,
    /// The longest silence while a response is expected.
    pub(crate) read: Option<Duration>,
    /// The longest time in which the server takes nothing of a request.
    pub(crate) write: Option<Duration>,
    pub(crate) lifetime: Lifetime,
    pub(crate) connections_max: usize,
    pub(crate) response_bytes_max: usize,
}

impl Settings {
    pub(crate) fn of(transport: &Transport) -> Settings {
        match transport {
            Transport::Async(settings) => Settings::of_async(settings),
            Transport::OkHttp(settings) => Settings::of_okhttp(settings),
        }
    }

    fn of_async(settings: &AsyncTransport) -> Settings {
        Settings {
            dialect: Dialect::Async,
            call: None,
            connect: settings.connect,
            wait: settings.connect,
            read: None,
            write: None,
            lifetime: settings.pool_ttl.map_or(Lifetime::Unlimited, Lifetime::Age),
            connections_max: settings.pool_size.max(1),
            response_bytes_max: settings.payload_max_bytes,
        }
    }

    fn of_okhttp(settings: &OkHttpTransport) -> Settings {
        Settings {
            dialect: Dialect::OkHttp,
            call: Some(settings.call),
            connect: settings.connect,
            // The limit is ours, so waiting for it may take as long as the call itself.
            wait: settings.call,
            read: Some(settings.read),
            write: Some(settings.write),
            lifetime: Lifetime::Idle(OKHTTP_IDLE),
            connections_max: OKHTTP_CONNECTIONS_MAX,
            response_bytes_max: OKHTTP_RESPONSE_BYTES_MAX,
        }
    }

    /// How long an attempt may take when `remaining` is left of the budget of its batch.
    pub(crate) fn attempt(&self, remaining: Duration) -> Duration {
        self.call.unwrap_or(remaining).max(ATTEMPT_MIN)
    }
}
