//! Active health checks that speak MCP: `server/discover` to modern servers, `ping` within a session
//! of the gateway's own to legacy ones.

use super::ask::{Question, Reply};
use super::endpoint::Endpoint;
use super::health::Vigour;
use super::plain;
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
    Legacy(Legacy),
    /// RouteIQ's REST dialect, below this path.
    Plain(String),
}

/// The gateway's own session with a legacy server.
#[derive(Clone)]
struct Legacy {
    version: String,
    session: Option<String>,
}

/// A probe that went wrong.
#[derive(Debug, thiserror::Error)]
enum Failed {
    /// There was an answer, but not the one that a server of this kind gives.
    #[error("{0}")]
    Answered(String),
    /// There is nobody who knows JSON-RPC.
    #[error("{0}")]
    NotThere(String),
    #[error("{0}")]
    Silent(String),
}

impl McpCheck {
    pub(super) fn new(server: Arc<Server>, endpoints: Arc<ArcSwap<Vec<Arc<Endpoint>>>>) -> McpCheck {
        McpCheck { server, endpoints, known: Arc::default() }
    }

    /// Says of a suspect what probes have shown.
    pub(super) async fn decide(&self, endpoint: &Endpoint) {
        match self.examine(endpoint).await {
            Ok(()) => endpoint.health.cleared(),
            Err(reason) => {
                tracing::warn!(server = %self.server.id, endpoint = %endpoint.addr, %reason, "endpoint is down");
                endpoint.eject();
            }
        }
    }

    /// Two failed probes in a row: it does not answer. Unless calls were answered beside the second one:
    /// then it has so much to do that probes wait too long.
    async fn examine(&self, endpoint: &Endpoint) -> Result<(), String> {
        if self.probe(endpoint).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(SECOND_PROBE_AFTER).await;
        let began = Instant::now();
        let second = self.probe(endpoint).await;
        if endpoint.health.served_within(began.elapsed()) {
            return Ok(());
        }
        second.map_err(|failed| failed.to_string())
    }

    async fn probe(&self, endpoint: &Endpoint) -> Result<(), Failed> {
        let known = self.known.lock().await.get(&endpoint.addr).cloned();
        let found = match known {
            None => self.find_out(endpoint).await?,
            Some(known) => match self.ask_as(known, endpoint).await {
                // Its sessions are gone, or it has come back as a server of the other era.
                Err(Failed::Answered(_)) => self.find_out(endpoint).await?,
                as_before => as_before?,
            },
        };
        self.known.lock().await.insert(endpoint.addr, found);
        Ok(())
    }

    async fn ask_as(&self, known: Known, endpoint: &Endpoint) -> Result<Known, Failed> {
        match known {
            Known::Modern => self.discover(endpoint).await,
            Known::Legacy(own) => self.ping(endpoint, own).await,
            Known::Plain(base) => self.look(endpoint, base).await,
        }
    }

    async fn find_out(&self, endpoint: &Endpoint) -> Result<Known, Failed> {
        match self.server.era {
            EraChoice::Legacy => self.initialize(endpoint).await,
            EraChoice::Modern => self.discover(endpoint).await,
            EraChoice::Auto => match self.discover(endpoint).await {
                Ok(known) => Ok(known),
                Err(_) => match self.initialize(endpoint).await {
                    Err(Failed::NotThere(why)) => self.look_for_plain(endpoint, why).await,
                    found => found,
                },
            },
        }
    }

    /// A server that knows no JSON-RPC may be one of the REST dialect.
    async fn look_for_plain(&self, endpoint: &Endpoint, why: String) -> Result<Known, Failed> {
        for base in plain::bases(&endpoint.path) {
            if let Ok(known) = self.look(endpoint, base).await {
                return Ok(known);
            }
        }
        Err(Failed::Answered(why))
    }

    async fn look(&self, endpoint: &Endpoint, base: String) -> Result<Known, Failed> {
        let path = format!("{base}/tools");
        let answer = plain::get(&self.server, endpoint, &path, self.server.health.timeout).await;
        match answer.map_err(Failed::Silent)? {
            (200..=299, _) => Ok(Known::Plain(base)),
            (status, _) => Err(Failed::Answered(format!("GET {path} was answered with HTTP status {status}"))),
        }
    }

    async fn discover(&self, endpoint: &Endpoint) -> Result<Known, Failed> {
        match self.ask(endpoint, Question::discover()).await? {
            (_, Reply::Result(_), _) => Ok(Known::Modern),
            (status, reply, _) => Err(Failed::Answered(reply.refusal("server/discover", status))),
        }
    }

    async fn ping(&self, endpoint: &Endpoint, own: Legacy) -> Result<Known, Failed> {
        let ping = Question::ping(&own.version, own.session.as_deref());
        match self.ask(endpoint, ping).await? {
            (_, Reply::Result(_), _) => Ok(Known::Legacy(own)),
            (status, reply, _) => Err(Failed::Answered(reply.refusal("ping", status))),
        }
    }

    async fn initialize(&self, endpoint: &Endpoint) -> Result<Known, Failed> {
        match self.ask(endpoint, Question::initialize(LEGACY[0], "{}", OWN_INFO)).await? {
            (_, Reply::Result(result), session) => {
                let own = Legacy { version: settled_version(result.get()), session };
                let initialized = Question::initialized(&own.version, own.session.as_deref());
                // If it was not heard, the next ping is refused, and that is early enough.
                let _ = self.ask(endpoint, initialized).await;
                Ok(Known::Legacy(own))
            }
            (status @ (404 | 405), reply @ Reply::Nothing, _) => {
                Err(Failed::NotThere(reply.refusal("initialize", status)))
            }
            (status, reply, _) => Err(Failed::Answered(reply.refusal("initialize", status))),
        }
    }

    async fn ask(&self, endpoint: &Endpoint, question: Question<'_>) -> Result<(u16, Reply, Option<String>), Failed> {
        let asked = question.ask(&self.server, endpoint, self.server.health.timeout).await;
        let answer = asked.map_err(Failed::Silent)?;
        Ok((answer.status, answer.reply, answer.session))
    }

    fn endpoint(&self, backend: &Backend) -> Option<Arc<Endpoint>> {
        let addr = backend.addr.as_inet()?;
        self.endpoints.load().iter().find(|endpoint| endpoint.addr == *addr).map(Arc::clone)
    }
}

/// Servers may settle on an older revision, and some refuse every other one from then on.
fn settled_version(result: &str) -> String {
    let result: serde_json::Value = serde_json::from_str(result).unwrap_or_default();
    result.get("protocolVersion").and_then(|version| version.as_str()).unwrap_or(LEGACY[0]).to_owned()
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
                endpoint.eject();
            }
            tracing::info!(server = %self.server.id, endpoint = %endpoint.addr, healthy, "health of endpoint changed");
        }
    }

    /// A check is two probes already.
    fn health_threshold(&self, _success: bool) -> usize {
        1
    }
}
