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
use tollbridge_filters::Filters;
use tollbridge_filters::auth::Keyring;
use tollbridge_filters::limit::HeadLimits;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::origin::{Doorkeeper, Hosts};
use tollbridge_filters::seal::Sealer;

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
    pub fn adopt(&self, conf: Conf, spare_seal: [u8; 32]) {
        let next = Live::new(conf, spare_seal, &self.live().fleet);
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
                let pool = kept.map_or_else(|| Arc::new(Pool::new(Arc::new(server.clone()))), Arc::clone);
                (server.id.clone(), pool)
            })
            .collect();
        let filters = filters(&conf, spare_seal);
        Live { conf, filters, fleet }
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
