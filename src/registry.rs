//! The registry: which servers there are and what is known of them. It publishes snapshots, which
//! never change; requests read them without waiting for anybody.

mod dialect;
mod discovery;
mod disk;
mod embedded;
mod ledger;
pub mod operator;
mod record;
mod redis;
mod shared;
mod store;
mod version;

pub use discovery::{Found, discover};
pub use ledger::{Clash, Ledger, Row};
pub use record::{Record, SetRecord};
pub use shared::Standing;
pub use store::{Act, Store};

use crate::clock;
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tollbridge_filters::catalog::{Offer, Origin, Profile, Server, Sets, Snapshot, State};
use tollbridge_filters::names::{Naming, ServerId};
use tollbridge_filters::route::Listed;

pub struct Registry {
    published: ArcSwap<Snapshot>,
    known: Mutex<Known>,
    /// The generation that is published, for those who wait for another.
    generation: watch::Sender<u64>,
}

/// What the next snapshot is made of.
struct Known {
    generation: u64,
    naming: Naming,
    servers: BTreeMap<ServerId, Discovered>,
    sets: Sets,
}

/// A server, and what it offered as it said it itself.
struct Discovered {
    server: Server,
    offer: Option<Arc<Offer>>,
    /// The lists that the server says have changed, each with the first look that can show it.
    announced: BTreeMap<Listed, u64>,
    /// When each list was last found changed.
    changed: BTreeMap<Listed, Instant>,
}

/// How much later a server may say that a list has changed than that was found.
const ANNOUNCED_LAST: Duration = Duration::from_secs(5);

impl Registry {
    pub fn new(naming: Naming, profiles: impl IntoIterator<Item = (ServerId, Profile)>, sets: Sets) -> Registry {
        let servers =
            profiles.into_iter().map(|(id, profile)| (id.clone(), Discovered::nothing(id, profile))).collect();
        let known = Known { generation: 0, naming, servers, sets };
        Registry {
            published: ArcSwap::from_pointee(known.snapshot()),
            known: Mutex::new(known),
            generation: watch::Sender::new(0),
        }
    }

    pub fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.published.load()
    }

    /// Tells of every snapshot that is published from now on.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Waits until each of these servers was looked at once.
    pub async fn wait_until_probed(&self, which: impl Fn(&Server) -> bool, most: Duration) {
        let mut changes = self.watch();
        let is_done = || !self.snapshot().servers().any(|server| server.state == State::Unprobed && which(server));
        let done = async { while !is_done() && changes.changed().await.is_ok() {} };
        // Whoever asked goes on; the server says itself that nobody has looked at it.
        let _ = tokio::time::timeout(most, done).await;
    }

    /// Another set of servers; what is known of those that stay is kept.
    pub fn replace(&self, naming: Naming, profiles: impl IntoIterator<Item = (ServerId, Profile)>, sets: Sets) {
        self.change(|known| {
            let mut before = std::mem::take(&mut known.servers);
            let kept = |(id, profile): (ServerId, Profile)| {
                let discovered = match before.remove(&id) {
                    Some(discovered) => discovered.described(profile),
                    None => Discovered::nothing(id.clone(), profile),
                };
                (id, discovered)
            };
            known.servers = profiles.into_iter().map(kept).collect();
            known.naming = naming;
            known.sets = sets;
        });
    }

    /// A server told what it offers, in this look at it.
    pub fn found(&self, id: &ServerId, offer: Offer, look: u64) -> Arc<Offer> {
        if let Some(same) = self.known_already(id, &offer, look) {
            return same;
        }
        let offer = Arc::new(offer);
        self.change(|known| {
            if let Some(discovered) = known.servers.get_mut(id) {
                discovered.server.state = State::Ready;
                let before = discovered.offer.replace(Arc::clone(&offer));
                discovered.count_announced(before.as_deref(), &offer, look);
                discovered.publish();
            }
        });
        offer
    }

    /// A server says that a list has changed. That is published with what this look at it finds.
    pub fn announced(&self, id: &ServerId, list: Listed, look: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(discovered) = known.servers.get_mut(id) {
            discovered.announced.insert(list, look);
        }
    }

    fn known_already(&self, id: &ServerId, offer: &Offer, look: u64) -> Option<Arc<Offer>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let discovered = known.servers.get(id).filter(|discovered| discovered.server.state == State::Ready)?;
        if discovered.announced.values().any(|first| *first <= look) {
            return None;
        }
        discovered.offer.as_ref().filter(|known| ***known == *offer).map(Arc::clone)
    }

    /// A server does not answer. What it offered before stays listed, and says since when it is
    /// stale. Only another discovery makes it ready again.
    pub fn lost(&self, id: &ServerId) {
        let is_known =
            self.snapshot().server(id).is_some_and(|server| matches!(server.state, State::Ready | State::Unprobed));
        if !is_known {
            return;
        }
        self.change(|known| {
            if let Some(discovered) = known.servers.get_mut(id) {
                discovered.lose();
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut known);
        known.generation += 1;
        self.published.store(Arc::new(known.snapshot()));
        self.generation.send_replace(known.generation);
    }
}

impl Known {
    fn snapshot(&self) -> Snapshot {
        let servers = self.servers.values().map(|discovered| discovered.server.clone()).collect();
        Snapshot::new(self.generation, self.naming, servers, Arc::clone(&self.sets))
    }
}

impl Discovered {
    fn nothing(id: ServerId, profile: Profile) -> Discovered {
        let (state, profile) = (State::Unprobed, Arc::new(profile));
        let server = Server { id, state, offer: None, profile, announced: [0; 3] };
        let (announced, changed) = (BTreeMap::new(), BTreeMap::new());
        let mut discovered = Discovered { server, offer: None, announced, changed };
        discovered.publish();
        discovered
    }

    fn described(mut self, profile: Profile) -> Discovered {
        // Elsewhere it is another server, whatever it is called.
        if self.server.profile.url != profile.url && profile.origin == Origin::Store {
            return Discovered::nothing(self.server.id, profile);
        }
        if *self.server.profile != profile {
            self.server.profile = Arc::new(profile);
            self.publish();
        }
        self
    }

    /// A server that says that a list has changed is believed, also where nothing of that is seen; but what
    /// was seen just before is not said twice.
    fn count_announced(&mut self, before: Option<&Offer>, now: &Offer, look: u64) {
        let announced: Vec<Listed> =
            self.announced.extract_if(.., |_, first| *first <= look).map(|(list, _)| list).collect();
        for (list, count) in Listed::EVERY.into_iter().zip(&mut self.server.announced) {
            if before.is_some_and(|before| !before.lists_as(now, list)) {
                self.changed.insert(list, Instant::now());
            }
            let was_seen = self.changed.get(&list).is_some_and(|at| at.elapsed() < ANNOUNCED_LAST);
            *count = count.wrapping_add(u32::from(announced.contains(&list) && !was_seen));
        }
    }

    fn lose(&mut self) {
        self.server.state = match (self.server.state, &self.offer) {
            (State::Ready | State::Unprobed, Some(_)) => State::Stale { since: clock::now() },
            (State::Ready | State::Unprobed, None) => State::Unreachable { since: clock::now() },
            (state, _) => state,
        };
    }

    /// What others see of the offer: within what the registration declares.
    fn publish(&mut self) {
        let profile = &self.server.profile;
        self.server.offer = match &self.offer {
            Some(offer) if !profile.declares() => Some(Arc::clone(offer)),
            Some(offer) => Some(Arc::new(offer.within(profile))),
            None => Offer::declared(profile).map(Arc::new),
        };
    }
}
