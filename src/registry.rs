//! The registry: which servers there are and what is known of them. It publishes snapshots, which
//! never change; requests read them without waiting for anybody.

mod discovery;

pub use discovery::{Found, discover};

use crate::clock;
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tollbridge_filters::catalog::{Offer, Server, Snapshot, State};
use tollbridge_filters::names::{Naming, ServerId};

pub struct Registry {
    published: ArcSwap<Snapshot>,
    known: Mutex<Known>,
}

/// What the next snapshot is made of.
struct Known {
    generation: u64,
    naming: Naming,
    servers: BTreeMap<ServerId, Server>,
}

impl Registry {
    pub fn new(naming: Naming, ids: impl IntoIterator<Item = ServerId>) -> Registry {
        let servers = ids.into_iter().map(unprobed).collect();
        let known = Known { generation: 0, naming, servers };
        Registry { published: ArcSwap::from_pointee(known.snapshot()), known: Mutex::new(known) }
    }

    pub fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.published.load()
    }

    /// Another set of servers; what is known of those that stay is kept.
    pub fn replace(&self, naming: Naming, ids: impl IntoIterator<Item = ServerId>) {
        self.change(|known| {
            let mut before = std::mem::take(&mut known.servers);
            let kept =
                |id: ServerId| before.remove(&id).map_or_else(|| unprobed(id.clone()), |server| (id.clone(), server));
            known.servers = ids.into_iter().map(kept).collect();
            known.naming = naming;
        });
    }

    /// A server told what it offers.
    pub fn found(&self, id: &ServerId, offer: Offer) -> Arc<Offer> {
        let current = self.snapshot();
        let known = current.server(id).filter(|server| server.state == State::Ready);
        if let Some(same) = known.and_then(|server| server.offer.as_ref()).filter(|known| ***known == offer) {
            return Arc::clone(same);
        }
        let offer = Arc::new(offer);
        self.change(|known| {
            if let Some(server) = known.servers.get_mut(id) {
                server.state = State::Ready;
                server.offer = Some(Arc::clone(&offer));
            }
        });
        offer
    }

    /// A server does not answer. What it offered before stays listed, and says since when it is
    /// stale. Only another discovery makes it ready again.
    pub fn lost(&self, id: &ServerId) {
        let next = |server: &Server| match (server.state, &server.offer) {
            (State::Ready | State::Unprobed, Some(_)) => Some(State::Stale { since: clock::now() }),
            (State::Ready | State::Unprobed, None) => Some(State::Unreachable { since: clock::now() }),
            _ => None,
        };
        if self.snapshot().server(id).and_then(next).is_none() {
            return;
        }
        self.change(|known| {
            if let Some(server) = known.servers.get_mut(id) {
                server.state = next(server).unwrap_or(server.state);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut known);
        known.generation += 1;
        self.published.store(Arc::new(known.snapshot()));
    }
}

impl Known {
    fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.generation, self.naming, self.servers.values().cloned().collect())
    }
}

fn unprobed(id: ServerId) -> (ServerId, Server) {
    (id.clone(), Server { id, state: State::Unprobed, offer: None })
}
