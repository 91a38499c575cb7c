//! Active health checks that speak MCP: `server/discover` to modern servers, `ping` within a session
//! of the gateway's own to legacy ones.

use super::ask::{Question, Reply};
use super::endpoint::Endpoint;
use super::health::Vigour;
use super::questions::OWN_INFO;
use crate::conf::{EraChoice, Server};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::{Error, ErrorType, Result};
use pingora_load_balancing::Backend;
use pingora_load_balancing::health_check::HealthCheck;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tollbridge_filters::era::LEGACY;

/// Between the two failed probes that eject an endpoint.
const SECOND_PROBE_AFTER: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub(super) struct McpCheck {
    server: Arc<Server>,
    endpoints: Arc<ArcSwap<Vec<Arc<Endpoint>>>>,
    /// What is known of each endpoint: its era, and the session that pings travel in.
    known: Arc<Mutex<HashMap<SocketAddr, Known>>>,
}

#[derive(Clone)]
enum Known {
    Modern,
    Legacy { session: Option<String> },
}

impl McpCheck {
    pub(super) fn new(server: Arc<Server>, endpoints: Arc<ArcSwap<Vec<Arc<Endpoint>>>>) -> McpCheck {
        McpCheck { server, endpoints, known: Arc::default() }
    }

    /// Two failed probes in a row: it does not answer. Unless calls were answered beside the second one:
    /// then it has so much to do that probes wait too long.
    pub(super) async fn examine(&self, endpoint: &Endpoint) -> Result<(), String> {
        if self.probe(endpoint).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(SECOND_PROBE_AFTER).await;
        let began = Instant::now();
        let second = self.probe(endpoint).await;
        if endpoint.health.served_within(began.elapsed()) { Ok(()) } else { second }
    }

    async fn probe(&self, endpoint: &Endpoint) -> Result<(), String> {
        let known = self.known.lock().await.get(&endpoint.addr).cloned();
        let found = match known {
            Some(Known::Modern) => self.discover(endpoint).await?,
            Some(Known::Legacy { session }) => self.ping(endpoint, session).await?,
            None if self.server.era == EraChoice::Legacy => self.initialize(endpoint).await?,
            None => match self.discover(endpoint).await {
                Ok(known) => known,
                Err(reason) if self.server.era == EraChoice::Modern => return Err(reason),
                Err(_) => self.initialize(endpoint).await?,
            },
        };
        self.known.lock().await.insert(endpoint.addr, found);
        Ok(())
    }

    async fn discover(&self, endpoint: &Endpoint) -> Result<Known, String> {
        match self.ask(endpoint, Question::discover()).await? {
            (_, Reply::Result(_), _) => Ok(Known::Modern),
            (status, _, _) => Err(format!("server/discover was answered {status} without a result")),
        }
    }

    async fn ping(&self, endpoint: &Endpoint, session: Option<String>) -> Result<Known, String> {
        let ping = Question::ping(LEGACY[0], session.as_deref());
        match self.ask(endpoint, ping).await? {
            (_, Reply::Result(_), _) => Ok(Known::Legacy { session }),
            // Its sessions are gone; it may have become another server altogether.
            (400..500, _, _) => self.initialize(endpoint).await,
            (status, _, _) => Err(format!("ping was answered {status} without a result")),
        }
    }

    async fn initialize(&self, endpoint: &Endpoint) -> Result<Known, String> {
        match self.ask(endpoint, Question::initialize(LEGACY[0], "{}", OWN_INFO)).await? {
            (_, Reply::Result(_), session) => {
                let initialized = Question::initialized(LEGACY[0], session.as_deref());
                // If it was not heard, the next ping is refused, and that is early enough.
                let _ = self.ask(endpoint, initialized).await;
                Ok(Known::Legacy { session })
            }
            (status, _, _) => Err(format!("initialize was answered {status} without a result")),
        }
    }

    async fn ask(&self, endpoint: &Endpoint, question: Question<'_>) -> Result<(u16, Reply, Option<String>), String> {
        let answer = question.ask(&self.server, endpoint, self.server.health.timeout).await?;
        Ok((answer.status, answer.reply, answer.session))
    }

    fn endpoint(&self, backend: &Backend) -> Option<Arc<Endpoint>> {
        let addr = backend.addr.as_inet()?;
        self.endpoints.load().iter().find(|endpoint| endpoint.addr == *addr).map(Arc::clone)
    }
}

#[async_trait]
impl HealthCheck for McpCheck {
    async fn check(&self, target: &Backend) -> Result<()> {
        let Some(endpoint) = self.endpoint(target) else {
            return Ok(());
        };
        let verdict = self.examine(&endpoint).await;
        // An ejection by calls, which the check does not know of, ends here.
        if verdict.is_ok() && endpoint.health.vigour() == Vigour::Down {
            endpoint.health.cleared();
        }
        verdict.map_err(|reason| Error::explain(ErrorType::Custom("MCP health check"), reason))
    }

    async fn health_status_change(&self, target: &Backend, healthy: bool) {
        if let Some(endpoint) = self.endpoint(target) {
            if healthy {
                endpoint.health.cleared();
            } else {
                endpoint.health.eject();
            }
            tracing::info!(server = %self.server.id, endpoint = %endpoint.addr, healthy, "health of endpoint changed");
        }
    }

    /// A check is two probes already.
    fn health_threshold(&self, _success: bool) -> usize {
        1
    }
}
