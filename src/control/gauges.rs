//! Gauges that nobody counts up and down: read off the gateway once in a while.

use crate::gateway::Gateway;
use crate::metrics::Metrics;
use crate::upstream::{Pool, Vigour};
use std::collections::BTreeSet;
use tollbridge_filters::catalog::State;
use tollbridge_filters::names::ServerId;

/// What the gauges tell of; what is no more is taken away.
#[derive(Default)]
pub(super) struct Gauges {
    servers: BTreeSet<String>,
    endpoints: BTreeSet<(String, String)>,
}

impl Gauges {
    pub(super) fn read(&mut self, gateway: &Gateway) {
        let metrics = &gateway.metrics;
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        metrics.in_flight.set(gauge(gateway.lifecycle.in_flight()));
        metrics.sessions.set(gauge(gateway.sessions.count()));
        metrics.buffered_bytes.set(gauge(gateway.budget.taken()));
        metrics.access_log_dropped.set(gateway.access_log.dropped());
        metrics.ready.set(f64::from(u8::from(gateway.is_ready())));
        read_store(gateway);
        let snapshot = gateway.registry.snapshot();
        metrics.catalog_generation.set(i64::try_from(snapshot.generation).unwrap_or(i64::MAX));
        let mut now = Gauges::default();
        for (id, pool) in &gateway.live().fleet {
            now.read_pool(metrics, id, pool, snapshot.server(id).map(|server| server.state));
        }
        self.forget_all_but(&now, metrics);
        *self = now;
    }

    fn read_pool(&mut self, metrics: &Metrics, id: &ServerId, pool: &Pool, state: Option<State>) {
        let stale = match state {
            Some(State::Stale { since } | State::Unreachable { since }) => crate::clock::now().saturating_sub(since),
            _ => 0,
        };
        metrics.catalog_stale_seconds.with_label_values(&[id.as_str()]).set(stale as f64);
        self.servers.insert(id.to_string());
        for endpoint in pool.endpoints().iter() {
            let up = match endpoint.health.vigour() {
                Vigour::Up => 1.0,
                Vigour::Suspect | Vigour::Trial => 0.5,
                Vigour::Down => 0.0,
            };
            let addr = endpoint.addr.to_string();
            metrics.endpoint_up.with_label_values(&[id.as_str(), &addr]).set(up);
            self.endpoints.insert((id.to_string(), addr));
        }
    }

    /// Taking away what is there cannot fail.
    fn forget_all_but(&self, now: &Gauges, metrics: &Metrics) {
        for server in self.servers.difference(&now.servers) {
            let _ = metrics.catalog_stale_seconds.remove_label_values(&[server.as_str()]);
        }
        for (server, endpoint) in self.endpoints.difference(&now.endpoints) {
            let _ = metrics.endpoint_up.remove_label_values(&[server.as_str(), endpoint.as_str()]);
        }
    }
}

/// A file of the process's own is always there, and always what is known.
fn read_store(gateway: &Gateway) {
    let metrics = &gateway.metrics;
    let Some(standing) = gateway.store.standing() else {
        metrics.registry_generation.set(i64::try_from(gateway.store.ledger().generation).unwrap_or(i64::MAX));
        metrics.store_up.set(1);
        return;
    };
    metrics.store_up.set(i64::from(standing.is_up));
    metrics.store_unanswered.set(i64::try_from(standing.unanswered).unwrap_or(i64::MAX));
    metrics.registry_generation.set(i64::try_from(standing.generation).unwrap_or(i64::MAX));
    metrics.registry_age_seconds.set(standing.age.map_or(f64::INFINITY, |age| age.as_secs_f64()));
    metrics.registry_went_back.set(i64::from(standing.left.is_some()));
    metrics.registry_unreadable_rows.set(i64::try_from(standing.unreadable).unwrap_or(i64::MAX));
}
