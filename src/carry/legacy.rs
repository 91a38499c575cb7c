//! Conversations in legacy sessions: an upstream session for each client's session, opened when it
//! is first needed, and closed with it.

use super::deadline::Deadline;
use super::{Conversation, Downstream, Interrupted, Relay, StandsAt, Stop, Trace, timed_out};
use crate::failure::{Failure, Outcome, Reason};
use crate::gateway::Gateway;
use crate::session::{Introduction, NotOpened, Opened, Upstreams, Whose, Wishes};
use crate::upstream::{Endpoint, Fault, InFlight, Link, Pool, Question, Reply, Vigour};
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;
use std::time::Instant;
use tollbridge_filters::glance;
use tollbridge_filters::headers::LAST_EVENT_ID;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::path::Scope;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::session::Session;

impl Conversation<'_> {
    pub(super) async fn hold_in_session<D: Downstream>(
        &self,
        session: &Session,
        pool: &Arc<Pool>,
        down: &mut D,
        deadline: &mut Deadline,
        trace: &mut Trace,
    ) -> Result<(), Stop> {
        let upstreams = self.gateway.sessions.upstreams(session);
        let _kept = upstreams.keep();
        let under_way = self.carry.envelope.id().map(|id| upstreams.begin(id, &pool.server.id));
        let done = self.hold_or_go_on(session, &upstreams, pool, down, deadline, trace).await;
        if done.is_ok() && trace.outcome == Some(glance::Outcome::Result) {
            self.remember(&upstreams, &pool.server.id).await;
        }
        // The server may still be at work: its client has gone, or will ask for the rest elsewhere.
        let goes_on = matches!(done, Err(Stop::Gone)) || done.is_ok() && trace.outcome.is_none();
        if let (true, Some(under_way)) = (goes_on, under_way) {
            under_way.abandon();
        }
        done
    }

    /// What the client has subscribed to is subscribed to again where its server loses the session.
    async fn remember(&self, upstreams: &Upstreams, server: &ServerId) {
        let envelope = &self.carry.envelope;
        match (envelope.method().as_ref(), envelope.uri()) {
            ("resources/subscribe", Some(uri)) => {
                upstreams.keep_subscription(&uri, Some(server)).await;
                upstreams.subscribe(&uri, server);
            }
            ("resources/unsubscribe", Some(uri)) => {
                upstreams.keep_subscription(&uri, None).await;
                upstreams.unsubscribe(&uri);
            }
            _ => {}
        }
    }

    /// Where a server has lost its session, reading may go on in a new one, unseen. For anything
    /// else the client must know that what it built up there is gone.
    async fn hold_or_go_on<D: Downstream>(
        &self,
        session: &Session,
        upstreams: &Upstreams,
        pool: &Arc<Pool>,
        down: &mut D,
        deadline: &mut Deadline,
        trace: &mut Trace,
    ) -> Result<(), Stop> {
        let mut may_go_on = self.carry.may_reopen();
        loop {
            let (endpoint, opened, link) =
                self.send_in_session(session, upstreams, pool, down, deadline, trace).await?;
            let (asked, endpoint, in_session) = (self.asked(), &endpoint, Some(&opened));
            let down = &mut self.tagged(pool, opened.mark, down, trace);
            match (Relay { asked, pool, endpoint, link, down, deadline, trace, in_session }).run().await {
                Err(Stop::Rejected(Rejection::SessionNotFound)) => {}
                Ok(()) if self.carry.calling.is_some() => {
                    return self.ask_for_the_rest(pool, endpoint, &opened, down, deadline, trace).await;
                }
                done => return done,
            }
            // That nothing was done is proven only where the session is not known to anything else either.
            if self.carry.calling.is_some() && !is_gone(pool, endpoint, &opened).await {
                let why = "it refused the call in a session that it knows";
                return Err(Stop::Failed(Failure::answered(&pool.server.id, Reason::BadReply(why.to_owned()))));
            }
            upstreams.forget(&pool.server.id, &opened);
            if !may_go_on && self.carry.calling.is_some() {
                let why = "it loses its sessions as soon as they are opened";
                return Err(Stop::Failed(Failure::answered(&pool.server.id, Reason::BadReply(why.to_owned()))));
            }
            if !std::mem::take(&mut may_go_on) {
                return Err(Stop::Rejected(Rejection::SessionNotFound));
            }
        }
    }

    /// A caller of a REST surface does not resume streams. Where its call's ends before the answer, the
    /// gateway asks for the rest.
    async fn ask_for_the_rest<D: Downstream>(
        &self,
        pool: &Pool,
        endpoint: &InFlight,
        opened: &Opened,
        down: &mut D,
        deadline: &mut Deadline,
        trace: &mut Trace,
    ) -> Result<(), Stop> {
        while let (None, Some(StandsAt { id, retry })) = (trace.outcome, down.stands_at()) {
            if deadline.is_over() {
                return Err(Stop::Failed(timed_out(&pool.server.id, deadline)));
            }
            tokio::time::sleep_until(deadline.at().min(Instant::now() + retry).into()).await;
            let mut headers = opened.headers.as_ref().clone();
            let bad_id =
                |_| Failure::answered(&pool.server.id, Reason::BadReply("its event ids are no text".to_owned()));
            headers
                .insert(LAST_EVENT_ID, HeaderValue::from_bytes(id.as_bytes()).map_err(bad_id).map_err(Stop::Failed)?);
            let link = super::attach::ask(pool, endpoint, opened, &headers, down, deadline).await?;
            let (asked, in_session) = (self.asked(), Some(opened));
            Relay { asked, pool, endpoint, link, down, deadline, trace, in_session }.run().await?;
        }
        Ok(())
    }

    /// Sends within the upstream session. Where the endpoint that holds it cannot be reached, the
    /// session is lost with it.
    async fn send_in_session<D: Downstream>(
        &self,
        session: &Session,
        upstreams: &Upstreams,
        pool: &Arc<Pool>,
        down: &mut D,
        deadline: &Deadline,
        trace: &mut Trace,
    ) -> Result<(InFlight, Opened, Link), Stop> {
        let introduction = introduction(session, self.forwarded);
        let id = &pool.server.id;
        let may_reopen = self.carry.may_reopen();
        for tries in 1.. {
            let (endpoint, opened) = open(pool, upstreams, &introduction, may_reopen, deadline).await?;
            trace.endpoint = Some(endpoint.addr);
            upstreams.has_its_streams().await;
            match self.send(pool, &endpoint, Some(&opened), down, deadline).await {
                Ok(link) => return Ok((endpoint, opened, link)),
                Err(Interrupted::Stop(stop)) => return Err(stop),
                Err(Interrupted::Fault(fault)) => {
                    pool.failed(&endpoint);
                    let goes_on = pool.is_worth_another_try(&endpoint, tries);
                    match fault {
                        // A full backlog, or a connection that died while it was idle.
                        Fault::NotSent(_) if goes_on && endpoint.health.vigour() != Vigour::Down => {}
                        // The session is lost with its endpoint, and nothing hangs on it.
                        Fault::NotSent(_) if goes_on && (opened.id.is_none() || may_reopen) => {
                            upstreams.forget(id, &opened);
                        }
                        // Others are there, but they do not know the session: the client must begin anew.
                        Fault::NotSent(_) if pool.endpoints().len() > 1 => {
                            upstreams.forget(id, &opened);
                            return Err(Stop::Rejected(Rejection::SessionNotFound));
                        }
                        // It may be back in a moment, with the session; if not, the server says so.
                        fault => return Err(Stop::Failed(Failure::fault(id, fault))),
                    }
                }
            }
        }
        Err(Stop::Failed(Failure::unavailable(id, "none of its endpoints can be reached")))
    }
}

