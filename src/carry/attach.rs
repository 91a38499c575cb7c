//! `GET`: the stream of a legacy session that belongs to no request, or the rest of one that broke off.
//! With one server behind it, it is that server's, as it comes.

use super::deadline::Deadline;
use super::event_ids::EventIds;
use super::legacy;
use super::relay::{Asked, Awaits, Relay};
use super::tagged::{Tagged, Tagger};
use super::{Downstream, MayStay, Stop, Trace, timed_out};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::session::{Asking, Opened, Upstreams};
use crate::upstream::{Fields, Head, InFlight, Link, Pool};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;
use std::time::Duration;
use tollbridge_filters::auth::Principal;
use tollbridge_filters::era::Era;
use tollbridge_filters::headers::LAST_EVENT_ID;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::path::Scope;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::route::{Attach, Stream};
use tollbridge_filters::tags::Tags;

/// A server that has just lost its stream to the client may not have noticed yet, and takes no second one.
const TAKEN_AGAIN: Duration = Duration::from_millis(100);
const TAKEN_LAST: usize = 10;

/// Opens the stream that the client wants, and hands it on for as long as both like.
pub async fn attach<D: Downstream>(
    gateway: &Arc<Gateway>,
    attach: &Attach,
    forwarded: &HeaderMap,
    may_stay: &MayStay,
    down: &mut D,
    trace: &mut Trace,
) -> Result<(), Stop> {
    let upstreams = gateway.sessions.upstreams(&attach.session);
    let _kept = upstreams.keep();
    let (server, mark) = match &attach.to {
        Stream::All(before) => {
            return super::standing::stand(gateway, attach, &upstreams, before.as_ref(), may_stay, down, trace).await;
        }
        Stream::One(server) => (server, None),
        Stream::Call(mark) => (&mark.server, Some(mark)),
    };
    let mut headers = forwarded.clone();
    if let Some(mark) = mark {
        let id = HeaderValue::from_bytes(mark.id.as_bytes()).map_err(|_| Stop::Rejected(Rejection::NotFound))?;
        headers.insert(LAST_EVENT_ID, id);
        // The stream belongs to a session that may be no more.
        let opened = upstreams.opened_anywhere(server, |opened| opened.mark == mark.session).await;
        if !is_seen(gateway, &attach.principal, &attach.scope, server) || opened.is_none() {
            return Err(Stop::Rejected(Rejection::SessionNotFound));
        }
    }
    let resumes = headers.contains_key(LAST_EVENT_ID);
    // In another session with the server the rest would be that of another stream.
    if resumes && upstreams.opened_anywhere(server, |_| true).await.is_none() {
        return Err(Stop::Rejected(Rejection::SessionNotFound));
    }
    let tags = if mark.is_some() { Tags::Session } else { Tags::Nothing };
    One { gateway, attach, upstreams: &upstreams, headers, resumes, tags, may_stay }.hold(server, down, trace).await
}

/// Asks for a stream of a session, and waits for the head of the answer.
pub(super) async fn ask<D: Downstream>(
    pool: &Pool,
    endpoint: &InFlight,
    opened: &Opened,
    headers: &HeaderMap,
    down: &mut D,
    deadline: &Deadline,
) -> Result<Link, Stop> {
    let fields = Fields { forwarded: Some(headers), ..opened.fields() };
    let head = Head { verb: "GET", server: &pool.server, endpoint, path: &endpoint.path, fields, body_bytes: 0 };
    let asked = async {
        let mut link = Link::send(endpoint, &head, Bytes::new()).await?;
        link.answer().await?;
        Ok(link)
    };
    let link = tokio::select! {
        biased;
        link = asked => link,
        () = down.gone() => return Err(Stop::Gone),
        () = tokio::time::sleep_until(deadline.at().into()) => {
            pool.slow(endpoint);
            return Err(Stop::Failed(timed_out(&pool.server.id, deadline)));
        }
    };
    link.map_err(|fault| {
        pool.failed(endpoint);
        Stop::Failed(Failure::fault(&pool.server.id, fault))
    })
}

