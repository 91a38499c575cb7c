//! What the tests stand on: the gateway as a child process, peers as child processes, and a small
//! HTTP client that hides nothing.

pub mod balancer;
pub mod delay;
pub mod gateway;
pub mod guide;
pub mod http;
pub mod ledger;
pub mod messages;
pub mod peer;
pub mod process;
pub mod python;
pub mod reader;
pub mod recorder;
pub mod redis;
pub mod relay;
pub mod rest;
pub mod rest_stub;
pub mod source;
pub mod stream;
pub mod subset;

use std::time::Duration;

/// Waits until a condition holds; the test fails when it does not within the time.
pub async fn eventually<F, T>(what: &str, seconds: u64, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let until = tokio::time::Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < until, "not within {seconds} s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// `TOLLBRIDGE_FULL` is set by `tests/run --full`: the counts that releases are judged by.
pub fn scaled(smoke: usize, full: usize) -> usize {
    if std::env::var_os("TOLLBRIDGE_FULL").is_some() { full } else { smoke }
}

/// The 99th percentile.
pub fn p99(mut of: Vec<Duration>) -> Duration {
    of.sort_unstable();
    of[of.len() * 99 / 100]
}

/// Of several windows: what else a machine does spoils one or the other.
pub fn median(mut of: Vec<Duration>) -> Duration {
    of.sort_unstable();
    of[of.len() / 2]
}
