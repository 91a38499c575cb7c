//! The messages of a legacy session that are no requests: notifications, and clients' answers to what
//! servers asked. Nobody waits for what becomes of them.

use crate::gateway::Gateway;
use crate::session::Opened;
use crate::upstream::{Fault, Head, Link, Pool};
use std::sync::Arc;
use tollbridge_filters::permit;
use tollbridge_filters::route::{Notice, Reach};

/// Hands a notification, or the answer to a server's request, to the servers of the session.
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
        };
        let may =
            gateway.registry.snapshot().server(&server).is_some_and(|known| permit::execute(&notice.principal, known));
        if !meant || !may {
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
        if let Err(why) = tell(&pool, &opened, &notice).await {
            tracing::info!(%server, %why, "a notification could not be handed on");
        }
    }
}

async fn tell(pool: &Pool, opened: &Opened, notice: &Notice) -> Result<(), String> {
    let endpoint = pool.at(opened.addr).ok_or("its endpoint is gone")?;
    if let Reach::Level(level) = &notice.reach {
        return opened.set_level(&pool.server, &endpoint, level).await;
    }
    let body = notice.envelope.body().clone();
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
        link.answer().await?;
        while link.chunk().await?.is_some() {}
        link.close().await;
        Ok::<(), Fault>(())
    };
    let told = tokio::time::timeout(pool.server.timeout.call, told).await;
    told.map_err(|_| "no answer in time".to_owned())?.map_err(|fault| fault.to_string())
}
