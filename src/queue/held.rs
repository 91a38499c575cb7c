//! The jobs that this replica has on lease.

use super::redis::{Taken, Try};
use crate::gateway::Gateway;
use crate::limits::Share;
use crate::server::InFlightGuard;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OwnedSemaphorePermit;

#[derive(Default)]
pub struct Held(Mutex<HashSet<Try>>);

/// One job, until it is dropped: its lease is renewed, and the process does not end.
pub struct Hold {
    held: Arc<Held>,
    this: Try,
    gateway: Arc<Gateway>,
    _slot: OwnedSemaphorePermit,
    _share: Share,
    _in_flight: InFlightGuard,
}

impl Held {
    pub fn hold(self: &Arc<Held>, gateway: &Arc<Gateway>, taken: &Taken, slot: OwnedSemaphorePermit) -> Hold {
        self.lock().insert(taken.this.clone());
        gateway.metrics.queue_in_flight.inc();
        let mut share = Share::none(&gateway.budget);
        // It is here already. That there is no more room keeps the next ones out.
        share.grow(taken.message.len());
        Hold {
            held: Arc::clone(self),
            this: taken.this.clone(),
            gateway: Arc::clone(gateway),
            _slot: slot,
            _share: share,
            _in_flight: gateway.lifecycle.enter(),
        }
    }

    pub fn tries(&self) -> Vec<Try> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Try>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.lock().remove(&self.this);
        self.gateway.metrics.queue_in_flight.dec();
    }
}
