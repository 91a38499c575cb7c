//! Asking for another look at what a server offers, because it said that this has changed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Looks are numbered: whoever asks for one waits for one that had not begun yet.
#[derive(Default)]
pub struct Renewal {
    wanted: Notify,
    begun: AtomicU64,
    done: watch::Sender<u64>,
}

impl Renewal {
    /// Waits until somebody wants a look.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    pub fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub fn end(&self, look: u64) {
        self.done.send_replace(look);
    }

    /// The number of the first look that has not begun yet.
    pub fn next(&self) -> u64 {
        self.begun.load(Ordering::Acquire) + 1
    }

    /// Asks for a look.
    pub fn ask(&self) {
        self.wanted.notify_one();
    }

    /// Asks for a look and waits for its end.
    pub async fn look(&self, most: Duration) {
        let next = self.next();
        let mut done = self.done.subscribe();
        self.ask();
        // Whoever waits goes on with what is known; the server may not answer.
        let _ = tokio::time::timeout(most, done.wait_for(|done| *done >= next)).await;
    }
}
