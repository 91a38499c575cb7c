//! Waiting on the way of every call: by Pingora's timers, which many share. One of the runtime's own that is
//! due before all others wakes the thread that makes it, once for each call.

use pingora::prelude::fast_timeout::fast_sleep;
use std::time::{Duration, Instant};

/// Shared timers are kept until they are due, also when nobody waits any more.
const SHARED_MAX: Duration = Duration::from_secs(15 * 60);

/// To within 10 ms.
pub async fn sleep_until(at: Instant) {
    let left = at.saturating_duration_since(Instant::now());
    if left > SHARED_MAX { tokio::time::sleep(left).await } else { fast_sleep(left).await }
}
