//! Reading the stream of one server of a session, for a client that reads those of several: asked for
//! again where it ends, from the last event on.

use super::fan_in::{Feed, Piece};
use super::legacy::is_gone;
use crate::gateway::Gateway;
use crate::session::{Opened, Upstreams};
use crate::upstream::{EventStream, Fields, Head, InFlight, Opening, Pool};
use bytes::Bytes;
use http::HeaderValue;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tollbridge_filters::headers::LAST_EVENT_ID;
use tollbridge_filters::marks::Mark;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::route::Listed;
use tollbridge_filters::sse::Event;
use tollbridge_filters::tags::{self, Tags};

/// How long to wait before a stream is asked for again, where the server does not say.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// A stream that ends sooner, without an event, is not missed.
const FLAP_MAX: Duration = Duration::from_secs(1);

/// A server that does not know yet that its stream has ended takes no other.
const TAKEN_AGAIN: Duration = Duration::from_millis(100);
const TAKEN_LAST: u32 = 10;

pub(super) struct Follower {
    gateway: Arc<Gateway>,
    upstreams: Arc<Upstreams>,
    server: ServerId,
    opened: Opened,
    /// The last event that came.
    last: Option<String>,
    retry: Duration,
    /// Whether the stream was there already, so that its end matters.
    was_there: bool,
}

/// What asking for a stream came to.
enum Asked {
    Stream(Box<EventStream>),
    /// The server has none.
    Nothing,
    /// Somebody else still has it, as far as the server knows.
    Taken,
    /// The session is no more.
    Gone,
    /// The session is there, but nothing that the stream could go on from.
    Unknown,
    /// It cannot be had now.
    Hindered,
}

