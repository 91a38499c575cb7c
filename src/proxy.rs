//! THE REQUEST'S WAY: one short callback for each of Pingora's phases, in phase order; `connection` goes the same
//! way without them.

mod body;
mod caller;
mod client;
mod connection;
mod decided;
mod exchange;
mod http1;
mod listener;
mod rest;
mod streams;
mod watched;

pub use listener::Listener;

use crate::answer::{self, Answered};
use crate::carry::{self, MayStay, Stop, Trace};
use crate::clock;
use crate::failure::Failure;
use crate::gateway::{Gateway, Live};
use crate::reply::{self, Refusal, Shape, Trouble};
use async_trait::async_trait;
use caller::Caller;
use client::Client;
use decided::Decided;
use exchange::{Exchange, Lane};
use http::Method;
use http::request::Parts;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};
use std::sync::Arc;
use std::time::Duration;
use tollbridge_filters::catalog::Snapshot;
use tollbridge_filters::era::{Era, MODERN};
use tollbridge_filters::jsonrpc;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::route::{Answer, Carry, Notice, Reach, Route};
use tollbridge_filters::surface::{Operation, Surface};
use tollbridge_filters::{Admission, Admitted, Moment, Refused, headers};
use watched::Turn;

/// How long `logging/setLevel` waits for servers.
const LEVEL_LAST: Duration = Duration::from_secs(2);

pub struct Proxy {
    gateway: Arc<Gateway>,
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange::begin(&self.gateway)
    }

    /// No modules: compression would collect what must be streamed.
    fn init_downstream_modules(&self, _: &mut pingora::modules::http::HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<()> {
        self.begin(&mut Caller::Pingora(session), exchange, true);
        Ok(())
    }

    /// `true`: the request is answered.
    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        Ok(matches!(self.handle(&mut Caller::Pingora(session), exchange).await?, Handled::Answered))
    }

    /// Pass: the application beside the gateway.
    async fn upstream_peer(&self, _: &mut Session, _: &mut Exchange) -> Result<Box<HttpPeer>> {
        let live = self.gateway.live();
        let Some(address) = live.conf.passthrough else {
            return Error::e_explain(ErrorType::InternalError, "`passthrough` was removed by a reload");
        };
        let mut peer = HttpPeer::new(address, false, String::new());
        peer.options.connection_timeout = Some(Duration::from_secs(1));
        peer.options.idle_timeout = Some(Duration::from_secs(4));
        Ok(Box::new(peer))
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, exchange: &mut Exchange) -> FailToProxy {
        let status = match error.etype() {
            ErrorType::HTTPStatus(status) => *status,
            _ => 502,
        };
        if session.response_written().is_none() && exchange.lane == Lane::Pass {
            exchange.outcome = "app_unavailable";
            // The client may be gone as well; then there is nobody to tell.
            let _ = session.respond_error(status).await;
        }
        FailToProxy { error_code: status, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, exchange: &mut Exchange) {
        if exchange.status == 0 {
            exchange.status = session.response_written().map_or(0, |head| head.status.as_u16());
        }
        exchange.finish(&Caller::Pingora(session));
        Turn::end(session);
    }

    fn suppress_error_log(&self, _: &Session, _: &Exchange, _: &Error) -> bool {
        true
    }
}

/// What its head alone decides. Where it is the same head again, so is the decision.
fn decide(
    caller: &mut Caller<'_>,
    live: &Arc<Live>,
    snapshot: &Arc<Snapshot>,
) -> std::result::Result<Admission, Rejection> {
    if let Some(admission) = caller.recall(live, snapshot) {
        return Ok(admission);
    }
    let admission = live.filters.on_head(caller.head(), snapshot)?;
    caller.remember(|| Decided::new(live, snapshot, &admission));
    Ok(admission)
}

/// What became of a request.
enum Handled {
    Answered,
    /// It is the application's.
    Pass,
}

impl Proxy {
    pub fn new(gateway: Arc<Gateway>) -> Proxy {
        Proxy { gateway }
    }

    /// Whether an application is behind the gateway.
    fn may_pass(&self) -> bool {
        self.gateway.live().conf.passthrough.is_some()
    }

