//! What was decided of a head. Clients repeat theirs with every call of a connection, and who reads the same
//! head under the same configuration and catalog decides the same: a head is judged without a clock or a memory.

use crate::gateway::Live;
use std::sync::{Arc, Weak};
use tollbridge_filters::Admission;
use tollbridge_filters::catalog::Snapshot;

pub(super) struct Decided {
    /// Weak: a connection on which nothing happens must not keep what was replaced long ago.
    live: Weak<Live>,
    snapshot: Weak<Snapshot>,
    admission: Admission,
}

impl Decided {
    pub(super) fn new(live: &Arc<Live>, snapshot: &Arc<Snapshot>, admission: &Admission) -> Decided {
        Decided { live: Arc::downgrade(live), snapshot: Arc::downgrade(snapshot), admission: admission.clone() }
    }

    /// The same again, where nothing was replaced since.
    pub(super) fn under(&self, live: &Arc<Live>, snapshot: &Arc<Snapshot>) -> Option<Admission> {
        let is_same = self.live.as_ptr() == Arc::as_ptr(live) && self.snapshot.as_ptr() == Arc::as_ptr(snapshot);
        is_same.then(|| self.admission.clone())
    }
}
