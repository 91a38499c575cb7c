//! When each request of an open loop is due: at a fixed rate, whatever becomes of those before.
//!
//! A delay counts from the time at which its request was due, not from when a connection was free
//! to send it. Otherwise a server that stalls would be asked less, and its stall would be one slow
//! answer where a thousand callers have waited ("coordinated omission").

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

/// How long after its end a schedule may still be worked off, by a server that cannot follow.
const OVERTIME: Duration = Duration::from_secs(10);

pub struct Schedule {
    start_ns: u64,
    per_second: f64,
    /// Requests due before are sent and not counted.
    open_ns: u64,
    end_ns: u64,
    next: AtomicU64,
}

/// One request of the schedule.
pub struct Due {
    pub ns: u64,
    pub counts: bool,
}

impl Schedule {
    pub fn new(start_ns: u64, per_second: f64, warm_up: Duration, measured: Duration) -> Self {
        let after = |from: u64, time: Duration| from + time.as_nanos() as u64;
        let open_ns = after(start_ns, warm_up);
        Self { start_ns, per_second, open_ns, end_ns: after(open_ns, measured), next: AtomicU64::new(0) }
    }

    /// The next request that nobody has taken, until all are.
    pub fn take(&self) -> Option<Due> {
        let place = self.next.fetch_add(1, Ordering::Relaxed);
        let ns = self.start_ns + (place as f64 * 1e9 / self.per_second) as u64;
        (ns < self.end_ns).then_some(Due { ns, counts: ns >= self.open_ns })
    }

    /// Whether the server is so far behind that the rest had better be given up.
    pub fn is_hopeless(&self, now_ns: u64) -> bool {
        now_ns > self.end_ns + OVERTIME.as_nanos() as u64
    }
}

impl Due {
    pub fn delay_ns(&self, answered_ns: u64) -> u64 {
        answered_ns.saturating_sub(self.ns)
    }
}

/// Wakes at a time to the microsecond, where the runtime's timers know milliseconds only.
pub struct Alarm {
    timer: TimerFd,
    /// The same timer, read as a pipe is: eight bytes when it has rung.
    ringing: Receiver,
}

impl Alarm {
    pub fn new() -> io::Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        let ringing = Receiver::from_owned_fd_unchecked(timer.as_fd().try_clone_to_owned()?)?;
        Ok(Self { timer, ringing })
    }

    pub async fn at(&mut self, ns: u64) -> io::Result<()> {
        if crate::clock::now_ns() >= ns {
            return Ok(());
        }
        let when = Expiration::OneShot(TimeSpec::from(Duration::from_nanos(ns)));
        self.timer.set(when, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        self.ringing.read_u64().await.map(|_| ())
    }
}

#[cfg(test)]
mod tests;