    /// The head is there. No other request follows while we drain.
    fn begin(&self, caller: &mut Caller<'_>, exchange: &mut Exchange, keeps: bool) {
        exchange.named_by(caller.head());
        let limits = &self.gateway.live().conf.limits;
        caller.begin(keeps && !self.gateway.lifecycle.is_draining(), limits.idle_timeout, limits.write_timeout);
    }

    /// Decides, and serves every lane but Pass.
    async fn handle(&self, caller: &mut Caller<'_>, exchange: &mut Exchange) -> Result<Handled> {
        let live = self.gateway.live().clone();
        let snapshot = self.gateway.registry.snapshot().clone();
        exchange.surface = Surface::of_path(caller.head().uri.path());
        match decide(caller, &live, &snapshot) {
            Ok(Admission::Pass) => {
                exchange.lane = Lane::Pass;
                return Ok(Handled::Pass);
            }
            Ok(Admission::Mcp(admitted)) => {
                exchange.surface = Surface::Native;
                self.serve(caller, exchange, &live, &snapshot, admitted).await?;
            }
            // Boxed here and below: what is moved with every call has room for a call, and not for the rest.
            Ok(Admission::Rest(visit)) => {
                Box::pin(self.serve_rest(caller, exchange, &live, &snapshot, &visit)).await?;
            }
            Ok(Admission::ResourceMetadata) => self.reject(caller, exchange, None, &Rejection::NotFound).await?,
            Err(rejection) => self.reject(caller, exchange, None, &rejection).await?,
        }
        Ok(Handled::Answered)
    }

    /// An MCP endpoint: the message is read, routed and answered.
    async fn serve(
        &self,
        caller: &mut Caller<'_>,
        exchange: &mut Exchange,
        live: &Live,
        snapshot: &Snapshot,
        admitted: Admitted,
    ) -> Result<()> {
        exchange.principal = Some(admitted.principal.clone());
        let ended = |key| self.gateway.sessions.is_ended(key);
        let moment = Moment { now: clock::now(), request_id: "", ended: &ended };
        let head = caller.head();
        let routed = match head.method {
            Method::DELETE => live.filters.on_delete(head, &admitted, &moment).map_err(head_only),
            Method::GET => live.filters.on_stream(head, &admitted, &moment).map_err(head_only),
            _ => match body::read(caller, &live.conf.limits, &mut exchange.share).await? {
                Ok(body) => {
                    exchange.request_bytes = body.len();
                    live.filters.on_message(caller.head(), &admitted, body, snapshot, &moment)
                }
                Err(rejection) => Err(head_only(rejection)),
            },
        };
        match self.admitted(routed).await {
            Ok(Route::Carry(carry)) if carry.calling.is_none() => self.carry(caller, exchange, &carry).await,
            routed => Box::pin(self.follow(caller, exchange, snapshot, routed)).await,
        }
    }

    /// A session that is not known here may be known to other replicas, or have ended at one of them.
    async fn admitted(&self, routed: std::result::Result<Route, Refused>) -> std::result::Result<Route, Refused> {
        let route = routed?;
        let admitted = match (&route, route.session()) {
            (_, None) => Ok(()),
            // What the gateway answers by itself it can answer without the store.
            (Route::Answer(_), Some(session)) => match self.gateway.sessions.admit(session).await {
                Err(Rejection::Store(_)) => Ok(()),
                admitted => admitted,
            },
            (_, Some(session)) => self.gateway.sessions.admit(session).await,
        };
        match admitted {
            Ok(()) => Ok(route),
            Err(reason) => {
                let (id, method) = route
                    .envelope()
                    .map(|asked| (asked.id().map(str::to_owned), asked.method().into_owned()))
                    .unwrap_or_default();
                Err(Refused { id, method, reason })
            }
        }
    }

