//! What the rooms share: the part that a reload replaces as a whole, and the part that stays.

use crate::access_log::AccessLog;
use crate::answer::{Lists, Searches};
use crate::clock;
use crate::conf::Conf;
use crate::limits::Budget;
use crate::manage::Reranker;
use crate::metrics::Metrics;
use crate::registry::{Ledger, Registry, SetRecord, Store};
use crate::server::Lifecycle;
use crate::session::{self, Sessions};
use crate::upstream::{Fleet, Guard, Pool};
use arc_swap::ArcSwap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tollbridge_filters::auth::Keyring;
use tollbridge_filters::catalog::{Profile, Sets, Snapshot, State};
use tollbridge_filters::limit::HeadLimits;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::origin::{Doorkeeper, Hosts};
use tollbridge_filters::permit::Groups;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::route::Route;
use tollbridge_filters::seal::Sealer;
use tollbridge_filters::session::Recent;
use tollbridge_filters::{Filters, Refused};

/// A call that comes before a server was looked at waits for that, but not for long.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// How long a reload waits for addresses.
const RESOLVE_MAX: Duration = Duration::from_secs(1);

pub struct Gateway {
    live: ArcSwap<Live>,
    /// Seconds since 1970.
    born: u64,
    /// One at a time puts something in force.
    turn: tokio::sync::Mutex<()>,
    /// Whether an application is behind the gateway.
    passes: watch::Sender<bool>,
    /// Rung when the fleet has changed, so that each pool gets whoever looks after it.
    pub fleet_changed: Notify,
    pub registry: Registry,
    /// Where registrations and application sessions are kept.
    pub store: Store,
    pub sessions: Arc<Sessions>,
    pub lists: Lists,
    pub searches: Searches,
    pub reranker: Reranker,
    pub metrics: Metrics,
    pub access_log: AccessLog,
    pub budget: Arc<Budget>,
    pub lifecycle: Lifecycle,
}

/// One configuration, in force.
pub struct Live {
    pub conf: Arc<Conf>,
    pub filters: Arc<Filters>,
    pub fleet: Fleet,
    /// The generation of the ledger that the fleet was made of.
    ledger: u64,
}

impl Gateway {
    /// The store's key seals where the configuration names none.
    pub fn new(conf: Conf, store: Store) -> std::io::Result<Gateway> {
        let born = clock::now();
        let ledger = store.ledger();
        let filters = Arc::new(filters(&conf, store.seal()));
        say_clashes(&conf, &ledger);
        let live = Live::new(Arc::new(conf), filters, &ledger, &Fleet::new());
        let registry = Registry::new(live.conf.naming, live.profiles(born), sets(&ledger, None));
        let conf = Arc::clone(&live.conf);
        let share = |wire| Arc::new(session::Shared::new(wire, Sealer::new(&conf.seal), conf.session.max_age));
        let shared = store.wire().map(share);
        Ok(Gateway {
            store,
            born,
            turn: tokio::sync::Mutex::default(),
            passes: watch::Sender::new(conf.passthrough.is_some()),
            fleet_changed: Notify::new(),
            registry,
            sessions: Arc::new(Sessions::new(&conf.session, shared)),
            lists: Lists::default(),
            searches: Searches::default(),
            reranker: Reranker::default(),
            metrics: Metrics::default(),
            access_log: AccessLog::open(&conf.access_log)?,
            budget: Arc::new(Budget::new(conf.limits.buffered_bytes_total)),
            lifecycle: Lifecycle::default(),
            live: ArcSwap::from_pointee(live),
        })
    }

    pub fn live(&self) -> arc_swap::Guard<Arc<Live>> {
        self.live.load()
    }

    /// Whether clients should be sent here.
    pub fn is_ready(&self) -> bool {
        self.lifecycle.is_ready() && self.store.standing().is_none_or(|standing| standing.trouble().is_none())
    }

    /// Waits until there is an application behind the gateway.
    pub async fn has_application(&self) {
        // The sender lives as long as this does.
        let _ = self.passes.subscribe().wait_for(|passes| *passes).await;
    }

    pub fn pool(&self, id: &ServerId) -> Option<Arc<Pool>> {
        self.live().fleet.get(id).map(Arc::clone)
    }

    /// Decides on a snapshot; and once more, if what is not known may be about to be.
    pub async fn decide(
        &self,
        snapshot: &Arc<Snapshot>,
        decide: impl Fn(&Snapshot) -> Result<Route, Refused>,
    ) -> Result<(Arc<Snapshot>, Route), Refused> {
        let is_early = |refused: &Refused| {
            matches!(refused.reason, Rejection::UnknownTool(_) | Rejection::NotDiscovered { .. })
                && snapshot.servers().any(|server| server.state == State::Unprobed)
        };
        match decide(snapshot) {
            Err(refused) if is_early(&refused) => {
                self.registry.wait_until_probed(|_| true, FIRST_LOOK).await;
                let snapshot = self.registry.snapshot().clone();
                decide(&snapshot).map(|route| (snapshot, route))
            }
            decided => decided.map(|route| (Arc::clone(snapshot), route)),
        }
    }

    /// Puts another configuration in force, all of it at once. What did not change keeps its
    /// connections, health and counts.
    pub async fn adopt(&self, conf: Conf) {
        let _turn = self.turn.lock().await;
        self.store.fix(taken(&conf)).await;
        let filters = Arc::new(filters(&conf, self.store.seal()));
        self.put_in_force(Arc::new(conf), filters).await;
    }

