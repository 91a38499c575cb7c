//! How well an endpoint is: what calls and probes have shown, and what follows from it.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long an endpoint that has failed one call, two or more in a row waits for the trial that
/// decides. The last one bounds both what a broken endpoint costs and how long a mended one idles.
const TRIAL_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_secs(2), TRIAL_LAST];
const TRIAL_LAST: Duration = Duration::from_secs(8);

/// Whatever it asks for, it is tried again after this.
const REST_MAX: Duration = Duration::from_secs(30);

pub struct Health {
    vigour: AtomicU8,
    /// Failed calls in a row, those at the same time counted once.
    strikes: AtomicU32,
    /// Milliseconds after `born` from which it may have one call as a trial; 0: not yet known.
    trial_ms: AtomicU64,
    /// Milliseconds after `born` at which something came back last, and a good answer to a call.
    alive_ms: AtomicU64,
    served_ms: AtomicU64,
    /// Milliseconds after `born` until which it wants no calls.
    rest_ms: AtomicU64,
    /// How long the last answer to a question of the gateway's own took; 0: there was none.
    latency_us: AtomicU64,
    born: Instant,
    /// Rung when probes or a trial have decided.
    decided: Notify,
}

/// How well an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vigour {
    Up,
    /// A call failed or waits for long; a probe is on its way to find out.
    Suspect,
    /// A suspect, with one call on its way that decides.
    Trial,
    /// Two probes failed: it gets calls only when there is no other.
    Down,
}

impl Default for Health {
    fn default() -> Health {
        Health {
            vigour: AtomicU8::new(Vigour::Up as u8),
            strikes: AtomicU32::new(0),
            trial_ms: AtomicU64::new(0),
            alive_ms: AtomicU64::new(0),
            served_ms: AtomicU64::new(0),
            rest_ms: AtomicU64::new(0),
            latency_us: AtomicU64::new(0),
            born: Instant::now(),
            decided: Notify::new(),
        }
    }
}

impl Health {
    pub fn answered_within(&self, took: Duration) {
        self.latency_us.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
    }

    pub fn latency(&self) -> Option<Duration> {
        Some(self.latency_us.load(Ordering::Relaxed)).filter(|micros| *micros > 0).map(Duration::from_micros)
    }

    pub fn vigour(&self) -> Vigour {
        match self.vigour.load(Ordering::Relaxed) {
            0 => Vigour::Up,
            1 => Vigour::Suspect,
            2 => Vigour::Trial,
            _ => Vigour::Down,
        }
    }

    fn set_vigour(&self, vigour: Vigour) {
        self.vigour.store(vigour as u8, Ordering::Relaxed);
    }

    /// A call was answered. That settles a trial; while probes are deciding it may be one from before
    /// the trouble, and what is down stays so until a probe says otherwise.
    pub fn answered(&self) {
        let now = self.age_ms();
        self.alive_ms.store(now, Ordering::Relaxed);
        self.served_ms.store(now, Ordering::Relaxed);
        match self.vigour() {
            Vigour::Suspect | Vigour::Trial if !self.is_undecided() => {
                self.strikes.store(0, Ordering::Relaxed);
                self.set_vigour(Vigour::Up);
                self.decided.notify_waiters();
            }
            _ => {}
        }
    }

    /// Something came back from it, whatever it was worth.
    pub(super) fn lives(&self) {
        self.alive_ms.store(self.age_ms(), Ordering::Relaxed);
    }

    /// A call waits for long. That is no failure, but a reason to look.
    pub(super) fn doubt(&self) {
        if self.vigour() == Vigour::Up {
            self.trial_ms.store(0, Ordering::Relaxed);
            self.set_vigour(Vigour::Suspect);
        }
    }

    /// A call failed. Those that were under way beside it are not counted again.
    pub(super) fn failed(&self) {
        match self.vigour() {
            Vigour::Up | Vigour::Trial => {
                self.strikes.fetch_add(1, Ordering::Relaxed);
                self.trial_ms.store(0, Ordering::Relaxed);
                self.set_vigour(Vigour::Suspect);
            }
            // It was only slow so far.
            Vigour::Suspect => _ = self.strikes.fetch_max(1, Ordering::Relaxed),
            Vigour::Down => {}
        }
    }

    /// It has said that it wants no more calls for a while.
    pub(super) fn rest(&self, span: Duration) {
        self.rest_ms.store(self.in_ms(span.min(REST_MAX)), Ordering::Relaxed);
    }

    pub(super) fn is_resting(&self) -> bool {
        let until = self.rest_ms.load(Ordering::Relaxed);
        until > 0 && until > self.age_ms()
    }