    /// Serves what was decided.
    async fn follow(
        &self,
        caller: &mut Caller<'_>,
        exchange: &mut Exchange,
        snapshot: &Snapshot,
        routed: std::result::Result<Route, Refused>,
    ) -> Result<()> {
        match routed {
            Ok(Route::Answer(answer)) => Box::pin(self.answer(caller, exchange, snapshot, &answer)).await,
            Ok(Route::Carry(carry)) => match &carry.calling {
                None => Box::pin(self.carry(caller, exchange, &carry)).await,
                Some(calling) => Box::pin(self.call(caller, exchange, snapshot, &carry, calling)).await,
            },
            Ok(Route::Attach(attach)) => Box::pin(self.attach(caller, exchange, &attach)).await,
            Ok(Route::Listen(listen)) => Box::pin(self.listen(caller, exchange, &listen)).await,
            Ok(Route::Show(show)) => Box::pin(self.show(caller, exchange, snapshot, &show)).await,
            Ok(Route::Change(change)) => Box::pin(self.change(caller, exchange, *change)).await,
            Ok(Route::Notify(notice)) => Box::pin(self.notify(caller, exchange, notice)).await,
            Ok(Route::End(ended)) => Box::pin(self.end_session(caller, exchange, &ended)).await,
            Err(Refused { id, method, reason }) => {
                exchange.label(Lane::Refused, &method);
                self.reject(caller, exchange, id.as_deref(), &reason).await
            }
        }
    }

    /// `DELETE`: what the session has opened at servers is ended behind the answer.
    async fn end_session(
        &self,
        caller: &mut Caller<'_>,
        exchange: &mut Exchange,
        ended: &tollbridge_filters::session::Session,
    ) -> Result<()> {
        exchange.label(Lane::Answer, "session/end");
        match self.gateway.sessions.end(ended).await {
            Ok(upstreams) => {
                let gateway = Arc::clone(&self.gateway);
                tokio::spawn(async move { carry::release(&gateway, &upstreams).await });
                client::accept(caller, exchange, 200).await
            }
            Err(reason) => self.reject(caller, exchange, None, &reason).await,
        }
    }

    async fn answer(
        &self,
        caller: &mut Caller<'_>,
        exchange: &mut Exchange,
        snapshot: &Snapshot,
        answer: &Answer,
    ) -> Result<()> {
        exchange.label(Lane::Answer, &answer.envelope.method());
        exchange.era = Some(answer.era);
        let Answered { body, session: id } = answer::answer(&self.gateway, snapshot, answer);
        match body {
            None => client::accept(caller, exchange, 202).await,
            Some(body) => client::answer(caller, exchange, id.as_deref(), body).await,
        }
    }

    async fn carry(&self, caller: &mut Caller<'_>, exchange: &mut Exchange, carry: &Carry) -> Result<()> {
        exchange.label(Lane::Carry, &carry.envelope.method());
        self.say(exchange, carry);
        exchange.era = Some(carry.era);
        exchange.tool = carry.name.clone().filter(|_| carry.listed);
        let mut forwarded = self.forwarded(caller.head(), &carry.servers);
        carry::mirror(carry, &mut forwarded);
        // A call ends by itself; nothing is copied for it.
        let is_listening = carry.envelope.method() == "subscriptions/listen";
        let _listening = is_listening.then(|| self.gateway.lifecycle.listen());
        let may_stay: Box<MayStay> =
            if is_listening { Box::new(self.readmission(caller, exchange)) } else { Box::new(|| None) };
        let mut trace = Trace { request_id: exchange.request_id().to_owned(), ..Trace::default() };
        let mut client = Client::new(caller, exchange);
        let done = carry::carry(&self.gateway, carry, &forwarded, &*may_stay, &mut client, &mut trace).await;
        self.conclude(caller, exchange, carry.envelope.id(), done, trace).await
    }

    /// What became of a conversation, told and noted.
    async fn conclude(
        &self,
        caller: &mut Caller<'_>,
        exchange: &mut Exchange,
        id: Option<&str>,
        done: std::result::Result<(), Stop>,
        trace: Trace,
    ) -> Result<()> {
        exchange.note(trace);
        match done {
            Ok(()) => Ok(()),
            Err(Stop::Rejected(rejection)) => self.reject(caller, exchange, id, &rejection).await,
            Err(Stop::Failed(failure)) => self.fail(caller, exchange, id, &failure).await,
            Err(Stop::Gone) => {
                exchange.has_gone();
                Error::e_explain(ErrorType::ConnectionClosed, "the client went away")
            }
            Err(Stop::Broken(failure)) => {
                exchange.outcome = "broken_off";
                tracing::info!(%failure, request_id = exchange.request_id(), "an answer broke off after its head was sent");
                Error::e_explain(ErrorType::ConnectionClosed, "the answer broke off")
            }
        }
    }