/// Whether a server does not know a session that it gave.
pub(super) async fn is_gone(pool: &Pool, endpoint: &Endpoint, opened: &Opened) -> bool {
    let ping = Question::ping(&opened.version, opened.id.as_deref());
    let ping = Question { headers: Some(&opened.headers), ..ping };
    let mut answer = ping.ask(&pool.server, endpoint, pool.server.health.timeout).await;
    // A connection may just have been closed; saying it twice is no harm.
    if answer.is_err() {
        answer = ping.ask(&pool.server, endpoint, pool.server.health.timeout).await;
    }
    answer.is_ok_and(|answer| matches!(answer.status, 400 | 404) && !matches!(answer.reply, Reply::Result(_)))
}

/// The session's session with a server, opened if need be. Others who need it wait; it is opened
/// once.
pub(super) async fn open(
    pool: &Pool,
    upstreams: &Upstreams,
    client: &Introduction<'_>,
    may_reopen: bool,
    deadline: &Deadline,
) -> Result<(InFlight, Opened), Stop> {
    let place = upstreams.at(&pool.server.id);
    let late = || Stop::Failed(Failure { outcome: Outcome::NotSent, ..timed_out(&pool.server.id, deadline) });
    let turn = tokio::time::timeout_at(deadline.at().into(), place.turn()).await.map_err(|_| late())?;
    if !may_reopen && place.has_given_way() {
        return Err(Stop::Rejected(Rejection::SessionNotFound));
    }
    if let Some(opened) = place.opened() {
        match pool.at(opened.addr) {
            Some(endpoint) if !pool.has_lost_sessions(&endpoint).await => return Ok((endpoint, opened)),
            _ => place.forget(&opened),
        }
        // It is not what it was, or not there any more, and what the client built up is gone with it.
        if opened.id.is_some() && !may_reopen {
            return Err(Stop::Rejected(Rejection::SessionNotFound));
        }
    }
    upstreams.opens(&pool.server.id);
    let mut tried = Vec::new();
    let mut why = NotOpened::Otherwise("it has no address; is its name resolved?".to_owned());
    // Opening may be repeated: at worst there is a session that nobody uses.
    while let Some(endpoint) = pool.pick(&tried).or_else(|| pool.pick(&[])) {
        let wishes = Wishes { level: upstreams.level(), subscriptions: upstreams.subscriptions(&pool.server.id) };
        match open_at(pool, &endpoint, client, &wishes, deadline).await {
            Ok(opened) => {
                let (endpoint, opened, is_read_elsewhere) = settle(pool, upstreams, endpoint, opened).await?;
                place.put(opened.clone());
                drop(turn);
                upstreams.has_opened(&pool.server.id, is_read_elsewhere).await;
                return Ok((endpoint, opened));
            }
            Err(reason) => {
                pool.failed(&endpoint);
                tried.push(endpoint.addr);
                why = reason;
                if deadline.is_over() {
                    return Err(late());
                }
                if !pool.is_worth_another_try(&endpoint, tried.len()) {
                    break;
                }
            }
        }
    }
    let reason = match why {
        NotOpened::Credential(status) => Reason::Credential(status),
        NotOpened::Otherwise(why) => Reason::Unavailable(why),
    };
    Err(Stop::Failed(Failure { server: pool.server.id.clone(), reason, outcome: Outcome::NotSent }))
}