    /// A probe went well. Whoever has failed a call nevertheless gets a single one, and that one
    /// decides; what was only slow is well.
    pub(super) fn cleared(&self) {
        // Nothing to say where a trial is due or under way already: that counts for more.
        if !self.is_undecided() && self.vigour() != Vigour::Down {
            return;
        }
        let strikes = usize::try_from(self.strikes.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        match strikes.checked_sub(1) {
            None => self.set_vigour(Vigour::Up),
            Some(previous) => {
                self.set_vigour(Vigour::Suspect);
                let at = self.in_ms(*TRIAL_AFTER.get(previous).unwrap_or(&TRIAL_LAST));
                self.trial_ms.store(at, Ordering::Relaxed);
            }
        }
        self.decided.notify_waiters();
    }

    /// Probes failed. Once they go well again, a call may be tried without waiting.
    pub(super) fn eject(&self) {
        self.strikes.store(1, Ordering::Relaxed);
        self.trial_ms.store(0, Ordering::Relaxed);
        self.set_vigour(Vigour::Down);
        self.decided.notify_waiters();
    }

    /// Waits while probes are under way that will decide.
    pub(super) async fn decided(&self) {
        self.wait_while(|| self.is_undecided()).await;
    }

    /// Waits for the first trial, too; or takes it.
    pub(super) async fn decided_by_trial(&self) {
        let is_open = || match self.vigour() {
            Vigour::Suspect if self.is_undecided() => true,
            Vigour::Suspect | Vigour::Trial => !self.is_given_up() && !self.take_trial(),
            Vigour::Up | Vigour::Down => false,
        };
        self.wait_while(is_open).await;
    }

    /// Whether it failed a call and then the trial, or does not answer at all.
    pub(super) fn is_given_up(&self) -> bool {
        match self.vigour() {
            Vigour::Up => false,
            Vigour::Suspect | Vigour::Trial => self.strikes.load(Ordering::Relaxed) > 1,
            Vigour::Down => true,
        }
    }

    async fn wait_while(&self, is_open: impl Fn() -> bool) {
        while is_open() {
            let decided = self.decided.notified();
            tokio::pin!(decided);
            // It may have been decided just now.
            decided.as_mut().enable();
            if !is_open() {
                return;
            }
            decided.await;
        }
    }

    fn is_undecided(&self) -> bool {
        self.vigour() == Vigour::Suspect && self.trial_ms.load(Ordering::Relaxed) == 0
    }

    /// Takes the trial, if one is due; only one taker gets it. If nothing comes of it, because the
    /// client leaves or the tool takes its time, there is another one later.
    pub(super) fn take_trial(&self) -> bool {
        let due = self.trial_ms.load(Ordering::Relaxed);
        let taken = matches!(self.vigour(), Vigour::Suspect | Vigour::Trial)
            && due != 0
            && due <= self.age_ms()
            && self
                .trial_ms
                .compare_exchange(due, self.in_ms(TRIAL_LAST), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if taken {
            self.set_vigour(Vigour::Trial);
        }
        taken
    }

    fn in_ms(&self, wait: Duration) -> u64 {
        let wait = u64::try_from(wait.as_millis()).unwrap_or_default();
        self.age_ms().saturating_add(wait)
    }

    /// From 1 on, so that 0 is no time.
    fn age_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    pub(super) fn lived_within(&self, span: Duration) -> bool {
        self.is_within(&self.alive_ms, span)
    }

    pub(super) fn served_within(&self, span: Duration) -> bool {
        self.is_within(&self.served_ms, span)
    }

    fn is_within(&self, since: &AtomicU64, span: Duration) -> bool {
        let since = Duration::from_millis(since.load(Ordering::Relaxed));
        !since.is_zero() && self.born.elapsed().saturating_sub(since) <= span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_decides_about_an_endpoint_that_failed_one() {
        let health = Health::default();
        health.doubt();
        health.cleared();
        assert_eq!(health.vigour(), Vigour::Up, "what was only slow is well");
        health.doubt();
        health.failed();
        health.cleared();
        assert!(health.take_trial(), "what was slow and then failed is not");
        health.answered();

        health.failed();
        health.answered();
        assert!(!health.take_trial(), "no probe has cleared it yet");
        health.cleared();
        assert!(health.take_trial() && !health.take_trial(), "one call, and no second one beside it");
        health.cleared();
        assert_eq!(health.vigour(), Vigour::Trial, "a probe from before does not end it");
        health.answered();
        assert_eq!(health.vigour(), Vigour::Up);

        for _ in 0..2 {
            health.failed();
            health.cleared();
            health.take_trial();
        }
        assert_eq!(health.vigour(), Vigour::Suspect, "two in a row, and the next trial is not due yet");
        health.eject();
        health.cleared();
        assert!(health.take_trial(), "what was down is tried without waiting");
        health.eject();
        health.answered();
        assert_eq!(health.vigour(), Vigour::Down, "and a probe alone brings it back");
    }
}