/// Whether the principal may use the server here.
pub(super) fn is_seen(gateway: &Gateway, principal: &Principal, scope: &Scope, server: &ServerId) -> bool {
    let snapshot = gateway.registry.snapshot();
    snapshot.seen(server, principal, scope).is_some_and(|known| known.speaks(Era::Legacy))
}

/// A stream of one server.
struct One<'a> {
    gateway: &'a Gateway,
    attach: &'a Attach,
    upstreams: &'a Arc<Upstreams>,
    headers: HeaderMap,
    resumes: bool,
    tags: Tags,
    may_stay: &'a MayStay,
}

impl One<'_> {
    async fn hold<D: Downstream>(&self, server: &ServerId, down: &mut D, trace: &mut Trace) -> Result<(), Stop> {
        let gone = || Stop::Failed(Failure::unavailable(server, "it was removed meanwhile"));
        let pool = self.gateway.pool(server).ok_or_else(gone)?;
        trace.server = Some(server.clone());
        let mut may_go_on = !self.resumes;
        let mut taken = 0;
        let mut asking = Some(self.upstreams.ask());
        loop {
            let (endpoint, opened, link) = self.ask(&pool, &mut asking, down, trace).await?;
            if link.head().is_some_and(|head| head.status == 409) && taken < TAKEN_LAST {
                taken += 1;
                link.close().await;
                tokio::time::sleep(TAKEN_AGAIN).await;
                continue;
            }
            match self.relay(&pool, &endpoint, &opened, link, down, trace).await {
                Err(Stop::Rejected(Rejection::SessionNotFound)) => {}
                done => return done,
            }
            if self.resumes && !legacy::is_gone(&pool, &endpoint, &opened).await {
                return Err(Stop::Rejected(Rejection::UnknownEvent));
            }
            self.upstreams.forget(server, &opened);
            if !std::mem::take(&mut may_go_on) {
                return Err(Stop::Rejected(Rejection::SessionNotFound));
            }
        }
    }

    /// Asks within the session with the server, which is opened if need be.
    async fn ask<D: Downstream>(
        &self,
        pool: &Arc<Pool>,
        asking: &mut Option<Asking>,
        down: &mut D,
        trace: &mut Trace,
    ) -> Result<(InFlight, Opened, Link), Stop> {
        let deadline = Deadline::start(&pool.server.timeout, "");
        let introduction = legacy::introduction(&self.attach.session, &self.headers);
        let (endpoint, opened) = legacy::open(pool, self.upstreams, &introduction, !self.resumes, &deadline).await?;
        trace.endpoint = Some(endpoint.addr);
        let asked = ask(pool, &endpoint, &opened, &self.headers, down, &deadline);
        let link = Box::pin(pool.begin_stream(asked, || *asking = None)).await?;
        Ok((endpoint, opened, link))
    }

    async fn relay<D: Downstream>(
        &self,
        pool: &Pool,
        endpoint: &InFlight,
        opened: &Opened,
        link: Link,
        down: &mut D,
        trace: &mut Trace,
    ) -> Result<(), Stop> {
        let asked = Asked {
            gateway: self.gateway,
            id: None,
            era: Era::Legacy,
            awaits: Awaits::News,
            is_shaped: false,
            may_stay: self.may_stay,
            session: Some(self.upstreams),
        };
        let tagger = (self.tags != Tags::Nothing).then(|| Tagger {
            tags: self.tags,
            server: pool.server.id.clone(),
            session: opened.mark,
            ids: Some(EventIds::of(self.gateway, &self.attach.principal, self.attach.session.key)),
            id: None,
            request_id: trace.request_id.clone(),
            bytes_max: self.gateway.live().conf.limits.response_bytes,
        });
        let down = &mut Tagged::new(tagger, down);
        let deadline = &mut Deadline::never();
        let in_session = Some(opened);
        Relay { asked, pool, endpoint, link, down, deadline, trace, in_session }.run().await
    }
}
