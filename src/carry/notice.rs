//! The messages of a legacy session that are no requests: notifications, of which nobody waits for what
//! becomes of them, and clients' answers to what servers asked, which must arrive.

use super::Stop;
use super::legacy::is_gone;
use crate::failure::{Failure, Reason};
use crate::gateway::Gateway;
use crate::session::Opened;
use crate::upstream::{Fault, Head, Link, Pool};
use std::sync::Arc;
use tokio::task::JoinSet;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::permit;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::route::{Notice, Reach};

/// Hands a notification to the servers of the session that it is meant for, at the same time: one that
/// hangs keeps it from nobody else.
pub async fn notify(gateway: Arc<Gateway>, notice: Notice) {
    let Some(upstreams) = gateway.sessions.known(notice.session.key) else {
        return;
    };
    if let Reach::Level(level) = &notice.reach {
        upstreams.set_level(level);
        upstreams.keep_level(level).await;
    }
    // Where another replica has just opened what this is about, nobody may have said so here yet.
    let is_known = match &notice.reach {
        Reach::Holder(request) => upstreams.holds(request),
        Reach::Asker(asker) => upstreams.opened(asker).is_some(),
        Reach::Opened | Reach::Level(_) => true,
    };
    if !is_known && let Err(why) = upstreams.refresh().await {
        tracing::debug!(%why, "a notification goes to those who are known here");
    }
    let notice = Arc::new(notice);
    let mut telling = JoinSet::new();
    for (server, place) in upstreams.servers() {
        let meant = match &notice.reach {
            Reach::Opened | Reach::Level(_) => true,
            Reach::Holder(request) => upstreams.may_hold(request, &server),
            Reach::Asker(asker) => *asker == server,
        };
        if !meant || !may_reach(&gateway, &notice, &server) {
            continue;
        }
        let (gateway, notice) = (Arc::clone(&gateway), Arc::clone(&notice));
        telling.spawn(async move {
            // A server that does not know the session yet need not hear of it. But it will know the request
            // that is to be cancelled.
            if let Reach::Holder(_) = notice.reach {
                drop(place.turn().await);
            }
            let Some((pool, opened)) = gateway.pool(&server).zip(place.opened()) else { return };
            if let Err(why) = hand_on(&pool, &opened, &notice).await {
                tracing::info!(%server, %why, "a notification could not be handed on");
            }
        });
    }
    telling.join_all().await;
}

/// Takes a client's answer to the server that asked, and says whether it arrived.
pub async fn deliver(gateway: &Gateway, notice: &Notice) -> Result<(), Stop> {
    let lost = || Stop::Rejected(Rejection::SessionNotFound);
    let upstreams = gateway.sessions.known(notice.session.key).ok_or_else(lost)?;
    // Whoever has opened it may be another replica, just now.
    if upstreams.servers().iter().all(|(_, place)| place.opened().is_none()) {
        upstreams.refresh().await.map_err(Stop::Rejected)?;
    }
    let asker = match &notice.reach {
        Reach::Asker(asker) => Some(asker.clone()),
        // There is but one behind this endpoint.
        _ => upstreams.servers().into_iter().next().map(|(server, _)| server),
    };
    let server = asker.filter(|server| may_reach(gateway, notice, server)).ok_or_else(lost)?;
    // Whoever has opened it may be another replica, just now.
    let opened = upstreams.opened_anywhere(&server, |_| true).await.ok_or_else(lost)?;
    let pool = gateway.pool(&server).ok_or_else(lost)?;
    let failed = |reason| Stop::Failed(Failure::answered(&server, reason));
    match tell(&pool, &opened, notice).await {
        Ok(200..=299) => Ok(()),
        Ok(404) if opened.id.is_some() => {
            upstreams.forget(&server, &opened);
            Err(lost())
        }
        Ok(400) => match pool.at(opened.addr) {
            Some(endpoint) if opened.id.is_some() && is_gone(&pool, &endpoint, &opened).await => {
                upstreams.forget(&server, &opened);
                Err(lost())
            }
            _ => Err(Stop::Rejected(Rejection::AnswerRefused(server))),
        },
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
        let status = link.answer().await?.status;
        while link.chunk().await?.is_some() {}
        link.close().await;
        Ok::<u16, Fault>(status)
    };
    let told = tokio::time::timeout(pool.server.timeout.call, told).await;
    told.map_err(|_| "no answer in time".to_owned())?.map_err(|fault| fault.to_string())
}
