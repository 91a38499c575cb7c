//! How long a call may take: `timeout.call`, begun anew by each piece of an event stream, and
//! `timeout.call_max` whatever happens.

use crate::conf::Timeout;
use std::time::{Duration, Instant};

/// As good as never: a subscription lives as long as its client.
const NEVER: Duration = Duration::from_secs(10 * 365 * 86_400);

pub(super) struct Deadline {
    began: Instant,
    at: Instant,
    span: Duration,
    last: Instant,
}

impl Deadline {
    pub(super) fn start(timeout: &Timeout, method: &str) -> Deadline {
        let (span, most) = match method {
            "subscriptions/listen" => (NEVER, NEVER),
            _ => (timeout.call, timeout.call_max),
        };
        let began = Instant::now();
        Deadline { began, at: began + span, span, last: began + most }
    }

    pub(super) fn never() -> Deadline {
        let began = Instant::now();
        Deadline { began, at: began + NEVER, span: NEVER, last: began + NEVER }
    }

    pub(super) fn at(&self) -> Instant {
        self.at
    }

    pub(super) fn is_over(&self) -> bool {
        self.at <= Instant::now()
    }

    pub(super) fn waited(&self) -> Duration {
        self.began.elapsed()
    }

    /// The client was asked something, and people take their time.
    pub(super) fn wait_for_client(&mut self) {
        self.span = self.last.saturating_duration_since(Instant::now());
    }

    /// Something happened: the server is at work.
    pub(super) fn extend(&mut self) {
        self.at = (Instant::now() + self.span).min(self.last);
    }
}