    /// What is not as it should be with a call that is made all the same.
    fn say(&self, exchange: &Exchange, carry: &Carry) {
        if carry.complaint.is_some() {
            carry::complain(&self.gateway, carry, exchange.request_id());
        }
    }

    /// The client's headers that may go upstream: copied, because the session is written to meanwhile.
    fn forwarded(&self, head: &Parts, servers: &[ServerId]) -> http::HeaderMap {
        let live = self.gateway.live();
        let servers = servers.iter().filter_map(|id| live.fleet.get(id));
        let configured: Vec<_> = servers.flat_map(|pool| pool.server.forward_headers.iter()).collect();
        crate::upstream::forwardable(&head.headers, &configured)
    }

    /// A notification is accepted at once and handed on by itself; an answer to what a server asked is
    /// accepted when it has arrived. Only `logging/setLevel` has an answer of its own.
    async fn notify(&self, caller: &mut Caller<'_>, exchange: &mut Exchange, notice: Notice) -> Result<()> {
        exchange.label(Lane::Carry, &notice.envelope.method());
        exchange.era = Some(Era::Legacy);
        if notice.envelope.kind() == jsonrpc::Kind::Response {
            exchange.label(Lane::Carry, "response");
            return match carry::deliver(&self.gateway, &notice).await {
                Ok(()) => client::accept(caller, exchange, 202).await,
                Err(stop) => self.conclude(caller, exchange, None, Err(stop), Trace::default()).await,
            };
        }
        let reply = matches!(notice.reach, Reach::Level(_)).then(|| answer::Body::empty_result(&notice.envelope));
        if let Reach::Level(level) = &notice.reach {
            self.gateway.sessions.upstreams(&notice.session).set_level(level);
        }
        let handed_on = carry::notify(Arc::clone(&self.gateway), notice);
        match reply {
            None => {
                tokio::spawn(handed_on);
                client::accept(caller, exchange, 202).await
            }
            Some(body) => {
                let handed_on = tokio::spawn(handed_on);
                // What a server says then may come a little too early; one that hangs holds nobody up.
                let _ = tokio::time::timeout(LEVEL_LAST, handed_on).await;
                client::answer(caller, exchange, None, body).await
            }
        }
    }

    async fn reject(
        &self,
        caller: &mut Caller<'_>,
        exchange: &mut Exchange,
        id: Option<&str>,
        rejection: &Rejection,
    ) -> Result<()> {
        let modern = caller.head().headers.get(headers::PROTOCOL_VERSION).is_some_and(|value| value == MODERN);
        let era = exchange.era.unwrap_or(if modern { Era::Modern } else { Era::Legacy });
        if exchange.surface != Surface::Native {
            return Box::pin(self.reject_shaped(caller, exchange, id, rejection)).await;
        }
        let refusal = reply::rejected(rejection, era);
        self.gateway.metrics.rejected(refusal.label);
        Box::pin(client::refuse(caller, exchange, id, &refusal)).await
    }

    async fn reject_shaped(
        &self,
        caller: &mut Caller<'_>,
        exchange: &mut Exchange,
        id: Option<&str>,
        rejection: &Rejection,
    ) -> Result<()> {
        let (verb, request_id) = (caller.head().method.clone(), exchange.request_id().to_owned());
        let (surface, operation) = (exchange.surface, exchange.operation);
        let shape = Shape { surface, verb: &verb, operation, id, request_id: &request_id };
        let shaped = shape.put(Trouble::Rejected(rejection));
        self.gateway.metrics.rejected(shaped.label);
        let outcome = (operation == Some(Operation::Call)).then_some((rest::OUTCOME, "error"));
        client::say_no(caller, exchange, shaped, outcome).await
    }

    async fn fail(
        &self,
        caller: &mut Caller<'_>,
        exchange: &mut Exchange,
        id: Option<&str>,
        failure: &Failure,
    ) -> Result<()> {
        let refusal: Refusal = reply::failed(failure);
        tracing::warn!(%failure, request_id = exchange.request_id(), "a call failed");
        Box::pin(client::refuse(caller, exchange, id, &refusal)).await
    }
}

fn head_only(reason: Rejection) -> Refused {
    Refused { id: None, method: String::new(), reason }
}
