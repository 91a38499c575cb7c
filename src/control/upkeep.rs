//! Looking after sessions: those that nobody uses are closed at servers, and other replicas hear which ones are
//! used here.

use crate::carry;
use crate::gateway::Gateway;
use crate::session::{self, BEAT_EVERY, Opened, Upstreams};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tollbridge_filters::names::ServerId;

/// Idle sessions are closed so many at a time.
const FAREWELLS_MAX: usize = 16;

/// How often sessions are looked for whose replica is gone.
const ORPHANS_EVERY: Duration = Duration::from_secs(30);

/// How often sessions are compared with what is kept, where nobody tells what happens to them.
const COMPARED_EVERY: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(super) struct Upkeep {
    gateway: Arc<Gateway>,
    /// Turns at closing sessions.
    farewells: Arc<Semaphore>,
}

impl Upkeep {
    pub(super) fn of(gateway: &Arc<Gateway>) -> Upkeep {
        Upkeep { gateway: Arc::clone(gateway), farewells: Arc::new(Semaphore::new(FAREWELLS_MAX)) }
    }

    /// Where sessions are shared: hears of them, and tells.
    pub(super) fn begin(&self) {
        if self.gateway.sessions.shared().is_some() {
            tokio::spawn(session::follow(Arc::clone(&self.gateway.sessions)));
            tokio::spawn(self.clone().tell());
        }
    }

    /// In the background: servers may take their time, and reloads must not wait for them.
    pub(super) fn sweep(&self) {
        // What seems idle here the process that has taken over may be using.
        if !self.gateway.lifecycle.is_handed_over() {
            self.close(self.gateway.sessions.sweep());
        }
    }

    fn close(&self, idle: Vec<Arc<Upstreams>>) {
        for idle in idle {
            let Upkeep { gateway, farewells } = self.clone();
            tokio::spawn(async move {
                let _turn = farewells.acquire().await;
                if idle.is_nobodys(gateway.sessions.idle_max()).await {
                    carry::release(&gateway, &idle).await;
                }
            });
        }
    }

    async fn tell(self) {
        let sessions = &self.gateway.sessions;
        let (mut told, mut looked, mut compared) = (Instant::now(), Instant::now(), Instant::now());
        loop {
            let is_due = told.elapsed() >= sessions.touch_every();
            let since = is_due.then(|| std::mem::replace(&mut told, Instant::now()));
            let is_told = sessions.beat(since).await;
            if is_told && looked.elapsed() > ORPHANS_EVERY.min(sessions.idle_max()) {
                looked = Instant::now();
                self.close(sessions.orphans().await);
            }
            // Whoever hears nothing looks.
            if is_told && !sessions.listens() && compared.elapsed() > COMPARED_EVERY {
                compared = Instant::now();
                sessions.compare().await;
            }
            self.end_replaced(sessions.replaced());
            tokio::time::sleep(BEAT_EVERY).await;
        }
    }

    /// Sessions with servers that nobody will use.
    fn end_replaced(&self, replaced: Vec<(ServerId, Opened)>) {
        for (server, opened) in replaced {
            let Upkeep { gateway, farewells } = self.clone();
            tokio::spawn(async move {
                let _turn = farewells.acquire().await;
                let pool = gateway.pool(&server);
                if let Some((pool, endpoint)) = pool.as_ref().and_then(|pool| Some((pool, pool.at(opened.addr)?))) {
                    opened.end(&pool.server, &endpoint).await;
                }
            });
        }
    }
}
