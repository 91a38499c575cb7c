//! Carry: every exchange with MCP servers. A conversation with one server is nearly always the identity:
//! of the request only what must change has changed, the answer is handed on as it comes. Streams of
//! several servers come together here.

mod attach;
mod deadline;
mod dialect;
mod event_ids;
mod fan_in;
mod follower;
mod guess;
mod legacy;
mod listen;
mod notice;
mod relay;
mod standing;
mod subscriber;
mod tagged;
#[cfg(test)]
mod tests;
mod translated;
mod verdict;

pub use attach::attach;
pub use legacy::release;
pub use listen::listen;
pub use notice::{deliver, notify};
pub use translated::{Ending, Translated, events_head};
pub use verdict::{No, said};

use crate::failure::{Failure, Outcome, Reason};
use crate::gateway::Gateway;
use crate::upstream::{Fault, Fields, Head, InFlight, Link, Pool, sleep_until};
use bytes::Bytes;
use deadline::Deadline;
use event_ids::EventIds;
use http::{HeaderMap, HeaderName, HeaderValue};
use relay::{Asked, Awaits, Relay};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tagged::{Tagged, Tagger};
use tollbridge_filters::auth::Principal;
use tollbridge_filters::catalog::Dialect;
use tollbridge_filters::era::Era;
use tollbridge_filters::glance;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::route::{Carry, Effect};
use tollbridge_filters::tags::Tags;

/// The client's side of an exchange.
pub trait Downstream: Send {
    /// Writes the head of the answer.
    fn begin(&mut self, head: AnswerHead) -> impl Future<Output = Result<(), Gone>> + Send;
    /// Writes a piece of the body as it is.
    fn chunk(&mut self, chunk: Bytes) -> impl Future<Output = Result<(), Gone>> + Send;
    fn end(&mut self) -> impl Future<Output = Result<(), Gone>> + Send;
    /// Asked whenever the next thing to be done is to send the request: whether it still may be.
    fn may_send(&mut self) -> impl Future<Output = Result<(), Gone>> + Send {
        std::future::ready(Ok(()))
    }
    /// Where the caller stands in a stream that it does not resume itself.
    fn stands_at(&self) -> Option<StandsAt> {
        None
    }
    /// More follows at once: what is written next may wait for that.
    fn hold(&mut self) {}
    /// Whether half an event stays here until the rest of it comes.
    fn keeps_halves(&self) -> bool {
        false
    }
    /// A sign of life, between two events.
    fn beat(&mut self) -> impl Future<Output = Result<(), Gone>> + Send;
    /// Ends when the client has gone.
    fn gone(&mut self) -> impl Future<Output = ()> + Send;
}

/// The client has gone.
#[derive(Debug)]
pub struct Gone;

/// The last event of a stream, and how long to wait before the rest is asked for.
#[derive(Clone, Debug)]
pub struct StandsAt {
    pub id: String,
    pub retry: Duration,
}

/// What of an answer's head goes down.
#[derive(Debug)]
pub struct AnswerHead {
    pub status: u16,
    pub content_type: HeaderValue,
    /// `None`: the length is not known, the body is chunked.
    pub content_length: Option<u64>,
    pub retry_after: Option<HeaderValue>,
}

/// Why a conversation ended without an answer of the server's.
#[derive(Debug)]
pub enum Stop {
    Failed(Failure),
    Rejected(Rejection),
    /// The client went away.
    Gone,
    /// The answer had begun and cannot be ended properly: the connection must be cut.
    Broken(Failure),
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Stop {
        Stop::Gone
    }
}

/// What the access log and the metrics want to know of a conversation.
#[derive(Debug, Default)]
pub struct Trace {
    pub request_id: String,
    pub server: Option<ServerId>,
    pub endpoint: Option<std::net::SocketAddr>,
    pub status: u16,
    pub upstream: Duration,
    pub streamed: bool,
    /// The stream ended with an error of ours in it.
    pub broken_off: bool,
    pub response_bytes: usize,
    /// What the answer is, as far as it was seen.
    pub outcome: Option<glance::Outcome>,
}

/// Everything that a conversation is about.
struct Conversation<'c> {
    gateway: &'c Gateway,
    carry: &'c Carry,
    forwarded: &'c HeaderMap,
    body: Bytes,
    /// Where it goes, if not to the endpoint's own path.
    path: Option<String>,
    may_stay: &'c MayStay,
}

/// Who the client is, if it would be let in now: its key may be gone, or open less than before.
pub type MayStay = dyn Fn() -> Option<Principal> + Send + Sync;

/// Takes a request to its server and the answer back.
pub async fn carry<D: Downstream>(
    gateway: &Gateway,
    carry: &Carry,
    forwarded: &HeaderMap,
    may_stay: &MayStay,
    down: &mut D,
    trace: &mut Trace,
) -> Result<(), Stop> {
    let conversation = Conversation { gateway, carry, forwarded, body: carry.body(), path: None, may_stay };
    let began = Instant::now();
    let subscribed = subscribed_at(gateway, carry);
    let servers = subscribed.as_ref().map_or(carry.servers.as_slice(), std::slice::from_ref);
    let done = match servers {
        [] => Err(Stop::Rejected(Rejection::NotFound)),
        [server] => conversation.hold(server, down, trace).await,
        guesses => Box::pin(conversation.guess(guesses, down, trace)).await,
    };
    trace.upstream = began.elapsed();
    done
}

