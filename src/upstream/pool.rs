//! A pool: the endpoints of one server. Membership and active health come from
//! pingora-load-balancing; the choice, least in flight among the well ones, is ours.

use super::dns::Addresses;
use super::endpoint::{Endpoint, InFlight};
use super::guard::Blocked;
use super::health::Vigour;
use super::probe::McpCheck;
use super::renewal::Renewal;
use crate::conf::{Endpoints, Server};
use arc_swap::ArcSwap;
use pingora_load_balancing::{Backend, Backends};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tollbridge_filters::names::ServerId;

/// A server that others of its pool outrun by this much without a first byte is looked at.
const SLOW: Duration = Duration::from_secs(1);

/// An endpoint that answered somebody so recently is alive.
const ALIVE: Duration = Duration::from_secs(2);
const TRIES_MAX: usize = 10;

/// How long an endpoint is spared that says no more than that it has too much to do.
const REST: Duration = Duration::from_secs(1);

/// Who opens a stream, or a session, waits so long at most for a server to begin its own, and not at all
/// where it took longer the last time: some do not begin before there is an event.
const LATE: Duration = Duration::from_millis(750);

/// The pools of all servers, by id.
pub type Fleet = std::collections::BTreeMap<ServerId, Arc<Pool>>;

pub struct Pool {
    pub server: Arc<Server>,
    endpoints: Arc<ArcSwap<Vec<Arc<Endpoint>>>>,
    backends: Backends,
    check: McpCheck,
    turn: AtomicUsize,
    /// Rung when an endpoint became suspect, also by calls that began at a pool before this one.
    pub(crate) alarm: Arc<Notify>,
    /// For who heard that the server offers something else; kept like the alarm.
    pub renewal: Arc<Renewal>,
    /// Whether its streams begin late, so that nobody waits for one.
    streams_late: AtomicBool,
}

fn heirs(server: &Server, before: &Pool) -> Vec<Arc<Endpoint>> {
    let endpoints = before.endpoints();
    let stay = endpoints.iter().filter(|endpoint| match &server.endpoints {
        Endpoints::Static(uris) => uris.contains(&endpoint.uri),
        Endpoints::Dns(uri) => *uri == endpoint.uri,
    });
    let stay = stay.filter(|endpoint| {
        server.guard.as_ref().is_none_or(|guard| guard.reaches(endpoint.uri.host().unwrap_or_default(), endpoint.addr))
    });
    let heir = |endpoint: &Arc<Endpoint>| {
        Arc::new(Endpoint::new(server, &endpoint.uri, endpoint.addr, Arc::clone(&endpoint.health)))
    };
    stay.map(heir).collect()
}

impl Pool {
    /// `before` is the pool that this one takes the place of: addresses that stay keep their health, and
    /// are there before they are resolved anew.
    pub fn new(server: Arc<Server>, before: Option<&Pool>) -> Pool {
        let heirs = before.map(|before| heirs(&server, before)).unwrap_or_default();
        let endpoints = Arc::new(ArcSwap::from_pointee(heirs));
        let check = McpCheck::new(Arc::clone(&server), Arc::clone(&endpoints));
        let mut backends = Backends::new(Box::new(Addresses::of(&server)));
        backends.set_health_check(Box::new(check.clone()));
        let alarm = before.map(|before| Arc::clone(&before.alarm)).unwrap_or_default();
        let renewal = before.map(|before| Arc::clone(&before.renewal)).unwrap_or_default();
        let (turn, streams_late) = Default::default();
        Pool { server, endpoints, backends, check, turn, alarm, renewal, streams_late }
    }

    /// Waits for a stream to begin; who waits with it goes on when it has, and soon if it does not.
    pub async fn begin_stream<T>(&self, begins: impl Future<Output = T>, go_on: impl FnOnce()) -> T {
        let asked = Instant::now();
        tokio::pin!(begins);
        let patience = if self.streams_late.load(Ordering::Relaxed) { Duration::ZERO } else { LATE };
        let in_time = tokio::time::timeout(patience, &mut begins).await;
        self.streams_late.store(in_time.is_err(), Ordering::Relaxed);
        go_on();
        match in_time {
            Ok(begun) => begun,
            Err(_) => {
                let begun = begins.await;
                self.streams_late.store(asked.elapsed() > LATE, Ordering::Relaxed);
                begun
            }
        }
    }

    /// Resolves the addresses anew; endpoints that stay keep health, counts and connections.
    pub async fn refresh(&self) -> Result<(), String> {
        let update = self.backends.update(|members| self.adopt(&members));
        update.await.map_err(|error| format!("{error}; the old addresses stay"))?;
        // There are none only where the guard let none pass; then those of the pool before go as well.
        if self.server.guard.is_some() && self.backends.get_backend().is_empty() {
            self.endpoints.store(Arc::default());
            return Err(Blocked::Forbidden.to_string());
        }
        Ok(())
    }

    fn adopt(&self, members: &BTreeSet<Backend>) {
        let known = self.endpoints.load();
        let endpoint = |backend: &Backend| {
            let addr = *backend.addr.as_inet()?;
            let kept = known.iter().find(|endpoint| endpoint.addr == addr).map(Arc::clone);
            let uri = backend.ext.get::<http::Uri>()?;
            Some(kept.unwrap_or_else(|| Arc::new(Endpoint::new(&self.server, uri, addr, Arc::default()))))
        };
        self.endpoints.store(Arc::new(members.iter().filter_map(endpoint).collect()));
    }

