//! Looking after one pool: its addresses, its health, and what its server offers.

use super::heed::keep_heeding;
use crate::gateway::Gateway;
use crate::registry::{Found, discover};
use crate::upstream::{Pool, Vigour};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};
use tollbridge_filters::arguments::Validation;
use tollbridge_filters::catalog::{Kind, Offer};

/// A name's addresses are asked for this often.
const RESOLVE_EVERY: Duration = Duration::from_secs(5);

const RESOLVE_FIRST: Duration = Duration::from_secs(1);

/// A server that does not answer is discovered again soon, then less and less often.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LAST: Duration = Duration::from_secs(5);

/// From one look that a server has asked for to the next.
const RENEW_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn tend(gateway: Arc<Gateway>, pool: Arc<Pool>, looked_at: mpsc::Sender<()>) {
    let presence = Presence { is_up: AtomicBool::new(true), came_back: Notify::new() };
    // After a reload its addresses are there. A name that takes long to resolve is no reason not to say
    // that nobody is there.
    if pool.endpoints().is_empty() {
        let _ = tokio::time::timeout(RESOLVE_FIRST, refresh(&pool)).await;
    }
    // What was known of endpoints before, and not yet decided, is decided now.
    pool.alarm.notify_one();
    tokio::join!(
        keep_discovering(&gateway, &pool, &presence, looked_at),
        keep_checking(&gateway, &pool, &presence),
        keep_examining(&gateway, &pool, &presence),
        keep_resolving(&pool),
        keep_heeding(&gateway, &pool),
    );
}

/// Whether anybody of a pool answers probes.
struct Presence {
    is_up: AtomicBool,
    came_back: Notify,
}

async fn keep_discovering(gateway: &Gateway, pool: &Pool, presence: &Presence, looked_at: mpsc::Sender<()>) {
    let id = &pool.server.id;
    let mut before: Option<Arc<Offer>> = None;
    let mut retry = RETRY_FIRST;
    let mut is_first = Some(looked_at);
    let mut said = None;
    loop {
        let conf = gateway.live().conf.discovery;
        let (look, began) = (pool.renewal.begin(), Instant::now());
        let wait = match discover(pool, before.as_deref(), conf.timeout).await {
            Ok(Found { offer, doubt }) => {
                let offer = if before.as_deref() == Some(&offer) { offer } else { compiled(gateway, offer).await };
                before = Some(gateway.registry.found(id, offer, look));
                let is_passing = doubt.as_ref().is_some_and(|doubt| doubt.is_passing);
                retry = if is_passing { (retry * 2).min(RETRY_LAST) } else { RETRY_FIRST };
                let why = doubt.map(|doubt| doubt.why);
                if let Some(why) = why.as_ref().filter(|_| said != why) {
                    tracing::warn!(server = %id, %why, "the server could not be discovered whole");
                }
                said = why;
                jittered(if is_passing { retry } else { conf.interval })
            }
            Err(reason) => {
                // Said once, and again when it changes: a server may be away for days.
                if said.as_ref() != Some(&reason) {
                    tracing::warn!(server = %id, %reason, "the server could not be discovered");
                    said = Some(reason);
                }
                gateway.registry.lost(id);
                retry = (retry * 2).min(RETRY_LAST);
                jittered(retry)
            }
        };
        pool.renewal.end(look);
        if let Some(looked_at) = is_first.take() {
            // The listener may have stopped waiting for us.
            let _ = looked_at.try_send(());
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = presence.came_back.notified() => {}
            // A server that says so all the time is not asked all the time.
            () = pool.renewal.wanted() => tokio::time::sleep_until((began + RENEW_EVERY).into()).await,
        }
    }
}

/// Compiles the schemas of tools where arguments are compared with them: here, because a nasty one takes
/// long, and no request should.
async fn compiled(gateway: &Gateway, offer: Offer) -> Offer {
    let validation = gateway.live().filters.validation;
    if validation == Validation::default() {
        return offer;
    }
    let compile = tokio::task::spawn_blocking(move || {
        offer.entries(Kind::Tool).iter().for_each(|tool| {
            tool.schema();
        });
        offer
    });
    // It cannot be cancelled, and what panics there is counted and leaves nothing to offer.
    compile.await.unwrap_or_default()
}

async fn keep_checking(gateway: &Gateway, pool: &Pool, presence: &Presence) {
    // What was down before a reload may have been mended by it.
    if pool.endpoints().iter().any(|endpoint| endpoint.health.vigour() == Vigour::Down) {
        pool.check().await;
        report(gateway, pool, presence);
    }
    loop {
        tokio::time::sleep(jittered(pool.server.health.interval)).await;
        pool.check().await;
        report(gateway, pool, presence);
    }
}

/// Suspects are looked at when the alarm rings, not when the next round is due.
async fn keep_examining(gateway: &Gateway, pool: &Pool, presence: &Presence) {
    loop {
        pool.alarm.notified().await;
        pool.examine_suspects().await;
        report(gateway, pool, presence);
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
        tracing::warn!(server = %pool.server.id, %reason, "its addresses could not be resolved");
    }
}

/// Tells the registry when nobody of the pool is there, and discovery when somebody is back.
fn report(gateway: &Gateway, pool: &Pool, presence: &Presence) {
    let is_up = pool.is_up();
    let was_up = presence.is_up.swap(is_up, Ordering::Relaxed);
    if !is_up {
        gateway.registry.lost(&pool.server.id);
    } else if !was_up {
        presence.came_back.notify_one();
    }
}

/// Within a tenth of the span, so that many gateways and servers do not move in step.
pub(super) fn jittered(span: Duration) -> Duration {
    let random: f64 = crate::answer::random(|bytes| f64::from(u32::from_be_bytes(bytes))) / f64::from(u32::MAX);
    span.mul_f64(0.9 + 0.2 * random)
}
