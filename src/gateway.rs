//! What the rooms share: the part that a reload replaces as a whole, and the part that stays.

use crate::access_log::AccessLog;
use crate::answer::Lists;
use crate::conf::Conf;
use crate::limits::Budget;
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::server::Lifecycle;
use crate::session::Sessions;
use crate::upstream::{Fleet, Pool};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tollbridge_filters::Filters;
use tollbridge_filters::auth::Keyring;
use tollbridge_filters::limit::HeadLimits;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::origin::{Doorkeeper, Hosts};
use tollbridge_filters::seal::Sealer;

/// How long a reload waits for addresses.
const RESOLVE_MAX: Duration = Duration::from_secs(1);

pub struct Gateway {
    live: ArcSwap<Live>,
    pub registry: Registry,
    pub sessions: Sessions,
    pub lists: Lists,
    pub metrics: Metrics,
    pub access_log: AccessLog,
    pub budget: Arc<Budget>,
    pub lifecycle: Lifecycle,
}

/// One configuration, in force.
pub struct Live {
    pub conf: Conf,
    pub filters: Filters,
    pub fleet: Fleet,
}

impl Gateway {
    /// `spare_seal` seals where the configuration names no key: sessions then end with the process.
    pub fn new(conf: Conf, spare_seal: [u8; 32]) -> std::io::Result<Gateway> {
        let registry = Registry::new(conf.naming, conf.servers.iter().map(|server| server.id.clone()));
        let live = Live::new(conf, spare_seal, &Fleet::new());
        let conf = &live.conf;
        Ok(Gateway {
            registry,
            sessions: Sessions::new(&conf.session),
            lists: Lists::default(),
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

    pub fn pool(&self, id: &ServerId) -> Option<Arc<Pool>> {
        self.live().fleet.get(id).map(Arc::clone)
    }

    /// Puts another configuration in force, all of it at once. What did not change keeps its
    /// connections, health and counts.
    pub async fn adopt(&self, conf: Conf, spare_seal: [u8; 32]) {
        let before = self.live().fleet.clone();
        let next = Live::new(conf, spare_seal, &before);
        next.resolve(&before).await;
        self.registry.replace(next.conf.naming, next.fleet.keys().cloned());
        self.live.store(Arc::new(next));
    }
}

impl Live {
    fn new(conf: Conf, spare_seal: [u8; 32], before: &Fleet) -> Live {
        let fleet = conf
            .servers
            .iter()
            .map(|server| {
                let kept = before.get(&server.id).filter(|pool| *pool.server == *server);
                let other = || Arc::new(Pool::new(Arc::new(server.clone()), before.get(&server.id).map(Arc::as_ref)));
                (server.id.clone(), kept.map_or_else(other, Arc::clone))
            })
            .collect();
        let filters = filters(&conf, spare_seal);
        Live { conf, filters, fleet }
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

fn filters(conf: &Conf, spare_seal: [u8; 32]) -> Filters {
    let listen = &conf.listen;
    let hosts = match (listen.hosts.is_empty(), listen.addr.ip().is_loopback()) {
        (true, true) => Hosts::Local,
        (true, false) => Hosts::Any,
        (false, _) => Hosts::Listed(listen.hosts.clone()),
    };
    let seals = if conf.seal.is_empty() { vec![spare_seal] } else { conf.seal.clone() };
    Filters {
        keyring: Keyring::new(&conf.keys),
        doorkeeper: Doorkeeper { hosts, origins: listen.origins.clone() },
        head_limits: HeadLimits { bytes: conf.limits.head_bytes, fields: conf.limits.head_fields },
        passthrough: conf.passthrough.is_some(),
        sealer: Sealer::new(&seals),
        session_max_age: conf.session.max_age,
    }
}
