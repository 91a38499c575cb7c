//! The place of a session with one server: one at a time opens it, and everybody can look.

use super::{Opened, lock};
use std::sync::Mutex;
use tokio::sync::MutexGuard;

#[derive(Default)]
pub struct Place {
    turn: tokio::sync::Mutex<()>,
    opened: Mutex<Option<Opened>>,
}

impl Place {
    pub fn holding(opened: Opened) -> Place {
        Place { turn: tokio::sync::Mutex::default(), opened: Mutex::new(Some(opened)) }
    }

    /// Waits while others open it.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    pub fn opened(&self) -> Option<Opened> {
        lock(&self.opened).clone()
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
        }
    }
}
