//! The place of a session with one server: one at a time opens it, and everybody can look.

use super::{Opened, lock};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::MutexGuard;

#[derive(Default)]
pub struct Place {
    turn: tokio::sync::Mutex<()>,
    opened: Mutex<Option<Opened>>,
    /// The one that was lost last: whoever still has it must not bring it back.
    lost: Mutex<Option<u32>>,
    /// Whether another one has taken its place, and the client does not know that yet.
    has_given_way: AtomicBool,
}

impl Place {
    /// Waits while others open it.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    pub fn opened(&self) -> Option<Opened> {
        lock(&self.opened).clone()
    }

    /// Another replica's counts.
    pub fn give_way(&self, theirs: Opened) {
        self.put(theirs);
        self.has_given_way.store(true, Ordering::Relaxed);
    }

    /// Whether the client is to be told that what it built up is gone; once.
    pub fn has_given_way(&self) -> bool {
        self.has_given_way.swap(false, Ordering::Relaxed)
    }

    pub fn lost(&self) -> Option<u32> {
        *lock(&self.lost)
    }

    pub fn put(&self, opened: Opened) {
        *lock(&self.opened) = Some(opened);
    }

    pub fn take(&self) -> Option<Opened> {
        lock(&self.opened).take()
    }

    /// What others have opened meanwhile stays.
    pub fn forget(&self, lost: &Opened) {
        let mut opened = lock(&self.opened);
        if opened.as_ref().is_some_and(|opened| opened.addr == lost.addr && opened.id == lost.id) {
            *opened = None;
            *lock(&self.lost) = Some(lost.mark);
        }
    }
}