    pub fn endpoints(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.endpoints.load_full()
    }

    /// The endpoint for a call: one whose trial is due, else the best that was not tried yet.
    pub fn pick(&self, tried: &[SocketAddr]) -> Option<InFlight> {
        let endpoints = self.endpoints.load();
        let on_trial =
            endpoints.iter().find(|endpoint| !tried.contains(&endpoint.addr) && endpoint.health.take_trial());
        on_trial.map(|chosen| InFlight::new(Arc::clone(chosen))).or_else(|| self.best(tried))
    }

    /// The well ones first, of them the least busy, of those each in turn. When none is well, one that
    /// is not is still better than none.
    pub fn best(&self, tried: &[SocketAddr]) -> Option<InFlight> {
        let endpoints = self.endpoints.load();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let start = turn % endpoints.len().max(1);
        let in_turn = endpoints.iter().skip(start).chain(endpoints.iter().take(start));
        let open = in_turn.filter(|endpoint| !tried.contains(&endpoint.addr));
        let best =
            open.min_by_key(|endpoint| (endpoint.health.vigour(), endpoint.health.is_resting(), endpoint.in_flight()));
        best.map(|chosen| InFlight::new(Arc::clone(chosen)))
    }

    /// The endpoint that a legacy session sticks to.
    pub fn at(&self, addr: SocketAddr) -> Option<InFlight> {
        let endpoints = self.endpoints.load();
        endpoints.iter().find(|endpoint| endpoint.addr == addr).map(|endpoint| InFlight::new(Arc::clone(endpoint)))
    }

    /// Whether a message that could not be sent is worth another try after so many: at every endpoint
    /// and once more, and on while the endpoint answers others. Then it is its backlog that is full.
    pub fn is_worth_another_try(&self, endpoint: &Endpoint, tries: usize) -> bool {
        tries <= self.endpoints().len() || tries < TRIES_MAX && endpoint.health.lived_within(ALIVE)
    }

    /// A call failed at this endpoint: others are preferred until a probe has cleared it up.
    pub fn failed(&self, endpoint: &Endpoint) {
        endpoint.health.failed();
        self.alarm.notify_one();
    }

    /// An endpoint has too much to do (HTTP status 429), which is no failure: others get the calls until
    /// it is ready again.
    pub fn overloaded(&self, endpoint: &Endpoint, retry_after: Option<&str>) {
        let seconds = retry_after.and_then(|seconds| seconds.trim().parse().ok());
        endpoint.health.rest(seconds.map_or(REST, Duration::from_secs));
    }

    /// A call has waited for long without a first byte.
    pub fn slow(&self, endpoint: &Endpoint) {
        let endpoints = self.endpoints.load();
        let others_answer =
            endpoints.iter().any(|other| other.addr != endpoint.addr && other.health.lived_within(SLOW));
        if others_answer {
            endpoint.health.doubt();
            self.alarm.notify_one();
        }
    }

    /// How long to wait for a first byte before calling [`Pool::slow`].
    pub fn patience(&self) -> Duration {
        SLOW
    }

    /// One round of active checks over all endpoints.
    pub async fn check(&self) {
        self.backends.run_health_check(true).await;
    }

    /// Whether an endpoint is down and others are better off. Waits while probes are deciding.
    pub async fn is_lost(&self, endpoint: &Endpoint) -> bool {
        self.while_open(endpoint.health.decided()).await;
        endpoint.health.vigour() == Vigour::Down && self.has_better(endpoint)
    }

    /// Whether the sessions of an endpoint should leave it: it is down, or it failed a call and then the
    /// trial, and others are better off. Waits while that is being decided, so that nobody is sent to
    /// where calls have just begun to fail; one call is the trial.
    pub async fn has_lost_sessions(&self, endpoint: &Endpoint) -> bool {
        self.while_open(endpoint.health.decided_by_trial()).await;
        endpoint.health.is_given_up() && self.has_better(endpoint)
    }

    /// A decision makes a difference where there is a choice, and is worth waiting for as long as two
    /// probes may take.
    async fn while_open(&self, decision: impl Future<Output = ()>) {
        if self.endpoints.load().len() > 1 {
            let _ = tokio::time::timeout(self.server.health.timeout * 3, decision).await;
        }
    }

    fn has_better(&self, endpoint: &Endpoint) -> bool {
        let vigour = endpoint.health.vigour();
        self.endpoints.load().iter().any(|other| other.health.vigour() < vigour)
    }

    /// Looks at suspects at once: two failed probes in a row, and the endpoint is down.
    pub async fn examine_suspects(&self) {
        let mut examinations = JoinSet::new();
        for endpoint in self.endpoints().iter().filter(|endpoint| endpoint.health.vigour() == Vigour::Suspect) {
            let (check, endpoint) = (self.check.clone(), Arc::clone(endpoint));
            examinations.spawn(async move { check.decide(&endpoint).await });
        }
        examinations.join_all().await;
    }

    pub fn is_up(&self) -> bool {
        self.endpoints.load().iter().any(|endpoint| endpoint.health.vigour() != Vigour::Down)
    }
}
