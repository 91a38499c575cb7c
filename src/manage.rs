//! Changes: registrations, application sessions. One set of functions for every surface, the
//! operators' listener and the command line; what a surface calls its answer is its own business.

mod rerank;
mod servers;
mod told;

pub use rerank::{Ranked, Reranker};
pub use told::told;

use crate::clock;
use crate::gateway::Gateway;
use crate::registry::{Act, Ledger, Record, Row, discover};
use crate::upstream::{Guard, Pool};
use serde::{Deserialize, Serialize};
use servers::{Acting, blocked};
use std::sync::Arc;
use std::time::Duration;
use tollbridge_filters::catalog::Server;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::route::Change;
use tollbridge_filters::surface::registration::Registration;

/// A server that answers at once is known when its registration is acknowledged; one that does not is
/// not waited for.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// What has been changed; kept for whoever asks twice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Changed {
    Registered {
        id: String,
        external_id: String,
        is_new: bool,
    },
    Replaced {
        id: String,
        external_id: String,
    },
    /// Nothing that anybody asks about.
    Kept,
    Unregistered {
        external_id: String,
    },
    Declared {
        server: String,
        tool: String,
    },
    MadePublic(Vec<String>),
    Added {
        set: Option<String>,
        added: Vec<String>,
        failed: Vec<(String, String)>,
    },
    Removed {
        set: Option<String>,
        name: String,
        uuid: String,
        tools: usize,
    },
    SetCreated {
        id: String,
    },
    SetDropped {
        id: String,
    },
}

impl Changed {
    /// The server that there is now, or is another one.
    pub fn external_id(&self) -> Option<&str> {
        match self {
            Changed::Registered { external_id, .. } | Changed::Replaced { external_id, .. } => Some(external_id),
            _ => None,
        }
    }

    pub fn is_new(&self) -> bool {
        matches!(self, Changed::Registered { is_new: true, .. })
    }
}

/// Makes a change, unless it was made before under the same `Idempotency-Key`. When this returns it is
/// kept, and everybody sees it.
pub async fn change(gateway: &Gateway, change: Change) -> Result<Changed, Rejection> {
    let guard = Arc::new(Guard::of(&gateway.live().conf));
    let Change { principal, surface, what, idempotency, .. } = change;
    let act = Acting { gateway, guard, principal: principal.id().to_owned(), surface, now: clock::now() };
    if let Some(asked) = &idempotency
        && let Some(before) = gateway.store.ledger().answered(principal.id(), asked, act.now)?
    {
        gateway.follow().await;
        return Ok(before);
    }
    let make = act.prepare(what, &principal).await?;
    let (principal, now) = (act.principal.clone(), act.now);
    let act: Act = Box::new(move |ledger| {
        if let Some(asked) = &idempotency
            && let Some(before) = ledger.answered(&principal, asked, now)?
        {
            return Ok((before, Vec::new()));
        }
        let (changed, mut rows) = make(ledger)?;
        if let Some(asked) = &idempotency {
            rows.extend(ledger.remember(&principal, asked, &changed, now));
        }
        Ok((changed, rows))
    });
    let changed = gateway.store.change(act).await?;
    gateway.follow().await;
    gateway.metrics.registry_changes.inc();
    wait_for_first_look(gateway, &changed).await;
    Ok(changed)
}

type Make = Box<dyn Fn(&mut Ledger) -> Result<(Changed, Vec<Row>), Rejection> + Send>;

/// Asks a server before it is registered. What it says instead of an answer is not told: whoever registers
/// may not learn from it what is where.
pub async fn probe(gateway: &Gateway, registration: &Registration) -> Result<(), Rejection> {
    let guard = Arc::new(Guard::of(&gateway.live().conf));
    let uri = guard.url(&registration.url).map_err(blocked)?;
    guard.check(&uri).await.map_err(blocked)?;
    let record = Record::new("probe".to_owned(), registration.clone(), None, clock::now());
    let unreached = || Rejection::NotReached;
    let id = ServerId::derive("probe").map_err(|_| unreached())?;
    let pool = Pool::new(Arc::new(record.server(&id, &guard).ok_or_else(unreached)?), None);
    pool.refresh().await.map_err(|_| unreached())?;
    let timeout = gateway.live().conf.discovery.timeout;
    discover(&pool, None, timeout).await.map(drop).map_err(|_| unreached())
}

/// Ends the application sessions whose time is over.
pub async fn expire(gateway: &Gateway, now: u64) {
    let act: Act = Box::new(move |ledger| {
        let rows = ledger.expire(now);
        Ok((Changed::Kept, rows))
    });
    if let Err(why) = gateway.store.change(act).await {
        tracing::warn!(%why, "application sessions could not be ended");
    }
    gateway.follow().await;
}

/// Waits until a server that is new was looked at, but not for long.
async fn wait_for_first_look(gateway: &Gateway, changed: &Changed) {
    let ids: Vec<&str> = match changed {
        Changed::Registered { id, .. } | Changed::Replaced { id, .. } => vec![id],
        Changed::Added { added, .. } => added.iter().map(String::as_str).collect(),
        _ => return,
    };
    let ids: Vec<ServerId> = ids.into_iter().filter_map(|id| ServerId::derive(id).ok()).collect();
    let is_new = |server: &Server| ids.contains(&server.id);
    gateway.registry.wait_until_probed(is_new, FIRST_LOOK).await;
}
