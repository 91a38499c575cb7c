//! The messages of a legacy session that are no requests: notifications, of which nobody waits for what
//! becomes of them, and clients' answers to what servers asked, which must arrive.

use super::Stop;
use super::legacy::forget;
use crate::failure::{Failure, Reason};
use crate::gateway::Gateway;
use crate::session::Opened;
use crate::upstream::{Fault, Head, Link, Pool};
use std::sync::Arc;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::permit;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::route::{Notice, Reach};

/// Hands a notification to the servers of the session that it is meant for.
pub async fn notify(gateway: Arc<Gateway>, notice: Notice) {
    let Some(upstreams) = gateway.sessions.known(notice.session.key) else {
        return;
    };
    if let Reach::Level(level) = &notice.reach {
        upstreams.set_level(level);
    }
    for (server, place) in upstreams.servers() {
        let meant = match &notice.reach {
            Reach::Opened | Reach::Level(_) => true,
            Reach::Holder(request) => upstreams.holder(request).as_ref() == Some(&server),
            Reach::Asker(asker) => *asker == server,
        };
        if !meant || !may_reach(&gateway, &notice, &server) {
            continue;
        }
        // A place that is locked is just being opened: its server does not know the session yet. But
        // it will know the request that is to be cancelled.
        let opened = match notice.reach {
            Reach::Holder(_) => place.lock().await.clone(),
            _ => place.try_lock().ok().and_then(|slot| slot.clone()),
        };
        let Some((pool, opened)) = gateway.pool(&server).zip(opened) else {
            continue;
        };
        if let Err(why) = hand_on(&pool, &opened, &notice).await {
            tracing::info!(%server, %why, "a notification could not be handed on");
        }
    }
}

/// Takes a client's answer to the server that asked, and says whether it arrived.
pub async fn deliver(gateway: &Gateway, notice: &Notice) -> Result<(), Stop> {
    let lost = || Stop::Rejected(Rejection::SessionNotFound);
    let upstreams = gateway.sessions.known(notice.session.key).ok_or_else(lost)?;
    let asker = match &notice.reach {
        Reach::Asker(asker) => Some(asker.clone()),
        // There is but one behind this endpoint.
        _ => upstreams.servers().into_iter().next().map(|(server, _)| server),
    };
    let server = asker.filter(|server| may_reach(gateway, notice, server)).ok_or_else(lost)?;
    let opened = upstreams.opened(&server).await.ok_or_else(lost)?;
    let pool = gateway.pool(&server).ok_or_else(lost)?;
    let failed = |reason| Stop::Failed(Failure::answered(&server, reason));
    match tell(&pool, &opened, notice).await {
        Ok(200..=299) => Ok(()),
        Ok(400 | 404) if opened.id.is_some() => {
            forget(&upstreams, &server).await;
            Err(lost())
        }
        Ok(status) => Err(failed(Reason::BadReply(format!("HTTP status {status} to the client's answer")))),
        Err(why) => Err(failed(Reason::Unavailable(why))),
    }
}

fn may_reach(gateway: &Gateway, notice: &Notice, server: &ServerId) -> bool {
    gateway.registry.snapshot().server(server).is_some_and(|known| permit::execute(&notice.principal, known))
}

async fn hand_on(pool: &Pool, opened: &Opened, notice: &Notice) -> Result<(), String> {
    match &notice.reach {
        Reach::Level(level) => {
            let endpoint = pool.at(opened.addr).ok_or("its endpoint is gone")?;
            opened.set_level(&pool.server, &endpoint, level).await
        }
        _ => tell(pool, opened, notice).await.map(drop),
    }
}

/// Sends it, and gives the status of the answer.
async fn tell(pool: &Pool, opened: &Opened, notice: &Notice) -> Result<u16, String> {
    let endpoint = pool.at(opened.addr).ok_or("its endpoint is gone")?;
    let body = notice.body();
    let fields = opened.fields();
    let head = Head {
        verb: "POST",
        server: &pool.server,
        endpoint: &endpoint,
        path: &endpoint.path,
        fields,
        body_bytes: body.len(),
    };
    let told = async {
        let mut link = Link::send(&endpoint, &head, body).await?;
        let status = link.answer().await?.status.as_u16();
        while link.chunk().await?.is_some() {}
        link.close().await;
        Ok::<u16, Fault>(status)
    };
    let told = tokio::time::timeout(pool.server.timeout.call, told).await;
    told.map_err(|_| "no answer in time".to_owned())?.map_err(|fault| fault.to_string())
}