/// Headers that mirror arguments, where the client could not know of them.
pub fn mirror(carry: &Carry, forwarded: &mut HeaderMap) {
    for (name, value) in &carry.mirrors {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            forwarded.insert(name, value);
        }
    }
}

/// Says what is not as it should be with a call that is made all the same.
pub fn complain(gateway: &Gateway, carry: &Carry, request_id: &str) {
    let Some(complaint) = &carry.complaint else { return };
    let (tool, server) = (carry.name.as_deref().unwrap_or_default(), carry.servers.first());
    let server = server.map(ToString::to_string).unwrap_or_default();
    gateway.metrics.complaints.inc();
    tracing::warn!(%server, tool, request_id, "{complaint}");
}

/// Who took a subscription that is to be ended; others may have the resource as well.
fn subscribed_at(gateway: &Gateway, carry: &Carry) -> Option<ServerId> {
    let session = carry.session.as_ref().filter(|_| carry.envelope.method() == "resources/unsubscribe")?;
    let server = gateway.sessions.known(session.key)?.subscribed_at(&carry.envelope.uri()?)?;
    gateway.registry.snapshot().seen(&server, &carry.principal, &carry.scope).map(|server| server.id.clone())
}

impl Conversation<'_> {
    async fn hold<D: Downstream>(&self, server: &ServerId, down: &mut D, trace: &mut Trace) -> Result<(), Stop> {
        let pool = self.pool(server)?;
        trace.server = Some(server.clone());
        let mut deadline = Deadline::start(&pool.server.timeout, &self.carry.envelope.method());
        if let Some(Dialect::Rest { base }) = self.dialect(server) {
            return Box::pin(self.hold_in_plain(&base, &pool, down, &mut deadline, trace)).await;
        }
        match &self.carry.session {
            None => {
                let (endpoint, link) = self.send_to_any(&pool, down, &deadline, trace).await?;
                let (asked, pool, endpoint, deadline) = (self.asked(), &pool, &endpoint, &mut deadline);
                let down = &mut self.tagged(pool, 0, down, trace);
                Relay { asked, pool, endpoint, link, down, deadline, trace, in_session: None }.run().await
            }
            Some(session) => Box::pin(self.hold_in_session(session, &pool, down, &mut deadline, trace)).await,
        }
    }

    async fn hold_in_plain<D: Downstream>(
        &self,
        base: &str,
        pool: &Pool,
        down: &mut D,
        deadline: &mut Deadline,
        trace: &mut Trace,
    ) -> Result<(), Stop> {
        let conversation = &self.in_plain(base)?;
        let (endpoint, link) = conversation.send_to_any(pool, down, deadline, trace).await?;
        let (asked, endpoint) = (conversation.asked(), &endpoint);
        let relay = Relay { asked, pool, endpoint, link, down, deadline, trace, in_session: None };
        relay.run_plain(self.carry).await
    }

    fn asked(&self) -> Asked<'_> {
        let is_listening = self.carry.envelope.method() == "subscriptions/listen";
        Asked {
            gateway: self.gateway,
            id: self.carry.envelope.id(),
            era: self.carry.era,
            awaits: if is_listening { Awaits::News } else { Awaits::Answer },
            is_shaped: self.carry.calling.is_some(),
            may_stay: self.may_stay,
            session: None,
        }
    }

    /// The client, as one that several servers answer, if it is one.
    fn tagged<'d, D: Downstream>(&self, pool: &Pool, session: u32, down: &'d mut D, trace: &Trace) -> Tagged<'d, D> {
        let tagger = (self.carry.tags != Tags::Nothing).then(|| Tagger {
            tags: self.carry.tags,
            server: pool.server.id.clone(),
            session,
            ids: self.carry.session.as_ref().map(|own| EventIds::of(self.gateway, &self.carry.principal, own.key)),
            id: self.carry.envelope.id().map(str::to_owned),
            request_id: trace.request_id.clone(),
            bytes_max: self.gateway.live().conf.limits.response_bytes,
        });
        Tagged::new(tagger, down)
    }

    fn dialect(&self, server: &ServerId) -> Option<Dialect> {
        let snapshot = self.gateway.registry.snapshot();
        let offer = snapshot.server(server)?.offer.as_ref()?;
        matches!(offer.dialect, Dialect::Rest { .. }).then(|| offer.dialect.clone())
    }

    fn pool(&self, server: &ServerId) -> Result<Arc<Pool>, Stop> {
        let gone = || Stop::Failed(Failure::unavailable(server, "it was removed meanwhile"));
        self.gateway.pool(server).ok_or_else(gone)
    }

    /// Sends to the best endpoint, and to the next one as long as it is sure that nothing was sent.
    async fn send_to_any<D: Downstream>(
        &self,
        pool: &Pool,
        down: &mut D,
        deadline: &Deadline,
        trace: &mut Trace,
    ) -> Result<(InFlight, Link), Stop> {
        let mut tried = Vec::new();
        let mut reads_left = usize::from(self.carry.effect == Effect::Read);
        let mut last = None;
        while let Some(endpoint) = pool.pick(&tried).or_else(|| pool.pick(&[])) {
            trace.endpoint = Some(endpoint.addr);
            match self.send(pool, &endpoint, None, down, deadline).await {
                Ok(link) => return Ok((endpoint, link)),
                Err(Interrupted::Fault(fault)) => {
                    pool.failed(&endpoint);
                    tried.push(endpoint.addr);
                    match (&fault, reads_left) {
                        (Fault::NotSent(_), _) => {}
                        (Fault::Lost(_), 0) => return Err(Stop::Failed(Failure::fault(&pool.server.id, fault))),
                        (Fault::Lost(_), _) => reads_left -= 1,
                    }
                    last = Some(fault);
                    if !pool.is_worth_another_try(&endpoint, tried.len()) {
                        break;
                    }
                }
                Err(Interrupted::Stop(stop)) => return Err(stop),
            }
        }
        let id = &pool.server.id;
        Err(Stop::Failed(match last {
            Some(fault) => Failure::fault(id, fault),
            None => Failure::unavailable(id, "it has no address; is its name resolved?"),
        }))
    }

    /// Sends the request and waits for the head of the answer.
    async fn send<D: Downstream>(
        &self,
        pool: &Pool,
        endpoint: &InFlight,
        session: Option<&crate::session::Opened>,
        down: &mut D,
        deadline: &Deadline,
    ) -> Result<Link, Interrupted> {
        if deadline.is_over() {
            let late = Failure { outcome: Outcome::NotSent, ..timed_out(&pool.server.id, deadline) };
            return Err(Interrupted::Stop(Stop::Failed(late)));
        }
        down.may_send().await.map_err(|gone| Interrupted::Stop(gone.into()))?;
        let mut link = self.write(pool, endpoint, session, deadline).await?;
        self.await_answer(pool, endpoint, &mut link, down, deadline).await?;
        Ok(link)
    }

    async fn write(
        &self,
        pool: &Pool,
        endpoint: &InFlight,
        session: Option<&crate::session::Opened>,
        deadline: &Deadline,
    ) -> Result<Link, Interrupted> {
        let fields = Fields {
            // The REST dialect knows nothing of MCP's headers.
            era: if self.path.is_some() { Era::Legacy } else { self.carry.era },
            version: session.map(|session| session.version.as_ref()),
            session: session.and_then(|session| session.id.as_deref()),
            method: &self.carry.envelope.method(),
            name: self.carry.name.as_deref(),
            forwarded: Some(self.forwarded),
        };
        let path = self.path.as_deref().unwrap_or(&endpoint.path);
        let head = Head { verb: "POST", server: &pool.server, endpoint, path, fields, body_bytes: self.body.len() };
        let sent = Link::send(endpoint, &head, self.body.clone());
        match tokio::time::timeout_at(deadline.at().into(), sent).await {
            Ok(sent) => Ok(sent?),
            Err(_) => {
                pool.slow(endpoint);
                Err(Interrupted::Stop(Stop::Failed(timed_out(&pool.server.id, deadline))))
            }
        }
    }

    /// Whoever waits for long beside others that answer is looked at; the client may go meanwhile.
    async fn await_answer<D: Downstream>(
        &self,
        pool: &Pool,
        endpoint: &InFlight,
        link: &mut Link,
        down: &mut D,
        deadline: &Deadline,
    ) -> Result<(), Interrupted> {
        let answer = link.answer();
        let gone = down.gone();
        tokio::pin!(answer, gone);
        let sent = Instant::now();
        for (until, is_last) in [(sent + pool.patience(), false), (deadline.at(), true)] {
            if !is_last && until > deadline.at() {
                continue;
            }
            tokio::select! {
                biased;
                answer = &mut answer => return answer.map(drop).map_err(Interrupted::Fault),
                () = &mut gone => return Err(Interrupted::Stop(Stop::Gone)),
                () = sleep_until(until) => {
                    if !is_last {
                        pool.slow(endpoint);
                    }
                }
            }
        }
        // Others may have used up most of the time.
        if sent.elapsed() > deadline.waited() / 2 {
            pool.failed(endpoint);
        } else {
            pool.slow(endpoint);
        }
        Err(Interrupted::Stop(Stop::Failed(timed_out(&pool.server.id, deadline))))
    }
}

fn timed_out(server: &ServerId, deadline: &Deadline) -> Failure {
    let reason = Reason::Timeout(format!("{:?}", deadline.waited()));
    Failure { server: server.clone(), reason, outcome: Outcome::Unknown }
}

/// What keeps a request from being answered: the way there, or something that ends the exchange.
enum Interrupted {
    Fault(Fault),
    Stop(Stop),
}

impl From<Fault> for Interrupted {
    fn from(fault: Fault) -> Interrupted {
        Interrupted::Fault(fault)
    }
}
