//! Monotonic time that two processes on one machine can compare.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds since the machine started. `Instant` would not do: it has no origin to share.
pub fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux always has CLOCK_MONOTONIC");
    u64::try_from(Duration::from(time).as_nanos()).expect("584 years of uptime fit in 64 bits")
}