impl Follower {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        upstreams: Arc<Upstreams>,
        server: ServerId,
        opened: Opened,
        last: Option<String>,
    ) -> Follower {
        Follower { gateway, upstreams, server, opened, was_there: last.is_some(), last, retry: RETRY }
    }

    /// Reads until nothing more is to be had. `Err`: the client has gone.
    pub(super) async fn follow(mut self, feed: &Feed) -> Result<(), ()> {
        let mut taken = 0;
        let mut wait = self.retry;
        loop {
            let asked = self.ask_aside().await;
            let why = match asked {
                Asked::Stream(stream) => {
                    let began = Instant::now();
                    let Read { why, events } = self.read(*stream, feed).await?;
                    // Where it ended at once, and nothing came, there was hardly a stream.
                    let was_there = events > 0 || began.elapsed() > FLAP_MAX;
                    wait = if was_there { self.retry } else { (wait * 2).min(RETRY_MAX) };
                    taken = 0;
                    self.was_there |= was_there;
                    // One that breaks again and again must not take the others' news with it.
                    let is_missed = self.last.is_none() && was_there;
                    Some(why).filter(|_| is_missed && self.upstreams.may_end_for(&self.server))
                }
                Asked::Nothing if self.was_there => Some("it has no stream any more".to_owned()),
                Asked::Nothing => return Ok(()),
                Asked::Taken if taken >= TAKEN_LAST && !self.was_there => return Ok(()),
                Asked::Taken => {
                    (taken, wait) = (taken + 1, (TAKEN_AGAIN * (taken + 1)).min(RETRY_MAX));
                    None
                }
                Asked::Gone => {
                    self.upstreams.forget(&self.server, &self.opened);
                    Some("its session is gone".to_owned())
                }
                Asked::Unknown => Some("it does not know the last event any more".to_owned()),
                Asked::Hindered => {
                    wait = (wait * 2).min(RETRY_MAX);
                    None
                }
            };
            if let Some(why) = why {
                return feed.tell(&self.server, Piece::Lost(why)).await;
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Asks while others wait for the stream, but not for long.
    async fn ask_aside(&self) -> Asked {
        let Some(pool) = self.gateway.pool(&self.server) else {
            self.upstreams.heed(&self.server);
            return Asked::Nothing;
        };
        pool.begin_stream(self.ask(&pool), || self.upstreams.heed(&self.server)).await
    }

    async fn ask(&self, pool: &Pool) -> Asked {
        let Some(endpoint) = pool.at(self.opened.addr) else { return Asked::Gone };
        let mut headers = self.opened.headers.as_ref().clone();
        if let Some(last) = &self.last {
            let Ok(id) = HeaderValue::from_bytes(last.as_bytes()) else { return Asked::Unknown };
            headers.insert(LAST_EVENT_ID, id);
        }
        let fields = Fields { forwarded: Some(&headers), ..self.opened.fields() };
        let (server, path) = (&pool.server, endpoint.path.as_str());
        let head = Head { verb: "GET", server, endpoint: &endpoint, path, fields, body_bytes: 0 };
        let limits = self.gateway.live().conf.limits;
        let asked = EventStream::open(&endpoint, &head, Bytes::new(), &limits);
        match tokio::time::timeout(server.timeout.call, asked).await {
            Ok(Ok(Opening::Stream(stream))) => Asked::Stream(Box::new(stream)),
            Ok(Ok(Opening::Refused { status, .. })) => self.refused(status, pool, &endpoint).await,
            Ok(Err(_)) => {
                pool.failed(&endpoint);
                Asked::Hindered
            }
            Err(_) => Asked::Hindered,
        }
    }

    async fn refused(&self, status: u16, pool: &Pool, endpoint: &InFlight) -> Asked {
        match status {
            409 => Asked::Taken,
            400 | 404 if self.opened.id.is_some() && is_gone(pool, endpoint, &self.opened).await => Asked::Gone,
            400 if self.last.is_some() => Asked::Unknown,
            408 | 425 | 429 | 500.. => Asked::Hindered,
            _ => Asked::Nothing,
        }
    }

    /// Reads to the end, and says what kind of end that was. A list that has changed is looked at while the
    /// rest is read.
    async fn read(&mut self, mut stream: EventStream, feed: &Feed) -> Result<Read, ()> {
        let mut events = 0;
        let (mut looked_for, mut wanted) = (BTreeSet::new(), BTreeSet::new());
        let mut look = std::pin::pin!(None);
        let why = loop {
            if look.as_ref().get_ref().is_none() && !wanted.is_empty() {
                looked_for = std::mem::take(&mut wanted);
                look.set(Some(look_anew(Arc::clone(&self.gateway), self.server.clone())));
            }
            let next = tokio::select! {
                biased;
                () = ended(look.as_mut()) => {
                    look.set(None);
                    self.say_changed(std::mem::take(&mut looked_for), feed).await?;
                    continue;
                }
                next = stream.next() => next,
            };
            match next {
                Ok(Some(event)) => {
                    events += 1;
                    wanted.extend(self.tell(event, feed).await?);
                }
                Ok(None) => break "it ended".to_owned(),
                Err(fault) => break fault.to_string(),
            }
        };
        // What was said before the end counts.
        wanted.extend(looked_for);
        if !wanted.is_empty() {
            look_anew(Arc::clone(&self.gateway), self.server.clone()).await;
            self.say_changed(wanted, feed).await?;
        }
        Ok(Read { why, events })
    }

    async fn say_changed(&self, lists: BTreeSet<Listed>, feed: &Feed) -> Result<(), ()> {
        for list in lists {
            feed.tell(&self.server, Piece::Changed(list)).await?;
        }
        Ok(())
    }

    /// Tells what an event says; a list that has changed is told when it is listed so.
    async fn tell(&mut self, mut event: Event, feed: &Feed) -> Result<Option<Listed>, ()> {
        if let Some(retry) = event.retry.take().and_then(|millis| millis.parse().ok()) {
            self.retry = Duration::from_millis(retry).clamp(RETRY_MIN, RETRY_MAX);
        }
        let changed = event.data.as_deref().and_then(Listed::that_changed);
        event.data = event.data.filter(|_| changed.is_none());
        event.data = event.data.map(|data| tags::tag(Tags::Session, &self.server, &data).into_owned());
        let mark = event.id.take().and_then(|id| self.moved(id));
        if event.data.is_some() || mark.is_some() {
            feed.tell(&self.server, Piece::Event(event, mark)).await?;
        }
        Ok(changed)
    }

    /// An empty id takes back what was there (WHATWG HTML, 9.2.6): from here on nothing can be resumed.
    fn moved(&mut self, id: String) -> Option<Mark> {
        self.last = Some(id.clone()).filter(|id| !id.is_empty());
        self.last.is_some().then(|| Mark { server: self.server.clone(), session: self.opened.mark, id })
    }
}

/// What reading a stream came to.
struct Read {
    why: String,
    events: usize,
}

/// Has a server looked at again, and waits until that is published.
async fn look_anew(gateway: Arc<Gateway>, server: ServerId) {
    let most = gateway.live().conf.discovery.timeout;
    if let Some(pool) = gateway.pool(&server) {
        pool.renewal.look(most).await;
    }
}

/// Waits for what is under way, if something is.
async fn ended(mut under_way: Pin<&mut Option<impl Future<Output = ()>>>) {
    match under_way.as_mut().as_pin_mut() {
        Some(under_way) => under_way.await,
        None => std::future::pending().await,
    }
}
