//! Hearing from a modern server when its lists change, over a subscription of the gateway's own. Servers
//! of the legacy era say it in their clients' sessions, and are looked at now and then.

use super::tend::jittered;
use crate::gateway::Gateway;
use crate::upstream::{EventStream, Opening, Pool, Question};
use std::time::Duration;
use tollbridge_filters::era::Era;
use tollbridge_filters::route::Listed;

const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(30);

/// A server that takes no subscription although it says so is asked again after this.
const REFUSED_AGAIN: Duration = Duration::from_secs(300);

/// What became of a subscription.
enum Ended {
    /// It was there, and what happened since is not known.
    Broken,
    Refused,
    Hindered,
}

pub(super) async fn keep_heeding(gateway: &Gateway, pool: &Pool) {
    let mut changes = gateway.registry.watch();
    let mut retry = RETRY_FIRST;
    loop {
        let lists = announced(gateway, pool);
        if lists.is_empty() {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        }
        let wait = match heed(gateway, pool, &lists).await {
            Ended::Broken => {
                retry = RETRY_FIRST;
                pool.renewal.look(gateway.live().conf.discovery.timeout).await;
                retry
            }
            Ended::Refused => REFUSED_AGAIN,
            Ended::Hindered => {
                retry = (retry * 2).min(RETRY_LAST);
                retry
            }
        };
        tokio::time::sleep(jittered(wait)).await;
    }
}

/// The lists whose changes the server announces.
fn announced(gateway: &Gateway, pool: &Pool) -> Vec<&'static str> {
    let snapshot = gateway.registry.snapshot();
    let known = snapshot.server(&pool.server.id).and_then(|server| server.offer.as_ref());
    let Some(offer) = known.filter(|offer| offer.eras.speak(Era::Modern)) else {
        return Vec::new();
    };
    let announces = |list: &Listed| {
        let settings = offer.capabilities.get(list.capability());
        settings.and_then(|settings| settings.get("listChanged")).is_some_and(|announced| announced == true)
    };
    Listed::EVERY.into_iter().filter(announces).map(Listed::filter).collect()
}

async fn heed(gateway: &Gateway, pool: &Pool, lists: &[&str]) -> Ended {
    let Some(endpoint) = pool.best(&[]) else { return Ended::Hindered };
    let conf = std::sync::Arc::clone(&gateway.live().conf);
    let question = Question::listen(lists);
    let opening = question.open(&pool.server, &endpoint, &conf.limits);
    let stream = match tokio::time::timeout(conf.discovery.timeout, opening).await {
        Ok(Ok(Opening::Stream(stream))) => stream,
        Ok(Ok(Opening::Refused { status: 200 | 400 | 404 | 405, .. })) => return Ended::Refused,
        Ok(Ok(Opening::Refused { .. }) | Err(_)) | Err(_) => return Ended::Hindered,
    };
    // It is open for as long as the server likes, which is no work of an exchange.
    drop(endpoint);
    hear(gateway, pool, stream).await;
    Ended::Broken
}

async fn hear(gateway: &Gateway, pool: &Pool, mut stream: EventStream) {
    while let Ok(Some(event)) = stream.next().await {
        if let Some(list) = event.data.as_deref().and_then(Listed::that_changed) {
            gateway.registry.announced(&pool.server.id, list, pool.renewal.next());
            pool.renewal.ask();
        }
    }
}
