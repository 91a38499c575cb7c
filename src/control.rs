//! The control service: everything slow, on a thread of its own. It resolves names, checks health,
//! discovers what servers offer, reloads the configuration, and lets go of idle sessions.

mod gauges;
mod heed;
mod reload;
mod tend;
mod upkeep;

use crate::conf::Conf;
use crate::gateway::Gateway;
use crate::manage;
use crate::upstream::Pool;
use async_trait::async_trait;
use gauges::Gauges;
use pingora::server::ShutdownWatch;
use pingora::services::ServiceReadyNotifier;
use pingora::services::background::BackgroundService;
use reload::Reload;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tollbridge_filters::names::ServerId;
use upkeep::Upkeep;

const TICK: Duration = Duration::from_secs(1);

const KNOCK_AGAIN: Duration = Duration::from_millis(2);

pub struct Control {
    gateway: Arc<Gateway>,
    reload: Mutex<Option<Reload>>,
    sessions: Upkeep,
}

/// The task that looks after one pool, until the pool is replaced.
struct Tended {
    pool: Arc<Pool>,
    task: JoinHandle<()>,
}

type Tasks = BTreeMap<ServerId, Tended>;

impl Control {
    pub fn new(gateway: Arc<Gateway>, file: Option<PathBuf>) -> Control {
        let sessions = Upkeep::of(&gateway);
        Control { gateway, reload: Mutex::new(file.map(Reload::new)), sessions }
    }

    /// Gives every pool its task, and takes it from those that are no more.
    fn tend(&self, tasks: &mut Tasks, looked_at: &mpsc::Sender<()>) {
        let live = self.gateway.live();
        tasks.retain(|id, tended| {
            let kept = live.fleet.get(id).is_some_and(|pool| Arc::ptr_eq(pool, &tended.pool));
            if !kept {
                tended.task.abort();
            }
            kept
        });
        for (id, pool) in &live.fleet {
            tasks.entry(id.clone()).or_insert_with(|| {
                let (gateway, pool) = (Arc::clone(&self.gateway), Arc::clone(pool));
                let task = tokio::spawn(tend::tend(gateway, Arc::clone(&pool), looked_at.clone()));
                Tended { pool, task }
            });
        }
    }

    /// Waits until every server was looked at once, but not for the slow ones.
    async fn first_round(&self, servers: usize, looked_at: &mut mpsc::Receiver<()>) {
        let wait = self.gateway.live().conf.discovery.start_wait;
        let all = async {
            for _ in 0..servers {
                looked_at.recv().await;
            }
        };
        if tokio::time::timeout(wait, all).await.is_err() {
            tracing::info!("not every server has answered yet; lists say which");
        }
    }

    /// Ready means that calls are accepted, and the listener is opened only after we gave the word.
    async fn accepts(&self) {
        let mut addr = self.gateway.live().conf.listen.addr;
        if addr.ip().is_unspecified() {
            addr.set_ip(match addr {
                SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::LOCALHOST),
                SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::LOCALHOST),
            });
        }
        // While nobody listens, a connection may get this very port for its own end, and meet itself.
        let opened = |stream: TcpStream| stream.local_addr().is_ok_and(|own| own != addr);
        while !TcpStream::connect(addr).await.is_ok_and(opened) {
            tokio::time::sleep(KNOCK_AGAIN).await;
        }
    }

    async fn reload(&self) -> bool {
        let Some(conf) = self.next_conf() else { return false };
        self.gateway.adopt(conf).await;
        true
    }

    fn next_conf(&self) -> Option<Conf> {
        let mut reload = self.reload.lock().unwrap_or_else(PoisonError::into_inner);
        reload.as_mut().and_then(|reload| reload.next(&self.gateway))
    }

    fn force_reload(&self) {
        if let Some(reload) = self.reload.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            reload.force();
        }
    }

    /// Application sessions end after their time.
    async fn expire(&self) {
        let now = crate::clock::now();
        if self.gateway.store.ledger().sets.values().any(|set| set.expires <= now) {
            manage::expire(&self.gateway, now).await;
        }
    }
}

#[async_trait]
impl BackgroundService for Control {
    async fn start_with_ready_notifier(&self, mut shutdown: ShutdownWatch, ready: ServiceReadyNotifier) {
        let (looked_at, mut first_looks) = mpsc::channel(64);
        // Where the store has told something since the rooms were made.
        self.gateway.follow().await;
        self.sessions.begin();
        let mut tasks = Tasks::new();
        self.tend(&mut tasks, &looked_at);
        self.first_round(tasks.len(), &mut first_looks).await;
        // Nobody reads the channel from now on; whoever looks for the first time then need not tell.
        drop(first_looks);
        ready.notify_ready();
        self.accepts().await;
        self.gateway.lifecycle.set_ready();
        let mut gauges = Gauges::default();
        gauges.read(&self.gateway);
        let mut ledgers = self.gateway.store.watch();
        let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok();
        loop {
            let hung_up = async {
                match &mut hangup {
                    Some(signal) => signal.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = hung_up => self.force_reload(),
                () = tokio::time::sleep(TICK) => {}
                () = self.gateway.fleet_changed.notified() => self.tend(&mut tasks, &looked_at),
                // What another replica has changed.
                Ok(()) = ledgers.changed() => self.gateway.follow().await,
                // Health and discovery go on while the process drains; only reloads end.
                _ = shutdown.changed() => return std::future::pending().await,
            }
            if self.reload().await {
                self.tend(&mut tasks, &looked_at);
            }
            self.sessions.sweep();
            self.expire().await;
            gauges.read(&self.gateway);
        }
    }
}
