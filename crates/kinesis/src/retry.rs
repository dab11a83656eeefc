//! Asking again.

use std::future::Future;
use std::time::Duration;

use statera_model::{Chain, Name, codes};
use tokio::time::sleep;

use crate::api::{ApiError, Kind};

const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Pauses between attempts, each twice as long as the one before.
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) fn new() -> Backoff {
        Backoff(PAUSE_MIN)
    }

    pub(crate) async fn pause(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(PAUSE_MAX);
    }
}

/// Asks until there is an answer that will stay the same. Throttling, outages and missing permissions pass.
pub(crate) async fn patiently<T, F>(id: &Name, mut ask: impl FnMut() -> F) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    let mut backoff = Backoff::new();
    let mut failures = 0_u32;
    loop {
        match ask().await {
            Err(error) if passes(error.kind) => {
                // Throttling is how the service says that others read the same shard.
                if failures == 0 && error.kind != Kind::Throttled {
                    tracing::warn!(code = %codes::KINESIS_UNREACHABLE, %id, error = %Chain(&error), "Kinesis is asked again until it answers");
                }
                failures += u32::from(error.kind != Kind::Throttled);
                backoff.pause().await;
            }
            answer => {
                if failures > 0 {
                    tracing::info!(%id, failures, "Kinesis answers again");
                }
                return answer;
            }
        }
    }
}

pub(crate) fn passes(kind: Kind) -> bool {
    match kind {
        Kind::Throttled | Kind::Unavailable | Kind::Denied => true,
        Kind::IteratorExpired | Kind::NotFound | Kind::Invalid => false,
    }
}