    /// Puts in force what the store holds.
    pub async fn follow(&self) {
        let wanted = self.store.ledger().generation;
        let _turn = self.turn.lock().await;
        let live = Arc::clone(&self.live());
        // Whoever waited for the turn finds that another has done it.
        if live.ledger < wanted {
            self.put_in_force(Arc::clone(&live.conf), Arc::clone(&live.filters)).await;
        }
    }

    async fn put_in_force(&self, conf: Arc<Conf>, filters: Arc<Filters>) {
        let before = self.live().fleet.clone();
        let ledger = self.store.ledger();
        say_clashes(&conf, &ledger);
        let next = Live::new(conf, filters, &ledger, &before);
        next.resolve(&before).await;
        let sets = sets(&ledger, Some(&self.registry.snapshot()));
        let (naming, profiles) = (next.conf.naming, next.profiles(self.born).collect::<Vec<_>>());
        let passes = next.conf.passthrough.is_some();
        // Whoever is woken finds what goes with that.
        self.live.store(Arc::new(next));
        self.passes.send_replace(passes);
        self.registry.replace(naming, profiles, sets);
        self.fleet_changed.notify_one();
    }
}

/// Where the file has an id that was registered before, the file counts, and that is worth a word.
fn say_clashes(conf: &Conf, ledger: &Ledger) {
    let taken = taken(conf);
    for id in ledger.servers.keys().filter(|id| taken.contains(*id)) {
        tracing::warn!(server = %id, "the configuration file has this id; what was registered under it is not served");
    }
}

/// Ids and aliases that the configuration file has taken.
pub fn taken(conf: &Conf) -> BTreeSet<ServerId> {
    let aliases = conf.servers.iter().filter_map(|server| server.profile.alias.clone());
    conf.servers.iter().map(|server| server.id.clone()).chain(aliases).collect()
}

/// Application sessions as requests see them; those that are known keep when they were used last.
fn sets(ledger: &Ledger, before: Option<&Snapshot>) -> Sets {
    let set = |(id, record): (&String, &Arc<SetRecord>)| {
        let set = record.set();
        if let Some(known) = before.and_then(|before| before.sets_by_id().get(id)) {
            set.touch(known.last_used());
        }
        (id.clone(), set)
    };
    Arc::new(ledger.sets.iter().map(set).collect())
}

impl Live {
    /// The servers of the file and those of the ledger; where both have one, the file's counts.
    fn new(conf: Arc<Conf>, filters: Arc<Filters>, ledger: &Ledger, before: &Fleet) -> Live {
        let guard = Arc::new(Guard::of(&conf));
        let registered = ledger.servers.iter().filter_map(|(id, record)| record.server(id, &guard));
        let fleet = registered
            .chain(conf.servers.iter().cloned())
            .map(|server| {
                let known = before.get(&server.id);
                let kept = known.filter(|pool| *pool.server == server).map(Arc::clone);
                let id = server.id.clone();
                (id, kept.unwrap_or_else(|| Arc::new(Pool::new(Arc::new(server), known.map(Arc::as_ref)))))
            })
            .collect();
        Live { conf, filters, fleet, ledger: ledger.generation }
    }

    /// Nobody has written down when a server came into the file; it was there when the gateway began.
    fn profiles(&self, born: u64) -> impl Iterator<Item = (ServerId, Profile)> {
        self.fleet.iter().map(move |(id, pool)| {
            let mut profile = pool.server.profile.clone();
            if profile.registered == 0 {
                (profile.registered, profile.updated) = (born, born);
            }
            (id.clone(), profile)
        })
    }

    /// Gives the pools that are new their addresses, so that no call finds them without; names that take
    /// long to resolve are not waited for.
    async fn resolve(&self, before: &Fleet) {
        let is_new =
            |(id, pool): &(&ServerId, &Arc<Pool>)| before.get(*id).is_none_or(|known| !Arc::ptr_eq(known, pool));
        let mut lookups = JoinSet::new();
        for (_, pool) in self.fleet.iter().filter(is_new) {
            let pool = Arc::clone(pool);
            // What cannot be resolved is said by whoever tends the pool.
            lookups.spawn(async move { pool.refresh().await.ok() });
        }
        let _ = tokio::time::timeout(RESOLVE_MAX, lookups.join_all()).await;
    }
}

/// Whoever comes without keys is in no group.
fn strangers(conf: &Conf) -> Groups {
    if conf.access_groups_enforced { Groups::Only(Vec::new()) } else { Groups::Advisory }
}

fn filters(conf: &Conf, spare_seal: Option<[u8; 32]>) -> Filters {
    let listen = &conf.listen;
    let hosts = match (listen.hosts.is_empty(), listen.addr.ip().is_loopback()) {
        (true, true) => Hosts::Local,
        (true, false) => Hosts::Any,
        (false, _) => Hosts::Listed(listen.hosts.clone()),
    };
    let seals = if conf.seal.is_empty() { spare_seal.into_iter().collect() } else { conf.seal.clone() };
    Filters {
        keyring: Keyring::new(&conf.keys, strangers(conf)),
        doorkeeper: Doorkeeper { hosts, origins: listen.origins.clone() },
        head_limits: HeadLimits { bytes: conf.limits.head_bytes, fields: conf.limits.head_fields },
        passthrough: conf.passthrough.is_some(),
        surfaces: conf.surfaces,
        validation: conf.validation,
        meta_tools: conf.search.meta_tools,
        registry_public: conf.registry.public,
        sealer: Sealer::new(&seals),
        recent: Recent::default(),
        session_max_age: conf.session.max_age,
    }
}
