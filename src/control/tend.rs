//! Looking after one pool: its addresses, its health, and what its server offers.

use crate::gateway::Gateway;
use crate::registry::discover;
use crate::upstream::Pool;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tollbridge_filters::era::Eras;

/// A name's addresses are asked for this often.
const RESOLVE_EVERY: Duration = Duration::from_secs(5);

/// A server that does not answer is discovered again soon, then less and less often.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LAST: Duration = Duration::from_secs(5);

pub(super) async fn tend(gateway: Arc<Gateway>, pool: Arc<Pool>, looked_at: mpsc::Sender<()>) {
    let came_back = Notify::new();
    refresh(&pool).await;
    tokio::join!(
        keep_discovering(&gateway, &pool, &came_back, looked_at),
        keep_checking(&gateway, &pool, &came_back),
        keep_examining(&gateway, &pool, &came_back),
        keep_resolving(&pool),
    );
}

async fn keep_discovering(gateway: &Gateway, pool: &Pool, came_back: &Notify, looked_at: mpsc::Sender<()>) {
    let id = &pool.server.id;
    let mut eras: Option<Eras> = None;
    let mut retry = RETRY_FIRST;
    let mut is_first = Some(looked_at);
    let mut said = None;
    loop {
        let conf = gateway.live().conf.discovery;
        let wait = match discover(pool, eras, conf.timeout).await {
            Ok(offer) => {
                eras = Some(offer.eras);
                retry = RETRY_FIRST;
                said = None;
                gateway.registry.found(id, offer);
                jittered(conf.interval)
            }
            Err(reason) => {
                // Said once, and again when it changes: a server may be away for days.
                if said.as_ref() != Some(&reason) {
                    tracing::warn!(server = %id, %reason, "the server could not be discovered");
                    said = Some(reason);
                }
                // Whatever it was, it may be another server when it is back.
                eras = None;
                gateway.registry.lost(id);
                retry = (retry * 2).min(RETRY_LAST);
                jittered(retry)
            }
        };
        if let Some(looked_at) = is_first.take() {
            // The listener may have stopped waiting for us.
            let _ = looked_at.try_send(());
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = came_back.notified() => {}
        }
    }
}

async fn keep_checking(gateway: &Gateway, pool: &Pool, came_back: &Notify) {
    loop {
        tokio::time::sleep(jittered(pool.server.health.interval)).await;
        pool.check().await;
        report(gateway, pool, came_back);
    }
}

/// Suspects are looked at when the alarm rings, not when the next round is due.
async fn keep_examining(gateway: &Gateway, pool: &Pool, came_back: &Notify) {
    loop {
        pool.alarm.notified().await;
        pool.examine_suspects().await;
        report(gateway, pool, came_back);
    }
}

async fn keep_resolving(pool: &Pool) {
    loop {
        tokio::time::sleep(jittered(RESOLVE_EVERY)).await;
        refresh(pool).await;
    }
}

async fn refresh(pool: &Pool) {
    if let Err(reason) = pool.refresh().await {
        tracing::warn!(server = %pool.server.id, %reason, "its addresses could not be resolved; the old ones stay");
    }
}

/// Tells the registry when nobody of the pool is there, and discovery when somebody is back.
fn report(gateway: &Gateway, pool: &Pool, came_back: &Notify) {
    let id = &pool.server.id;
    if !pool.is_up() {
        gateway.registry.lost(id);
    } else if gateway.registry.is_lost(id) {
        came_back.notify_one();
    }
}

/// Within a tenth of the span, so that many gateways and servers do not move in step.
fn jittered(span: Duration) -> Duration {
    let random: f64 = crate::answer::random(|bytes| f64::from(u32::from_be_bytes(bytes))) / f64::from(u32::MAX);
    span.mul_f64(0.9 + 0.2 * random)
}