/// Another replica may have opened one at the same time. One of the two counts, and the other is closed.
async fn settle(
    pool: &Pool,
    upstreams: &Upstreams,
    endpoint: InFlight,
    opened: Opened,
) -> Result<(InFlight, Opened, bool), Stop> {
    let theirs = match upstreams.settle(&pool.server.id, &opened).await {
        Ok(Whose::Ours { is_read_elsewhere }) => return Ok((endpoint, opened, is_read_elsewhere)),
        Ok(Whose::Theirs(theirs)) => pool.at(theirs.addr).map(|endpoint| (endpoint, theirs, false)),
        Err(ended) => {
            opened.end(&pool.server, &endpoint).await;
            return Err(Stop::Rejected(ended));
        }
    };
    opened.end(&pool.server, &endpoint).await;
    theirs.ok_or(Stop::Rejected(Rejection::SessionNotFound))
}

/// Opens a session at one endpoint, in its turn; no longer than the endpoint is worth waiting for. Where
/// there are others, half of the time is left for them, and for the call.
async fn open_at(
    pool: &Pool,
    endpoint: &InFlight,
    client: &Introduction<'_>,
    wishes: &Wishes,
    deadline: &Deadline,
) -> Result<Opened, NotOpened> {
    let opening = async {
        let _turn = endpoint.openings.acquire().await.map_err(|closed| closed.to_string())?;
        Opened::open(&pool.server, endpoint, client, wishes).await
    };
    let given_up = async {
        loop {
            tokio::time::sleep(pool.patience()).await;
            pool.slow(endpoint);
            if pool.is_lost(endpoint).await {
                return;
            }
        }
    };
    let left = deadline.at().saturating_duration_since(Instant::now());
    let worth = if pool.endpoints().len() > 1 { left / 2 } else { left };
    tokio::select! {
        biased;
        opened = opening => opened,
        () = given_up => Err(NotOpened::Otherwise("it answers no probes".to_owned())),
        () = tokio::time::sleep(worth) => Err(NotOpened::Otherwise(format!("it opened no session in {worth:?}"))),
    }
}

/// What the client can do is declared for it: what a server asks in the course of a call reaches the
/// client, and the answer comes back.
pub(super) fn introduction<'i>(session: &'i Session, headers: &'i HeaderMap) -> Introduction<'i> {
    let takes_tasks = matches!(session.scope, Scope::One(_));
    let Session { version, capabilities, client_info, .. } = session;
    Introduction { version, capabilities, takes_tasks, client_info, headers }
}

/// Closes what a session had opened upstream.
pub async fn release(gateway: &Gateway, upstreams: &Upstreams) {
    for (server, place) in upstreams.servers() {
        let _turn = place.turn().await;
        let opened = place.take();
        let Some((pool, opened)) = gateway.pool(&server).zip(opened) else {
            continue;
        };
        if let Some(endpoint) = pool.at(opened.addr) {
            opened.end(&pool.server, &endpoint).await;
        }
    }
}
